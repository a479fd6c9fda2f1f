//! Everything that can become of a request other than a correct reply.

use rustix::io::Errno;

use crate::named::named;

named! {
    /// The outcome of a request that was not answered correctly. Each scheduled request ends either
    /// with a correct reply or in exactly one of these.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum ErrorClass {
        /// The peer refused the connection.
        Refused = "refused",
        /// The connection was not established within the time-out.
        ConnectTimeout = "connect_timeout",
        /// No local port was left (`EADDRNOTAVAIL`).
        AddressUnavailable = "address_unavailable",
        /// The generator ran out of descriptors or socket memory.
        DescriptorLimit = "descriptor_limit",
        /// The peer reset the connection with the request unanswered.
        Reset = "reset",
        /// The peer closed the connection before the reply was whole.
        EarlyEnd = "early_end",
        /// The request could not be written.
        WriteError = "write_error",
        /// No complete reply within the time-out.
        Timeout = "timeout",
        /// The reply is not HTTP/1.x.
        Malformed = "malformed",
        /// The reply's body is not the expected one.
        WrongBody = "wrong_body",
        /// The reply's status is not the expected one.
        Status = "status",
        /// The server shed the request: status 503.
        Shed = "shed",
        /// Still unanswered when the drain at the end of the run was over.
        Censored = "censored",
    }
}

impl ErrorClass {
    /// The class of a failed `socket` or `connect`.
    pub(crate) fn of_connect(errno: Errno) -> Self {
        match errno {
            Errno::TIMEDOUT => Self::ConnectTimeout,
            Errno::ADDRNOTAVAIL => Self::AddressUnavailable,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => Self::DescriptorLimit,
            Errno::CONNRESET => Self::Reset,
            // ECONNREFUSED, a Unix socket's ENOENT and EAGAIN (full backlog), EHOSTUNREACH: all
            // say that no process accepted the connection.
            _ => Self::Refused,
        }
    }

    /// The class of a failed `send`.
    pub(crate) fn of_send(errno: Errno) -> Self {
        match errno {
            Errno::CONNRESET => Self::Reset,
            _ => Self::WriteError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_counted_where_their_names_say() {
        for (index, class) in ErrorClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index, "{}", class.name());
        }
    }

    #[test]
    fn each_error_of_the_kernel_has_its_class() {
        for (errno, class) in [
            (Errno::CONNREFUSED, ErrorClass::Refused),
            (Errno::NOENT, ErrorClass::Refused),
            (Errno::TIMEDOUT, ErrorClass::ConnectTimeout),
            (Errno::ADDRNOTAVAIL, ErrorClass::AddressUnavailable),
            (Errno::MFILE, ErrorClass::DescriptorLimit),
            (Errno::NFILE, ErrorClass::DescriptorLimit),
            (Errno::CONNRESET, ErrorClass::Reset),
        ] {
            assert_eq!(ErrorClass::of_connect(errno), class, "{errno:?}");
        }
        assert_eq!(ErrorClass::of_send(Errno::CONNRESET), ErrorClass::Reset);
        assert_eq!(ErrorClass::of_send(Errno::PIPE), ErrorClass::WriteError);
    }
}
