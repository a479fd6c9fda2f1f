//! The limits of the gates: `load` judges its own run by them, and `bench` each trial.

/// Least share of the scheduled requests that must have been sent.
pub const SENT_SHARE_MIN: f64 = 0.99;
/// Lateness of the generator that is always allowed, 99th percentile, µs.
pub const LATE_P99_US_MAX: f64 = 100.0;
/// Lateness of the generator that is allowed, as a share of the reported 99th percentile.
pub const LATE_SHARE_MAX: f64 = 0.05;
/// Share of its CPU above which a thread of the generator may be the limit itself.
pub const GENERATOR_CPU_SHARE_MAX: f64 = 0.85;
/// Share of the null server's throughput above which the generator may be the limit.
pub const NULL_SHARE_MAX: f64 = 0.70;
/// How far throughput times response may be from the requests in flight, as a share of them.
pub const LITTLE_GAP_MAX: f64 = 0.03;
/// Least share of their windows that merged runs must have in common.
pub const OVERLAP_SHARE_MIN: f64 = 0.95;
/// Time that the hypervisor may take, as a share of the window on the CPUs used.
pub const STEAL_SHARE_MAX: f64 = 0.01;
/// CPU time that others may use on the server's CPUs, or on the generator's, as a share of the window.
/// Of slices it is by how much more they may use, as a rule, while one server is loaded than while another
/// is.
pub const OTHERS_SHARE_MAX: f64 = 0.05;
/// The most that they may use in a single slice.
pub const OTHERS_SLICE_SHARE_MAX: f64 = 0.15;

/// Lateness allowed beside a reported 99th percentile, µs. An infinite percentile allows any.
pub fn late_us_max(response_p99_us: f64) -> f64 {
    LATE_P99_US_MAX.max(LATE_SHARE_MAX * response_p99_us)
}
