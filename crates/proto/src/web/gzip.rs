//! Compression on request.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::{Request, Response};

/// Bodies below this size are sent as they are: the coding and its field would eat up what it saves.
const GZIP_BYTES_MIN: usize = 256;

impl Response<'_> {
    /// Compresses the body that was written so far, if the client has asked for gzip and it becomes
    /// smaller. To be called last. The worker compresses during the call, and allocates.
    ///
    /// A resource whose tag is strong must have another one in this coding (RFC 9110 section 8.8.3.3).
    pub fn gzip(&mut self, request: &Request<'_>) -> &mut Self {
        self.field("Vary", "Accept-Encoding");
        if !request.accepts_encoding("gzip") || self.written().len() < GZIP_BYTES_MIN {
            return self;
        }
        let body = self.written();
        let room = Vec::with_capacity(body.len() / 2);
        let mut encoder = GzEncoder::new(room, Compression::fast());
        // Writing to memory cannot fail.
        let encoded = encoder.write_all(body).and_then(|()| encoder.finish());
        match encoded {
            Ok(encoded) if encoded.len() < body.len() => {
                *self.body_buffer() = encoded;
                self.field("Content-Encoding", "gzip")
            }
            _ => self,
        }
    }
}
