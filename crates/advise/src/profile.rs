//! A machine's profile: read, and held against this machine.

use schema::profile::{MachineOf, Profile, VERSION, VariantCosts};

use crate::facts::Facts;

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
                &v.wake_soon_us,
                &v.connection_us,
                &v.resume_us,
                &v.unblock_us,
                &v.blocked_late_us,
                &v.awaited_late_us,
                &v.scan_us,
                &v.kib_in_us,
                &v.kib_out_us,
                &v.base_us,
            ];
            lists.into_iter().all(good)
        });
    let away = [&profile.stalls, &profile.client_stalls];
    let usable = usable
        && away
            .into_iter()
            .flatten()
            .all(|s| s.watched_s > 0.0 && s.watched_s.is_finite() && good(&s.lengths_us));
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

pub(crate) fn measured<'a>(profile: &'a Profile, facts: &Facts) -> Option<&'a VariantCosts> {
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
