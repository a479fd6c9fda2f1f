//! The echo of datagrams, with a histogram of how many arrived per signal.

use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};

use server::{hangups, log};

/// Datagrams per signal are counted one by one up to this; more are counted together.
const COUNTED_MAX: usize = 32;

/// Largest datagram of UDP, bytes (RFC 768: a length of 16 bits).
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Sockets whose datagrams are sent back.
#[derive(Debug)]
pub struct Echo {
    sockets: &'static [UdpSocket],
    buffer: Vec<u8>,
    /// How often there were so many datagrams per signal; the last entry counts all that are more.
    histogram: [u64; COUNTED_MAX + 1],
    /// For how many SIGHUPs it was logged.
    hangups: u32,
}

impl Echo {
    /// An echo at the sockets that have the addresses of the listeners.
    pub fn at(sockets: &'static [UdpSocket]) -> Echo {
        Echo {
            sockets,
            buffer: vec![0; DATAGRAM_BYTES_MAX],
            histogram: [0; COUNTED_MAX + 1],
            hangups: hangups(),
        }
    }

    /// The sockets to watch.
    pub fn sockets(&self) -> &'static [UdpSocket] {
        self.sockets
    }

    /// Answers what came before the sockets were watched.
    pub fn catch_up(&mut self) {
        for socket in self.sockets {
            self.answer_all(socket);
        }
    }

    /// A signal has come for this descriptor: answers everything that is there, which may be
    /// nothing if it was read for an earlier signal.
    pub fn answer(&mut self, fd: RawFd) {
        let mut sockets = self.sockets.iter();
        // None: another process has sent the signal.
        if let Some(socket) = sockets.find(|socket| socket.as_raw_fd() == fd) {
            let answered = self.answer_all(socket);
            self.histogram[answered.min(COUNTED_MAX)] += 1;
        }
    }

    /// Answers until nothing is left. Returns the number of datagrams.
    fn answer_all(&mut self, socket: &UdpSocket) -> usize {
        let mut answered = 0;
        loop {
            match socket.recv_from(&mut self.buffer) {
                Ok((bytes, from)) => {
                    answered += 1;
                    // UDP promises nothing: what the socket does not take now is lost.
                    let _ = socket.send_to(&self.buffer[..bytes], from);
                }
                // The error of one peer (ECONNREFUSED) is no reason to stop.
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => {}
                Err(_) => return answered,
            }
        }
    }

    /// Logs the histogram if SIGHUP has asked for it.
    pub fn log_if_asked(&mut self) {
        let asked = hangups();
        if std::mem::replace(&mut self.hangups, asked) != asked {
            self.log();
        }
    }

    fn log(&self) {
        let all = self.histogram.iter().enumerate();
        let seen = all.filter(|(_, times)| **times > 0);
        let each = seen.map(|(datagrams, times)| match datagrams {
            COUNTED_MAX => format!("{datagrams}+: {times}"),
            _ => format!("{datagrams}: {times}"),
        });
        let each: Vec<_> = each.collect();
        log(format_args!("datagrams per signal: {}", each.join(", ")));
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.log();
    }
}
