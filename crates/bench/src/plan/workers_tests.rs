use super::examples::*;
use super::*;

#[test]
fn only_a_server_of_one_client_serves_one() {
    assert!(ONE_CLIENT.cannot_hold(64).is_some());
    assert_eq!(ONE_CLIENT.cannot_hold(1), None);
    for workers in [PROCESSES, ONE_LOOP, Workers::LOOP] {
        assert_eq!(workers.cannot_hold(64), None, "{workers:?}");
    }
}

#[test]
fn ten_thousand_connections_are_too_many_for_processes_and_for_a_small_table() {
    let select = Workers {
        connections_max: Some(1_000),
        ..ONE_LOOP
    };
    for (workers, says) in [
        (PROCESSES, "a process per connection: 10064"),
        (PROCESS_PER_CLIENT, "a process per connection: 10064"),
        (select, "holds 1000 connections at most"),
    ] {
        let reason = workers.cannot_hold(10_064).expect(says);
        assert!(reason.text.starts_with(says), "{reason}");
        assert_eq!(reason.figures["connections"], 10_064.0);
    }
    for workers in [ONE_LOOP, Workers::LOOP, STAGED, SHARING] {
        assert_eq!(workers.cannot_hold(10_064), None, "{workers:?}");
    }
}

#[test]
fn pools_hold_the_connections_and_loops_keep_their_own() {
    let of = |workers: Workers, blocks| workers.asked_for(64, blocks, 1);
    assert_eq!(of(PROCESSES, false), Some(64));
    assert_eq!(of(THREADS, true), Some(64));
    assert_eq!(of(ONE_LOOP, true), None);
    assert_eq!(of(Workers::LOOP, false), None);
    assert_eq!(of(Workers::LOOP, true), None);
    assert_eq!(of(SHARING, true), Some(64));
    assert_eq!(of(SHARING, false), Some(2));
    assert_eq!(of(STAGED, true), Some(64));
    assert_eq!(of(STAGED, false), None);
}

#[test]
fn a_bound_that_is_enough_is_left_alone() {
    assert_eq!(PROCESS_PER_CLIENT.asked_for(64, true, 1), None);
    assert_eq!(PROCESS_PER_CLIENT.asked_for(1_000, false, 1), Some(1_000));
}

#[test]
fn what_the_server_does_not_say_is_named() {
    let told = |json: &str| Workers::told(&serde_json::from_str(json).expect("fields"));
    let whole = r#"{"workers": "up-to", "workers_default": 512, "holds": "workers",
        "processes": true, "shares": false, "connections_max": null}"#;
    assert_eq!(told(whole), Ok(PROCESS_PER_CLIENT));
    assert_eq!(told("{}"), Err("how many workers it has"));
    let older = r#"{"workers": "pool", "workers_default": 8}"#;
    assert_eq!(told(older), Err("what an open connection keeps busy"));
    assert!(serde_json::from_str::<Told>(r#"{"workers": "some"}"#).is_err());
}
