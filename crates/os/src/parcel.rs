//! Messages between processes, each with up to two descriptors (`unix(7)`, SCM_RIGHTS). A message is
//! received whole, by one process, or not at all.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::MemfdFlags;
use rustix::io::{Errno, Result, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// A message that was received.
#[derive(Debug)]
pub struct Parcel {
    /// How many bytes it has. 0: the other end is closed.
    pub bytes: usize,
    /// Its descriptors, in their order. Those that this process may not have are missing.
    pub descriptors: [Option<OwnedFd>; 2],
}

/// Two connected ends. Processes that share one take turns: each message is received by one of them.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Sends a message of these parts, with copies of one or two descriptors, or none. `waits`: for room, of which
/// there is little.
///
/// # Errors
/// EPIPE: the other end is closed. EAGAIN: there is no room. EMSGSIZE. ETOOMANYREFS: too many descriptors are on
/// their way.
pub fn send(
    socket: impl AsFd,
    parts: &[&[u8]],
    descriptors: &[BorrowedFd<'_>],
    waits: bool,
) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let fits = ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        assert!(fits, "the space is for two");
    }
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, !waits);
    let parts: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let send = || rustix::net::sendmsg(&socket, &parts, &mut ancillary, flags);
    retry_on_intr(send).map(drop)
}

/// Receives a message into `room`, or what fits there of it.
///
/// # Errors
/// EAGAIN: there is none, and it was not to wait. EINTR: a handler of a signal has run meanwhile.
pub fn receive(socket: impl AsFd, room: &mut [u8], waits: bool) -> Result<Parcel> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut flags = RecvFlags::CMSG_CLOEXEC;
    flags.set(RecvFlags::DONTWAIT, !waits);
    let parts = &mut [IoSliceMut::new(room)];
    let got = rustix::net::recvmsg(socket, parts, &mut ancillary, flags)?;
    let mut parcel = Parcel {
        bytes: got.bytes,
        descriptors: [None, None],
    };
    if got.flags.contains(ReturnFlags::TRUNC) {
        parcel.bytes = 0; // No message is so long.
    }
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            for (place, descriptor) in parcel.descriptors.iter_mut().zip(received) {
                *place = Some(descriptor);
            }
        }
    }
    Ok(parcel)
}

/// A file without a name that holds these bytes, for what is too long for a message.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn file_of(bytes: &[u8]) -> Result<OwnedFd> {
    let file = rustix::fs::memfd_create(c"request", MemfdFlags::CLOEXEC)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        match retry_on_intr(|| rustix::io::write(&file, rest))? {
            0 => return Err(Errno::NOSPC),
            written => rest = &rest[written..],
        }
    }
    Ok(file)
}

/// The content of such a file.
///
/// # Errors
/// EIO, ENOMEM.
pub fn content(file: &OwnedFd) -> Result<Vec<u8>> {
    let length = rustix::fs::fstat(file)?.st_size as usize;
    let mut content = vec![0; length];
    let mut read = 0;
    while read < length {
        match retry_on_intr(|| rustix::io::pread(file, &mut content[read..], read as u64))? {
            0 => break,
            bytes => read += bytes,
        }
    }
    content.truncate(read);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_carries_its_descriptors() {
        let (one, other) = pair().unwrap();
        let mut room = [0; 64];
        assert!(matches!(
            receive(&other, &mut room, false),
            Err(Errno::AGAIN)
        ));
        let long = vec![7; 300_000];
        let file = file_of(&long).unwrap();
        send(&one, &[b"he", b"llo"], &[file.as_fd(), one.as_fd()], false).unwrap();
        send(&one, &[b"end"], &[], false).unwrap();
        let parcel = receive(&other, &mut room, true).unwrap();
        assert_eq!(&room[..parcel.bytes], b"hello");
        let [Some(first), Some(second)] = parcel.descriptors else {
            panic!("two were sent");
        };
        assert_eq!(content(&first).unwrap(), long);
        let parcel = receive(&other, &mut room, true).unwrap();
        assert_eq!(&room[..parcel.bytes], b"end");
        assert!(parcel.descriptors.iter().all(Option::is_none));
        // What was passed is a copy: the end is closed when both are.
        drop(one);
        send(&second, &[b"still"], &[], false).unwrap();
        assert_eq!(receive(&other, &mut room, true).unwrap().bytes, 5);
        drop(second);
        assert_eq!(receive(&other, &mut room, true).unwrap().bytes, 0);
        assert_eq!(send(&other, &[b"x"], &[], false), Err(Errno::PIPE));
    }
}
