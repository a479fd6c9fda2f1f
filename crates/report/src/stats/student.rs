//! Student's distribution, for intervals at levels that few draws cannot show.

/// The value that a variable of Student's distribution with `freedom` degrees exceeds in size with the
/// probability `alpha`: 1.96 at 0.05 and many degrees.
///
/// The probability of a size up to t is a finite sum (Abramowitz and Stegun, *Handbook of Mathematical
/// Functions*, 26.7.3 and 26.7.4); its inverse is found by halving.
pub fn student_critical(freedom: usize, alpha: f64) -> f64 {
    let freedom = freedom.max(1);
    let (mut low, mut high) = (0.0, 1.0);
    while 1.0 - within(high, freedom) > alpha && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        match 1.0 - within(middle, freedom) > alpha {
            true => low = middle,
            false => high = middle,
        }
    }
    (low + high) / 2.0
}

/// The probability of a size up to `t`.
fn within(t: f64, freedom: usize) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let even = freedom.is_multiple_of(2);
    let (mut power, mut sum) = if even { (1.0, 0.0) } else { (cosine, 0.0) };
    // The terms 1, 1/2, 1·3/2·4... of even degrees, and 1, 2/3, 2·4/3·5... of odd ones.
    let mut next = if even { 1 } else { 2 };
    let terms = if even { freedom / 2 } else { (freedom - 1) / 2 };
    for _ in 0..terms {
        sum += power;
        power *= cosine * cosine * f64::from(next) / f64::from(next + 1);
        next += 2;
    }
    if even {
        sine * sum
    } else {
        std::f64::consts::FRAC_2_PI * (angle + sine * sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_are_those_of_the_tables() {
        for (freedom, alpha, table) in [
            (1, 0.05, 12.706),
            (2, 0.05, 4.303),
            (3, 0.01, 5.841),
            (4, 0.001, 8.610),
            (11, 0.05, 2.201),
            (30, 0.001, 3.646),
            (120, 0.05, 1.980),
            (100_000, 0.05, 1.960),
        ] {
            let value = student_critical(freedom, alpha);
            assert!((value - table).abs() < 0.0006, "{freedom} {alpha}: {value}");
        }
    }
}
