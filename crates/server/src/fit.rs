//! Whether what connections may hold fits into the memory of a container.

use proto::Limits;

/// Connections that are allowed at the least, however little memory there is.
const FEWEST: usize = 64;

/// Lowers the default bound of connections so far that the buffers of that many busy connections take at
/// most half of `memory`, the limit of the control group, in bytes. A bound that was asked for stays.
/// Returns a line if either does not fit.
///
/// A busy connection holds at most what it has received of a head, `input_bytes`, and a buffer of output,
/// `unsent_bytes_max`; an idle one holds neither. Bodies, threads and what the service needs come on top,
/// which is why it is half.
pub(crate) fn connections(limits: &mut Limits, memory: Option<u64>) -> Option<String> {
    let memory = memory?;
    let each = (limits.input_bytes + limits.unsent_bytes_max) as u64;
    let fitting = usize::try_from(memory / 2 / each).unwrap_or(usize::MAX);
    let fitting = fitting.max(FEWEST);
    let bound = limits.connections_max;
    if bound <= fitting {
        return None;
    }
    let (mib, kib) = (memory >> 20, each >> 10);
    if bound == Limits::default().connections_max {
        limits.connections_max = fitting;
        return Some(format!(
            "--connections-max is {fitting}: with {kib} KiB of buffers each, more busy connections would not fit into \
             half of the {mib} MiB of this control group"
        ));
    }
    Some(format!(
        "--connections-max {bound} is as asked, but with {kib} KiB of buffers each only {fitting} busy connections fit \
         into half of the {mib} MiB of this control group"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(connections_max: usize, memory: Option<u64>) -> (usize, Option<String>) {
        let mut limits = Limits {
            connections_max,
            ..Limits::default()
        };
        let line = connections(&mut limits, memory);
        (limits.connections_max, line)
    }

    #[test]
    fn the_default_is_lowered_and_what_was_asked_for_stays() {
        let default = Limits::default().connections_max;
        assert_eq!(with(default, None), (default, None));
        assert_eq!(with(default, Some(64 << 30)), (default, None));
        let (bound, line) = with(default, Some(512 << 20));
        assert_eq!(bound, 2_048);
        assert!(
            line.is_some_and(|line| line.starts_with("--connections-max is 2048: with 128 KiB"))
        );
        let (bound, line) = with(10_000, Some(512 << 20));
        assert_eq!(bound, 10_000);
        assert!(line.is_some_and(|line| line.contains("only 2048 busy connections fit")));
        assert_eq!(with(2_000, Some(512 << 20)), (2_000, None));
        assert_eq!(with(default, Some(1 << 20)).0, FEWEST);
    }
}
