//! The echo of datagrams, and how many one signal stood for.

use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use os::process::Signal;
use os::signal;
use server::log;

/// Datagrams a signal, counted one by one up to this; more are counted together.
const COUNTED_MAX: usize = 32;

/// Largest datagram of UDP, bytes (RFC 768: a length of 16 bits).
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Somebody wants to see the histogram.
static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_hangup(_: i32) {
    ASKED.store(true, Ordering::Relaxed);
}

/// Sockets whose datagrams go back to where they came from.
#[derive(Debug)]
pub struct Echo {
    sockets: &'static [UdpSocket],
    buffer: Vec<u8>,
    /// How often a signal found so many datagrams; the last one counts all that are more.
    histogram: [u64; COUNTED_MAX + 1],
}

impl Echo {
    /// An echo at the sockets that stand beside the listeners.
    pub fn at(sockets: &'static [UdpSocket]) -> Echo {
        signal::handle(&[Signal::HUP], on_hangup);
        Echo {
            sockets,
            buffer: vec![0; DATAGRAM_BYTES_MAX],
            histogram: [0; COUNTED_MAX + 1],
        }
    }

    /// What is to be watched.
    pub fn sockets(&self) -> &'static [UdpSocket] {
        self.sockets
    }

    /// Answers what came before anybody was told of it.
    pub fn catch_up(&mut self) {
        for socket in self.sockets {
            self.answer_all(socket);
        }
    }

    /// A signal has come for this descriptor: answers everything that is there, which may be nothing
    /// where an earlier signal's turn took it.
    pub fn answer(&mut self, fd: RawFd) {
        let mut sockets = self.sockets.iter();
        // None: somebody else has sent the signal.
        if let Some(socket) = sockets.find(|socket| socket.as_raw_fd() == fd) {
            let answered = self.answer_all(socket);
            self.histogram[answered.min(COUNTED_MAX)] += 1;
        }
    }

    /// Answers until nothing is left, and says how many it was.
    fn answer_all(&mut self, socket: &UdpSocket) -> usize {
        let mut answered = 0;
        loop {
            match socket.recv_from(&mut self.buffer) {
                Ok((bytes, from)) => {
                    answered += 1;
                    // UDP promises nothing: what the socket does not take now is lost.
                    let _ = socket.send_to(&self.buffer[..bytes], from);
                }
                // A peer that is not there any more (ECONNREFUSED) ends no other's turn.
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => {}
                Err(_) => return answered,
            }
        }
    }

    /// Logs the histogram if SIGHUP has asked for it.
    pub fn tell_if_asked(&self) {
        if ASKED.load(Ordering::Relaxed) && ASKED.swap(false, Ordering::Relaxed) {
            self.tell();
        }
    }

    fn tell(&self) {
        let seen = self
            .histogram
            .iter()
            .enumerate()
            .filter(|(_, times)| **times > 0);
        let each: Vec<_> = seen
            .map(|(datagrams, times)| match datagrams {
                COUNTED_MAX => format!("{datagrams}+: {times}"),
                _ => format!("{datagrams}: {times}"),
            })
            .collect();
        log(format_args!("datagrams a signal: {}", each.join(", ")));
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.tell();
    }
}
