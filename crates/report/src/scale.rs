//! Axes: from values to places, and where the ticks go.

/// A logarithmic axis that begins and ends on a 1, 2 or 5.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Log {
    /// An axis over the positive finite ones of `values`, drawn from `from` to `to`; `None` when
    /// there is none.
    pub fn over(values: &[f64], from: f64, to: f64) -> Option<Self> {
        let drawn = || values.iter().copied().filter(|value| is_drawn(*value));
        let low = drawn().min_by(f64::total_cmp)?;
        let high = drawn().max_by(f64::total_cmp)?;
        let (low, mut high) = (step(low, false), step(high, true));
        // Less than a factor of two would blow noise up to the size of a difference.
        if high / low < 2.0 {
            high = step(high * 1.5, true);
        }
        Some(Self {
            low,
            high,
            from,
            to,
        })
    }

    /// The place of `value`; beyond the ends it stays at the end.
    pub fn at(&self, value: f64) -> f64 {
        let share =
            (value.clamp(self.low, self.high) / self.low).ln() / (self.high / self.low).ln();
        self.from + share * (self.to - self.from)
    }

    /// Round values to mark: 1, 2 and 5 in each decade, fewer where these would crowd.
    pub fn ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let wanted: &[f64] = match decades {
            _ if decades > 3.2 => &[1.0],
            _ if decades > 1.9 => &[1.0, 3.0],
            _ if decades > 0.9 => &[1.0, 2.0, 5.0],
            _ => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
        };
        let mut ticks = Vec::new();
        let mut decade = 10_f64.powf(self.low.log10().floor());
        while decade <= self.high * 1.001 {
            let within = |value: &f64| *value >= self.low * 0.999 && *value <= self.high * 1.001;
            ticks.extend(wanted.iter().map(|digit| digit * decade).filter(within));
            decade *= 10.0;
        }
        ticks
    }
}

/// `true` for what a logarithmic axis can show.
pub fn is_drawn(value: f64) -> bool {
    value.is_finite() && value > 1e-9 && value < 1e15
}

/// The nearest 1, 2 or 5 times a power of ten not above (`up`: not below) `value`.
fn step(value: f64, up: bool) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade);
    if up {
        steps
            .into_iter()
            .find(|each| *each >= value * 0.999)
            .unwrap_or(steps[3])
    } else {
        steps
            .into_iter()
            .rev()
            .find(|each| *each <= value * 1.001)
            .unwrap_or(steps[0])
    }
}

/// Moves `wanted` places apart to `gap` within `low..high`, keeping their order; the answer stands
/// in the order of `wanted`.
pub fn apart(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]).then(a.cmp(&b)));
    let mut placed = wanted.to_vec();
    let mut floor = low;
    for &index in &order {
        placed[index] = placed[index].max(floor);
        floor = placed[index] + gap;
    }
    let mut ceiling = high;
    for &index in order.iter().rev() {
        placed[index] = placed[index].min(ceiling);
        ceiling = placed[index] - gap;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_axis_ends_on_round_values() {
        let axis = Log::over(&[130.0, 4_200.0, f64::INFINITY], 0.0, 100.0).expect("two values");
        assert_eq!((axis.low, axis.high), (100.0, 5_000.0));
        assert_eq!(
            axis.ticks(),
            [100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0]
        );
        assert!((axis.at(100.0), axis.at(5_000.0)) == (0.0, 100.0));
        assert!(Log::over(&[f64::INFINITY, 0.0], 0.0, 1.0).is_none());
    }

    #[test]
    fn one_value_still_spans_a_factor_of_two() {
        let axis = Log::over(&[7.0], 0.0, 1.0).expect("a value");
        assert!(axis.high / axis.low >= 2.0 && axis.low <= 7.0 && axis.high >= 7.0);
    }

    #[test]
    fn labels_move_apart_in_order() {
        assert_eq!(
            apart(&[10.0, 11.0, 50.0], 5.0, 0.0, 100.0),
            [10.0, 15.0, 50.0]
        );
        assert_eq!(apart(&[99.0, 98.0], 5.0, 0.0, 100.0), [100.0, 95.0]);
    }
}
