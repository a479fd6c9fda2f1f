use super::*;

const ONE: &str = "rate = 2000\n[[class]]\ncpu_us = 100\n";

/// The example of the documentation.
const WHOLE: &str = r#"
population = 50
think_ms = 100
connections = 200
active = 50
churn = 0.25
[[class]]
name = "short"
share = 0.99
cpu_us = { lognormal = { mean = 100, cv = 2 } }
blocked_us = { exponential = 50 }
wait_us = { values = [1, 2.5], weights = [3, 1] }
lock = "store"
request_bytes = 10
reply_bytes = 20
[[class]]
name = "long"
share = 0.01
cpu_us = 10000
[objective]
percentile = 99.9
response_ms = 25
errors_share_max = 0.01
class = "long"
[machine]
cpus = 1
memory_mib = 512
io_uring = false
[needs]
shared_memory = true
crash_isolation = true
"#;

#[test]
fn every_field_but_a_class_has_a_default() {
    let workload = Workload::parse(ONE).expect("it is whole");
    assert_eq!((workload.connections, workload.active), (64, 64));
    assert_eq!(workload.objective, Objective::default());
    assert_eq!(workload.classes[0].reply_bytes, 13);
    assert_eq!(workload.means_us(), [100.0, 0.0, 0.0]);
}

#[test]
fn what_is_written_is_what_was_read() {
    for text in [ONE, WHOLE] {
        let workload = Workload::parse(text).expect("it is whole");
        assert_eq!(Workload::parse(&workload.to_string()), Ok(workload));
    }
    let workload = Workload::parse(WHOLE).expect("it is whole");
    assert_eq!(workload.objective_class(), Some(1));
    assert_eq!(workload.classes[0].wait_us.mean(), 1.375);
}

#[test]
fn each_wrong_workload_gets_one_line() {
    for (text, says) in [
        ("", "needs a rate or a population"),
        ("rate = 5\n", "needs a [[class]]"),
        (
            "rate = 5\npopulation = 5\n[[class]]\n",
            "exclude each other",
        ),
        ("rate = 0\n[[class]]\n", "rate is 0: it must be above 0"),
        ("rate = -5\n[[class]]\n", "rate is -5"),
        ("rate = nan\n[[class]]\n", "rate is NaN"),
        ("rate = inf\n[[class]]\n", "rate is inf"),
        ("rate = 1e12\n[[class]]\n", "at most 100000000"),
        (
            "rate = 5\nthink_ms = 5\n[[class]]\n",
            "think_ms belongs to a population",
        ),
        ("population = 0\n[[class]]\n", "population is 0"),
        ("population = -1\n[[class]]\n", "population is -1"),
        (
            "population = 5\nconnections = 4\n[[class]]\n",
            "each client has one",
        ),
        (
            "rate = 5\nconnections = 4\nactive = 5\n[[class]]\n",
            "active is 5",
        ),
        ("rate = 5\nconnections = 0\n[[class]]\n", "connections is 0"),
        ("rate = 5\nchurn = 1.5\n[[class]]\n", "churn is 1.5"),
        (
            "rate = 5\ncolour = 1\n[[class]]\n",
            "line 2: unknown field `colour`",
        ),
        (
            "rate = 5\n[[class]]\ncpu_ms = 1\n",
            "line 3: unknown field `cpu_ms`",
        ),
        ("rate = 5\n[[class]]\ncpu_us = -1\n", "cpu_us is -1"),
        (
            "rate = 5\n[[class]]\ncpu_us = 1e9\n",
            "it must be 0 to 60000000",
        ),
        (
            "rate = 5\n[[class]]\ncpu_us = \"much\"\n",
            "line 3: a time is a number",
        ),
        (
            "rate = 5\n[[class]]\ncpu_us = { exp = 3 }\n",
            "a time is a number",
        ),
        (
            "rate = 5\n[[class]]\ncpu_us = { values = [1], weights = [1, 2] }\n",
            "as many",
        ),
        (
            "rate = 5\n[[class]]\ncpu_us = { values = [1], weights = [-1] }\n",
            "positive",
        ),
        (
            "rate = 5\n[[class]]\ncpu_us = { lognormal = { mean = 1, cv = -1 } }\n",
            "cv is -1",
        ),
        (
            "rate = 5\n[[class]]\nreply_bytes = -1\n",
            "reply_bytes is -1",
        ),
        (
            "rate = 5\n[[class]]\nreply_bytes = 99999999\n",
            "at most 67108864",
        ),
        ("rate = 5\n[[class]]\nlock = \"a b\"\n", "letters, digits"),
        (
            "rate = 5\n[[class]]\nshare = 0.5\n",
            "add up to 0.5, not to 1",
        ),
        (
            "rate = 5\n[[class]]\n[[class]]\nshare = 0.5\n",
            "has no share",
        ),
        (
            "rate = 5\n[[class]]\nname = \"a\"\nshare = 0.5\n[[class]]\nname = \"a\"\nshare = 0.5\n",
            "two classes",
        ),
        (
            "rate = 5\n[[class]]\n[objective]\nclass = \"b\"\n",
            "is no class: there is class-1",
        ),
        (
            "rate = 5\n[[class]]\n[objective]\npercentile = 100\n",
            "percentile is 100",
        ),
        (
            "rate = 5\n[[class]]\n[objective]\nresponse_ms = 0\n",
            "response_ms is 0",
        ),
        (
            "rate = 5\n[[class]]\n[machine]\ncpus = 0\n",
            "machine.cpus is 0",
        ),
        (
            "rate = 5\n[[class]]\n[machine]\nmemory_mib = 0\n",
            "memory_mib is 0",
        ),
        ("rate 5\n", "line 1"),
    ] {
        let line = Workload::parse(text).expect_err(text);
        assert!(line.contains(says), "{text:?} gave {line:?}, not {says:?}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn flags_are_the_same_as_a_file_and_replace_what_it_says() {
    let flags = Flags {
        rate: Some(2000.0),
        cpu_us: Some(100.0),
        ..Flags::default()
    };
    assert_eq!(flags.workload(), Workload::parse(ONE));
    assert!(Flags::default().is_empty() && !flags.is_empty());
    let other = Flags {
        rate: Some(7.0),
        p99_ms: Some(3.0),
        ..Flags::default()
    };
    let workload = other.over(Some(ONE)).expect("it is whole");
    assert_eq!(workload.rate(), Some(7.0));
    assert_eq!(workload.objective.response_ms, 3.0);
    let line = flags.over(Some(WHOLE)).expect_err("several classes");
    assert!(line.contains("several classes"), "{line}");
    assert!(other.over(Some("rate = x")).is_err());
}

#[test]
fn draws_have_the_means_and_the_spread_of_their_distribution() {
    const MANY: usize = 200_000;
    for (form, cv) in [
        ("100", 0.0),
        ("{ exponential = 100 }", 1.0),
        ("{ lognormal = { mean = 100, cv = 2 } }", 2.0),
        ("{ values = [0, 200] }", 1.0),
    ] {
        let text = format!("rate = 1\n[[class]]\ncpu_us = {form}\n");
        let workload = Workload::parse(&text).expect(form);
        let drawn: Vec<f64> = Sampler::new(&workload, 7)
            .take(MANY)
            .map(|d| d.cpu_us)
            .collect();
        let mean = drawn.iter().sum::<f64>() / MANY as f64;
        let square = drawn.iter().map(|x| x * x).sum::<f64>() / MANY as f64;
        assert!((mean / 100.0 - 1.0).abs() < 0.02, "{form}: {mean}");
        let found = (square / mean / mean - 1.0).max(0.0).sqrt();
        assert!((found - cv).abs() < 0.1, "{form}: {found}");
        let said = workload.classes[0].cpu_us.mean_square();
        assert!((square / said - 1.0).abs() < 0.1, "{form}: {square} {said}");
    }
}

#[test]
fn classes_are_drawn_by_their_shares_and_alike_for_a_seed() {
    let workload = Workload::parse(WHOLE).expect("it is whole");
    let draw = |seed| {
        Sampler::new(&workload, seed)
            .take(50_000)
            .collect::<Vec<_>>()
    };
    let long = draw(1).iter().filter(|d| d.class == 1).count();
    assert!((400..600).contains(&long), "{long} of 50000");
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3), draw(4));
}

#[test]
fn a_mix_has_the_shares_and_the_means_of_its_workload() {
    let workload = Workload::parse(WHOLE).expect("it is whole");
    let mix = Mix::of(&workload, 1).expect("one size of body");
    assert_eq!((mix.kinds.len(), mix.body_bytes), (101, 10));
    let long = mix.kinds.last().expect("there are some");
    assert_eq!(long.path, "/work/10000/0/0/13");
    assert_eq!((long.method, long.weight), ("GET", 1_000));
    let short = &mix.kinds[..100];
    assert!(
        short
            .iter()
            .all(|k| k.method == "POST" && k.path.ends_with("/20?lock=store"))
    );
    let cpu = |k: &Kind| k.path.split('/').nth(2).and_then(|n| n.parse::<f64>().ok());
    let mean = short.iter().filter_map(cpu).sum::<f64>() / 100.0;
    assert!((mean - 100.0).abs() < 3.0, "{mean}");
    assert_eq!(Mix::of(&workload, 1), Ok(mix.clone()));
    assert_ne!(Mix::of(&workload, 2), Ok(mix));
}

#[test]
fn two_sizes_of_body_are_refused() {
    let text = "rate = 1\n[[class]]\nshare = 0.5\nrequest_bytes = 1\n[[class]]\nshare = 0.5\nrequest_bytes = 2\n";
    let workload = Workload::parse(text).expect("it is whole");
    let line = Mix::of(&workload, 1).expect_err("two sizes");
    assert!(line.contains("1 and of 2 bytes"), "{line}");
}

#[test]
fn a_workload_as_it_is_sent_has_the_means_and_fewer_long_times() {
    let text =
        "rate = 1\n[[class]]\ncpu_us = 50\nwait_us = { lognormal = { mean = 1000, cv = 1.5 } }\n";
    let workload = Workload::parse(text).expect("it is whole");
    let sent = as_sent(&workload);
    let (was, is) = (&workload.classes[0], &sent.classes[0]);
    assert_eq!((&was.cpu_us, &was.blocked_us), (&is.cpu_us, &is.blocked_us));
    assert!(
        (is.wait_us.mean() / 1_000.0 - 1.0).abs() < 0.01,
        "{}",
        is.wait_us.mean()
    );
    let tail = |c: &Class| c.wait_us.quantile(0.9999);
    assert!(tail(is) < tail(was) * 0.7, "{} {}", tail(is), tail(was));
    let kinds = Mix::of(&workload, 1).expect("one size").kinds;
    let longest = kinds
        .iter()
        .filter_map(|k| k.path.split('/').nth(4)?.parse::<f64>().ok());
    assert!((longest.fold(0.0, f64::max) - tail(is)).abs() <= 1.0);
}
