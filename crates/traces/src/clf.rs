//! The common and the combined log format, with what servers add before and behind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::entry::{Entry, method, shortened, target};
use crate::time;

/// Reads `host ident user [time] "request" status bytes ...`.
///
/// What stands before the time is not looked at, so a virtual host may be there. Behind the bytes the
/// last field outside quotes that is a number, or `name=number`, is how long the request took: with a
/// decimal point in seconds (nginx's `$request_time`), without one in microseconds (Apache's `%D`).
pub(crate) fn parse(line: &str) -> Result<Entry> {
    let (_, rest) = line
        .split_once(" [")
        .context("it has no time in brackets")?;
    let (moment, rest) = rest.split_once(']').context("its time has no end")?;
    let (time_unix_ns, whole_second) = time::clf(moment)?;
    let rest = rest
        .trim_start()
        .strip_prefix('"')
        .context("it has no request in quotes")?;
    let (request, rest) = quoted(rest).context("its request has no closing quote")?;
    let mut words = request.split(' ');
    let (Some(verb), Some(asked)) = (words.next(), words.next()) else {
        anyhow::bail!("the request {} has no target", shortened(&request));
    };
    let version = words.next();
    ensure!(
        version.is_none_or(|version| version.starts_with("HTTP/")) && words.next().is_none(),
        "the request {} has a space in its target",
        shortened(&request)
    );
    let (path, host) = target(asked)?;
    let mut fields = rest.split_ascii_whitespace();
    let status = fields.next().context("it has no status")?;
    let bytes = fields.next();
    Ok(Entry {
        time_unix_ns,
        whole_second,
        method: method(verb)?,
        path,
        host,
        status: number(status, "status")?.filter(|n| (100..=999).contains(n)),
        bytes: bytes
            .map(|text| number(text, "number of bytes"))
            .transpose()?
            .flatten(),
        duration: duration(rest),
        ..Entry::default()
    })
}

/// A number, or a dash where there is none.
fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<Option<T>> {
    if text == "-" {
        return Ok(None);
    }
    let number = text.parse().ok();
    ensure!(number.is_some(), "{} is no {what}", shortened(text));
    Ok(number)
}

/// The text up to the closing quote, without its escapes, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((plain, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                c @ ('"' | '\\') => plain.push(c),
                // `\xHH` and `\n` stand for what no request may contain.
                c => plain.extend(['\\', c]),
            },
            c => plain.push(c),
        }
    }
    None
}

/// What the fields behind status and bytes say about the time that the request took.
fn duration(mut rest: &str) -> Option<Duration> {
    let mut found = None;
    let mut index = 0;
    loop {
        rest = rest.trim_start();
        if let Some(inner) = rest.strip_prefix('"') {
            (_, rest) = quoted(inner)?;
        } else if rest.is_empty() {
            return found;
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let value = rest[..end].rsplit('=').next().unwrap_or_default();
            if index >= 2 && value.starts_with(|c: char| c.is_ascii_digit()) {
                found = match value.contains('.') {
                    true => value.parse().ok().and_then(time::seconds),
                    false => value.parse().ok().map(Duration::from_micros),
                }
                .or(found);
            }
            rest = &rest[end..];
        }
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str =
        r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326"#;

    #[test]
    fn common_combined_and_what_servers_add() {
        let entry = parse(COMMON).unwrap();
        assert_eq!(entry.time_unix_ns, 971_211_336_000_000_000);
        assert_eq!((entry.status, entry.bytes), (Some(200), Some(2326)));
        assert_eq!(entry.duration, None);
        for (rest, duration) in [
            (r#" "-" "curl/8 \"x\" 7.5""#, None),
            (r#" "-" "curl/8" 0.250"#, Some(Duration::from_millis(250))),
            (
                r#" "-" "curl/8" rt=0.250 "up""#,
                Some(Duration::from_millis(250)),
            ),
            (
                r#" "http://r/" "Mozilla/5.0 (X11)" 1500"#,
                Some(Duration::from_micros(1500)),
            ),
        ] {
            let entry = parse(&format!("example.org:443 {COMMON}{rest}")).unwrap();
            assert_eq!(entry.duration, duration, "{rest}");
            assert_eq!(entry.bytes, Some(2326));
        }
        let line = r#"::1 - - [10/Oct/2000:13:55:36.25 +0000] "HEAD http://H/x HTTP/1.1" 304 -"#;
        let entry = parse(line).unwrap();
        assert_eq!(
            (entry.path.as_str(), entry.host.as_deref()),
            ("/x", Some("h"))
        );
        assert_eq!((entry.status, entry.bytes), (Some(304), None));
        assert!(!entry.whole_second);
    }

    #[test]
    fn what_is_no_request_is_refused_with_a_reason() {
        for (line, reason) in [
            ("", "no time"),
            ("x [now] \"GET / HTTP/1.1\" 200 1", "no time such as"),
            ("x [10/Oct/2000:13:55:36 -0700 \"GET /\" 200", "no end"),
            (r#"x [10/Oct/2000:13:55:36 -0700] "-" 408 0"#, "no target"),
            (
                r#"x [10/Oct/2000:13:55:36 -0700] "\x16\x03\x01" 400 0"#,
                "no target",
            ),
            (
                r#"x [10/Oct/2000:13:55:36 -0700] "GET /a b HTTP/1.1" 400 0"#,
                "space",
            ),
            (
                r#"x [10/Oct/2000:13:55:36 -0700] "CONNECT h:443 HTTP/1.1" 400 0"#,
                "no path",
            ),
            (
                r#"x [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1 200 0"#,
                "closing quote",
            ),
            (
                r#"x [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1""#,
                "no status",
            ),
            (
                r#"x [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" ok 3"#,
                "no status",
            ),
        ] {
            let error = format!("{:#}", parse(line).unwrap_err());
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
