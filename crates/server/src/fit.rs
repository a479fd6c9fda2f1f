//! Whether what connections may hold fits into the memory of a container, and whether threads fit into a
//! process.

use proto::Limits;

/// Connections that are allowed at the least, however little memory there is.
const FEWEST: usize = 64;

/// Lowers the default bound of connections so far that the buffers of that many busy connections take at
/// most half of `memory`, the limit of the control group, in bytes. A bound that was `asked` for stays, and so
/// does one that is not the default. Returns a line if either does not fit.
///
/// A busy connection holds at most what it has received of a head, `input_bytes`, and a buffer of output,
/// `unsent_bytes_max`; an idle one holds neither. Bodies, threads and what the service needs come on top,
/// which is why it is half.
pub(crate) fn connections(limits: &mut Limits, asked: bool, memory: Option<u64>) -> Option<String> {
    let memory = memory?;
    let each = limits.input_bytes.saturating_add(limits.unsent_bytes_max) as u64;
    let fitting = usize::try_from(memory / 2 / each).unwrap_or(usize::MAX);
    let fitting = fitting.max(FEWEST);
    let bound = limits.connections_max;
    if bound <= fitting {
        return None;
    }
    let (mib, kib) = (memory >> 20, each >> 10);
    if !asked && bound == Limits::default().connections_max {
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

/// Mappings of a thread: its stack and its signal stack, each with a guard page.
const MAPPINGS_EACH: u64 = 4;
/// Mappings that are left for everything else of a process.
const MAPPINGS_LEFT: u64 = 1_024;

/// Whether a process can start so many threads where it may have `mappings` mappings (`vm.max_map_count`). A thread
/// that cannot map its signal stack ends the process.
pub(crate) fn threads(count: usize, mappings: Option<u64>) -> Result<(), String> {
    let Some(mappings) = mappings else {
        return Ok(());
    };
    let most = mappings.saturating_sub(MAPPINGS_LEFT) / MAPPINGS_EACH;
    if count as u64 <= most.max(1) {
        return Ok(());
    }
    Err(format!(
        "{count} threads cannot be had, {most} at most: each takes {MAPPINGS_EACH} mappings, and vm.max_map_count is {mappings}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(connections_max: usize, memory: Option<u64>) -> (usize, Option<String>) {
        bounded(connections_max, false, memory)
    }

    fn bounded(
        connections_max: usize,
        asked: bool,
        memory: Option<u64>,
    ) -> (usize, Option<String>) {
        let mut limits = Limits {
            connections_max,
            ..Limits::default()
        };
        let line = connections(&mut limits, asked, memory);
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
        // The default, but asked for.
        let (bound, line) = bounded(default, true, Some(512 << 20));
        assert_eq!(bound, default);
        assert!(line.is_some_and(|line| line.contains("is as asked")));
    }

    #[test]
    fn threads_fit_as_long_as_mappings_do() {
        assert_eq!(threads(1_000_000, None), Ok(()));
        assert_eq!(threads(16_126, Some(65_530)), Ok(()));
        assert_eq!(threads(1, Some(0)), Ok(()));
        let refused = threads(16_127, Some(65_530));
        assert!(refused.is_err_and(|line| line.contains("16126 at most")));
    }
}
