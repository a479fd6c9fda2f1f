//! Requests that differ in their body, in a header field, or in both, which stand in files line by line.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use traces::Entry;

use super::Script;
use crate::kind::is_token;
use crate::plan::Plan;

/// Largest file of lines, bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Most bytes of all requests together.
const REQUESTS_BYTES_MAX: u64 = 1 << 30;

impl Script {
    /// Makes a request for each line of `bodies` and `headers`: their first lines belong together, and
    /// so on; the shorter file begins again. Each request of the load is drawn from them.
    ///
    /// # Errors
    /// A file cannot be read or holds no line, or one that is no header; the message is one line.
    pub(crate) fn apply_lines(
        bodies: Option<&Path>,
        headers: Option<&Path>,
        plan: &mut Plan,
    ) -> Result<()> {
        let bodies = bodies.map(read).transpose()?.unwrap_or_default();
        let texts = headers.map(read).transpose()?.unwrap_or_default();
        let fields = texts.iter().map(|line| field(line));
        let fields = fields.collect::<Result<Vec<_>>>().with_context(|| {
            let name = headers.map_or_else(Default::default, Path::to_string_lossy);
            format!("cannot take the headers of {name}")
        })?;
        let n = bodies.len().max(fields.len());
        let longest = bodies.iter().map(Vec::len).max().unwrap_or(0);
        ensure!(
            n as u64 * longest.max(1) as u64 <= REQUESTS_BYTES_MAX,
            "{n} requests of up to {longest} bytes are more than {REQUESTS_BYTES_MAX} bytes"
        );
        let entry = |at: usize| Entry {
            method: plan.method.clone(),
            path: plan.target.path().to_owned(),
            headers: picked(&fields, at).into_iter().cloned().collect(),
            body: picked(&bodies, at).cloned().unwrap_or_default(),
            ..Entry::default()
        };
        let entries: Vec<Entry> = (0..n).map(entry).collect();
        let mut script = Self::compile(plan, &entries);
        for kind in &mut script.kinds {
            kind.path = plan.target.path().to_owned();
        }
        script.span = plan.duration;
        plan.requests = script.kinds.clone();
        plan.script = Some(Arc::new(script));
        Ok(())
    }
}

/// The element at a place of a list that begins again behind its end.
fn picked<T>(list: &[T], at: usize) -> Option<&T> {
    list.get(at.checked_rem(list.len())?)
}

/// The lines of a file that are not empty.
fn read(path: &Path) -> Result<Vec<Vec<u8>>> {
    let cannot = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(cannot)?;
    // A device may never end.
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(cannot)?;
    ensure!(
        bytes.len() as u64 <= FILE_BYTES_MAX,
        "{} is longer than {FILE_BYTES_MAX} bytes",
        path.display()
    );
    let lines = bytes.split(|&b| b == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines: Vec<Vec<u8>> = lines
        .filter(|line| !line.is_empty())
        .map(Vec::from)
        .collect();
    ensure!(!lines.is_empty(), "{} holds no line", path.display());
    Ok(lines)
}

/// Name and value of a header line.
fn field(line: &[u8]) -> Result<(String, String)> {
    let text = std::str::from_utf8(line).ok();
    let parts = text.and_then(|text| text.split_once(':'));
    let good = |&(name, value): &(&str, &str)| is_token(name) && !value.contains(char::is_control);
    let (name, value) = parts.filter(good).with_context(|| {
        let shown: String = String::from_utf8_lossy(line).chars().take(60).collect();
        format!("{shown:?} is not NAME: VALUE")
    })?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_belong_together_and_the_shorter_file_begins_again() {
        let folder = std::env::temp_dir().join(format!("load-lines-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let bodies = file("bodies", "one\r\n\ntwo\nthree");
        let tokens = file("tokens", "Authorization: a\nAuthorization:b\n");
        let mut plan = Plan::new("http://127.0.0.1:1/x".parse().unwrap());
        plan.method = "POST".to_owned();
        Script::apply_lines(Some(&bodies), Some(&tokens), &mut plan).unwrap();
        plan.check().unwrap();
        let script = plan.script.as_ref().unwrap();
        let texts = script.bytes.iter().map(|b| String::from_utf8_lossy(b));
        let ends: Vec<String> = texts
            .map(|text| text.split("Content-Length: ").nth(1).unwrap().to_owned())
            .collect();
        let request = |n: usize, token: &str, body: &str| {
            format!("{n}\r\nAuthorization: {token}\r\n\r\n{body}")
        };
        let expected = [(3, "a", "one"), (3, "b", "two"), (5, "a", "three")];
        assert_eq!(
            ends,
            expected.map(|(n, token, body)| request(n, token, body))
        );
        assert_eq!(plan.requests[0].path, "/x");
        assert_eq!(script.counts().requests, 3);
        for (text, says) in [
            ("", "holds no line"),
            ("a b: c", "not NAME"),
            ("x", "not NAME"),
        ] {
            let wrong = file("wrong", text);
            let error = Script::apply_lines(None, Some(&wrong), &mut plan).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(says) && !error.contains('\n'), "{error}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
