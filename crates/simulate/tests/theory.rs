//! The simulator against what theory says in closed form.

use simulate::{Costs, Load, Scheduler, Server, Spread, Stalls, Topology, Trace, run};
use workload::{Distribution, Workload};

const MANY: usize = 1_500_000;

/// A server that costs nothing but the work of the handler.
fn server(cores: usize, topology: Topology) -> Server {
    Server {
        cores,
        topology,
        costs: Costs {
            cpu_factor: 1.0,
            ..Costs::default()
        },
        scheduler: Scheduler {
            slice_us: 1e9,
            preempt_us: 1e9,
            protect_us: 1e9,
        },
        stalls: Stalls::default(),
        client_stalls: Stalls::default(),
        connections: 1,
    }
}

const ONE_LOOP: Topology = Topology::Loops {
    loops: 1,
    spread: Spread::Even,
};

fn workload(cpu: &str) -> Workload {
    Workload::parse(&format!("rate = 1\n[[class]]\ncpu_us = {cpu}\n")).expect("a workload")
}

fn open(rate: f64) -> Load {
    Load::Open {
        rate,
        connections: 200_000,
    }
}

#[track_caller]
fn close(what: &str, found: f64, theory: f64, within: f64) {
    let off = found / theory - 1.0;
    assert!(
        off.abs() < within,
        "{what}: {found:.2}, theory {theory:.2}, {off:+.4}"
    );
}

#[test]
fn mm1() {
    let trace = Trace::draw(&workload("{ exponential = 100 }"), MANY, 1);
    for load in [0.3, 0.6, 0.8] {
        let outcome = run(&server(1, ONE_LOOP), &open(load * 10_000.0), &trace);
        let mean = 100.0 / (1.0 - load);
        close("mean", outcome.all.mean_us(), mean, 0.02);
        // The response is exponential.
        close(
            "p99",
            outcome.all.percentile_us(99.0),
            mean * 100f64.ln(),
            0.02,
        );
        close("utilisation", outcome.utilisation, load, 0.01);
    }
}

/// Pollaczek and Khinchine: the mean wait is ρ/(1-ρ) · (1+c²)/2 · x.
#[test]
fn mg1() {
    for (form, cv, within) in [
        ("100", 0.0, 0.01),
        ("{ exponential = 100 }", 1.0, 0.02),
        ("{ lognormal = { mean = 100, cv = 1.5 } }", 1.5, 0.02),
        ("{ values = [50, 550], weights = [9, 1] }", 1.5, 0.02),
    ] {
        let trace = Trace::draw(&workload(form), MANY, 2);
        let load = 0.6;
        let outcome = run(&server(1, ONE_LOOP), &open(load * 10_000.0), &trace);
        let mean = 100.0 + load / (1.0 - load) * (1.0 + cv * cv) / 2.0 * 100.0;
        close(form, outcome.all.mean_us(), mean, within);
    }
}

/// The share of arrivals that wait, by Erlang's C formula.
fn erlang_c(servers: usize, offered: f64) -> f64 {
    let mut blocking = 1.0;
    for n in 1..=servers {
        blocking = offered * blocking / (n as f64 + offered * blocking);
    }
    let load = offered / servers as f64;
    blocking / (1.0 - load + load * blocking)
}

#[test]
fn mmk() {
    let trace = Trace::draw(&workload("{ exponential = 100 }"), MANY, 3);
    for (cores, load) in [(2, 0.7), (4, 0.8), (16, 0.9)] {
        let server = server(cores, Topology::Shared { threads: cores });
        let outcome = run(&server, &open(load * cores as f64 * 10_000.0), &trace);
        let waits = erlang_c(cores, load * cores as f64);
        let mean = 100.0 + waits * 100.0 / (cores as f64 * (1.0 - load));
        close("mean", outcome.all.mean_us(), mean, 0.02);
    }
}

/// Under processor sharing the mean response is x/(1-ρ), whatever the distribution of x.
#[test]
fn sharing_is_insensitive() {
    for form in [
        "100",
        "{ exponential = 100 }",
        "{ values = [50, 550], weights = [9, 1] }",
    ] {
        let trace = Trace::draw(&workload(form), 400_000, 4);
        let seats = Topology::Seats {
            seats: 1_000,
            spread: Spread::Even,
        };
        let server = Server {
            scheduler: Scheduler {
                slice_us: 1.0,
                preempt_us: 1.0,
                protect_us: 1.0,
            },
            ..server(1, seats)
        };
        let load = Load::Open {
            rate: 6_000.0,
            connections: 900,
        };
        let outcome = run(&server, &load, &trace);
        close(form, outcome.all.mean_us(), 250.0, 0.02);
    }
}

/// Each partition is a queue of its own: k servers of M/M/1, and not an M/M/k.
#[test]
fn partitions_do_not_help_each_other() {
    let mut workload = workload("{ exponential = 100 }");
    workload.churn = 1.0; // A new connection each time, by hash: independent of the others' lengths.
    let trace = Trace::draw(&workload, MANY, 5);
    let loops = Topology::Loops {
        loops: 4,
        spread: Spread::Hashed,
    };
    let outcome = run(&server(4, loops), &open(0.6 * 40_000.0), &trace);
    close("mean", outcome.all.mean_us(), 250.0, 0.02);
}

/// The machine repairman: N clients that think, one server. Exact mean value analysis.
#[test]
fn machine_repairman() {
    let trace = Trace::draw(&workload("{ exponential = 100 }"), MANY, 6);
    for clients in [1, 3, 10, 30] {
        let think = 1_000.0;
        let load = Load::Closed {
            population: clients,
            think_us: Distribution::Exponential { mean: think },
        };
        let outcome = run(&server(1, ONE_LOOP), &load, &trace);
        let (mut queue, mut rate, mut response) = (0.0, 0.0, 0.0);
        for n in 1..=clients {
            response = 100.0 * (1.0 + queue);
            rate = n as f64 / (think + response);
            queue = rate * response;
        }
        close("rate", outcome.throughput_rps, rate * 1e6, 0.01);
        close("response", outcome.all.mean_us(), response, 0.02);
    }
}

/// Clients that all think equally long, at a server that takes equally long, never meet once they are apart: D/D/1.
#[test]
fn clients_that_think_equally_long_are_no_convoy() {
    let trace = Trace::draw(&workload("200"), 50_000, 6);
    let load = Load::Closed {
        population: 100,
        think_us: Distribution::Constant(100_000.0),
    };
    let outcome = run(&server(1, ONE_LOOP), &load, &trace);
    close("p99", outcome.all.percentile_us(99.0), 200.0, 0.02);
    close("rate", outcome.throughput_rps, 100.0 / 0.1002, 0.01);
}

/// A seat that blocks is a server of a queue: M/M/k again, with the core nearly free.
#[test]
fn blocked_time_holds_a_worker_and_no_core() {
    let text = "rate = 1\n[[class]]\nblocked_us = { exponential = 1000 }\n";
    let trace = Trace::draw(&Workload::parse(text).expect("a workload"), MANY, 7);
    let outcome = run(
        &server(1, Topology::Shared { threads: 8 }),
        &open(6_000.0),
        &trace,
    );
    let mean = 1_000.0 + erlang_c(8, 6.0) * 1_000.0 / (8.0 * 0.25);
    close("mean", outcome.all.mean_us(), mean, 0.02);
    // One loop is held by it: M/M/1.
    let outcome = run(&server(1, ONE_LOOP), &open(500.0), &trace);
    close("loop", outcome.all.mean_us(), 2_000.0, 0.02);
}

/// What is awaited holds nothing: its time is added, however many await. When it is over, the reply waits
/// for the loop once more.
#[test]
fn awaited_time_holds_nothing() {
    let text = "rate = 1\n[[class]]\ncpu_us = { exponential = 100 }\nwait_us = 5000\n";
    let trace = Trace::draw(&Workload::parse(text).expect("a workload"), MANY, 8);
    let outcome = run(&server(1, ONE_LOOP), &open(5_000.0), &trace);
    close("mean", outcome.all.mean_us(), 5_300.0, 0.01);
}

/// All threads that need one lock are one server: M/M/1, however many cores there are.
#[test]
fn a_lock_makes_one_queue_of_many_threads() {
    let text = "rate = 1\n[[class]]\ncpu_us = { exponential = 100 }\nlock = \"store\"\n";
    let trace = Trace::draw(&Workload::parse(text).expect("a workload"), MANY, 9);
    let server = server(4, Topology::Shared { threads: 64 });
    let outcome = run(&server, &open(5_000.0), &trace);
    close("mean", outcome.all.mean_us(), 200.0, 0.02);
}

#[test]
fn the_same_seed_gives_the_same_answer_and_another_seed_another() {
    let of = |seed| {
        let trace = Trace::draw(&workload("{ exponential = 100 }"), 50_000, seed);
        let outcome = run(&server(1, ONE_LOOP), &open(6_000.0), &trace);
        (
            outcome.all.mean_us().to_bits(),
            outcome.all.percentile_us(99.0).to_bits(),
        )
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn a_hog_is_shared_with_and_queued_behind() {
    let text = "rate = 1\n[[class]]\nshare = 0.99\ncpu_us = 100\n[[class]]\nshare = 0.01\ncpu_us = 10000\n";
    let trace = Trace::draw(&Workload::parse(text).expect("a workload"), 400_000, 10);
    let p90 = |topology, slice_us| {
        let server = Server {
            scheduler: Scheduler {
                slice_us,
                preempt_us: slice_us,
                protect_us: slice_us,
            },
            ..server(1, topology)
        };
        let load = Load::Open {
            rate: 2_400.0,
            connections: 32,
        };
        run(&server, &load, &trace).all.percentile_us(90.0)
    };
    let seats = Topology::Seats {
        seats: 32,
        spread: Spread::Even,
    };
    let (queued, shared, finer) = (p90(ONE_LOOP, 1e9), p90(seats, 1_000.0), p90(seats, 100.0));
    assert!(
        queued > 3.0 * shared && shared > finer,
        "{queued} {shared} {finer}"
    );
}

/// Short requests wait for a slice of those long ones that have had less than their part, and not behind all
/// of them: earliest eligible virtual deadline first, and no line.
#[test]
fn a_thread_that_wakes_up_does_not_queue_behind_those_that_compute() {
    let text =
        "rate = 1\n[[class]]\nshare = 0.98\ncpu_us = 50\n[[class]]\nshare = 0.02\ncpu_us = 20000\n";
    let trace = Trace::draw(&Workload::parse(text).expect("a workload"), 200_000, 11);
    let seats = Topology::Seats {
        seats: 64,
        spread: Spread::Even,
    };
    let server = Server {
        scheduler: Scheduler {
            slice_us: 4_000.0,
            preempt_us: 1.0,
            protect_us: 1_400.0,
        },
        ..server(1, seats)
    };
    let load = Load::Open {
        rate: 1_600.0,
        connections: 64,
    };
    let outcome = run(&server, &load, &trace);
    // Two long ones compute at a time in the mean; a line of them would be 8 ms long.
    let short = outcome.classes[0].mean_us();
    assert!(short < 3_000.0, "{short}");
    // The long ones get what is left, and no more is done than there is.
    let long = outcome.classes[1].mean_us();
    assert!(
        long > 20_000.0 / (1.0 - outcome.utilisation) * 0.5,
        "{long}"
    );
    close(
        "utilisation",
        outcome.utilisation,
        1_600.0 * 449.0 / 1e6,
        0.03,
    );
}

/// Threads that compute all the time have equal parts, whatever they did before.
#[test]
fn threads_that_compute_have_equal_parts() {
    let text =
        "rate = 1\n[[class]]\nshare = 0.5\ncpu_us = 100\n[[class]]\nshare = 0.5\ncpu_us = 10000\n";
    let trace = Trace::draw(&Workload::parse(text).expect("a workload"), 100_000, 12);
    let seats = Topology::Seats {
        seats: 8,
        spread: Spread::Even,
    };
    let server = Server {
        scheduler: Scheduler {
            slice_us: 1_000.0,
            preempt_us: 1.0,
            protect_us: 500.0,
        },
        ..server(1, seats)
    };
    let load = Load::Closed {
        population: 8,
        think_us: Distribution::Constant(0.0),
    };
    // Eight clients that never think: the core is full, and a long request takes eight times its length.
    let outcome = run(&server, &load, &trace);
    close("utilisation", outcome.utilisation, 1.0, 0.01);
    close("long", outcome.classes[1].mean_us(), 80_000.0, 0.08);
}

/// A CPU that is away for 5 ms twice in a second: of all requests a share `2 (5 ms - x) / (1 - load)` waits longer
/// than x, those among it that come until the queue is gone. Nearly 1 in 200 takes more than 2.5 ms, and 1 in
/// 500 more than 4 ms.
#[test]
fn a_cpu_that_is_away_delays_those_that_come_meanwhile() {
    let trace = Trace::draw(&workload("5"), 400_000, 5);
    let away = Stalls {
        per_s: 2.0,
        lengths_us: [5_000.0; simulate::STALL_PARTS],
    };
    let of_server = Server {
        stalls: away,
        ..server(1, ONE_LOOP)
    };
    let of_client = Server {
        client_stalls: away,
        ..server(1, ONE_LOOP)
    };
    let seats = Topology::Seats {
        seats: 100,
        spread: Spread::Even,
    };
    let of_threads = Server {
        stalls: away,
        ..server(1, seats)
    };
    for (what, server) in [
        ("server", of_server),
        ("client", of_client),
        ("threads", of_threads),
    ] {
        let outcome = run(&server, &open(2_000.0), &trace);
        close(what, outcome.all.percentile_us(99.5), 2_525.0, 0.04);
        close(what, outcome.all.percentile_us(99.8), 4_010.0, 0.04);
        assert!(outcome.all.percentile_us(98.9) < 100.0, "{what}");
    }
}

/// Two cores of which each is away a tenth of the time carry what 1.8 cores do.
#[test]
fn what_a_cpu_is_away_it_cannot_do() {
    let away = Stalls {
        per_s: 50.0,
        lengths_us: [2_000.0; simulate::STALL_PARTS],
    };
    let load = Load::Closed {
        population: 64,
        think_us: workload::Distribution::Constant(0.0),
    };
    let trace = Trace::draw(&workload("{ exponential = 100 }"), 400_000, 6);
    let server = Server {
        stalls: away,
        ..server(2, Topology::Shared { threads: 8 })
    };
    let outcome = run(&server, &load, &trace);
    close("throughput", outcome.throughput_rps, 18_000.0, 0.02);
}

/// Requests of which none ever comes end at once, also where cores are away at times.
#[test]
fn no_requests_take_no_time() {
    let trace = Trace::draw(&workload("100"), 1_000, 6);
    let server = Server {
        stalls: Stalls {
            per_s: 4.0,
            lengths_us: [2_000.0; simulate::STALL_PARTS],
        },
        ..server(1, ONE_LOOP)
    };
    let outcome = run(&server, &open(0.0), &trace);
    assert_eq!((outcome.all.count(), outcome.throughput_rps), (0, 0.0));
}

/// A request wakes the core once, however many threads it passes; and a core that is idle for a short while only
/// costs the part that `1 - exp(-idle / t)` gives: at random arrivals `m / (m + t)` in the mean.
#[test]
fn a_wake_up_costs_as_the_core_sleeps() {
    let trace = Trace::draw(&workload("10"), 400_000, 7);
    let staged = Topology::Staged {
        loops: 1,
        workers: 4,
    };
    let with = |topology, asleep_after_us| {
        let plain = server(1, topology);
        Server {
            costs: Costs {
                wake_us: 40.0,
                asleep_after_us,
                ..plain.costs
            },
            ..plain
        }
    };
    let mean = |server: &Server, rate| run(server, &open(rate), &trace).all.mean_us();
    // So rare that none meets another.
    close("staged", mean(&with(staged, 0.0), 1.0), 50.0, 0.01);
    close("loop", mean(&with(ONE_LOOP, 0.0), 1.0), 50.0, 0.01);
    let outcome = run(&with(ONE_LOOP, 200.0), &open(5_000.0), &trace);
    // Each idle time is 200 µs in the mean: half of the whole, for those who find the core idle.
    let busy = outcome.utilisation;
    close("busy", busy, 0.005 * (10.0 + (1.0 - busy) * 20.0), 0.02);
    // That the thread slept costs each of them the same, however short.
    let mut slept = with(ONE_LOOP, 200.0);
    slept.costs.sleep_us = 30.0;
    let busy = run(&slept, &open(5_000.0), &trace).utilisation;
    close("slept", busy, 0.005 * (10.0 + (1.0 - busy) * 50.0), 0.02);
    close("rare", mean(&slept, 1.0), 80.0, 0.01);
}

/// A staged server wakes up three threads for a request that finds them asleep, also where another thread has
/// the core; and none where a queue stands.
#[test]
fn threads_that_hand_over_are_woken_up_on_a_busy_core_too() {
    let of = |blocked: u32, workers, population| {
        let text = format!("rate = 1\n[[class]]\ncpu_us = 10\nblocked_us = {blocked}\n");
        let trace = Trace::draw(&Workload::parse(&text).expect("a workload"), 100_000, 7);
        let plain = server(1, Topology::Staged { loops: 1, workers });
        let costs = Costs {
            sleep_us: 30.0,
            ..plain.costs
        };
        let clients = Load::Closed {
            population,
            think_us: Distribution::Constant(0.0),
        };
        run(&Server { costs, ..plain }, &clients, &trace)
    };
    // One client: each of the three threads has slept.
    close("alone", of(0, 4, 1).all.mean_us(), 40.0, 0.01);
    // Sixty-four clients of one worker: a queue stands, and it hardly sleeps.
    let deep = of(0, 1, 64).throughput_rps;
    assert!(deep > 60_000.0, "{deep}");
    // Sixteen clients that are blocked most of the time, and a worker for each: threads sleep between requests.
    let apart = of(4_000, 16, 16);
    close(
        "apart",
        apart.utilisation,
        apart.throughput_rps * 40e-6,
        0.1,
    );
}
