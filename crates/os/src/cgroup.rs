//! The memory that the control group of this process may use, versions 1 and 2 (`cgroups(7)`).

use std::fs;
use std::path::Path;

/// Bytes of memory that this process may use together with the others of its control group. `None`: there
/// is no limit, or none that can be read.
pub fn memory_bytes_max() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    memory_bytes_max_in(Path::new("/sys/fs/cgroup"), &own)
}

/// The same for the groups below `root`, of a process whose `/proc/PID/cgroup` is `own`.
fn memory_bytes_max_in(root: &Path, own: &str) -> Option<u64> {
    let limits = own.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        if controllers.is_empty() {
            return lowest(root, group, "memory.max");
        }
        let mut controllers = controllers.split(',');
        controllers.find(|name| *name == "memory")?;
        lowest(&root.join("memory"), group, "memory.limit_in_bytes")
    });
    limits.min()
}

/// The lowest limit of a group and those above it. In a container the group may be visible as the root only,
/// whatever its name outside is.
fn lowest(root: &Path, group: &str, file: &str) -> Option<u64> {
    let own = root.join(group.trim_start_matches('/'));
    let above = own
        .ancestors()
        .take_while(|folder| folder.starts_with(root));
    let limits = above.filter_map(|folder| limit(&folder.join(file)));
    limits.min()
}

/// A limit that is one. Version 1 writes about 2^63 where there is none, version 2 `max`.
fn limit(file: &Path) -> Option<u64> {
    let bytes: u64 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (bytes < 1 << 60).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files, removed in the end.
    struct Groups(std::path::PathBuf);

    impl Groups {
        fn new(name: &str, files: &[(&str, &str)]) -> Groups {
            let name = format!("turnstile-cgroup-{name}-{}", std::process::id());
            let root = std::env::temp_dir().join(name);
            for (file, text) in files {
                let file = root.join(file);
                fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                fs::write(file, text).expect("a file");
            }
            Groups(root)
        }
    }

    impl Drop for Groups {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_lowest_of_all_groups_above_counts() {
        let groups = Groups::new(
            "two",
            &[
                ("memory.max", "max\n"),
                ("a/memory.max", "1000\n"),
                ("a/b/memory.max", "2000\n"),
                ("a/c/memory.max", "max\n"),
                ("d/memory.max", "max\n"),
                ("e/memory.max", "much\n"),
            ],
        );
        for (own, bytes) in [
            ("0::/a/b\n", Some(1_000)),
            ("0::/a/c\n", Some(1_000)),
            ("0::/d\n", None),
            ("0::/e\n", None),
            ("0::/nowhere\n", None),
            ("0::/\n", None),
            ("", None),
            ("nonsense\n", None),
        ] {
            assert_eq!(memory_bytes_max_in(&groups.0, own), bytes, "{own:?}");
        }
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        let groups = Groups::new("root", &[("memory.max", "536870912\n")]);
        for own in ["0::/\n", "0::/docker/0123\n", "0::/../..\n"] {
            assert_eq!(memory_bytes_max_in(&groups.0, own), Some(512 << 20));
        }
    }

    #[test]
    fn version_1_has_a_folder_for_memory() {
        let groups = Groups::new(
            "one",
            &[
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory/a/memory.limit_in_bytes", "3000\n"),
                ("memory.max", "1\n"),
            ],
        );
        let own = "9:name=systemd:/\n4:cpu,cpuacct:/a\n3:memory:/a\n";
        assert_eq!(memory_bytes_max_in(&groups.0, own), Some(3_000));
        assert_eq!(memory_bytes_max_in(&groups.0, "3:memory:/b\n"), None);
    }
}
