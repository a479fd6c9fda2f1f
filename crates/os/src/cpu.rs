//! On which CPUs this process may run.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// How many CPUs this process may use; at least 1: those that its affinity names (`sched_getaffinity(2)`),
/// or fewer if the quota of its cgroup, version 1 or 2, is worth fewer.
pub fn allowed() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Confines this thread, and all processes and threads that it starts later, to `cpus`.
///
/// # Errors
/// EINVAL: none of them exists or is allowed.
pub fn confine(cpus: &[usize]) -> rustix::io::Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu));
    sched_setaffinity(None::<Pid>, &set)
}

/// Parses a list such as `0`, `0,2` or `4-7,9`. `None`: it has another form, or a number above 1023.
pub fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= CpuSet::MAX_CPU {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(parse_list("0"), Some(vec![0]));
        assert_eq!(parse_list("0,2-4"), Some(vec![0, 2, 3, 4]));
        for bad in ["", "a", "1-", "3-1", "0,,1", "99999"] {
            assert_eq!(parse_list(bad), None, "{bad}");
        }
    }
}
