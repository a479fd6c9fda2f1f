//! How far predictions have been off, and what is made of it: a correction, and an interval.

use schema::profile::{Calibration, Profile};
use workload::Workload;

/// Residuals below this many say nothing of a nine in ten interval.
pub const RESIDUALS_MIN: usize = 9;

/// Makes intervals of how far predictions by `other` were off, for a profile that has too few residuals of its own.
///
/// The repetitions of a profile tell how exact the profile is, and not what a simulation leaves out: intervals of
/// these alone held 25 of 129 measurements on a second machine, and lent ones 123 (`docs/simulator.md`). What
/// corrects `other` is not lent, since that is its machine's: there it would have spoilt what was right.
pub fn lend(profile: &mut Profile, other: &Profile) {
    if profile.residuals.len() >= RESIDUALS_MIN || other.residuals.len() < RESIDUALS_MIN {
        return;
    }
    profile.residuals.clone_from(&other.residuals);
    profile.residuals_paused.clone_from(&other.residuals_paused);
    profile.calibration = other.calibration.clone().map(|calibration| Calibration {
        computing_off: None,
        pausing_off: None,
        lent_by: Some(other.machine.cpu.clone()),
        ..calibration
    });
}

/// What a profile's calibration says of predictions for a workload.
///
/// Workloads that only compute and those that block or await are told apart where there are enough of each
/// (Mondrian conformal prediction: Vovk et al., *Algorithmic Learning in a Random World*, 2005, section 4.5):
/// what pauses cost is the less certain of the two, and errs to one side.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Calibrated {
    /// By how much measurements lay above predictions for their moment in the middle, a logarithm; 0 where that is
    /// not told of the kind of the workload.
    pub bias: f64,
    /// How far nine of ten measurements lay from the corrected prediction at most, a logarithm; `None` where too
    /// few were made.
    pub spread: Option<f64>,
    /// How many measurements tell.
    pub of: usize,
    /// Whether they all are of workloads that pause, or that do not, as this one.
    alike: bool,
}

impl Calibrated {
    pub(crate) fn of(profile: &Profile, workload: &Workload) -> Self {
        let all = &profile.residuals;
        let paused = &profile.residuals_paused;
        let told = all.iter().zip(paused);
        let same = told.filter(|(_, paused)| **paused == workload.pauses());
        let same: Vec<f64> = same.map(|(residual, _)| *residual).collect();
        let alike = paused.len() == all.len() && same.len() >= RESIDUALS_MIN;
        let residuals = if alike { &same } else { all };
        let of = residuals.len();
        if of < RESIDUALS_MIN {
            return Self {
                of,
                ..Self::default()
            };
        }
        // An hour may be slower than the profile's: that is in the spread, and in no correction, since the next
        // hour may be faster.
        let told = profile
            .calibration
            .as_ref()
            .and_then(|c| match workload.pauses() {
                true => c.pausing_off,
                false => c.computing_off,
            });
        let bias = told.unwrap_or(0.0);
        // Split conformal: of n, the ceil(0.9 (n + 1)) smallest.
        let mut off: Vec<f64> = residuals.iter().map(|r| (r - bias).abs()).collect();
        off.sort_by(f64::total_cmp);
        let rank = (0.9 * (of + 1) as f64).ceil() as usize;
        Self {
            bias,
            spread: off.get(rank.min(of) - 1).copied(),
            of,
            alike,
        }
    }

    /// A capacity as it was simulated, corrected.
    pub(crate) fn corrected(&self, rps: f64) -> f64 {
        rps * self.bias.exp()
    }

    /// What an answer says of it.
    pub(crate) fn told(&self, profile: &Profile, workload: &Workload) -> String {
        let of = self.of;
        if self.spread.is_none() {
            return format!(
                "intervals of the profile's own repetitions alone: {of} capacities were measured with it, too few to tell how far predictions are off"
            );
        }
        let at = profile.calibration.as_ref().map_or_else(String::new, |c| {
            let lent = c.lent_by.as_ref().map_or_else(String::new, |cpu| {
                format!(" with the reference profile ({cpu}), since too few capacities were measured with this one")
            });
            format!(" at {} workloads of seed {}{lent}", c.workloads, c.seed)
        });
        let kind = match (self.alike, workload.pauses()) {
            (false, _) => "",
            (true, true) => " of services that block or await",
            (true, false) => " of services that only compute",
        };
        let corrected = match self.bias {
            0.0 => String::new(),
            bias => format!(
                "; capacities are corrected by {:+.1} %, the middle of how far predictions of such services were off",
                bias.exp_m1() * 100.0
            ),
        };
        format!(
            "intervals that held nine of ten of {of} measured capacities{kind}{at} (split conformal){corrected}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(residuals: &[f64], paused: &[bool], pausing_off: Option<f64>, text: &str) -> Calibrated {
        let profile = Profile {
            residuals: residuals.to_vec(),
            residuals_paused: paused.to_vec(),
            calibration: Some(Calibration {
                computing_off: Some(0.0),
                pausing_off,
                ..Calibration::default()
            }),
            ..Profile::default()
        };
        let text = format!(
            "rate = 10\nconnections = 5\n[[class]]\n{text}\n[objective]\nresponse_ms = 9\n"
        );
        Calibrated::of(&profile, &Workload::parse(&text).expect("whole"))
    }

    #[test]
    fn each_kind_is_corrected_by_its_own_middle() {
        let residuals: Vec<f64> = (0..20).map(|n| f64::from(n % 2) * -0.125).collect();
        let paused: Vec<bool> = (0..20).map(|n| n % 2 == 1).collect();
        let computes = of(&residuals, &paused, Some(-0.0625), "cpu_us = 50");
        assert_eq!(
            (computes.bias, computes.spread, computes.of),
            (0.0, Some(0.0), 10)
        );
        for text in ["cpu_us = 50\nblocked_us = 10", "cpu_us = 50\nwait_us = 10"] {
            let pauses = of(&residuals, &paused, Some(-0.0625), text);
            assert_eq!(
                (pauses.bias, pauses.spread, pauses.of),
                (-0.0625, Some(0.0625), 10)
            );
            assert!((pauses.corrected(100.0) - 93.94).abs() < 0.01);
        }
    }

    #[test]
    fn a_profile_without_a_calibration_uses_another_ones() {
        let other = Profile {
            machine: schema::profile::MachineOf {
                cpu: "Another".into(),
                ..schema::profile::MachineOf::default()
            },
            residuals: vec![0.05; RESIDUALS_MIN],
            residuals_paused: vec![false; RESIDUALS_MIN],
            calibration: Some(Calibration {
                seed: 14,
                computing_off: Some(0.05),
                ..Calibration::default()
            }),
            ..Profile::default()
        };
        let workload =
            "rate = 10\nconnections = 5\n[[class]]\ncpu_us = 9\n[objective]\nresponse_ms = 9\n";
        let workload = Workload::parse(workload).expect("whole");
        let mut few = Profile {
            residuals: vec![0.5; RESIDUALS_MIN - 1],
            ..Profile::default()
        };
        lend(&mut few, &other);
        let found = Calibrated::of(&few, &workload);
        assert_eq!(
            (found.bias, found.spread, found.of),
            (0.0, Some(0.05), RESIDUALS_MIN)
        );
        let told = found.told(&few, &workload);
        assert!(
            told.contains("seed 14 with the reference profile (Another)"),
            "{told}"
        );

        let mut enough = Profile {
            residuals: vec![0.5; RESIDUALS_MIN],
            ..Profile::default()
        };
        let own = enough.clone();
        lend(&mut enough, &other);
        assert_eq!(enough, own);
        let mut none = Profile::default();
        lend(&mut none, &few.clone());
        assert_eq!(none.residuals, few.residuals);
        let mut none = Profile::default();
        lend(&mut none, &Profile::default());
        assert_eq!(none, Profile::default());
    }

    #[test]
    fn what_is_not_told_apart_is_not_corrected() {
        let residuals: Vec<f64> = (1..=10).map(|n| f64::from(n) * -0.01).collect();
        for paused in [vec![], vec![true; 10], vec![false; 3]] {
            let found = of(&residuals, &paused, None, "cpu_us = 50");
            assert_eq!((found.bias, found.spread, found.of), (0.0, Some(0.10), 10));
        }
        let few = of(&residuals[..8], &[], Some(-0.1), "cpu_us = 50\nwait_us = 1");
        assert_eq!((few.bias, few.spread, few.of), (0.0, None, 8));
    }
}
