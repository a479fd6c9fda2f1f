//! Who asks, as a back end is told: `X-Forwarded-For` and its kin, and `Forwarded` (RFC 7239).
//!
//! What a client says of itself in these fields is worth nothing, so they are written anew. Only a peer
//! that is one of `--trusted-proxies` is believed: what it says stays, and the peer is appended.

use std::fmt::Write;
use std::net::IpAddr;
use std::str::FromStr;

use proto::{Peer, Request};

use super::fields::values;

/// The fields in which hops speak of their clients.
pub const OF_HOPS: [&str; 5] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// A peer that is believed: an address, `ADDRESS/BITS`, or `unix` for all that come by a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trusted {
    Unix,
    Net(IpAddr, u32),
}

impl FromStr for Trusted {
    type Err = String;

    fn from_str(text: &str) -> Result<Trusted, String> {
        if text == "unix" {
            return Ok(Trusted::Unix);
        }
        let (addr, bits) = match text.split_once('/') {
            Some((addr, bits)) => (addr, Some(bits)),
            None => (text, None),
        };
        let wrong = || format!("{text:?} is neither an address, nor ADDRESS/BITS, nor unix");
        let addr: IpAddr = addr.parse().map_err(|_| wrong())?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > most {
            return Err(wrong());
        }
        Ok(Trusted::Net(addr, bits))
    }
}

impl Trusted {
    pub fn is(&self, peer: Peer) -> bool {
        match (self, peer) {
            (Trusted::Unix, Peer::Unix) => true,
            (Trusted::Net(net, bits), Peer::Ip(addr)) => match (net, addr.ip()) {
                (IpAddr::V4(net), IpAddr::V4(ip)) => {
                    let differ = u32::from(*net) ^ u32::from(ip);
                    differ.leading_zeros() >= *bits
                }
                (IpAddr::V6(net), IpAddr::V6(ip)) => {
                    let differ = u128::from(*net) ^ u128::from(ip);
                    differ.leading_zeros() >= *bits
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// Appends the fields that say who asks, through which hops.
pub fn write(request: &Request<'_>, trusted: &[Trusted], head: &mut Vec<u8>) {
    let peer = request.peer();
    let is_trusted = trusted.iter().any(|trusted| trusted.is(peer));
    let said = |name: &str| match is_trusted {
        true => values(request, name).collect::<Vec<_>>().join(&b", "[..]),
        false => Vec::new(),
    };
    let ip = peer.ip().map(|ip| ip.to_string());
    let before = said("x-forwarded-for");
    list("X-Forwarded-For", before, ip.as_deref(), head);
    let mut hop = String::from("for=");
    // Writing to memory cannot fail.
    let _ = match peer.ip() {
        Some(IpAddr::V4(ip)) => write!(hop, "{ip}"),
        Some(IpAddr::V6(ip)) => write!(hop, "\"[{ip}]\""),
        None => write!(hop, "unknown"),
    };
    hop.push_str(";proto=http");
    list("Forwarded", said("forwarded"), Some(&hop), head);
    let host = match said("x-forwarded-host") {
        host if host.is_empty() => request.field("host").unwrap_or_default().to_vec(),
        host => host,
    };
    if !host.is_empty() {
        list("X-Forwarded-Host", host, None, head);
    }
    let proto = match said("x-forwarded-proto") {
        proto if proto.is_empty() => b"http".to_vec(),
        proto => proto,
    };
    list("X-Forwarded-Proto", proto, None, head);
}

/// A field with what was said before and one value more; none if there is neither.
fn list(name: &str, mut said: Vec<u8>, more: Option<&str>, head: &mut Vec<u8>) {
    if let Some(more) = more {
        if !said.is_empty() {
            said.extend(b", ");
        }
        said.extend(more.as_bytes());
    }
    if !said.is_empty() {
        for part in [name.as_bytes(), b": ", &said, b"\r\n"] {
            head.extend(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_matched_by_their_bits() {
        let peer = |text: &str| Peer::Ip(text.parse().unwrap());
        for (net, one, is) in [
            ("10.0.0.0/8", "10.9.8.7:1", true),
            ("10.0.0.0/8", "11.0.0.0:1", false),
            ("127.0.0.1", "127.0.0.1:9", true),
            ("127.0.0.1", "127.0.0.2:9", false),
            ("0.0.0.0/0", "203.0.113.9:9", true),
            ("0.0.0.0/0", "[::1]:9", false),
            ("2001:db8::/32", "[2001:db8:1::1]:9", true),
            ("::/0", "[2001:db9::1]:9", true),
            ("::1", "[::2]:9", false),
        ] {
            let net: Trusted = net.parse().unwrap();
            assert_eq!(net.is(peer(one)), is, "{net:?} {one}");
        }
        assert!(Trusted::Unix.is(Peer::Unix) && !Trusted::Unix.is(Peer::Unknown));
        for bad in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/",
            "::/129",
            "10/8",
            "unix:/x",
        ] {
            assert!(bad.parse::<Trusted>().is_err(), "{bad}");
        }
    }
}
