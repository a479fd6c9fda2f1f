//! Lines, and how figures are written in them.

use crate::top::page::Page;

/// How a part of a line is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// What is looked at first.
    Strong,
    /// What explains the rest.
    Dim,
    /// All is well.
    Good,
    /// Something is not.
    Bad,
}

/// A line of parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(pub Vec<(Style, String)>);

/// Of a figure that is 0 as long as all is well.
fn style_of(figure: f64) -> Style {
    if figure > 0.0 {
        Style::Bad
    } else {
        Style::Plain
    }
}

impl Line {
    /// A line that begins with what it is about.
    pub fn titled(title: &str) -> Line {
        Line::default().part(Style::Dim, format!("{title:<10}"))
    }

    /// The line with this behind it.
    pub fn part(mut self, style: Style, text: impl Into<String>) -> Line {
        self.0.push((style, text.into()));
        self
    }

    /// A figure with its name.
    pub fn figure(self, name: &str, value: impl AsRef<str>) -> Line {
        self.named(Style::Plain, name, value.as_ref())
    }

    /// A rate that should be 0.
    pub fn alarm(self, name: &str, rate: f64) -> Line {
        self.named(style_of(rate), name, &per_second(rate))
    }

    /// A number that should be 0.
    pub fn alarm_count(self, name: &str, number: f64) -> Line {
        self.named(style_of(number), name, &count(number))
    }

    /// Something that should not be.
    pub fn alarm_text(self, name: &str, value: impl AsRef<str>) -> Line {
        self.named(Style::Bad, name, value.as_ref())
    }

    /// Words that are there only if something holds.
    pub fn flag(self, holds: bool, words: &str) -> Line {
        match holds {
            true => self.part(Style::Plain, "  ").part(Style::Bad, words),
            false => self,
        }
    }

    fn named(self, style: Style, name: &str, value: &str) -> Line {
        let is_first = self.0.len() == 1;
        let gap = if is_first { "" } else { "  " };
        let name = match name {
            "" => gap.to_owned(),
            name => format!("{gap}{name} "),
        };
        let name_style = match style {
            Style::Bad => style,
            _ => Style::Dim,
        };
        self.part(name_style, name).part(style, value)
    }

    /// Its text.
    #[cfg(test)]
    pub fn text(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// A whole number, with a comma before each three digits.
pub fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate: with one digit behind the point where it is small and not whole.
pub fn per_second(rate: f64) -> String {
    match rate {
        rate if rate > 0.0 && rate < 10.0 && rate.fract() != 0.0 => {
            format!("{:.1}/s", rate.max(0.1))
        }
        rate => format!("{}/s", count(rate)),
    }
}

/// Three digits, or all before the point.
fn digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => count(value),
    }
}

/// A number of bytes.
pub fn bytes(value: f64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if value < 1024.0 {
        return format!("{} B", count(value));
    }
    let mut value = value / 1024.0;
    for unit in units {
        if value < 999.5 || unit == "TiB" {
            return format!("{} {unit}", digits(value));
        }
        value /= 1024.0;
    }
    unreachable!("the last unit takes all")
}

/// A time in seconds.
pub fn duration(seconds: f64) -> String {
    match seconds {
        0.0 => "0".into(),
        seconds if seconds < 0.999_5e-3 => format!("{} us", digits(seconds * 1e6)),
        seconds if seconds < 0.999_5 => format!("{} ms", digits(seconds * 1e3)),
        seconds => format!("{} s", digits(seconds)),
    }
}

/// A part of one, as several CPUs may be used it may be above 100 %.
pub fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// For how long the server has been running.
pub fn up(page: &Page) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0.0, |since| since.as_secs_f64());
    let seconds = (now - page.get("process_start_time_seconds")).max(0.0) as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let clock = format!("{hours:02}:{minutes:02}:{:02}", seconds % 60);
    match days {
        0 => clock,
        days => format!("{days} d {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_plain() {
        assert_eq!(count(1_234_567.4), "1,234,567");
        assert_eq!(
            [count(0.0), count(999.0), count(1_000.0)],
            ["0", "999", "1,000"]
        );
        assert_eq!(
            [per_second(0.04), per_second(2.0), per_second(12.3)],
            ["0.1/s", "2/s", "12/s"]
        );
        assert_eq!(
            [bytes(0.0), bytes(1_023.0), bytes(1_536.0)],
            ["0 B", "1,023 B", "1.50 KiB"]
        );
        assert_eq!(bytes(38.2 * 1_048_576.0), "38.2 MiB");
        assert_eq!(bytes(1e18), "909,495 TiB");
        assert_eq!(
            [duration(12.3e-6), duration(0.000_812)],
            ["12.3 us", "812 us"]
        );
        assert_eq!(
            [duration(0.002_1), duration(1.5), duration(0.0)],
            ["2.10 ms", "1.50 s", "0"]
        );
        assert_eq!(percent(1.433), "143 %");
    }
}
