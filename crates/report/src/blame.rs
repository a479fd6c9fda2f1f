//! Whose fault a failed gate is: the machine's and the generator's, or the server's.
//!
//! The raw data hold a sentence for each gate. Those that speak of the machine or the generator are
//! known here by their beginnings, as `bench/src/judge/gates.rs` and `load/src/gates.rs` write them; every
//! other sentence is taken to speak of the server, so that a new one is never overlooked.

use crate::data::{Role, Trial, Validity};
use crate::words;

/// How sentences on the machine, the generator or the measurement begin.
const MACHINE: [&str; 21] = [
    "the generator itself",
    "the generator calls its run",
    "generator-late",
    "generator-bound",
    "generator CPU",
    "at least ",
    "no figure of the null server",
    "sent/scheduled",
    "the hypervisor",
    "steal ",
    "result above",
    "no request was due",
    "outcomes add up",
    "outcomes do not add up",
    // Checks the bookkeeping; what a server does to break it has a sentence of its own beside it.
    "Little's law",
    "the windows of the",
    "none of ",
    "not confirmed",
    "measured again as",
    "the process of this server is not known",
    "there is no objective",
];

/// How the sentence begins by which a server that was running already is excused from a scenario.
const NOT_OFFERED: [&str; 2] = ["does not answer ", words::NOT_OFFERED];

/// `true` when `reason` speaks of the server.
pub fn is_of_server(reason: &str) -> bool {
    !MACHINE.iter().any(|known| reason.starts_with(known))
}

/// The sentences of a trial that did not pass and that speak of the server.
pub fn of_server(trial: &Trial) -> impl Iterator<Item = &str> {
    let failed = matches!(trial.validity, Validity::Invalid | Validity::Limited);
    let reasons = trial.reasons.iter().filter(move |_| failed);
    reasons
        .map(String::as_str)
        .filter(|reason| is_of_server(reason))
}

/// `true` when the trial was not made because its server, which is not of this collection, has no
/// such route; a model that cannot do a shape blocks by design.
pub fn lacks_route(trial: &Trial) -> bool {
    let says = |reason: &String| NOT_OFFERED.iter().any(|begin| reason.starts_with(begin));
    trial.validity == Validity::Blocks
        && (trial.role == Role::Target || trial.reasons.iter().any(says))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gates_say_is_told_apart() {
        for machine in [
            "the generator itself was late: p99 310 µs, 100 µs allowed",
            "the hypervisor took 1.2 % of the CPU time, 1 % allowed",
            "generator-bound: it used 93 % of its CPU, 85 % allowed",
            "at least 157774/s, generator-bound: 84 % of the null server's throughput, 70 % allowed",
            "measured again as 00013r",
            "sent/scheduled 0.950 is below 0.99",
            "none of 6 steps decided anything",
        ] {
            assert!(!is_of_server(machine), "{machine}");
        }
        for server in [
            "12 replies had a wrong body",
            "3 connections were lost",
            "61 of 64 connections were alive",
            "no request was answered correctly",
            "3 of 64 connections got no reply in the window: the server served the others only",
            "2 connections that were to be kept were closed by the server after a reply",
            "no capacity: at 4000/s: 12 replies had a wrong body",
            "the server ended before it was told to",
            "the server did not start: bind: Address already in use",
            "no end of the drain within 10 s",
            // What it was that the generator could not do is the server's to explain.
            "the generator failed: connection refused",
            "something nobody has thought of yet",
        ] {
            assert!(is_of_server(server), "{server}");
        }
    }
}
