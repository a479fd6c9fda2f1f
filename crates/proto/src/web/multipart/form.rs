//! What a form is made of, its bounds, and what may be wrong with it.

use std::fmt;
use std::io;

/// Bounds of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormLimits {
    /// Most parts.
    pub parts_max: usize,
    /// Largest head of a part, bytes. The preamble, which clients leave empty, is bounded by it, too.
    pub head_bytes_max: usize,
    /// Longest name of a field or a file, bytes.
    pub name_bytes_max: usize,
}

impl Default for FormLimits {
    fn default() -> FormLimits {
        FormLimits {
            parts_max: 100,
            head_bytes_max: 4 << 10,
            name_bytes_max: 256,
        }
    }
}

/// What a form is made of, in order: each part, its data in any number of pieces, and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormEvent<'a> {
    /// A part begins.
    Part(&'a FormPart),
    /// The next bytes of its content, at least one.
    Data(&'a [u8]),
    /// Its content is complete.
    End,
}

/// The head of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormPart {
    /// Name of the field.
    pub name: String,
    /// Name of the file, as the client says. It may be a path, or anything else: do not open a file of this
    /// name.
    pub file_name: Option<String>,
    /// Its media type, as the client says; for a part without one it is text.
    pub content_type: Option<String>,
}

/// The parts of a form in memory, each with its content.
pub type FormParts<'a> = Vec<(FormPart, &'a [u8])>;

/// Why a form cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormError {
    /// It breaks a rule of its syntax, or could be read in two ways.
    Malformed,
    /// The body ended before the form did.
    Incomplete,
    /// A content is encoded in a way that forms no longer are (RFC 7578 section 4.7).
    Encoded,
    /// More parts than [`FormLimits::parts_max`].
    TooManyParts,
    /// A head beyond [`FormLimits::head_bytes_max`], or a name beyond [`FormLimits::name_bytes_max`].
    TooLong,
}

impl FormError {
    /// The status with which to refuse the request: 400 or 413.
    pub fn status(self) -> u16 {
        match self {
            FormError::Malformed | FormError::Incomplete | FormError::Encoded => 400,
            FormError::TooManyParts | FormError::TooLong => 413,
        }
    }
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FormError::Malformed => "the form is malformed",
            FormError::Incomplete => "the form is incomplete",
            FormError::Encoded => "a part of the form is encoded",
            FormError::TooManyParts => "the form has too many parts",
            FormError::TooLong => "the form has too long a head or name",
        })
    }
}

impl std::error::Error for FormError {}

/// Of a kind with which a [`Sink`](crate::Sink) has the request refused with [`FormError::status`].
impl From<FormError> for io::Error {
    fn from(error: FormError) -> io::Error {
        let kind = match error.status() {
            413 => io::ErrorKind::FileTooLarge,
            _ => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}
