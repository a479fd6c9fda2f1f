//! What is read from outside: child processes, their trees, the machine, the replies of a server.

pub mod answer;
pub mod calls;
pub mod client;
pub mod cpus;
pub mod environment;
pub mod held;
pub mod interrupt;
pub mod machine;
pub mod process;
pub mod sys;
pub mod tree;
