//! Why bytes are not the replies that were asked for.

use crate::named::named;

named! {
    /// What is wrong with the bytes of a connection.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Why {
        /// They do not begin with `HTTP/1.`: another protocol, or the rest of an earlier reply.
        NotHttp = "not_http",
        /// The status line has no status of three digits.
        StatusLine = "status_line",
        /// A line of the head is no field.
        Field = "field",
        /// The head is longer than is taken.
        HeadTooLong = "head_too_long",
        /// `Content-Length` is no number, or there are several.
        ContentLength = "content_length",
        /// `Transfer-Encoding` names a coding that was not asked for.
        TransferCoding = "transfer_coding",
        /// `Content-Length` and `Transfer-Encoding` contradict each other.
        LengthAndCoding = "length_and_coding",
        /// The framing of a chunked body is broken.
        Chunk = "chunk",
        /// There are bytes behind the end of a reply, and no request that they could answer.
        ExtraBytes = "extra_bytes",
    }
}

impl Why {
    /// The reason of that name, for people.
    pub(crate) fn words(name: &str) -> &str {
        let known = Self::ALL.into_iter().find(|why| why.name() == name);
        known.map_or(name, |why| match why {
            Self::NotHttp => "no HTTP/1.x where a reply should begin",
            Self::StatusLine => "a status line without a status of three digits",
            Self::Field => "a line of the head that is no field",
            Self::HeadTooLong => "a head longer than 64 KiB",
            Self::ContentLength => "a Content-Length that is no number, or several",
            Self::TransferCoding => "a Transfer-Encoding other than chunked",
            Self::LengthAndCoding => "both Content-Length and Transfer-Encoding",
            Self::Chunk => "broken framing of a chunked body",
            Self::ExtraBytes => "bytes behind the end of the reply",
        })
    }
}

impl From<httparse::Error> for Why {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::Version => Self::NotHttp,
            httparse::Error::Status => Self::StatusLine,
            // As many as fit into the longest head are taken.
            httparse::Error::TooManyHeaders => Self::HeadTooLong,
            httparse::Error::HeaderName
            | httparse::Error::HeaderValue
            | httparse::Error::NewLine
            | httparse::Error::Token => Self::Field,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_where_their_names_say() {
        for (index, why) in Why::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, index);
            assert_ne!(Why::words(why.name()), why.name());
        }
    }
}
