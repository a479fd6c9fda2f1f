//! JSON by serde.

use serde::Serialize;
use serde::de::Deserialize;

use crate::{Request, Response};

impl<'a> Request<'a> {
    /// Reads the body as JSON. What can be borrowed from it is.
    ///
    /// # Errors
    /// It is no JSON, or not of this shape; the text says where.
    pub fn json<T: Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(self.body)
    }
}

impl Response<'_> {
    /// Sets the body to `value` as JSON. If it cannot be written as such, the reply is 500 without a word
    /// of it.
    pub fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> &mut Self {
        let body = self.content_type("application/json").body_buffer();
        body.clear();
        if serde_json::to_writer(&mut *body, value).is_err() {
            body.clear();
            self.status(500);
        }
        self
    }
}
