//! Passing open descriptors from one process to another (`unix(7)`, SCM_RIGHTS).

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// One end of a pair of sockets. One end sends descriptors; the other sends a byte when its process is
/// free for the next one.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// Two connected ends. When all processes have closed one, the other reads the end.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn pair() -> Result<(Channel, Channel)> {
    let (one, other) = crate::parcel::pair()?;
    Ok((Channel(one), Channel(other)))
}

impl Channel {
    /// Sends a copy of a descriptor, without blocking. The caller still has to close its own.
    ///
    /// # Errors
    /// EPIPE: the other end is closed. EAGAIN: too many descriptors are on their way.
    pub fn pass(&self, descriptor: BorrowedFd<'_>) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let one = [descriptor];
        let fits = ancillary.push(SendAncillaryMessage::ScmRights(&one));
        assert!(fits, "the space is for one");
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::sendmsg(&self.0, &[IoSlice::new(b"d")], &mut ancillary, flags).map(drop)
    }

    /// Waits for a descriptor. `None`: the other end is closed, and all that it has sent is received.
    /// Handlers of signals that run meanwhile do not end the wait, unless `is_enough` says so after one:
    /// then the other end can send nothing more, and what it has sent is received.
    ///
    /// # Errors
    /// EMFILE: this process may have no more descriptors, and this one is lost.
    pub fn receive(&self, is_enough: impl Fn() -> bool) -> Result<Option<OwnedFd>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let got = loop {
            let room = &mut [IoSliceMut::new(&mut byte)];
            match rustix::net::recvmsg(&self.0, room, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                // ECONNRESET is returned once, if the other end was closed with bytes unread. What it has
                // sent can still be received.
                Err(Errno::INTR) if is_enough() => {
                    rustix::net::shutdown(&self.0, rustix::net::Shutdown::Read)?;
                }
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

    /// Tells the other end that this process is free for the next descriptor.
    ///
    /// # Errors
    /// EPIPE: the other end is closed.
    pub fn report_free(&self) -> Result<()> {
        let send = || rustix::net::send(&self.0, b"f", SendFlags::NOSIGNAL);
        rustix::io::retry_on_intr(send).map(drop)
    }

    /// Whether the other end has reported that its process is free; reads one report. `None`: the other
    /// end is closed.
    pub fn has_reported_free(&self) -> Option<bool> {
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
    crate::process::descriptor_limit().map_or(usize::MAX, |most| most as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_descriptor_is_received_and_then_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let (ours, theirs) = pair().unwrap();
        assert_eq!(ours.has_reported_free(), Some(false));
        theirs.report_free().unwrap();
        assert_eq!(ours.has_reported_free(), Some(true));
        ours.pass(accepted.as_fd()).unwrap();
        // This is never read, so the end is a reset. The descriptor can be received after it.
        theirs.report_free().unwrap();
        drop((accepted, ours));
        let passed = theirs
            .receive(|| false)
            .unwrap()
            .expect("it was sent before the end");
        let mut passed = TcpStream::from(passed);
        passed.write_all(b"from the receiver").unwrap();
        drop(passed);
        let mut read = String::new();
        client.read_to_string(&mut read).unwrap();
        assert_eq!(read, "from the receiver");
        assert!(theirs.receive(|| false).unwrap().is_none());
        assert_eq!(theirs.report_free(), Err(Errno::PIPE));
        assert_eq!(theirs.has_reported_free(), None);
    }

    #[test]
    fn the_other_end_is_closed() {
        let (ours, theirs) = pair().unwrap();
        drop(theirs);
        assert_eq!(ours.pass(ours.as_fd()), Err(Errno::PIPE));
        assert_eq!(ours.has_reported_free(), None);
    }
}
