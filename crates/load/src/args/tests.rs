//! Command lines that make a plan, and those that are refused.

use super::*;

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    Args::command().debug_assert();
    let args = Args::parse_from(["load", "http://127.0.0.1:1/", "--body-bytes", "3"]);
    let request = String::from_utf8(args.plan().unwrap().request()).unwrap();
    assert_eq!(
        request,
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 3\r\n\r\nabc"
    );
}

#[test]
fn what_cannot_be_run_is_refused() {
    for flags in [
        &["--rate", "0"][..],
        &["--rate", "nan"],
        &["--connections", "0"],
        &["--connections", "2", "--threads", "3"],
        &["--new-connection", "--pipeline", "2"],
        &["--duration", "0s"],
        &["--header", "broken"],
        &["--think-ms", "5", "--pipeline", "2"],
        &["--method", "GET /"],
    ] {
        let args = Args::parse_from(["load", "http://127.0.0.1:1/"].iter().chain(flags));
        assert!(args.plan().is_err(), "{flags:?}");
    }
}

#[test]
fn clients_of_a_closed_loop_may_think() {
    let of = |flags: &str| {
        let line = format!("load http://127.0.0.1:1/ {flags}");
        let args = Args::try_parse_from(line.split_whitespace());
        args.map_err(|error| error.to_string())
    };
    let think = |flags: &str| of(flags).unwrap().plan().unwrap().think;
    assert_eq!(think(""), Duration::ZERO);
    assert_eq!(think("--think-ms 0"), Duration::ZERO);
    assert_eq!(think("--think-ms 0.5"), Duration::from_micros(500));
    assert_eq!(think("--think-ms 200 --slices"), Duration::from_millis(200));
    for flags in [
        "--think-ms x",
        "--think-ms=-1",
        "--think-ms nan",
        "--think-ms 3600001",
        "--think-ms 5 --rate 3",
        "--think-ms 5 --profile 1:1s",
        "--think-ms 5 --replay x",
    ] {
        let error = of(flags).unwrap_err();
        assert!(error.contains("--think-ms"), "{flags}: {error}");
    }
}

#[test]
fn some_requests_may_have_a_connection_of_their_own() {
    let of = |flags: &str| {
        let line = format!("load http://127.0.0.1:1/ {flags}");
        let args = Args::try_parse_from(line.split_whitespace());
        args.map_err(anyhow::Error::from)?.plan()
    };
    for (flags, expected) in [
        ("", (false, 0.0)),
        ("--churn 0", (false, 0.0)),
        ("--churn 0.3", (false, 0.3)),
        ("--churn 1", (true, 0.0)),
        ("--new-connection", (true, 0.0)),
    ] {
        let plan = of(flags).unwrap();
        assert_eq!((plan.new_connection, plan.churn), expected, "{flags}");
    }
    for (flags, says) in [
        ("--churn 1.1", "0 to 1"),
        ("--churn nan", "0 to 1"),
        ("--churn=-0.1", "0 to 1"),
        ("--churn 0.5 --new-connection", "--new-connection"),
        ("--churn 0.5 --replay x", "--replay"),
        ("--churn 0.5 --mix-from x", "--mix-from"),
        ("--churn 0.5 --pipeline 2", "no pipelining"),
        ("--churn 0.5 --protocol unp", "UNP"),
    ] {
        let error = of(flags).unwrap_err().to_string();
        assert!(error.contains(says), "{flags}: {error}");
    }
}

#[test]
fn the_other_flags_make_a_plan() {
    let flags = "load http://127.0.0.1:1/ --profile 100:1s,100-300:2s --expect-status 200,404 \
                 --request 9:GET:/kv/{n:10} --request 1:PUT:/kv/{n:10} --body-bytes 3 \
                 --poison /a:b:500ms --idle 5 --slow-readers 2";
    let args = Args::try_parse_from(flags.split_whitespace()).unwrap();
    let plan = args.plan().unwrap();
    assert_eq!(plan.duration, Duration::from_secs(3));
    let (rate, arrivals) = (100.0, Arrivals::Poisson);
    assert_eq!(plan.pace, Pace::Open { rate, arrivals });
    assert_eq!((plan.requests.len(), plan.idle), (2, 5));
    assert_eq!(plan.expect_status, [200, 404]);
    let poison = plan.poison.unwrap();
    assert_eq!(poison.path, "/a:b");
    assert_eq!(poison.every, Some(Duration::from_millis(500)));
    for flags in [
        "--profile 1:1s --rate 3",
        "--profile 1:1s --duration 3s",
        "--profile 0:1s",
        "--request 1:GET:/ --method PUT",
        "--poison x",
        "--poison /x:0s",
        "--slow-bytes-per-s 0",
    ] {
        let line = format!("load http://127.0.0.1:1/ {flags}");
        let args = Args::try_parse_from(line.split_whitespace());
        assert!(
            args.is_err() || args.is_ok_and(|args| args.plan().is_err()),
            "{flags}"
        );
    }
}

#[test]
fn a_low_rate_has_no_more_connections_than_requests_per_second() {
    for (flags, connections) in [
        ("", 64),
        ("--rate 1000", 64),
        ("--rate 64", 64),
        ("--rate 63.5", 64),
        ("--rate 20.1", 21),
        ("--rate 0.2", 1),
        ("--rate 5 --connections 50", 50),
        ("--profile 5:1s", 64),
        ("--rate 2 --threads 4", 4),
        // Each machine has its share of those of the whole, and at least one.
        ("--rate 20.1 --share 1/2", 11),
        ("--rate 2 --share 3/3", 1),
        ("--rate 2 --threads 2 --share 3/3", 2),
    ] {
        let line = format!("load http://127.0.0.1:1/ {flags}");
        let args = Args::try_parse_from(line.split_whitespace()).unwrap();
        assert_eq!(args.plan().unwrap().connections, connections, "{flags}");
    }
}
