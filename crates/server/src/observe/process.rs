//! What `/proc` tells of the processes of a server (`proc_pid_stat(5)`, `proc_pid_statm(5)`).

use std::fs;

/// Figures of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Of it and of the children that it has reaped, in ticks of the clock.
    pub(crate) cpu_ticks: u64,
    pub(crate) threads: u64,
    pub(crate) virtual_bytes: u64,
    pub(crate) resident_bytes: u64,
    /// Ticks after the boot of the machine.
    pub(crate) started_ticks: u64,
    pub(crate) parent: u32,
}

/// `None`: it has ended.
pub(crate) fn usage(id: u32) -> Option<Usage> {
    parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Usage> {
    // The name, in parentheses, may hold anything. The first field behind it is number 3.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Usage {
        cpu_ticks: field(14)? + field(15)? + field(16)? + field(17)?,
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * os::process::page_bytes(),
        started_ticks: field(22)?,
        parent: field(4)? as u32,
    })
}

/// How many descriptors it has open.
pub(crate) fn descriptors(id: u32) -> u64 {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, |all| all.count() as u64)
}

/// When the machine was booted, seconds since 1970.
pub(crate) fn boot_seconds() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a ) b) S 3 7 7 0 -1 4194560 1 0 0 0 10 20 30 40 20 0 5 0 999 8192 2 0";
        let usage = parse(stat).unwrap();
        assert_eq!((usage.parent, usage.cpu_ticks, usage.threads), (3, 100, 5));
        assert_eq!((usage.started_ticks, usage.virtual_bytes), (999, 8192));
        assert_eq!(usage.resident_bytes, 2 * os::process::page_bytes());
        assert_eq!(parse("7 (a"), None);
    }

    #[test]
    fn this_process_has_figures() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 0 && usage.threads > 0);
        assert!(descriptors(std::process::id()) > 0);
        assert!(boot_seconds().is_some_and(|seconds| seconds > 1_000_000_000));
    }
}
