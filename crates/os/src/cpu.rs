//! On which CPUs this process may run.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// On how many CPUs this process may run (`sched_getaffinity(2)`); at least 1.
pub fn allowed() -> usize {
    sched_getaffinity(None).map_or(1, |set| set.count().max(1) as usize)
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
