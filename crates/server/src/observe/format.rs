//! Lines of the access log. What a peer has sent is escaped, so that it can neither end a line nor
//! close a quote nor move a cursor.

use std::fmt::Write;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use super::ring::Record;

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// The combined format of Apache and nginx, in UTC.
    #[default]
    Combined,
    /// An object of JSON per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<LogFormat, String> {
        match text {
            "combined" => Ok(LogFormat::Combined),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("{text:?} is not combined or json")),
        }
    }
}

impl LogFormat {
    /// Appends a line, with its end. `wall_ns` is when the request was answered, ns since 1970.
    pub(crate) fn append(self, record: &Record<'_>, wall_ns: u64, line: &mut String) {
        // Writing to a string does not fail.
        let _ = match self {
            LogFormat::Combined => combined(record, wall_ns, line),
            LogFormat::Json => json(record, wall_ns, line),
        };
        line.push('\n');
    }
}

fn combined(record: &Record<'_>, wall_ns: u64, line: &mut String) -> std::fmt::Result {
    let [method, target, referer, agent] = record.texts;
    match record.peer {
        Some(peer) => write!(line, "{peer}")?,
        None => line.push('-'),
    }
    let date = date(wall_ns);
    let [day, month, year, time] = parts(&date);
    write!(line, " - - [{day}/{month}/{year}:{time} +0000] \"")?;
    match record.minor_version {
        Some(minor) => {
            quote(method, record.cut & 1 != 0, line)?;
            line.push(' ');
            quote(target, record.cut & 2 != 0, line)?;
            write!(line, " HTTP/1.{minor}")?;
        }
        None => line.push('-'),
    }
    let status = record.status;
    write!(line, "\" {status:03} {} \"", record.body_bytes)?;
    for (index, text) in [referer, agent].into_iter().enumerate() {
        match text {
            [] => line.push('-'),
            text => quote(text, record.cut & 4 << index != 0, line)?,
        }
        line.push_str(if index == 0 { "\" \"" } else { "\"" });
    }
    Ok(())
}

/// As Apache and nginx do it: what is not printable ASCII, the quote and the backslash as `\xHH`.
fn quote(text: &[u8], is_cut: bool, line: &mut String) -> std::fmt::Result {
    for &byte in text {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => write!(line, "\\x{byte:02X}")?,
            _ => line.push(char::from(byte)),
        }
    }
    if is_cut {
        line.push_str("...");
    }
    Ok(())
}

fn json(record: &Record<'_>, wall_ns: u64, line: &mut String) -> std::fmt::Result {
    let date = date(wall_ns);
    let [day, month, year, time] = parts(&date);
    let month = MONTHS.find(month).unwrap_or_default() / 3 + 1;
    let micros = wall_ns / 1_000 % 1_000_000;
    write!(
        line,
        "{{\"time\":\"{year}-{month:02}-{day}T{time}.{micros:06}Z\""
    )?;
    match record.peer {
        Some(peer) => write!(line, ",\"client\":\"{peer}\"")?,
        None => line.push_str(",\"client\":null"),
    }
    for (index, name) in ["method", "target"].into_iter().enumerate() {
        write!(line, ",\"{name}\":")?;
        string(record, index, record.minor_version.is_some(), line)?;
    }
    match record.minor_version {
        Some(minor) => write!(line, ",\"version\":\"1.{minor}\"")?,
        None => line.push_str(",\"version\":null"),
    }
    write!(
        line,
        ",\"status\":{},\"bytes\":{},\"duration_us\":{}",
        record.status,
        record.body_bytes,
        record.took_ns / 1_000
    )?;
    for (index, name) in [(2, "referer"), (3, "user_agent")] {
        write!(line, ",\"{name}\":")?;
        string(record, index, !record.texts[index].is_empty(), line)?;
    }
    line.push('}');
    Ok(())
}

/// A string of JSON (RFC 8259 section 7). Bytes that are not UTF-8 become U+FFFD.
fn string(record: &Record<'_>, index: usize, there: bool, line: &mut String) -> std::fmt::Result {
    if !there {
        line.push_str("null");
        return Ok(());
    }
    line.push('"');
    for char in String::from_utf8_lossy(record.texts[index]).chars() {
        match char {
            '"' | '\\' => {
                line.push('\\');
                line.push(char);
            }
            char if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') => {
                write!(line, "\\u{:04x}", u32::from(char))?;
            }
            char => line.push(char),
        }
    }
    if record.cut >> index & 1 != 0 {
        line.push_str("...");
    }
    line.push('"');
    Ok(())
}

/// In UTC, as in a date of HTTP: `Tue, 29 Feb 2000 12:34:56 GMT`.
fn date(wall_ns: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_nanos(wall_ns))
}

/// Day, month, year and time of such a date.
fn parts(date: &str) -> [&str; 4] {
    [&date[5..7], &date[8..11], &date[12..16], &date[17..25]]
}

const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record<'static> = Record {
        at_ns: 0,
        took_ns: 1_234_567,
        body_bytes: 2,
        status: 200,
        minor_version: Some(1),
        peer: None,
        texts: [b"GET", b"/a?b", b"", b"x\"\\\n\x1b[2J\xff\xc3\xa4"],
        cut: 0,
    };

    fn line(format: LogFormat, record: &Record<'_>) -> String {
        let mut line = String::new();
        format.append(record, 951_827_696_000_042_000, &mut line);
        line
    }

    #[test]
    fn what_a_peer_sends_stays_inside_its_quotes() {
        let record = Record {
            peer: Some("2001:db8::1".parse().unwrap()),
            ..RECORD
        };
        assert_eq!(
            line(LogFormat::Combined, &record),
            "2001:db8::1 - - [29/Feb/2000:12:34:56 +0000] \"GET /a?b HTTP/1.1\" 200 2 \"-\" \
             \"x\\x22\\x5C\\x0A\\x1B[2J\\xFF\\xC3\\xA4\"\n"
        );
        assert_eq!(
            line(LogFormat::Json, &record),
            "{\"time\":\"2000-02-29T12:34:56.000042Z\",\"client\":\"2001:db8::1\",\"method\":\"GET\",\
             \"target\":\"/a?b\",\"version\":\"1.1\",\"status\":200,\"bytes\":2,\"duration_us\":1234,\
             \"referer\":null,\"user_agent\":\"x\\\"\\\\\\u000a\\u001b[2J\u{fffd}ä\"}\n"
        );
    }

    #[test]
    fn what_was_not_understood_and_what_was_cut_are_shown_as_such() {
        let record = Record {
            minor_version: None,
            texts: [b"", b"", b"r", b""],
            cut: 4,
            status: 400,
            ..RECORD
        };
        assert_eq!(
            line(LogFormat::Combined, &record),
            "- - - [29/Feb/2000:12:34:56 +0000] \"-\" 400 2 \"r...\" \"-\"\n"
        );
        assert!(line(LogFormat::Json, &record).contains("\"method\":null,\"target\":null"));
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (seconds, date) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_868_800, "2000-03-01"),
            (1_798_761_599, "2026-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            let mut line = String::new();
            LogFormat::Json.append(&RECORD, seconds * 1_000_000_000, &mut line);
            assert_eq!(line[9..19], *date, "{seconds}");
        }
    }
}
