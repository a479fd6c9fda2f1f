//! The models that a refusal names as alternatives. `scripts/models` writes them from what the models say of
//! their workers: this crate knows no model, and a program may have linked but one.

/// The first variant of each model on which a service may wait in its call.
// MAY_WAIT
pub const MAY_WAIT: &str = "iterative, fork-per-client, prefork, thread-per-client, thread-pool, reactor-pool, multi-reactor:pool, leader-follower, async-tasks";
// /MAY_WAIT

/// The models whose workers are one process.
// ONE_PROCESS
pub const ONE_PROCESS: &str = "iterative, thread-per-client, thread-pool, single-reactor, reactor-pool, multi-reactor, leader-follower, proactor, signal-driven, async-tasks";
// /ONE_PROCESS
