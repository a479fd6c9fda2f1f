//! The run itself: visits to fresh servers under load, and the record of what was measured.

pub mod call;
pub mod capacities;
pub mod capacity;
pub mod capacity_search;
pub mod contender;
pub mod execute;
pub mod generator;
pub mod keep;
pub mod memory;
pub mod null;
pub mod prepare;
pub mod probe;
pub mod profile;
pub mod progress;
pub mod readings;
pub mod record;
pub mod request;
pub mod server;
pub mod settings;
pub mod setup;
pub mod slice_generator;
pub mod slices;
pub mod standing;
pub mod tasks;
pub mod trial;
pub mod visit;
