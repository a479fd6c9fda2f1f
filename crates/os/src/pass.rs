//! Passing open descriptors from one process to another (`unix(7)`, SCM_RIGHTS).

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// One end of a pair through which descriptors go one way, and a byte for "I am free" the other.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// Two ends. When one is closed, in every process that has it, the other hears of it.
///
/// # Errors
/// Descriptors have run out.
pub fn pair() -> Result<(Channel, Channel)> {
    let (one, other) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok((Channel(one), Channel(other)))
}

impl Channel {
    /// Passes a descriptor on; whoever calls keeps, and closes, its own.
    ///
    /// # Errors
    /// EPIPE where nobody has the other end any more. Never blocks: EAGAIN.
    pub fn pass(&self, descriptor: BorrowedFd<'_>) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let one = [descriptor];
        let fits = ancillary.push(SendAncillaryMessage::ScmRights(&one));
        assert!(fits, "the space is for one");
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::sendmsg(&self.0, &[IoSlice::new(b"d")], &mut ancillary, flags).map(drop)
    }

    /// Waits for a descriptor; `None` when the other end is closed and nothing is left. Signals that
    /// are handled meanwhile do not end the wait.
    ///
    /// # Errors
    /// EMFILE where this process has no room for the descriptor, which is lost.
    pub fn receive(&self) -> Result<Option<OwnedFd>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let got = loop {
            let room = &mut [IoSliceMut::new(&mut byte)];
            match rustix::net::recvmsg(&self.0, room, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                // ECONNRESET, once: the other end was closed before it had read all. What it has
                // passed is still there.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                got => break got?,
            }
        };
        if got.bytes == 0 {
            return Ok(None);
        }
        let passed = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        passed.map(Some).ok_or(Errno::MFILE)
    }

    /// Tells the other end that this one is free.
    ///
    /// # Errors
    /// EPIPE where nobody has the other end any more.
    pub fn say_free(&self) -> Result<()> {
        loop {
            match rustix::net::send(&self.0, b"f", SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                sent => return sent.map(drop),
            }
        }
    }

    /// Whether the other end has said that it is free, once it is readable; `None` if it is gone.
    pub fn heard_free(&self) -> Option<bool> {
        match rustix::net::recv(&self.0, &mut [0; 1], RecvFlags::DONTWAIT) {
            Ok((1.., _)) => Some(true),
            Err(Errno::AGAIN | Errno::INTR) => Some(false),
            Ok((0, _)) | Err(_) => None,
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How many descriptors this process may have open at once.
pub fn descriptors_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.map_or(usize::MAX, |most| most as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_descriptor_travels_and_eof_follows() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let (ours, theirs) = pair().unwrap();
        assert_eq!(ours.heard_free(), Some(false));
        theirs.say_free().unwrap();
        assert_eq!(ours.heard_free(), Some(true));
        ours.pass(accepted.as_fd()).unwrap();
        // Nobody will read this: the end is a reset, after which the descriptor still comes.
        theirs.say_free().unwrap();
        drop((accepted, ours));
        let passed = theirs
            .receive()
            .unwrap()
            .expect("it was passed before the end");
        let mut passed = TcpStream::from(passed);
        passed.write_all(b"from afar").unwrap();
        drop(passed);
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "from afar");
        assert!(theirs.receive().unwrap().is_none());
        assert_eq!(theirs.say_free(), Err(Errno::PIPE));
        assert_eq!(theirs.heard_free(), None);
    }

    #[test]
    fn nobody_takes_it() {
        let (ours, theirs) = pair().unwrap();
        drop(theirs);
        assert_eq!(ours.pass(ours.as_fd()), Err(Errno::PIPE));
        assert_eq!(ours.heard_free(), None);
    }
}
