//! The example as it runs, on every model.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../every_model.rs"]
mod every_model;
#[path = "../../started.rs"]
mod started;

use std::collections::HashMap;

use serde_json::Value;
use started::Started;

const REQUESTS: u64 = 12;

/// The counts that `name` has come to, one for each of those whose counter it is.
fn last_by(replies: &[Value], whose: impl Fn(&Value) -> u64, name: &str) -> HashMap<u64, u64> {
    let mut last = HashMap::new();
    for reply in replies {
        let count = last.entry(whose(reply)).or_insert(0);
        *count = reply[name].as_u64().unwrap().max(*count);
    }
    last
}

#[test]
fn each_counter_counts_for_those_who_share_it() {
    for column in every_model::columns() {
        let label = column.label();
        let counter = Started::new(env!("CARGO_BIN_EXE_counter"), &["--model", &label]);
        let replies: Vec<Value> = (0..REQUESTS)
            .map(|_| {
                let reply = counter.ask("GET /", "");
                let (_, body) = reply.split_once("\r\n\r\n").unwrap();
                serde_json::from_str(body)
                    .unwrap_or_else(|error| panic!("{label}: {error}: {reply}"))
            })
            .collect();
        let process = |reply: &Value| reply["process_id"].as_u64().unwrap();
        let worker = |reply: &Value| {
            // Worker numbers are used again by later processes.
            process(reply) << 32 | reply["worker_number"].as_u64().unwrap()
        };
        let sum = |last: HashMap<u64, u64>| last.values().sum::<u64>();
        let shared = last_by(&replies, |_| 0, "shared");
        assert_eq!(sum(shared), REQUESTS, "{label}: all share it: {replies:?}");
        for (name, counts) in [
            ("process", last_by(&replies, process, "process")),
            ("copied", last_by(&replies, process, "copied")),
            ("worker", last_by(&replies, worker, "worker")),
        ] {
            assert_eq!(sum(counts), REQUESTS, "{label}: {name}: {replies:?}");
        }
        let processes = last_by(&replies, process, "process").len();
        match column.model.name {
            "fork-per-client" => assert_eq!(processes as u64, REQUESTS, "{label}"),
            _ if !column.variant.workers.processes => assert_eq!(processes, 1, "{label}"),
            _ => {}
        }
        counter.drain();
    }
}
