//! What one tool writes and another reads: the fields of every file, the reasons why a figure may
//! not be believed, and the limits of the gates, each in one place.
//!
//! `load` writes its result, `bench` reads it and writes trials, `report` reads those. What they
//! tell each other is data: a code, a number, whom it is about. A sentence is only ever printed.

#![forbid(unsafe_code)]

pub mod digest;
pub mod duration;
pub mod envelope;
pub mod gates;
mod legacy;
pub mod load;
pub mod out;
pub mod profile;
pub mod random;
pub mod reason;
pub mod reasons;
pub mod slice;

pub use reason::{About, Code, Effect, Reason};
pub use reasons::Reasons;
pub use slice::{Figure, Measured};
