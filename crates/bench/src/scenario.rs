//! The scenarios, as a table, and the two rules that depend on the model: pool size, and "cannot".

use crate::catalogue::Contender;

/// One shape of load. Everything a model is measured with in it is the same for every model.
#[derive(Debug)]
pub struct Scenario {
    /// Name, as `--scenarios` takes it.
    pub name: &'static str,
    /// One sentence: what it is there to show.
    pub purpose: &'static str,
    /// Route asked for.
    pub path: &'static str,
    /// Connections held, or in flight at once when each carries one request.
    pub connections: u32,
    /// Requests in flight on a connection.
    pub pipeline: u32,
    /// `false`: a connection a request.
    pub keep_alive: bool,
    /// `true` when a request keeps its worker from the CPU (blocked in the call).
    pub blocks_worker: bool,
    /// Offered requests a second of the open-loop windows, ascending.
    ///
    /// Chosen for one server CPU of this decade: nearly every model holds the lower rate; the upper
    /// one is where they begin to differ, and a model that cannot hold it shows that. Ascending,
    /// because what an overloaded server still has queued must not spill into a later window.
    pub rates: &'static [f64],
}

/// Every scenario, in the order they are run and shown.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "tiny-keepalive",
        purpose: "What a request costs when nothing but the model is in the way.",
        path: "/plaintext",
        connections: 64,
        pipeline: 1,
        keep_alive: true,
        blocks_worker: false,
        rates: &[5_000.0, 20_000.0],
    },
    Scenario {
        name: "tiny-pipelined",
        purpose: "The same with 16 requests in flight a connection: system calls shared by many requests.",
        path: "/plaintext",
        connections: 64,
        pipeline: 16,
        keep_alive: true,
        blocks_worker: false,
        rates: &[10_000.0, 40_000.0],
    },
    Scenario {
        name: "churn",
        purpose: "A connection a request: what accepting, handing over and closing cost.",
        path: "/plaintext",
        connections: 32,
        pipeline: 1,
        keep_alive: false,
        blocks_worker: false,
        rates: &[1_000.0, 3_000.0],
    },
    Scenario {
        name: "latency",
        purpose: "One connection, one request at a time: the shortest way through the model.",
        path: "/plaintext",
        connections: 1,
        pipeline: 1,
        keep_alive: true,
        blocks_worker: false,
        rates: &[1_000.0, 5_000.0],
    },
    Scenario {
        name: "cpu",
        purpose: "100 µs of computation a request: how the model shares a busy CPU.",
        path: "/cpu/100",
        connections: 16,
        pipeline: 1,
        keep_alive: true,
        blocks_worker: false,
        rates: &[2_000.0, 5_000.0],
    },
    Scenario {
        name: "blocking",
        purpose: "A back end of 1 ms that blocks its worker: who else has to wait.",
        path: "/sleep/1000",
        // So few that a server which serialises them (16 ms each) is in its stride within the window.
        connections: 16,
        pipeline: 1,
        keep_alive: true,
        blocks_worker: true,
        rates: &[500.0, 5_000.0],
    },
    Scenario {
        name: "cooperative",
        purpose: "A back end of 1 ms that leaves its worker free: what waiting itself costs.",
        path: "/wait/1000",
        connections: 64,
        pipeline: 1,
        keep_alive: true,
        blocks_worker: false,
        rates: &[2_000.0, 8_000.0],
    },
];

/// Why `contender` cannot do `scenario` at all, when it cannot.
///
/// Slow is not "cannot": a single reactor serialises a blocking back end, and that is measured.
pub fn blocks(contender: &Contender, scenario: &Scenario) -> Option<String> {
    if contender.model == "iterative" && scenario.keep_alive && scenario.connections > 1 {
        return Some(format!(
            "serves one client at a time: the other {} of {} keep-alive connections would wait for ever",
            scenario.connections - 1,
            scenario.connections
        ));
    }
    None
}

/// Workers to ask for, `None` where the model's own default is right.
///
/// A pool in which a worker holds a connection is sized to hold every connection of the scenario: a
/// smaller one starves the rest while its throughput looks fine. Loops keep their default, a worker
/// a CPU allowed. Leader/followers lies between: its threads share all connections, but it needs a
/// follower to promote, and as many threads as requests that block at once.
pub fn workers(contender: &Contender, scenario: &Scenario, server_cpus: usize) -> Option<u32> {
    match contender.model.as_str() {
        "prefork" | "thread-pool" => Some(scenario.connections),
        "leader-follower" if scenario.blocks_worker => Some(scenario.connections),
        "leader-follower" => Some(u32::try_from(server_cpus + 1).unwrap_or(u32::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Contender;

    fn scenario(name: &str) -> &'static Scenario {
        SCENARIOS
            .iter()
            .find(|s| s.name == name)
            .expect("a scenario of the table")
    }

    #[test]
    fn only_an_iterative_server_blocks_and_only_under_many_keep_alive_connections() {
        for s in SCENARIOS {
            let blocked = blocks(&Contender::model("iterative", "", true), s).is_some();
            assert_eq!(
                blocked,
                !matches!(s.name, "churn" | "latency"),
                "{}",
                s.name
            );
            assert_eq!(
                blocks(&Contender::model("single-reactor", "epoll", true), s),
                None
            );
        }
    }

    #[test]
    fn pools_hold_the_connections_and_loops_keep_their_default() {
        let of = |model: &str, name: &str| {
            workers(&Contender::model(model, "", true), scenario(name), 1)
        };
        assert_eq!(of("prefork", "tiny-keepalive"), Some(64));
        assert_eq!(of("thread-pool", "cpu"), Some(16));
        assert_eq!(of("single-reactor", "blocking"), None);
        assert_eq!(of("multi-reactor", "tiny-keepalive"), None);
        assert_eq!(of("leader-follower", "blocking"), Some(16));
        assert_eq!(of("leader-follower", "cpu"), Some(2));
    }

    #[test]
    fn the_table_is_sound() {
        for s in SCENARIOS {
            assert!(
                s.purpose.ends_with('.') && s.path.starts_with('/'),
                "{}",
                s.name
            );
            assert!(s.rates.is_sorted() && !s.rates.is_empty(), "{}", s.name);
            assert!(
                s.keep_alive || s.pipeline == 1,
                "{}: one request a connection cannot pipeline",
                s.name
            );
        }
    }
}
