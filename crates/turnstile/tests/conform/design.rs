//! What models cannot do by design. Everything that is not here must work in every model.

const ONE_CLIENT: &str = "one client at a time: the others wait until it has gone";
const ONE_WORKER_EACH: &str = "a persistent connection occupies a worker until it ends";

/// (row, model, why not).
pub const DESIGN: &[(&str, &str, &str)] = &[
    (TWO_HUNDRED, "iterative", ONE_CLIENT),
    (OTHERS_DURING_WAIT, "iterative", ONE_CLIENT),
    (OTHERS_DURING_UNREAD, "iterative", ONE_CLIENT),
    (OTHERS_DURING_SLOW_HEADS, "iterative", ONE_CLIENT),
    (MORE_THAN_WORKERS, "iterative", ONE_CLIENT),
    (MORE_THAN_WORKERS, "fork-per-client", ONE_WORKER_EACH),
    (MORE_THAN_WORKERS, "prefork", ONE_WORKER_EACH),
    (MORE_THAN_WORKERS, "thread-pool", ONE_WORKER_EACH),
];

pub const TWO_HUNDRED: &str = "two hundred connections at once";
pub const OTHERS_DURING_WAIT: &str = "others are served during a wait";
pub const OTHERS_DURING_UNREAD: &str = "others are served beside unread replies";
pub const OTHERS_DURING_SLOW_HEADS: &str = "others are served beside slow heads";
pub const MORE_THAN_WORKERS: &str = "more persistent connections than workers";

/// Why `model` need not do `row`, if so.
pub fn excuse(row: &str, model: &str) -> Option<&'static str> {
    let mut all = DESIGN.iter();
    all.find(|(of, by, _)| *of == row && *by == model)
        .map(|(_, _, why)| *why)
}
