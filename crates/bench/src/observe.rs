//! What is read from outside: child processes and their trees, the machine, the replies of a server.

pub mod benches;
pub mod client;
pub mod connections;
pub mod counter;
pub mod cpus;
pub mod environment;
pub mod interrupt;
pub mod listening;
pub mod machine;
pub mod measured;
pub mod others;
pub mod process;
pub mod slice;
pub mod stalls;
pub mod strace;
pub mod sys;
pub mod tree;
pub mod whoami;
