//! Other benches that run at the same time, on the same CPUs.
//!
//! Each bench holds a lock on a file of its own in a folder that belongs to its user, named by its
//! process number. The lock goes with the process, however that ends.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::observe::cpus::CpuList;

/// This bench's own file, and the folder in which others have theirs.
#[derive(Debug)]
pub struct Benches {
    /// Where no file can be kept, other benches are only seen by the CPU that they use.
    own: Option<(PathBuf, File)>,
    cpus: Vec<usize>,
}

impl Benches {
    /// Makes itself known as a bench that uses `cpus`.
    pub fn join(cpus: &[&CpuList]) -> Self {
        let user = rustix::process::getuid().as_raw();
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let runtime = runtime.filter(|folder| folder.is_absolute());
        let folder = runtime.unwrap_or_else(std::env::temp_dir);
        Self::join_in(&folder.join(format!("turnstile-bench-{user}")), cpus)
    }

    fn join_in(folder: &Path, cpus: &[&CpuList]) -> Self {
        let cpus: Vec<usize> = cpus.iter().flat_map(|list| list.iter()).collect();
        let own = mark(folder, &std::process::id().to_string(), &cpus);
        Self {
            own: own.ok(),
            cpus,
        }
    }

    /// The process of another bench that runs now and uses a CPU that this one uses, too.
    pub fn other(&self) -> Option<u32> {
        let (own, _) = self.own.as_ref()?;
        let entries = fs::read_dir(own.parent()?).ok()?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut others = paths.filter(|path| path != own);
        others.find_map(|path| {
            let pid = path.file_name()?.to_str()?.parse().ok()?;
            running(&path, &self.cpus).then_some(pid)
        })
    }
}

impl Drop for Benches {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.own {
            let _gone_already = fs::remove_file(path);
        }
    }
}

/// Makes and locks a file that says which CPUs are used.
fn mark(folder: &Path, name: &str, cpus: &[usize]) -> io::Result<(PathBuf, File)> {
    let mut private = fs::DirBuilder::new();
    private.recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(name);
    let mut file = File::create(&path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    let list: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    file.write_all(list.join(",").as_bytes())?;
    Ok((path, file))
}

/// Whether the bench that made `path` still runs on one of `cpus`; a file that was left behind is
/// removed.
fn running(path: &Path, cpus: &[usize]) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        let _removed_by_another = fs::remove_file(path);
        return false;
    }
    let theirs = fs::read_to_string(path).unwrap_or_default();
    let theirs = theirs.split(',').filter_map(|cpu| cpu.parse().ok());
    theirs.into_iter().any(|cpu| cpus.contains(&cpu))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_on_the_same_cpus_is_seen_as_long_as_it_runs() {
        let folder = std::env::temp_dir().join(format!("benches-{}", std::process::id()));
        let cpus = CpuList::allowed().expect("the kernel tells");
        let first = cpus.iter().next().expect("a CPU");
        let own = Benches::join_in(&folder, &[&cpus]);
        assert_eq!(own.other(), None, "it does not see itself");
        let elsewhere = mark(&folder, "7", &[first + 100_000]).expect("a file");
        assert_eq!(own.other(), None, "one on other CPUs disturbs nobody");
        let same = mark(&folder, "8", &[first]).expect("a file");
        assert_eq!(own.other(), Some(8));
        drop(same.1);
        assert_eq!(own.other(), None);
        assert!(!same.0.exists(), "what was left behind is removed");
        drop((elsewhere, own));
        fs::remove_dir_all(&folder).expect("the folder is left");
    }
}
