//! The server: a URL, or a Unix socket, parsed and resolved once.

use std::fmt;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::words;

/// The beginning of a URL whose server speaks the line protocol of UNP chapter 30.
const UNP: &str = "unp://";

/// Longest wait for one of several addresses.
const REACH_MAX: Duration = Duration::from_secs(3);

/// A peer's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The server, and the resource that is requested.
///
/// ```
/// let target: load::Target = "http://127.0.0.1:8080/json".parse().unwrap();
/// assert_eq!(target.path(), "/json");
/// assert_eq!(target.to_string(), "http://127.0.0.1:8080/json");
/// assert!("http://127.0.0.1:8080".parse::<load::Target>().is_ok());
/// assert!("https://127.0.0.1/".parse::<load::Target>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: String,
    /// In the resolver's order, at least one.
    addresses: Vec<Address>,
    /// Which of them is used, once that is known.
    reached: OnceLock<usize>,
    host: String,
    path: String,
}

impl Target {
    /// The request target: path and query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value of the `Host` field.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the URL is `unp://`.
    pub(crate) fn is_unp(&self) -> bool {
        self.url.starts_with(UNP)
    }

    /// Whether it is a Unix socket, on which either protocol may be spoken.
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self.address(), Address::Unix(_))
    }

    pub(crate) fn address(&self) -> &Address {
        &self.addresses[self.reached.get().copied().unwrap_or(0)]
    }

    /// Tries the addresses of a name in their order, and keeps to the first that accepts a
    /// connection. A single address is not tried.
    ///
    /// # Errors
    /// None accepts; the message says why, for each.
    pub(crate) fn reach(&self, timeout: Duration) -> Result<()> {
        if self.addresses.len() < 2 || self.reached.get().is_some() {
            return Ok(());
        }
        let mut refusals = Vec::new();
        for (index, address) in self.addresses.iter().enumerate() {
            let Address::Tcp(address) = address else {
                continue;
            };
            match TcpStream::connect_timeout(address, timeout.min(REACH_MAX)) {
                Ok(_) => {
                    self.reached.get_or_init(|| index);
                    return Ok(());
                }
                Err(error) => refusals.push(format!("{address}: {}", words::of(&error))),
            }
        }
        bail!("{self}: {}", refusals.join(", "))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    /// Reads `http://host[:port][/path]`, with an IPv6 host in brackets, `unp://host:port`, or
    /// `unix:/socket[:/path]`. A host name is resolved here, to all of its addresses.
    fn from_str(url: &str) -> Result<Self> {
        ensure!(
            url.bytes().all(|b| b.is_ascii_graphic()),
            "malformed URL: a space or a character outside ASCII must be percent-encoded"
        );
        if let Some(rest) = url.strip_prefix("unix:") {
            return unix(url, rest);
        }
        let Some(rest) = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix(UNP))
        else {
            bail!("malformed URL {url:?}: it must begin with http://, unp:// or unix:/");
        };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        // The URL is printed and written to result files, so it must not hold a secret.
        ensure!(
            !authority.contains('@'),
            "malformed URL: credentials are not taken; use --header"
        );
        ensure!(!authority.is_empty(), "malformed URL {url:?}: no host");
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            url: url.to_owned(),
            addresses: resolve(authority)?,
            reached: OnceLock::new(),
            host: authority.to_owned(),
            path: format!("{slash}{path}"),
        })
    }
}

fn unix(url: &str, rest: &str) -> Result<Target> {
    let (socket, path) = match rest.rfind(":/") {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, "/"),
    };
    ensure!(
        socket.starts_with('/'),
        "malformed URL {url:?}: unix: needs an absolute path"
    );
    Ok(Target {
        url: url.to_owned(),
        addresses: vec![Address::Unix(PathBuf::from(socket))],
        reached: OnceLock::new(),
        host: "localhost".to_owned(),
        path: path.to_owned(),
    })
}

fn resolve(authority: &str) -> Result<Vec<Address>> {
    if let Ok(address) = authority.parse() {
        return Ok(vec![Address::Tcp(address)]);
    }
    let bare_v6 = authority.starts_with('[') && authority.ends_with(']');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !bare_v6 => (host, port),
        _ => (authority, "80"),
    };
    let port: u16 = port
        .parse()
        .with_context(|| format!("malformed URL: {port:?} is not a port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ensure!(!host.is_empty(), "malformed URL: no host in {authority:?}");
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| anyhow::anyhow!("host {host:?}: {}", words::of(&error)))?;
    let mut addresses: Vec<Address> = Vec::new();
    for address in found.map(Address::Tcp) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    ensure!(!addresses.is_empty(), "host {host:?} has no address");
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_apart() {
        for (url, address, host, path) in [
            (
                "http://127.0.0.1:8080/a?b=c#d",
                "127.0.0.1:8080",
                "127.0.0.1:8080",
                "/a?b=c",
            ),
            ("http://[::1]:8080/", "[::1]:8080", "[::1]:8080", "/"),
            ("http://[::1]", "[::1]:80", "[::1]", "/"),
            ("http://127.0.0.1", "127.0.0.1:80", "127.0.0.1", "/"),
            ("unp://127.0.0.1:9", "127.0.0.1:9", "127.0.0.1:9", "/"),
            ("http://127.0.0.1:1?q", "127.0.0.1:1", "127.0.0.1:1", "/?q"),
        ] {
            let target: Target = url.parse().unwrap();
            assert_eq!(
                *target.address(),
                Address::Tcp(address.parse().unwrap()),
                "{url}"
            );
            assert_eq!((target.host(), target.path()), (host, path), "{url}");
        }
        let target: Target = "unix:/run/a.sock:/json".parse().unwrap();
        assert_eq!(*target.address(), Address::Unix("/run/a.sock".into()));
        assert_eq!(target.path(), "/json");
    }

    #[test]
    fn the_first_address_that_accepts_is_used() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut target: Target = format!("http://{closed}/").parse().unwrap();
        target.addresses = vec![Address::Tcp(closed), Address::Tcp(open)];
        target.reach(Duration::from_secs(1)).unwrap();
        assert_eq!(*target.address(), Address::Tcp(open));
        target.addresses = vec![Address::Tcp(closed); 2];
        target.reached = OnceLock::new();
        let error = target.reach(Duration::from_secs(1)).unwrap_err();
        let refused = format!("{closed}: connection refused");
        assert!(
            error
                .to_string()
                .ends_with(&format!("{refused}, {refused}"))
        );
        let error = "http://no.such.host.invalid/"
            .parse::<Target>()
            .unwrap_err();
        assert!(!error.to_string().contains("malformed"), "{error}");
    }

    #[test]
    fn malformed_urls_are_refused_in_one_line() {
        for url in [
            "",
            "127.0.0.1:80",
            "https://a/",
            "http://",
            "http://:80/",
            "http://127.0.0.1:x/",
        ]
        .into_iter()
        .chain([
            "http://127.0.0.1:99999/",
            "http://u:p@127.0.0.1/",
            "http://a b/",
            "unix:a",
        ]) {
            let error = url.parse::<Target>().unwrap_err();
            assert!(!format!("{error}").contains('\n'), "{url}");
        }
    }
}
