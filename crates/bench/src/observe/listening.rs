//! Where processes listen: their sockets, looked up in the kernel's table of TCP.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a listener in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The addresses on which any of `pids` listens.
pub fn addresses(pids: &[u32]) -> Vec<String> {
    let own: BTreeSet<String> = pids.iter().flat_map(|&pid| sockets(pid)).collect();
    let found = listeners().into_iter();
    let found = found.filter(|(_, inode)| own.contains(inode));
    let found: BTreeSet<SocketAddr> = found.map(|(address, _)| address).collect();
    found.iter().map(SocketAddr::to_string).collect()
}

/// The listeners of this network, each with the inode of its socket.
fn listeners() -> Vec<(SocketAddr, String)> {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state, inode) = (fields.get(1), fields.get(3), fields.get(9));
            if let (Some(local), Some(&LISTEN), Some(&inode)) = (local, state, inode) {
                found.extend(address(local).map(|address| (address, inode.to_owned())));
            }
        }
    }
    found
}

/// A listener, and a process that holds it.
#[derive(Debug, Clone)]
pub struct Held {
    pid: u32,
    inode: String,
}

impl Held {
    /// The listener at `wanted` that one of `pids` holds.
    pub fn find(pids: &[u32], wanted: &str) -> Option<Self> {
        let here = |(address, _): &(SocketAddr, String)| is_same(&address.to_string(), wanted);
        let inodes: BTreeSet<String> = listeners()
            .into_iter()
            .filter(here)
            .map(|(_, inode)| inode)
            .collect();
        pids.iter().find_map(|&pid| {
            let inode = sockets(pid)
                .into_iter()
                .find(|inode| inodes.contains(inode))?;
            Some(Self { pid, inode })
        })
    }

    /// Whether that process still holds it. To ask costs a look at the files of one process.
    pub fn is_there(&self) -> bool {
        sockets(self.pid).contains(&self.inode)
    }
}

/// Whether a listener at `found` takes connections to `wanted`, an address of this host.
pub fn is_same(found: &str, wanted: &str) -> bool {
    let (Ok(found), Ok(wanted)) = (found.parse::<SocketAddr>(), wanted.parse::<SocketAddr>())
    else {
        return false;
    };
    let here = found.ip() == wanted.ip() || found.ip().is_unspecified();
    found.port() == wanted.port() && here
}

/// The inodes of a process's sockets.
fn sockets(pid: u32) -> Vec<String> {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let socket = |file: std::io::Result<fs::DirEntry>| {
        let link = fs::read_link(file.ok()?.path()).ok()?;
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(inode.to_owned())
    };
    files.filter_map(socket).collect()
}

/// `0100007F:1F90`: each word of the address in the byte order of this machine, the port as a number.
fn address(local: &str) -> Option<SocketAddr> {
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listeners_of_this_process_are_found() {
        let four = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let wanted = four.local_addr().expect("bound").to_string();
        let found = addresses(&[std::process::id()]);
        assert!(found.contains(&wanted), "{found:?}");
        let held = Held::find(&[1, std::process::id()], &wanted).expect("it is held");
        assert!(held.is_there());
        drop(four);
        assert!(!held.is_there() && Held::find(&[std::process::id()], &wanted).is_none());
        assert!(!addresses(&[std::process::id()]).contains(&wanted));
        let port = wanted.rsplit(':').next().expect("a port");
        assert!(is_same(&format!("0.0.0.0:{port}"), &wanted));
        assert!(is_same(&format!("[::]:{port}"), &wanted));
        assert!(!is_same("127.0.0.1:1", &wanted));
    }
}
