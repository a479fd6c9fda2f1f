//! How a front process and the processes that serve for it are connected, and what they say.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use os::parcel::{self, Parcel};
use os::{Errno, process};
use server::{Connection, End, NUMBERS_BYTES, Numbers, Server};

/// The sockets, made before anything is forked, so that the replacement of a process has those of its
/// predecessor.
#[derive(Debug)]
pub struct Links {
    /// By seat: where the front sends, and where who sits there receives.
    seats: Vec<(OwnedFd, OwnedFd)>,
    /// Where the front receives, and where all others send.
    results: (OwnedFd, OwnedFd),
}

/// The links of a front.
#[derive(Debug)]
pub struct FrontLinks {
    pub(super) seats: Vec<OwnedFd>,
    pub(super) results: OwnedFd,
}

/// The links of a process that serves.
#[derive(Debug)]
pub struct SeatLinks {
    pub(super) requests: OwnedFd,
    pub(super) results: OwnedFd,
}

/// What a front says.
#[derive(Debug)]
pub enum Said {
    /// This request is to be served.
    Request(Passed),
    /// A front has begun, and asks who is there.
    AreYouThere,
    /// Nothing more will be said to this process.
    NoMore,
    /// A request of which this process could not take the descriptor, by its number.
    Lost(u64),
    /// Nothing that makes sense.
    Nothing,
}

/// A request that was passed.
#[derive(Debug)]
pub struct Passed {
    /// Its number, which means something to the front.
    pub id: u64,
    pub(super) socket: OwnedFd,
    pub(super) numbers: Numbers,
    pub(super) bytes: Vec<u8>,
}

/// What a process that serves says, or its parent about it: at which seat, and of which request.
#[allow(missing_docs)] // The fields are what this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// A process has begun to sit there: whatever its predecessor had is lost.
    Hello { seat: usize },
    /// Who sits there is free.
    Free { seat: usize },
    /// This request is computed; its reply is still being sent, or awaited.
    Computed { seat: usize, id: u64 },
    /// The reply has ended so. `None`: it was lost.
    Done {
        seat: usize,
        id: u64,
        end: Option<End>,
    },
    /// The process that sits there will end.
    Leaving { seat: usize, process: u32 },
}

const REQUEST: u64 = 1;
const ARE_YOU_THERE: u64 = 2;
const NO_MORE: u64 = 3;
/// For the process that sits there, whichever it is.
const TO_ALL: u64 = 0;

/// What goes before a request: what it is, its number, and [`Numbers`].
const HEAD_BYTES: usize = 16 + NUMBERS_BYTES;
/// Longer requests are passed in a file.
const INLINE_BYTES_MAX: usize = 64 << 10;
/// Room for the longest message.
pub(super) const MESSAGE_BYTES_MAX: usize = HEAD_BYTES + INLINE_BYTES_MAX;

impl Links {
    /// For so many seats.
    ///
    /// # Errors
    /// The limit of descriptors is too low.
    pub fn new(seats: usize) -> server::Result<Links> {
        let (needs, most) = (2 * seats + SPARE, os::pass::descriptors_max());
        if needs > most {
            return Err(format!(
                "--front holds two descriptors per child: {seats} need {needs}, and the limit is {most}"
            )
            .into());
        }
        let seats: Result<Vec<_>, Errno> = (0..seats).map(|_| parcel::pair()).collect();
        Ok(Links {
            seats: seats?,
            results: parcel::pair()?,
        })
    }

    /// Those of a front. The others are closed.
    pub fn of_front(self) -> FrontLinks {
        FrontLinks {
            seats: self.seats.into_iter().map(|(front, _)| front).collect(),
            results: self.results.0,
        }
    }

    /// Those of who sits there. The others are closed.
    pub fn of_seat(self, seat: usize) -> Option<SeatLinks> {
        let (_, requests) = self.seats.into_iter().nth(seat)?;
        Some(SeatLinks {
            requests,
            results: self.results.1,
        })
    }

    /// Waits for what a front says to the first seat.
    ///
    /// # Errors
    /// EINTR: a handler of a signal has run.
    pub fn listen(&self, room: &mut Vec<u8>) -> Result<Said, Errno> {
        hear(self.seats[0].1.as_fd(), room, true)
    }

    /// Says this to the front.
    pub fn report(&self, report: Report) {
        report.send(self.results.1.as_fd());
    }
}

/// Descriptors for everything but seats: standard ones, listeners, what is watched, some clients.
const SPARE: usize = 24;

impl FrontLinks {
    /// Passes the request of a connection to a seat.
    ///
    /// # Errors
    /// It could not be passed.
    pub(super) fn pass(
        &self,
        seat: usize,
        id: u64,
        connection: &Connection,
        server: &Server,
    ) -> Result<(), Errno> {
        let (numbers, bytes) = connection.to_pass(server).ok_or(Errno::INVAL)?;
        let mut head = [0; HEAD_BYTES];
        let words = [REQUEST, id].into_iter().chain(numbers);
        for (place, word) in head.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        let to = &self.seats[seat];
        if bytes.len() <= INLINE_BYTES_MAX {
            return parcel::send(to, &[&head, bytes], &[connection.as_fd()], false);
        }
        let file = parcel::file_of(bytes)?;
        parcel::send(to, &[&head], &[connection.as_fd(), file.as_fd()], false)
    }

    /// Asks all seats who is there.
    pub(super) fn ask(&self) {
        self.say_to_all(ARE_YOU_THERE);
    }

    /// Says to a process at a seat that nothing more comes. A process that has taken its place meanwhile is not meant.
    pub(super) fn dismiss(&self, seat: usize, process: u32) {
        self.say(seat, [NO_MORE, u64::from(process)]);
    }

    /// The same to all.
    pub(super) fn dismiss_all(&self) {
        self.say_to_all(NO_MORE);
    }

    fn say_to_all(&self, what: u64) {
        (0..self.seats.len()).for_each(|seat| self.say(seat, [what, TO_ALL]));
    }

    fn say(&self, seat: usize, words: [u64; 2]) {
        let mut bytes = [0; 16];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        // There is room: a seat has one request at a time, and one that does not read is killed in the end.
        let _ = parcel::send(&self.seats[seat], &[&bytes], &[], false);
    }
}

impl SeatLinks {
    /// Hears what the front says.
    ///
    /// # Errors
    /// EINTR: a handler of a signal has run. EAGAIN: nothing was said, and it was not to wait.
    pub(super) fn hear(&self, room: &mut Vec<u8>, waits: bool) -> Result<Said, Errno> {
        hear(self.requests.as_fd(), room, waits)
    }

    pub(super) fn report(&self, report: Report) {
        report.send(self.results.as_fd());
    }
}

fn hear(from: BorrowedFd<'_>, room: &mut Vec<u8>, waits: bool) -> Result<Said, Errno> {
    room.resize(MESSAGE_BYTES_MAX, 0);
    let Parcel { bytes, descriptors } = parcel::receive(from, room, waits)?;
    if bytes == 0 {
        return Ok(Said::NoMore); // The other end is closed.
    }
    let words: Vec<u64> = words(&room[..bytes.min(HEAD_BYTES)]);
    Ok(match words[..] {
        [ARE_YOU_THERE, _] => Said::AreYouThere,
        [NO_MORE, to] if [TO_ALL, u64::from(process::id())].contains(&to) => Said::NoMore,
        [REQUEST, id, since, queued, arrived, body] => {
            let [socket, file] = descriptors;
            let content = match file {
                Some(file) => parcel::content(&file),
                None => Ok(room[HEAD_BYTES..bytes].to_vec()),
            };
            match (socket, content) {
                (Some(socket), Ok(content)) => Said::Request(Passed {
                    id,
                    socket,
                    numbers: [since, queued, arrived, body],
                    bytes: content,
                }),
                _ => Said::Lost(id),
            }
        }
        _ => Said::Nothing,
    })
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.chunks_exact(8).map(<[u8; 8]>::try_from);
    words.flatten().map(u64::from_ne_bytes).collect()
}

impl Report {
    fn send(self, to: BorrowedFd<'_>) {
        let words: [u64; 4] = match self {
            Report::Hello { seat } => [1, seat as u64, 0, 0],
            Report::Free { seat } => [2, seat as u64, 0, 0],
            Report::Computed { seat, id } => [3, seat as u64, id, 0],
            Report::Done { seat, id, end } => [4, seat as u64, id, end_as_word(end)],
            Report::Leaving { seat, process } => [5, seat as u64, u64::from(process), 0],
        };
        let mut bytes = [0; 32];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        if parcel::send(to, &[&bytes], &[], true).is_err() {
            process::exit_now(1); // All that could receive it have ended.
        }
    }

    /// The next report, if there is one.
    pub(super) fn receive(from: &OwnedFd) -> Option<Report> {
        loop {
            let mut room = [0; 32];
            let bytes = match parcel::receive(from, &mut room, false) {
                Ok(parcel) => parcel.bytes,
                Err(Errno::INTR) => continue,
                Err(_) => return None,
            };
            let [kind, seat, id, end] = words(&room[..bytes])[..] else {
                return None;
            };
            let seat = seat as usize;
            return match kind {
                1 => Some(Report::Hello { seat }),
                2 => Some(Report::Free { seat }),
                3 => Some(Report::Computed { seat, id }),
                4 => Some(Report::Done {
                    seat,
                    id,
                    end: word_as_end(end),
                }),
                5 => Some(Report::Leaving {
                    seat,
                    process: id as u32,
                }),
                _ => None,
            };
        }
    }
}

fn end_as_word(end: Option<End>) -> u64 {
    match end {
        Some(End::Persistent) => 0,
        Some(End::Closing) => 1,
        Some(End::Aborted) => 2,
        None => 3,
    }
}

fn word_as_end(word: u64) -> Option<End> {
    match word {
        0 => Some(End::Persistent),
        1 => Some(End::Closing),
        2 => Some(End::Aborted),
        _ => None,
    }
}
