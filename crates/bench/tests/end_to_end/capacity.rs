//! The search for a capacity.

use report::data::Validity;
use schema::About;

use crate::fake::FAKE_CAPACITY;
use crate::harness::{Folder, env, run, trials};

pub fn a_capacity_is_a_bracket_around_what_the_server_can(folder: &Folder) {
    // The hypervisor may spoil steps of a search, which says so then, and even those of every search.
    if !(0..CAPACITY_TRIES).any(|n| capacity_found(folder, &format!("capacity{n}"))) {
        println!("a bracket: skipped, others took CPU from {CAPACITY_TRIES} searches");
    }
}

const CAPACITY_TRIES: u32 = 4;

/// Searches once: whether a bracket was confirmed. What must hold either way is asserted.
fn capacity_found(folder: &Folder, out: &str) -> bool {
    let args = format!(
        "--size quick --models single-reactor --scenarios tiny-keepalive --passes capacity \
         --out {out} --seed 4"
    );
    let output = run(folder, &args);
    let error = String::from_utf8_lossy(&output.stderr);
    let trials = trials(&folder.0.join(out));
    assert_eq!(trials.len(), 1, "one block, and no null server to wait for");
    let capacity = trials[0].capacity.as_ref().expect("a search");
    assert!((1..=20).contains(&capacity.steps.len()), "{capacity:?}");
    for step in &capacity.steps {
        assert_eq!(step.ok, step.rate <= FAKE_CAPACITY, "{step:?}");
    }
    if !capacity.confirmed {
        let reason = &trials[0].reasons[0];
        assert_eq!(reason.about, About::Generator, "{reason:?}");
        let noise = ["the hypervisor took", "others used"];
        let noise = noise.iter().any(|text| reason.text.contains(text));
        assert!(noise, "{reason:?}");
        return false;
    }
    assert!(output.status.success(), "{error}");
    assert!(
        error.contains("took ") && error.contains("announced "),
        "{error}"
    );
    assert_eq!(trials[0].validity, Validity::Valid);
    let (lower, upper) = (capacity.highest_ok_rps, capacity.lowest_failed_rps);
    let (lower, upper) = (lower.expect("kept"), upper.expect("broken"));
    assert!(
        lower <= FAKE_CAPACITY && FAKE_CAPACITY < upper,
        "{capacity:?}"
    );
    assert!(upper / lower < 1.035, "{capacity:?}");
    let env = env(&folder.0.join(out));
    assert_eq!(
        env.objectives["tiny-keepalive"].p99_us,
        capacity.objective_p99_us
    );
    assert!(env.duration_s > 0.0 && env.announced_s > 1.0, "{env:?}");
    true
}
