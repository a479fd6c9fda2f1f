use super::*;
use crate::plan::contender::Contender;
use crate::plan::scenario::{blocks, workers};
use crate::plan::workers::examples::{ONE_CLIENT, PROCESSES};

fn scenario(name: &str) -> &'static Scenario {
    SCENARIOS
        .iter()
        .find(|s| s.name == name)
        .expect("a scenario of the table")
}

#[test]
fn an_iterative_server_blocks_under_many_keep_alive_connections_only() {
    let iterative = Contender::model("iterative", "", true, ONE_CLIENT);
    for s in SCENARIOS {
        let blocked = blocks(&iterative, s, 0).is_some();
        assert_eq!(
            blocked,
            !matches!(s.name, "churn" | "latency"),
            "{}",
            s.name
        );
    }
}

#[test]
fn pools_hold_bystanders_too() {
    let pool = Contender::model("prefork", "", true, PROCESSES);
    let of = |name: &str, idle| workers(&pool, scenario(name), idle, 1);
    assert_eq!(of("tiny-keepalive", 0), Some(64));
    assert_eq!(of("poison", 0), Some(65));
    assert_eq!(of("slow-clients", 0), Some(128));
    assert_eq!(of("idle-many", 500), Some(564));
    assert_eq!(
        workers(&pool.with_default_pool(), scenario("poison"), 0, 1),
        None
    );
    assert!(blocks(&pool, scenario("idle-many"), 10_000).is_some());
}

#[test]
fn twice_the_capacity_is_one_rate_for_all() {
    let rates = scenario("overload").overload_rates(1).expect("an overload");
    assert_eq!(rates, [2_250.0, 9_000.0, 2_250.0]);
    assert_eq!(scenario("cpu").overload_rates(1), None);
}

#[test]
fn a_mix_is_read_as_the_generator_reads_it() {
    assert_eq!(
        scenario("sqlite").requests(),
        [("GET", "/kv/{n:1000}"), ("PUT", "/kv/{n:1000}")]
    );
    assert_eq!(scenario("cpu").requests(), [("GET", "/cpu/100")]);
}

#[test]
fn scenarios_that_need_no_route_of_ours_are_known() {
    let all = SCENARIOS.iter().chain([&MEMORY]);
    let generic: Vec<&str> = all.filter(|s| s.is_generic()).map(|s| s.name).collect();
    assert_eq!(
        generic,
        [
            "tiny-keepalive",
            "tiny-pipelined",
            "churn",
            "latency",
            "idle-many",
            "memory"
        ]
    );
}

#[test]
fn the_table_is_sound() {
    for s in SCENARIOS {
        let name = s.name;
        assert!(
            s.purpose.ends_with('.') && s.path.starts_with('/'),
            "{name}"
        );
        for rates in [s.rates, s.rates_full] {
            assert!(rates.is_sorted(), "{name}");
        }
        let windows = !s.rates.is_empty() && !s.rates_full.is_empty();
        assert!(
            windows != s.overload_cpu_us.is_some(),
            "{name}: something is measured"
        );
        assert!(
            s.keep_alive || s.pipeline == 1,
            "{name}: one request per connection"
        );
        assert_eq!(s.requests().len(), s.mix.len().max(1), "{name}");
        assert!(
            s.capacity == Depth::Never || s.objective.is_some(),
            "{name}: a capacity has an objective"
        );
        assert!(SCENARIOS.iter().filter(|other| other.name == name).count() == 1);
    }
    let quick = |depth: fn(&Scenario) -> Depth| {
        SCENARIOS
            .iter()
            .filter(|&s| depth(s) == Depth::Always)
            .count()
    };
    assert!(
        quick(|s| s.capacity) <= 2,
        "quick has time for two capacities"
    );
    assert_eq!(SCENARIOS.len(), 14, "METHOD's matrix");
}
