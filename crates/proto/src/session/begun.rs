//! A request whose reply is awaited, as its session keeps it.

use std::fmt;

use crate::response::Reply;
use crate::service::Pending;

/// A request that the service has begun to answer. Nothing of it is kept but what its reply depends on.
pub(super) struct Begun {
    pub(super) pending: Option<Pending>,
    pub(super) to: Reply,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").finish_non_exhaustive()
    }
}
