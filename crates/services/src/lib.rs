//! The workloads of the bench as Services.
