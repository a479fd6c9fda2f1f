//! The bytes of a plan's requests.

use crate::plan::Plan;

impl Plan {
    /// The bytes of one request of a run without a mix.
    pub fn request(&self) -> Vec<u8> {
        if let Some(bytes) = self.unp_bytes {
            return format!("{bytes}\n").into_bytes();
        }
        let path = self.target.path();
        self.request_for(&self.method, path, self.new_connection)
    }

    /// The bytes of one request that keeps its connection open.
    pub(crate) fn lasting_request(&self) -> Vec<u8> {
        if self.unp_bytes.is_some() {
            return self.request();
        }
        if let Some(first) = self.script.as_ref().and_then(|script| script.bytes.first()) {
            return first.clone();
        }
        let Some(kind) = self.requests.first() else {
            return self.request_for(&self.method, self.target.path(), false);
        };
        let path = kind.path_with(0);
        self.request_for(&kind.method, &path, false)
    }

    pub(crate) fn request_for(&self, method: &str, path: &str, close: bool) -> Vec<u8> {
        let mut request = format!("{method} {path}").into_bytes();
        request.extend(self.after_path(method, close));
        request
    }

    /// Whether a header of that name is given.
    pub(crate) fn has_header(&self, name: &str) -> bool {
        let mut names = self
            .headers
            .iter()
            .filter_map(|line| line.split(':').next());
        names.any(|given| given.eq_ignore_ascii_case(name))
    }

    /// The bytes of a request behind its path.
    pub(crate) fn after_path(&self, method: &str, close: bool) -> Vec<u8> {
        let mut head = " HTTP/1.1\r\n".to_owned();
        if !self.has_header("host") {
            head += &format!("Host: {}\r\n", self.target.host());
        }
        if close {
            head += "Connection: close\r\n";
        }
        let carries = matches!(method, "POST" | "PUT" | "PATCH");
        // Without a mix the only method was given together with the body, whatever method it is.
        let has_body = carries || self.requests.is_empty();
        let given_body = self.body.as_deref().filter(|_| has_body);
        let body_bytes = match given_body {
            Some(body) => body.len(),
            None if has_body => self.body_bytes,
            None => 0,
        };
        if body_bytes > 0 || carries {
            head += &format!("Content-Length: {body_bytes}\r\n");
        }
        for line in &self.headers {
            head += line;
            head += "\r\n";
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        if let Some(body) = given_body {
            bytes.extend_from_slice(body);
            return bytes;
        }
        // Different letters, so that a reply that echoes shifted bytes is found to be wrong.
        bytes.extend((0..body_bytes).map(|i| b'a' + (i % 26) as u8));
        bytes
    }
}
