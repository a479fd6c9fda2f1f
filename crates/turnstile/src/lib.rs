//! Every Linux server concurrency model, measured side by side, and ready to run your service.
//!
//! The library face: write a [`Service`], pick a model, serve.
//!
//! ```no_run
//! use turnstile::{Request, Response};
//!
//! fn hello(request: &Request<'_>, response: &mut Response<'_>) {
//!     response.content_type("text/plain").body(request.path.as_bytes());
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     turnstile::main(&turnstile::models::prefork::MODEL, &hello)
//! }
//! ```
//!
//! The program takes the flags of `turnstile serve`.

#![forbid(unsafe_code)]

pub use server::{
    Limits, Method, Model, Nature, Place, Request, Response, Roles, Service, Variant, main,
};

/// The models, one crate each.
pub mod models {
    pub use {
        async_tasks, fork_per_client, iterative, leader_follower, multi_reactor, prefork, proactor,
        reactor_pool, signal_driven, single_reactor, thread_per_client, thread_pool,
    };

    /// All of them, in the order of the literature: one client at a time, processes, threads,
    /// loops.
    pub const ALL: &[&server::Model] = &[
        &iterative::MODEL,
        &fork_per_client::MODEL,
        &prefork::MODEL,
        &thread_per_client::MODEL,
        &thread_pool::MODEL,
        &single_reactor::MODEL,
        &reactor_pool::MODEL,
        &multi_reactor::MODEL,
        &leader_follower::MODEL,
        &proactor::MODEL,
        &signal_driven::MODEL,
        &async_tasks::MODEL,
    ];

    /// The model called `name`, or a line that says which there are.
    pub fn named(name: &str) -> Result<&'static server::Model, String> {
        ALL.iter()
            .copied()
            .find(|model| model.name == name)
            .ok_or_else(|| {
                let known: Vec<_> = ALL.iter().map(|model| model.name).collect();
                format!("there is no model {name:?}; there are {}", known.join(", "))
            })
    }
}
