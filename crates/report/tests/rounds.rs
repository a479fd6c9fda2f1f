//! Runs in rounds, simulated from the noise of recorded runs: what is settled is settled rightly, and it is
//! the report's own verdicts that are looked at.

use std::collections::BTreeSet;
use std::path::Path;

use report::data::{Env, Figures, Mode, Pass, Role, Sequential, Shape, Trial, Validity};
use report::settled::{Column, Said};
use report::stats::sequential::{self, FIRST};
use schema::Reasons;
use schema::random::SplitMix64;
use schema::slice::Slice;

#[allow(dead_code)] // The other tests of the rule use the rest.
mod simulated;

use simulated::Noise;

const SERVERS: usize = 6;
const SLICE_S: f64 = 0.16;

fn env(rotations_max: u32) -> Env {
    Env {
        sequential: Some(Sequential {
            until_percent: 3.0,
            rotations_max,
            minutes: None,
        }),
        complete: true,
        ..Env::default()
    }
}

fn name(server: usize) -> String {
    format!("model-{server}")
}

/// A slice of a closed loop that costs so much, a logarithm.
fn slice(label: &str, role: Role, (block, rotation): (u32, u32), cost: f64) -> Trial {
    let model = label.trim_end_matches(" again").to_owned();
    Trial {
        id: format!("{block}.{rotation}.{label}"),
        model,
        variant: String::new(),
        label: label.to_owned(),
        role,
        pass: Pass::Measure,
        target: None,
        beside: None,
        grid: None,
        scenario: "simulated".to_owned(),
        size: "quick".to_owned(),
        block,
        order: 0,
        seed: 1,
        slice: Some(Slice {
            rotation,
            seconds: SLICE_S,
            ..Slice::default()
        }),
        response_hdr: None,
        workers: None,
        shape: Shape {
            mode: Mode::Closed,
            connections: 16,
            pipeline: 1,
            keep_alive: true,
            ..Shape::default()
        },
        validity: Validity::Valid,
        reasons: Reasons::default(),
        server_command: String::new(),
        load_command: String::new(),
        figures: Some(Figures {
            scheduled: 1_000,
            requests: 1_000,
            throughput_rps: 10_000.0 * (-cost).exp(),
            ..Figures::default()
        }),
        capacity: None,
        memory_steps: Vec::new(),
        drain_connections: None,
        workers_connections: Vec::new(),
        jain_connections: None,
    }
}

/// What a simulated run says of each server in the end, and the slices that it took.
fn run(noise: &Noise, slower: f64, random: &mut SplitMix64) -> (Column, usize) {
    let env = env(120);
    let mut trials: Vec<Trial> = Vec::new();
    let mut look: Option<Column> = None;
    let placebo = format!("{} again", name(1));
    for (block, length) in (0..).zip(sequential::rounds(120)) {
        let wanted: Option<BTreeSet<String>> = look.as_ref().map(|look| {
            let open = look.open().map(str::to_owned);
            open.chain(look.measures.iter().cloned()).collect()
        });
        if look.as_ref().is_some_and(|look| look.open().count() == 0) {
            break;
        }
        for rotation in 0..length as u32 {
            let mood = random.uniform();
            let mut add = |label: &str, role, by: f64| {
                if wanted.as_ref().is_none_or(|wanted| wanted.contains(label)) {
                    let cost = mood + by + noise.rest(SLICE_S, random);
                    trials.push(slice(label, role, (block, rotation), cost));
                }
            };
            for server in 0..SERVERS {
                let by = if server == 0 { slower.ln() } else { 0.0 };
                add(&name(server), Role::Model, by);
            }
            add(&placebo, Role::Placebo, 0.0);
        }
        if trials.len() >= FIRST {
            let now = Column::of(&env, trials.clone(), "simulated");
            look = now.filter(|_| block > 0);
        }
    }
    (look.expect("looked at"), trials.len())
}

fn said(column: &Column, server: usize) -> Said {
    let label = name(server);
    let row = column.rows.iter().find(|row| row.label == label);
    row.expect("a server").said
}

fn calm() -> Vec<Noise> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = simulated::noise(&here.join("tests/recorded")).expect("a recorded run");
    all.retain(|noise| noise.deviation() * (noise.window_s / SLICE_S).sqrt() < 0.15);
    all
}

#[test]
fn equal_servers_are_told_apart_in_less_than_one_column_in_twenty() {
    let (mut columns, mut wrong) = (0, 0);
    for (seed, noise) in (0..).zip(calm()) {
        let mut random = SplitMix64::new(seed);
        for _ in 0..4 {
            let (column, _) = run(&noise, 1.0, &mut random);
            let any = (0..SERVERS).any(|server| said(&column, server) == Said::Behind);
            columns += 1;
            wrong += u32::from(any);
        }
    }
    println!("of {columns} columns of {SERVERS} equal servers, {wrong} say that one is behind");
    assert!(
        columns >= 60 && wrong * 20 <= columns,
        "{wrong} of {columns}"
    );
}

#[test]
fn a_server_eight_percent_slower_is_settled_and_what_is_settled_is_left_out() {
    let (mut columns, mut found, mut opposite, mut slices) = (0, 0, 0, 0);
    for (seed, noise) in (100..).zip(calm()) {
        if noise.deviation() * (noise.window_s / SLICE_S).sqrt() > 0.06 {
            continue;
        }
        let mut random = SplitMix64::new(seed);
        for _ in 0..4 {
            let (column, taken) = run(&noise, 1.08, &mut random);
            columns += 1;
            found += u32::from(said(&column, 0) == Said::Behind);
            opposite += u32::from((1..SERVERS).any(|server| said(&column, server) == Said::Behind));
            slices += taken;
        }
    }
    let all = 120 * (SERVERS + 1);
    let mean = slices / columns as usize;
    println!(
        "8 %: {found} of {columns} found, {opposite} name another; {mean} slices of {all} on average"
    );
    assert!(
        columns >= 8 && found * 10 >= columns * 9,
        "{found} of {columns}"
    );
    assert!(opposite * 20 <= columns, "{opposite} of {columns}");
    assert!(mean < all * 3 / 4, "{mean} of {all}");
}

#[test]
fn nothing_is_ranked_before_the_first_look() {
    let mut trials = Vec::new();
    for rotation in 0..FIRST as u32 {
        if rotation == 11 {
            let early = Column::of(&env(120), trials.clone(), "simulated").expect("a column");
            assert!(
                early.rows.iter().all(|row| row.said == Said::Open),
                "{early:?}"
            );
        }
        for (server, cost) in [(0, 0.0), (1, 0.7)] {
            let wobble = 0.01 * f64::from(rotation % 3);
            trials.push(slice(
                &name(server),
                Role::Model,
                (0, rotation),
                cost + wobble,
            ));
        }
    }
    let now = Column::of(&env(120), trials, "simulated").expect("a column");
    assert_eq!((said(&now, 0), said(&now, 1)), (Said::Best, Said::Behind));
    assert_eq!(now.load, (Mode::Closed, None));
    assert!(now.rows[1].factor.starts_with("2.0"), "{:?}", now.rows[1]);
}
