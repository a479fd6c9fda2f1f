//! How many machines for a peak.

use crate::answer::{Answer, Plan};

/// Machines for `peak_rps` with `failed` of them gone, at the lower end of the interval; the price of a
/// million requests where a machine's price per hour is given. `None` where there is no choice.
pub fn plan(answer: &Answer, peak_rps: f64, failed: u32, price: Option<f64>) -> Option<Plan> {
    let chosen = answer.recommended.as_ref()?;
    let line = answer.candidates.iter();
    let mut line = line.filter(|c| c.model == chosen.model && c.variant == chosen.variant);
    let capacity = line.next()?.capacity_rps?;
    if capacity.low <= 0.0 {
        return None;
    }
    let serving = (peak_rps / capacity.low).ceil().max(1.0) as u64;
    let machines = serving + u64::from(failed);
    let per_million = |price: f64| price * machines as f64 / (peak_rps * 3_600.0 / 1e6);
    Some(Plan {
        peak_rps,
        failed,
        machines,
        price_per_million: price.map(per_million),
        assumptions: vec![
            "EXTRAPOLATED from one machine: the balancer spreads requests evenly and costs nothing"
                .into(),
            format!(
                "each machine serves {:.0}/s, the lower end of the interval",
                capacity.low
            ),
            "the back ends stay as fast at the whole peak as they are in the workload".into(),
            "the price is at the peak: at a lower rate the same machines cost more per request"
                .into(),
        ],
    })
}
