//! Durations as they are written on the command line: `10s`, `500ms`, `2m`.

use std::time::Duration;

/// Longest duration accepted.
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads a number and a unit; without a unit the number is in seconds.
///
/// # Errors
/// A line that says what it is not.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is not a unit of time (us, ms, s, m, h)")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a duration"))?;
    Duration::try_from_secs_f64(number * scale)
        .ok()
        .filter(|&duration| duration <= DURATION_MAX)
        .ok_or_else(|| format!("{text} is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, ms) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("3", 3_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "1x", "-1s", "1.2.3s", "99999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
