//! The window divided into slices, none of which lies in two steps of the profile.

use crate::clock::duration_ns;
use crate::plan::Plan;

/// Shortest slice, nanoseconds; what remains at the end of a step may be shorter.
const SLICE_NS_MIN: u64 = 100_000_000;

/// Slices of a run without a profile, at most.
const SLICES_MAX: u64 = 100;

/// A part of the window, nanoseconds from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// The step of the profile that it belongs to; 0 without a profile.
    pub(crate) phase: usize,
}

/// The slices of a plan's window, in order and without gaps. At least one; where the plan does not say how
/// long they are, at most `SLICES_MAX` and one more for each step.
pub(crate) fn slices(plan: &Plan) -> Vec<Span> {
    let usual_ns = || SLICE_NS_MIN.max(duration_ns(plan.duration).div_ceil(SLICES_MAX));
    let slice_ns = plan.slice.map_or_else(usual_ns, duration_ns).max(1);
    let mut slices = Vec::new();
    for phase in phases(plan) {
        let mut start_ns = phase.start_ns;
        while start_ns < phase.end_ns {
            let end_ns = phase.end_ns.min(start_ns + slice_ns);
            slices.push(Span {
                start_ns,
                end_ns,
                phase: phase.phase,
            });
            start_ns = end_ns;
        }
    }
    slices
}

/// The steps of a plan's profile, or the whole window where there is none.
pub(crate) fn phases(plan: &Plan) -> Vec<Span> {
    let whole = [plan.duration];
    let steps = plan.profile.iter().map(|step| step.duration);
    let lengths: Vec<_> = if plan.profile.is_empty() {
        whole.to_vec()
    } else {
        steps.collect()
    };
    let mut end_ns = 0;
    let place = |(phase, length)| {
        let start_ns = end_ns;
        end_ns += duration_ns(length);
        Span {
            start_ns,
            end_ns,
            phase,
        }
    };
    lengths.into_iter().enumerate().map(place).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn slices_fill_the_window_and_respect_the_steps() {
        let mut plan = Plan::new("http://127.0.0.1:1/".parse().unwrap());
        for (profile, ms, slice, count) in [
            (&[][..], 10, None, 1),
            (&[], 250, None, 3),
            (&[], 10_000, None, 100),
            (&[], 60_000, None, 100),
            (&["1:250ms", "2:250ms", "3:1ms"], 501, None, 7),
            (&[], 250, Some(20), 13),
            (&["1:250ms", "2:250ms", "3:1ms"], 501, Some(125), 5),
        ] {
            plan.slice = slice.map(Duration::from_millis);
            plan.profile = profile.iter().map(|step| step.parse().unwrap()).collect();
            plan.duration = Duration::from_millis(ms);
            let slices = slices(&plan);
            assert_eq!(slices.len(), count, "{ms} ms");
            assert_eq!(slices[0].start_ns, 0);
            assert_eq!(slices[count - 1].end_ns, ms * 1_000_000);
            assert!(slices.windows(2).all(|w| w[0].end_ns == w[1].start_ns));
            for slice in &slices {
                let phase = phases(&plan)[slice.phase];
                assert!(slice.start_ns >= phase.start_ns && slice.end_ns <= phase.end_ns);
            }
        }
    }
}
