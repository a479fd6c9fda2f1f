//! What will be measured, laid out before anything runs: scenarios, sizes, servers, their order.

pub mod advised;
pub mod calls;
pub mod catalogue;
pub mod contender;
pub mod contenders;
pub mod estimate;
pub mod layout;
pub mod own;
pub mod passes;
pub mod request;
pub mod rotation;
pub mod scenario;
pub mod scenarios;
pub mod search;
pub mod sequential;
pub mod size;
pub mod target;
pub mod visit;
pub mod words;
pub mod workers;
pub mod workload;
