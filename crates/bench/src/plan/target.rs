//! Servers that are running already: `--target [NAME=]URL[,pid=PID][,beside=MODEL]`.

use report::data::Grid;

use crate::failure::{Failure, ensure_usage};
use crate::plan::contenders::{Row, Start};

/// A server to be measured that the bench neither starts nor stops.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// What the report calls it.
    pub name: String,
    /// The URL, as given.
    pub url: String,
    /// `HOST:PORT`.
    pub address: String,
    /// The path, where the URL has one.
    pub path: Option<String>,
    /// Root of its process tree, where CPU and memory are to be read.
    pub pid: Option<u32>,
    /// The model that the report shows it beside.
    pub beside: Option<String>,
    /// How the bench starts it; `None` for one that is running already.
    pub start: Option<Start>,
    /// Its size, where its file asks for several.
    pub grid: Option<Grid>,
}

impl Target {
    /// A server that the bench starts by a command. Its address is known when it runs.
    pub fn started(row: &Row) -> Self {
        Self {
            name: row.label.clone(),
            path: row.path.clone(),
            start: Some(row.start.clone()),
            grid: row.grid.clone(),
            ..Self::default()
        }
    }

    /// Whether its process is known, so that its counters can be read.
    pub fn has_process(&self) -> bool {
        self.pid.is_some() || self.start.is_some()
    }

    /// Reads the argument of `--target`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let bad = |what: &str| Failure::usage(format!("--target '{text}': {what}"));
        // A URL may hold a = of its own.
        let (name, rest) = match text.split_once('=') {
            Some((name, rest)) if !name.contains("://") => (Some(name), rest),
            _ => (None, text),
        };
        let mut parts = rest.split(',');
        let url = parts.next().unwrap_or_default();
        let (address, path) = take_apart(url).map_err(|what| bad(&what))?;
        let name = name.unwrap_or(&address);
        if name.is_empty() || name.contains(char::is_control) || name == "null" {
            return Err(bad(
                "the name must be there, and must not be one of the bench's own",
            ));
        }
        let mut target = Self {
            name: name.to_owned(),
            url: url.to_owned(),
            address: address.clone(),
            path,
            ..Self::default()
        };
        for part in parts {
            match part.split_once('=') {
                Some(("pid", pid)) => {
                    let pid: u32 = pid
                        .parse()
                        .map_err(|_| bad(&format!("'{pid}' is not a process number")))?;
                    if !std::path::Path::new(&format!("/proc/{pid}/stat")).exists() {
                        return Err(bad(&format!("there is no process {pid}")));
                    }
                    target.pid = Some(pid);
                }
                Some(("beside", model)) if !model.is_empty() => {
                    target.beside = Some(model.to_owned());
                }
                _ => {
                    return Err(bad(&format!(
                        "'{part}' is neither pid=PID nor beside=MODEL"
                    )));
                }
            }
        }
        Ok(target)
    }

    /// Reads all of them; a name may be given once.
    pub fn parse_all(texts: &[String]) -> Result<Vec<Self>, Failure> {
        let mut targets: Vec<Self> = Vec::new();
        for text in texts {
            let target = Self::parse(text)?;
            ensure_usage!(
                targets.iter().all(|other| other.name != target.name),
                "--target: the name '{}' is given twice",
                target.name
            );
            targets.push(target);
        }
        Ok(targets)
    }
}

/// `HOST:PORT` of a URL, and the path that follows, if one does.
fn take_apart(url: &str) -> Result<(String, Option<String>), String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| format!("'{url}' does not begin with http://"))?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if host.is_empty() || host.contains('@') || !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("'{url}' is not http://HOST[:PORT][/PATH]"));
    }
    if !path.is_empty() && (!path.starts_with('/') || path.contains('#')) {
        return Err(format!("'{path}' is not a path"));
    }
    let path = (!path.is_empty()).then(|| path.to_owned());
    Ok((address(url, host)?, path))
}

/// `HOST:PORT`.
fn address(url: &str, host: &str) -> Result<String, String> {
    let (before, after) = match host.rfind(']') {
        Some(end) => host.split_at(end + 1),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    match after.strip_prefix(':') {
        None if after.is_empty() => Ok(format!("{before}:80")),
        Some(port) if !before.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => {
            Ok(host.to_owned())
        }
        _ => Err(format!("'{url}' has no valid port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_name_an_address_and_what_else_is_said() {
        let own = std::process::id();
        let target = Target::parse(&format!(
            "nginx=http://127.0.0.1:8080/,pid={own},beside=multi-reactor"
        ))
        .expect("good");
        assert_eq!(target.address, "127.0.0.1:8080");
        assert_eq!(target.path.as_deref(), Some("/"));
        assert_eq!(target.pid, Some(own));
        assert_eq!(target.beside.as_deref(), Some("multi-reactor"));
        for (url, address) in [
            ("http://localhost", "localhost:80"),
            ("http://[::1]:81", "[::1]:81"),
            ("http://[::1]", "[::1]:80"),
        ] {
            let target = Target::parse(&format!("x={url}")).expect(url);
            assert_eq!((target.address.as_str(), target.pid), (address, None));
        }
    }

    #[test]
    fn a_url_is_enough_and_may_have_a_path() {
        let bare = Target::parse("http://127.0.0.1:8080").expect("good");
        assert_eq!((&*bare.name, bare.path), ("127.0.0.1:8080", None));
        let own = Target::parse("http://[::1]/index.html?a=b,beside=prefork").expect("good");
        assert_eq!((&*own.name, &*own.address), ("[::1]:80", "[::1]:80"));
        assert_eq!(own.path.as_deref(), Some("/index.html?a=b"));
        assert_eq!(own.beside.as_deref(), Some("prefork"));
        let named = Target::parse("mine=http://x:81/a=b").expect("good");
        assert_eq!(
            (&*named.name, named.path.as_deref()),
            ("mine", Some("/a=b"))
        );
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (text, says) in [
            ("http", "does not begin with http://"),
            ("a=b=http://x", "does not begin with http://"),
            ("=http://x", "the name must be there"),
            ("a=https://x", "does not begin with http://"),
            ("a=http://", "is not http://HOST"),
            ("a=http://x?y", "'?y' is not a path"),
            ("a=http://x/y#z", "is not a path"),
            ("a=http://x/y z", "is not http://HOST"),
            ("null=http://x", "the name must be there"),
            ("a=http://x:0", "no valid port"),
            ("a=http://x:99999", "no valid port"),
            ("a=http://:80", "no valid port"),
            ("a=http://x,pid=y", "'y' is not a process number"),
            ("a=http://x,pid=4294967295", "there is no process"),
            ("a=http://x,beside=", "neither pid=PID nor beside=MODEL"),
            ("a=http://x,colour=red", "neither pid=PID nor beside=MODEL"),
        ] {
            let failure = Target::parse(text).expect_err(text);
            assert_eq!(failure.code(), 2);
            let line = failure.to_string();
            assert!(line.contains(says) && line.lines().count() == 1, "{line}");
        }
        let twice = ["a=http://x".to_owned(), "a=http://y".to_owned()];
        assert!(Target::parse_all(&twice).is_err());
    }
}
