//! What `--listen` takes, and the addresses that it stands for.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use os::net::Addr;

/// Where to listen, as users write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `127.0.0.1:8080`, `[::1]:8080`, `unix:/path` or `fd:N`, as it stands.
    One(Addr),
    /// `localhost:8080`: every address that the name has, of the families that this machine has.
    Named(String, u16),
    /// `:8080`: every address of this machine. One listener for IPv6 takes IPv4, too; a machine
    /// without IPv6 has one for IPv4.
    Every(u16),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if text.starts_with("unix:") || text.starts_with("fd:") {
            return text.parse().map(Address::One);
        }
        if let Ok(addr) = text.parse() {
            return Ok(Address::One(Addr::Tcp(addr)));
        }
        let parts = text.rsplit_once(':');
        match parts.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
            Some(("", port)) => Ok(Address::Every(port)),
            Some((name, port)) if is_name(name) => Ok(Address::Named(name.into(), port)),
            _ => Err(format!(
                "{text:?} is not HOST:PORT, [IPV6]:PORT, :PORT, unix:/path or fd:N"
            )),
        }
    }
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.bytes().all(is_part)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::One(addr) => addr.fmt(f),
            Address::Named(name, port) => write!(f, "{name}:{port}"),
            Address::Every(port) => write!(f, ":{port}"),
        }
    }
}

impl Address {
    /// The addresses to try, each once.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub(crate) fn candidates(&self) -> Result<Vec<Addr>, String> {
        let mut all = Vec::new();
        match self {
            Address::One(addr) => all.push(addr.clone()),
            Address::Named(name, port) => {
                let found = (name.as_str(), *port).to_socket_addrs();
                // A name may stand for one address by several lines of a file of hosts.
                for addr in found.map_err(|error| unknown(name, &error))?.map(Addr::Tcp) {
                    if !all.contains(&addr) {
                        all.push(addr);
                    }
                }
            }
            Address::Every(port) => {
                all.push(Addr::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port))));
                all.push(Addr::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port))));
            }
        }
        Ok(all)
    }

    /// Whether it is a descriptor that this process has inherited.
    pub(crate) fn is_inherited(&self) -> bool {
        matches!(self, Address::One(Addr::Inherited(_)))
    }

    /// Whether the first candidate that can be had is enough.
    pub(crate) fn wants_one(&self) -> bool {
        matches!(self, Address::Every(_))
    }
}

/// The resolver's own words, without those that std sets before them.
fn unknown(name: &str, error: &std::io::Error) -> String {
    let text = error.to_string();
    let reason = text.rsplit(": ").next().unwrap_or(&text);
    format!("{name} has no address: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_from_the_others() {
        let named = |name: &str, port| Address::Named(name.into(), port);
        for (text, address) in [
            ("localhost:8080", named("localhost", 8080)),
            ("a-b.example:0", named("a-b.example", 0)),
            (":8080", Address::Every(8080)),
        ] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        for text in ["127.0.0.1:80", "[::1]:80", "unix:/a:80", "fd:3"] {
            let addr: Addr = text.parse().expect("it is one");
            assert_eq!(text.parse(), Ok(Address::One(addr)), "{text}");
        }
        for bad in [
            "", ":", "a", "a:", ":x", "::1:80", "[::1", "a b:1", "a/b:1", "a:65536",
        ] {
            let said = bad.parse::<Address>().expect_err(bad);
            assert!(said.contains("is not HOST:PORT"), "{said}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_given() {
        for text in ["localhost:8080", ":0", "[::1]:80", "unix:/a", "fd:3"] {
            let address: Address = text.parse().expect("an address");
            assert_eq!(address.to_string(), text);
        }
    }
}
