//! A machine's profile: read, held against this machine, and turned into costs.

use schema::profile::{MachineOf, Profile, VERSION, VariantCosts};
use simulate::{Costs, Scheduler};

use crate::facts::{Facts, Topology};

/// In what a profile is another machine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign(pub Vec<String>);

/// Reads a profile.
///
/// # Errors
/// It is none, or of another version.
pub fn read(json: &str) -> Result<Profile, String> {
    let profile: Profile =
        serde_json::from_str(json).map_err(|error| format!("it is no profile: {error}"))?;
    if profile.version != VERSION {
        return Err(format!(
            "it is of version {}, and this command reads version {VERSION}: measure it anew",
            profile.version
        ));
    }
    let good = |list: &Vec<f64>| list.iter().all(|n| n.is_finite() && *n >= 0.0);
    let usable = good(&profile.cpu_factor)
        && profile.variants.iter().all(|v| {
            let lists = [
                &v.request_us,
                &v.wake_us,
                &v.connection_us,
                &v.resume_us,
                &v.scan_us,
                &v.kib_in_us,
                &v.kib_out_us,
                &v.base_us,
            ];
            lists.into_iter().all(good)
        });
    if !(usable && profile.slice_us > 0.0 && profile.preempt_us > 0.0) {
        return Err("a figure in it is negative or no number".into());
    }
    if profile.machine.server_cpus == 0 || profile.cpu_factor.is_empty() {
        return Err("it names no CPUs, or measured nothing".into());
    }
    Ok(profile)
}

/// Whether a profile may be used for `here` and this version.
///
/// # Errors
/// In what it is foreign.
pub fn suits(profile: &Profile, here: &MachineOf, version: &str) -> Result<(), Foreign> {
    let was = &profile.machine;
    let mut differs = Vec::new();
    for (what, then, now) in [
        ("CPU", &was.cpu, &here.cpu),
        ("kernel", &was.kernel, &here.kernel),
    ] {
        if then != now {
            differs.push(format!("its {what} is {then:?}, this one's {now:?}"));
        }
    }
    if was.cpus != here.cpus {
        differs.push(format!(
            "it had {} CPUs, this machine has {}",
            was.cpus, here.cpus
        ));
    }
    if profile.turnstile != version {
        differs.push(format!(
            "it is of turnstile {}, this is {version}",
            profile.turnstile
        ));
    }
    if differs.is_empty() {
        Ok(())
    } else {
        Err(Foreign(differs))
    }
}

/// Costs of the variants of a profile.
#[derive(Debug, Clone)]
pub(crate) struct Priced<'a> {
    profile: &'a Profile,
    /// The least CPU of a request in a loop: what a staged server costs more is the hand-over.
    loop_us: f64,
}

impl<'a> Priced<'a> {
    pub(crate) fn new(profile: &'a Profile, facts: &[Facts]) -> Self {
        let loops = facts.iter().filter(|f| f.topology == Topology::Loops);
        let costs = loops.filter_map(|f| measured(profile, f));
        let least = costs.filter_map(|v| middle(&v.request_us)).reduce(f64::min);
        Self {
            profile,
            loop_us: least.unwrap_or(0.0),
        }
    }

    pub(crate) fn scheduler(&self) -> Scheduler {
        Scheduler {
            slice_us: self.profile.slice_us,
            preempt_us: self.profile.preempt_us.min(self.profile.slice_us),
        }
    }

    pub(crate) fn measured(&self, facts: &Facts) -> Option<&'a VariantCosts> {
        measured(self.profile, facts)
    }

    /// The costs of a variant, each list by its median; `None` where it was not measured.
    pub(crate) fn costs(&self, facts: &Facts) -> Option<Costs> {
        let v = self.measured(facts)?;
        let of = |list: &[f64]| middle(list).unwrap_or(0.0);
        let request_us = middle(&v.request_us)?;
        // Of the hand-over there and back, half is the worker's.
        let handover_us = match facts.topology {
            Topology::Staged => (request_us - self.loop_us).max(0.0) / 2.0,
            Topology::Loops | Topology::Shared | Topology::Seats => 0.0,
        };
        Some(Costs {
            request_us,
            wake_us: of(&v.wake_us),
            connection_us: of(&v.connection_us),
            resume_us: of(&v.resume_us),
            handover_us,
            scan_us: scan(&v.scan_us),
            kib_in_us: of(&v.kib_in_us),
            kib_out_us: of(&v.kib_out_us),
            base_us: of(&v.base_us),
            cpu_factor: of(&self.profile.cpu_factor).max(0.1),
        })
    }

    /// How far the measurements of a variant's request lie apart, as a share of their median, and those
    /// of the length of a µs.
    pub(crate) fn spread(&self, facts: &Facts) -> f64 {
        let apart = |list: &[f64]| {
            let low = list.iter().copied().fold(f64::INFINITY, f64::min);
            let high = list.iter().copied().fold(0.0, f64::max);
            middle(list).map_or(0.0, |m| (high - low) / 2.0 / m.max(0.1))
        };
        let own = self.measured(facts).map_or(0.0, |v| apart(&v.request_us));
        let factor = &self.profile.cpu_factor;
        let mut sorted = factor.clone();
        sorted.sort_by(f64::total_cmp);
        let quarter = sorted.len() / 4;
        let inner = &sorted[quarter..sorted.len() - quarter];
        own.max(apart(inner))
    }
}

/// A difference of two windows below a hundredth of a µs per connection is noise: what a selector costs
/// that looks at every connection is above it.
fn scan(list: &[f64]) -> f64 {
    middle(list).filter(|us| *us > 0.01).unwrap_or(0.0)
}

fn measured<'a>(profile: &'a Profile, facts: &Facts) -> Option<&'a VariantCosts> {
    let plain = |name: &str| {
        if name == "-" {
            String::new()
        } else {
            name.to_owned()
        }
    };
    let same =
        |v: &&VariantCosts| v.model == facts.model && plain(&v.variant) == plain(&facts.variant);
    profile
        .variants
        .iter()
        .find(same)
        .filter(|v| !v.request_us.is_empty())
}

/// The median.
pub(crate) fn middle(list: &[f64]) -> Option<f64> {
    let mut sorted = list.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[n / 2]),
        n => Some(f64::midpoint(sorted[n / 2 - 1], sorted[n / 2])),
    }
}
