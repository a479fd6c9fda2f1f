//! Cookies (RFC 6265): those of a request, and those that a response sets.

use std::fmt::{self, Write};

use crate::{Request, Response};

impl<'a> Request<'a> {
    /// The cookies of the request, as name and value. A value is as it was sent, without the quotes around
    /// it. Pairs that are no text are passed over.
    pub fn cookies(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.fields()
            .filter(|(name, _)| name.eq_ignore_ascii_case("cookie"))
            .filter_map(|(_, value)| str::from_utf8(value).ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                let value = value.trim();
                let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                Some((name.trim(), bare.unwrap_or(value)))
            })
    }

    /// Value of the first cookie called `name`.
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        self.cookies()
            .find_map(|(found, value)| (found == name).then_some(value))
    }
}

/// To which requests from other sites a browser adds a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// None.
    Strict,
    /// Those that navigate to this site.
    Lax,
    /// All; browsers then demand [`Cookie::secure`].
    None,
}

/// A cookie to be set. As made by [`Cookie::new`], it is for the whole site, out of reach of scripts
/// (`HttpOnly`), not sent with requests that other sites make (`SameSite=Lax`), and ends with the browser's
/// session.
#[derive(Debug, Clone, Copy)]
pub struct Cookie<'c> {
    /// Its name, a token.
    pub name: &'c str,
    /// Its value: visible ASCII but `"`, `,`, `;` and `\`.
    pub value: &'c str,
    /// Below which path it is sent.
    pub path: &'c str,
    /// How long the browser keeps it, seconds; 0 deletes it, `None` keeps it as long as the session.
    pub max_age_s: Option<u64>,
    /// Whether it is only sent over TLS.
    pub secure: bool,
    /// Whether it is out of reach of scripts.
    pub http_only: bool,
    /// See [`SameSite`].
    pub same_site: SameSite,
}

impl<'c> Cookie<'c> {
    /// A cookie with careful attributes.
    pub fn new(name: &'c str, value: &'c str) -> Cookie<'c> {
        Cookie {
            name,
            value,
            path: "/",
            max_age_s: None,
            secure: false,
            http_only: true,
            same_site: SameSite::Lax,
        }
    }
}

impl fmt::Display for Cookie<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}; Path={}", self.name, self.value, self.path)?;
        if let Some(seconds) = self.max_age_s {
            write!(f, "; Max-Age={seconds}")?;
        }
        if self.secure {
            f.write_str("; Secure")?;
        }
        if self.http_only {
            f.write_str("; HttpOnly")?;
        }
        write!(f, "; SameSite={:?}", self.same_site)
    }
}

/// A cookie that cannot be set, since a part of it has bytes that would be read as something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCookie;

impl fmt::Display for InvalidCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cookie has bytes that its syntax does not allow")
    }
}

impl std::error::Error for InvalidCookie {}

impl Response<'_> {
    /// Sets a cookie.
    ///
    /// # Errors
    /// Its name, value or path has bytes that RFC 6265 section 4.1.1 does not allow, which what users type
    /// often has: encode it. Nothing is set then.
    pub fn set_cookie(&mut self, cookie: &Cookie<'_>) -> Result<&mut Self, InvalidCookie> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
        let path = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';';
        let valid = !cookie.name.is_empty()
            && cookie.name.bytes().all(token)
            && cookie.value.bytes().all(plain)
            && cookie.path.bytes().all(path);
        if !valid {
            return Err(InvalidCookie);
        }
        let mut text = String::with_capacity(128);
        // Writing to memory cannot fail.
        let _ = write!(text, "{cookie}");
        Ok(self.field("Set-Cookie", &text))
    }
}
