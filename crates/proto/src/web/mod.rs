//! What a handler expects to find: query, forms, cookies, conditional requests, ranges, events, and what
//! goes with them. Nothing here runs unless a handler calls it.

pub(crate) mod auto_head;
pub(crate) mod conditions;
pub(crate) mod content;
pub(crate) mod cookies;
pub(crate) mod encodings;
pub(crate) mod events;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "json")]
mod json;
pub(crate) mod multipart;
pub(crate) mod pairs;
pub(crate) mod percent;
pub(crate) mod ranges;
mod redirect;
