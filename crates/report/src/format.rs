//! Numbers as text: fixed digits, grouped thousands, `∞` for what never came.

use crate::stats::Spread;

/// `value` to three significant digits or better, thousands grouped: `0.042`, `6.10`, `48,211`.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "∞".to_owned();
    }
    let size = value.abs();
    let decimals = match size {
        _ if size >= 99.95 || size == 0.0 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ => 3,
    };
    // A window's rate or a task count is whole; `2.00 tasks` would claim digits that were not measured.
    if value.fract() == 0.0 && size < 1e15 {
        return grouped(&format!("{value:.0}"));
    }
    grouped(&format!("{value:.decimals$}"))
}

/// `1 model`, `7 models`.
pub fn count(n: usize, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(n as f64))
}

/// A figure over trials as `show` writes it: `12.3 µs (11.9 µs–12.8 µs), n = 3`.
pub fn spread(spread: Spread, show: impl Fn(f64) -> String) -> String {
    let (low, high) = (show(spread.low), show(spread.high));
    format!("{} ({low}–{high}), n = {}", show(spread.median), spread.n)
}

/// Microseconds in the unit that reads best: `812 µs`, `12.3 ms`, `1.20 s`.
pub fn micros(value_us: f64) -> String {
    match value_us {
        _ if !value_us.is_finite() => "∞".to_owned(),
        _ if value_us < 999.5 => format!("{} µs", digits(value_us)),
        _ if value_us < 999_500.0 => format!("{} ms", digits(value_us / 1e3)),
        _ => format!("{} s", digits(value_us / 1e6)),
    }
}

/// The same for the round values of an axis: `1 ms`, not `1.00 ms`.
pub fn micros_round(value_us: f64) -> String {
    match value_us {
        _ if value_us < 1e3 => format!("{value_us} µs"),
        _ if value_us < 1e6 => format!("{} ms", value_us / 1e3),
        _ => format!("{} s", value_us / 1e6),
    }
}

/// Requests per second: `812/s`, `48.2k/s`, `1.20M/s`.
pub fn rate(value_rps: f64) -> String {
    let unit = if value_rps.is_finite() { "/s" } else { "" };
    rate_bare(value_rps) + unit
}

/// The same below a heading that has the unit.
pub fn rate_bare(value_rps: f64) -> String {
    match value_rps {
        _ if !value_rps.is_finite() => "∞".to_owned(),
        _ if value_rps < 999.5 => digits(value_rps),
        _ if value_rps < 999_500.0 => format!("{}k", digits(value_rps / 1e3)),
        _ => format!("{}M", digits(value_rps / 1e6)),
    }
}

/// The same for the round values of an axis: `2k/s`, not `2.00k/s`.
pub fn rate_round(value_rps: f64) -> String {
    match value_rps {
        _ if value_rps < 1e3 => format!("{value_rps}/s"),
        _ if value_rps < 1e6 => format!("{}k/s", value_rps / 1e3),
        _ => format!("{}M/s", value_rps / 1e6),
    }
}

/// Wall time in the words of a clock: `42 s`, `11 min 34 s`, `1 h 50 min`.
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e9).round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, min, s) => format!("{min} min {s} s"),
        (h, min, _) => format!("{h} h {min} min"),
    }
}

/// Time that is only estimated: `40 s`, `3 min`, `2 h`.
pub fn about(seconds: f64) -> String {
    match seconds {
        _ if seconds < 99.5 => format!("{:.0} s", seconds.max(1.0)),
        _ if seconds < 99.5 * 60.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{} h", number((seconds / 3600.0).round())),
    }
}

/// KiB in the unit that reads best.
pub fn kib(value_kib: f64) -> String {
    match value_kib {
        _ if value_kib < 999.5 => format!("{} KiB", digits(value_kib)),
        _ if value_kib < 1024.0 * 999.5 => format!("{} MiB", digits(value_kib / 1024.0)),
        _ => format!("{} GiB", digits(value_kib / 1024.0 / 1024.0)),
    }
}

/// A factor: `1.00×`, `12.4×`, `124×`.
pub fn factor(value: f64) -> String {
    format!("{}×", factor_bare(value))
}

/// The same without its sign, for the ends of an interval.
pub fn factor_bare(value: f64) -> String {
    match value {
        _ if !value.is_finite() || value >= 99_999.5 => "∞".to_owned(),
        _ if value >= 99.95 => grouped(&format!("{value:.0}")),
        _ if value >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// `low–high` as factors.
pub fn factor_interval(low: f64, high: f64) -> String {
    format!("{}–{}", factor_bare(low), factor_bare(high))
}

/// A natural logarithm of a ratio as a percentage of change: `3.0 %`.
pub fn percent_of_log(log: f64) -> String {
    let percent = log.exp_m1() * 100.0;
    if percent >= 999.5 {
        factor(log.exp())
    } else {
        format!("{percent:.1} %")
    }
}

/// A share as a percentage: `0.42` is `42 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Three significant digits, as short as they come.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 || size == 0.0 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.0995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Groups the whole part of a formatted number by thousands.
fn grouped(text: &str) -> String {
    let (sign, text) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("-", rest));
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.0421, "0.042"),
            (6.1, "6.10"),
            (64.0, "64"),
            (48_210.7, "48,211"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(f64::INFINITY), "∞");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(-1234.0), "-1,234");
    }

    #[test]
    fn wall_time_reads_like_a_clock() {
        for (seconds, text) in [
            (41.6, "42 s"),
            (694.0, "11 min 34 s"),
            (6_600.0, "1 h 50 min"),
        ] {
            assert_eq!(clock(seconds), text);
        }
    }

    #[test]
    fn units_follow_the_size() {
        assert_eq!(micros(812.4), "812 µs");
        assert_eq!(micros(12_345.0), "12.3 ms");
        assert_eq!(micros(f64::INFINITY), "∞");
        assert_eq!(rate(48_211.0), "48.2k/s");
        assert_eq!(kib(3277.0), "3.20 MiB");
        assert_eq!(factor(1.0), "1.00×");
        assert_eq!(factor_interval(9.999, 1234.0), "10.0–1,234");
        assert_eq!(percent_of_log(1.03_f64.ln()), "3.0 %");
    }
}
