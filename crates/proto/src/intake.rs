//! Request bodies beyond the limit of memory: refused, or taken as the service says.

use std::any::Any;
use std::fmt;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::upload::{Begun, Framing, Upload};

/// What becomes of a request body that is larger than [`body_bytes_max`](crate::Limits::body_bytes_max),
/// by the word of [`Service::intake`](crate::Service::intake).
pub enum Intake {
    /// It is refused with 413, before it is received.
    Refuse,
    /// Up to so many bytes are kept in memory, and the service gets them as
    /// [`Request::body`](crate::Request::body). A larger one is refused with 413.
    Memory(u64),
    /// Up to so many bytes are given to the sink as they arrive. A larger one is refused with 413. Once it
    /// is complete the service is called, with an empty body, and finds the sink in
    /// [`Request::take_sink`](crate::Request::take_sink).
    Pieces(Box<dyn Sink>, u64),
    /// The service is called at once, and receives the body itself, up to so many bytes of it, by
    /// [`Request::take_upload`](crate::Request::take_upload). A larger one is refused with 413, and so is any
    /// where the call must not wait; see [`Service::receives`](crate::Service::receives).
    Upload(u64),
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Intake::Refuse => f.write_str("Refuse"),
            Intake::Memory(bytes_max) => write!(f, "Memory({bytes_max})"),
            Intake::Pieces(_, bytes_max) => write!(f, "Pieces({bytes_max})"),
            Intake::Upload(bytes_max) => write!(f, "Upload({bytes_max})"),
        }
    }
}

/// Takes a request body in pieces. If the client breaks off, or is refused, it is dropped, and the service
/// is not called.
pub trait Sink: Any + Send {
    /// Takes the next piece. It is called by the worker that receives; what it waits for inside the call,
    /// that worker waits for.
    ///
    /// # Errors
    /// The body cannot be taken. The request is refused with 507 if storage is full, with 400 if the client has
    /// sent what it must not ([`InvalidInput`](ErrorKind::InvalidInput)), with 413 if that is too large
    /// ([`FileTooLarge`](ErrorKind::FileTooLarge)), and else with 500, as it is on a panic.
    fn take(&mut self, piece: &[u8]) -> io::Result<()>;

    /// Whether it has no room for the next piece. Asked after each piece; meanwhile nothing more is read
    /// of the connection, and it is asked again after a pause of 1 to 8 ms.
    fn is_full(&self) -> bool {
        false
    }

    /// Whether the rest of the body is of no use, since the reply is known. Asked before the first piece of a
    /// body of known length, and after each piece. Then the service is called at once, what the client still sends is dropped, and the connection ends with
    /// the reply.
    fn has_enough(&self) -> bool {
        false
    }
}

/// The sink of a request, or the body that is to be received, until the service takes it out.
pub(crate) struct Filled {
    sink: Mutex<Option<Box<dyn Sink>>>,
    upload: Mutex<Option<Upload>>,
}

impl Filled {
    pub(crate) fn new(sink: Option<Box<dyn Sink>>) -> Filled {
        Filled {
            sink: Mutex::new(sink),
            upload: Mutex::new(None),
        }
    }

    pub(crate) fn receiving(upload: Upload) -> Filled {
        Filled {
            sink: Mutex::new(None),
            upload: Mutex::new(Some(upload)),
        }
    }

    /// Whether the body is received inside the call, and was not taken yet.
    pub(crate) fn has_upload(&self) -> bool {
        let room = self.upload.lock().unwrap_or_else(PoisonError::into_inner);
        room.is_some()
    }

    pub(crate) fn take_upload(&self) -> Option<Upload> {
        let mut room = self.upload.lock().unwrap_or_else(PoisonError::into_inner);
        room.take()
    }

    /// Takes the sink out, if it is an `S`.
    pub(crate) fn take<S: Sink>(&self) -> Option<Box<S>> {
        let mut room = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let sink: Box<dyn Any> = room.take_if(|sink| {
            let sink: &dyn Any = &**sink;
            sink.is::<S>()
        })?;
        sink.downcast().ok()
    }
}

impl fmt::Debug for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filled")
    }
}

/// A body that is being taken. Its head is in a buffer of its own, and so is the body if there is no sink.
pub(crate) struct Taking {
    pub(crate) sink: Option<Box<dyn Sink>>,
    /// The service receives it inside its call. Then the rest of this is of no meaning.
    pub(crate) upload: Option<Begun>,
    pub(crate) framing: Framing,
    pub(crate) head_bytes: usize,
    pub(crate) bytes_max: u64,
    /// Bytes received since the deadline was set.
    pub(crate) since_deadline: usize,
    /// The sink has no room, and is asked again after this pause.
    pub(crate) full: Option<Duration>,
}

/// What a sink says after a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    More,
    Full,
    Enough,
}

/// Pauses between two questions whether there is room.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(8);

impl Taking {
    /// Whether the body is in memory.
    pub(crate) fn is_kept(&self) -> bool {
        self.sink.is_none() && self.upload.is_none()
    }

    /// Gives a piece to the sink, or keeps it behind the head.
    ///
    /// # Errors
    /// The status with which to refuse the request.
    pub(crate) fn give(&mut self, piece: &[u8], kept: &mut Vec<u8>) -> Result<Given, u16> {
        let Some(sink) = &mut self.sink else {
            kept.extend_from_slice(piece);
            return Ok(Given::More);
        };
        if piece.is_empty() {
            return Ok(Given::More);
        }
        let given = catch_unwind(AssertUnwindSafe(|| {
            sink.take(piece)?;
            Ok(match (sink.has_enough(), sink.is_full()) {
                (true, _) => Given::Enough,
                (false, true) => Given::Full,
                (false, false) => Given::More,
            })
        }));
        match given {
            Ok(Ok(given)) => {
                self.full = (given == Given::Full).then_some(PAUSE_MIN);
                Ok(given)
            }
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => Err(500),
        }
    }

    /// Whether a sink wants nothing, since the reply is known from the head.
    ///
    /// # Errors
    /// The status with which to refuse the request.
    pub(crate) fn has_enough(&self) -> Result<bool, u16> {
        let Some(sink) = &self.sink else {
            return Ok(false);
        };
        catch_unwind(AssertUnwindSafe(|| sink.has_enough())).map_err(|_| 500)
    }

    /// Asks a sink that had no room whether it has some.
    ///
    /// # Errors
    /// The status with which to refuse the request.
    pub(crate) fn ask(&mut self) -> Result<Given, u16> {
        let (Some(sink), Some(pause)) = (&self.sink, self.full) else {
            return Ok(Given::More);
        };
        let asked = catch_unwind(AssertUnwindSafe(|| (sink.has_enough(), sink.is_full())));
        match asked {
            Ok((true, _)) => Ok(Given::Enough),
            Ok((false, true)) => {
                self.full = Some((pause * 2).min(PAUSE_MAX));
                Ok(Given::Full)
            }
            Ok((false, false)) => {
                self.full = None;
                Ok(Given::More)
            }
            Err(_) => Err(500),
        }
    }
}

fn refusal(error: &io::Error) -> u16 {
    match error.kind() {
        ErrorKind::StorageFull => 507,
        ErrorKind::InvalidInput => 400,
        ErrorKind::FileTooLarge => 413,
        _ => 500,
    }
}

impl fmt::Debug for Taking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taking")
            .field("framing", &self.framing)
            .finish_non_exhaustive()
    }
}
