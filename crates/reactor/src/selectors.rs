//! Five ways to learn which descriptors are ready.
//!
//! | selector | the set is kept by | a wait costs | it reports |
//! |---|---|---|---|
//! | [`Epoll`] | the kernel | what is ready | states |
//! | [`EpollEdge`] | the kernel | what is ready | changes |
//! | [`Poll`] | the loop | what is watched, copied in and out | states |
//! | [`Select`] | the loop, descriptor numbers below 1024 | three bits per number | states |
//! | [`Busy`] | the loop | nothing: it does not wait | that anything may be |

mod busy;
mod dense;
mod epoll;
mod epoll_edge;
mod poll;
mod select;
mod shared;
#[cfg(test)]
mod tests;

pub use busy::Busy;
pub use epoll::{Epoll, Events, ready};
pub use epoll_edge::EpollEdge;
pub use poll::Poll;
pub use select::Select;
