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

// What a service needs.
#[doc(inline)]
pub use server::{
    Address, Limits, Method, Nature, Place, Protocol, Request, Response, ServeArgs, Service, main,
    main_with, serve, serve_with, unusable,
};
#[cfg(feature = "files")]
#[doc(inline)]
pub use services::Files;
// What a model needs.
#[doc(inline)]
pub use server::{
    Accepted, Backoff, Block, Board, Children, Connection, Count, Drain, Error, Holds, Listener,
    Listeners, Model, Need, Needs, OnDeadline, Phase, Result, Roles, Server, ServingChild,
    Shutdown, ThreadSlot, ThreadSlots, Threads, Variant, Worker, Workers, log,
};

/// The models, one crate each, under the names of the features that bring them.
pub mod models {
    macro_rules! models {
        ($($feature:literal $model:ident),* $(,)?) => {
            $(#[cfg(feature = $feature)] pub use $model;)*

            /// All of them, in the order of the literature: one client at a time, processes,
            /// threads, loops.
            pub const ALL: &[&server::Model] = &[$(#[cfg(feature = $feature)] &$model::MODEL),*];
        };
    }

    models! {
        "iterative" iterative,
        "fork-per-client" fork_per_client,
        "prefork" prefork,
        "thread-per-client" thread_per_client,
        "thread-pool" thread_pool,
        "single-reactor" single_reactor,
        "reactor-pool" reactor_pool,
        "multi-reactor" multi_reactor,
        "leader-follower" leader_follower,
        "proactor" proactor,
        "signal-driven" signal_driven,
        "async-tasks" async_tasks,
    }

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
