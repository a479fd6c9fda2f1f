//! Processes from outside: signals, and what `/proc` tells.

use std::path::Path;
use std::time::Duration;

pub use rustix::process::Signal;

/// A line of `/proc/PID/stat` (`proc_pid_stat(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    parent: u32,
    /// `R`unning, `S`leeping, `Z`ombie and so on.
    pub state: char,
    /// CPU time used, with that of children that have ended, in ticks of the clock.
    ticks: u64,
    /// When it was started, in ticks of the clock since the machine was.
    started: u64,
}

fn read(pid: u32) -> Option<Process> {
    parse(pid, Path::new(&format!("/proc/{pid}")))
}

fn parse(pid: u32, folder: &Path) -> Option<Process> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some(Process {
        pid,
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        ticks: {
            let times = fields.by_ref().skip(9).take(4).map(str::parse::<u64>);
            times.sum::<Result<u64, _>>().ok()?
        },
        started: fields.nth(4)?.parse().ok()?,
    })
}

/// A process, if it lives, and after it all that descend from it, children in the order of their start: numbers of
/// processes begin again at the lowest.
pub fn family(pid: u32) -> Vec<Process> {
    let mut all: Vec<_> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?))
        .collect();
    all.sort_by_key(|one| (one.started, one.pid));
    let mut family: Vec<_> = all.iter().filter(|one| one.pid == pid).cloned().collect();
    let mut at = 0;
    while let Some(parent) = family.get(at).map(|one| one.pid) {
        family.extend(all.iter().filter(|one| one.parent == parent).cloned());
        at += 1;
    }
    family
}

/// Its children that live.
pub fn children(pid: u32) -> Vec<u32> {
    let family = family(pid).into_iter().skip(1);
    family
        .filter(|child| child.state != 'Z')
        .map(|child| child.pid)
        .collect()
}

/// Its children that have ended and were not reaped.
pub fn zombies(pid: u32) -> usize {
    family(pid)
        .iter()
        .skip(1)
        .filter(|child| child.state == 'Z')
        .count()
}

/// Whether every thread of it and its descendants sleeps in a system call.
pub fn is_at_rest(pid: u32) -> bool {
    family(pid).iter().all(|one| {
        let threads = std::fs::read_dir(format!("/proc/{}/task", one.pid));
        let mut threads = threads.into_iter().flatten().flatten();
        threads.all(|thread| parse(one.pid, &thread.path()).is_some_and(|one| one.state == 'S'))
    })
}

/// How often threads of it and its descendants have gone to sleep by themselves.
pub fn switches(pid: u32) -> u64 {
    let tasks = family(pid).into_iter().flat_map(|one| {
        let threads = std::fs::read_dir(format!("/proc/{}/task", one.pid));
        threads.into_iter().flatten().flatten()
    });
    tasks
        .filter_map(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).ok()?;
            let mut lines = status.lines();
            lines.find_map(|line| {
                line.strip_prefix("voluntary_ctxt_switches:")?
                    .trim()
                    .parse::<u64>()
                    .ok()
            })
        })
        .sum()
}

/// Its state, if it is there: `R`unning, `S`leeping, `Z`ombie and so on.
pub fn state(pid: u32) -> Option<char> {
    read(pid).map(|process| process.state)
}

/// Whether it lives.
pub fn is_alive(pid: u32) -> bool {
    read(pid).is_some_and(|process| process.state != 'Z')
}

/// CPU time that it and its descendants have used.
pub fn cpu(pid: u32) -> Duration {
    let ticks: u64 = family(pid).iter().map(|one| one.ticks).sum();
    Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
}

/// Descriptors that it and its descendants have open.
pub fn descriptors(pid: u32) -> usize {
    let family = family(pid).into_iter();
    family
        .filter_map(|one| {
            Some(
                std::fs::read_dir(format!("/proc/{}/fd", one.pid))
                    .ok()?
                    .count(),
            )
        })
        .sum()
}

/// Threads of it and its descendants.
pub fn threads(pid: u32) -> usize {
    let family = family(pid).into_iter();
    let tasks = family.filter_map(|one| std::fs::read_dir(format!("/proc/{}/task", one.pid)).ok());
    tasks.map(Iterator::count).sum()
}

/// Processes that have `text` in their command line.
pub fn naming(text: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    })
    .collect()
}

/// TCP connections that it and its descendants have open, each once, by the inodes of their sockets. Listeners are
/// none, nor are the socket pairs of workers, which may start later than the server is ready.
pub fn connections(pid: u32) -> std::collections::BTreeSet<String> {
    const LISTENING: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    let tables = tables.map(Result::unwrap_or_default);
    let lines = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let connected: std::collections::BTreeSet<String> = lines
        .filter(|columns| columns.get(3).is_some_and(|&state| state != LISTENING))
        .filter_map(|columns| Some(format!("socket:[{}]", columns.get(9)?)))
        .collect();
    let folders = family(pid).into_iter().flat_map(|one| {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", one.pid));
        folder.into_iter().flatten().flatten()
    });
    folders
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?;
            let name = target.to_str()?.to_owned();
            connected.contains(&name).then_some(name)
        })
        .collect()
}

/// Descriptors of a server that has nothing to do: as many as a moment ago.
pub fn settled(pid: u32, within: Duration) -> anyhow::Result<usize> {
    let mut last = descriptors(pid);
    super::eventually("a server at rest", within, || {
        std::thread::sleep(Duration::from_millis(50));
        let before = std::mem::replace(&mut last, descriptors(pid));
        before == last
    })?;
    Ok(last)
}

/// Whether a signal that was sent to a process waits to be handled. A second one would be the same until then
/// (`signal(7)`: standard signals do not queue).
pub fn is_pending(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = status.lines().filter_map(|line| {
        let mask = line
            .strip_prefix("ShdPnd:")
            .or(line.strip_prefix("SigPnd:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    let bit = 1 << (signal.as_raw() - 1);
    pending.fold(0, |all, mask| all | mask) & bit != 0
}

/// Sends a signal to a process that a test has started, or that such a process has.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Memory that is no file, of it and all its descendants, each shared page counted once; bytes.
pub fn memory(pid: u32) -> u64 {
    let own = |pid| {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let kilobytes = rollup.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let counts = matches!(name, "Pss_Anon" | "Pss_Shmem");
            counts.then(|| value.trim().trim_end_matches(" kB").parse::<u64>().ok())?
        });
        Some(kilobytes.sum::<u64>() << 10)
    };
    let all = family(pid).into_iter();
    all.filter_map(|one| own(one.pid)).sum()
}
