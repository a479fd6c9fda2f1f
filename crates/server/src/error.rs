//! Why a server cannot be set up, or cannot go on.

/// Any error, and any text: `?` takes both. It ends as one line for a person.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What the `run` of a model returns, and what it is made of.
pub type Result<T = ()> = std::result::Result<T, Error>;
