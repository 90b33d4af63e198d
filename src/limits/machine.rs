//! The memory available to this process: the limit of its cgroup, or the memory of the machine.

use std::{fs, path::Path};

/// The memory assumed if neither can be read, as on systems other than Linux.
const UNKNOWN_BYTES: usize = 4 << 30;

/// The smallest of the machine's memory and the limits of the process's cgroup and its
/// ancestors, in bytes.
pub(super) fn memory_bytes() -> usize {
    memory_bytes_below(Path::new("/"))
}

/// [`memory_bytes`] with the kernel's files below `root`.
fn memory_bytes_below(root: &Path) -> usize {
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok();
    let machine = machine.and_then(|text| total(&text));
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let granted = own.lines().filter_map(|line| {
        // `0::/path`, or with version 1 `9:memory:/path`.
        let mut fields = line.splitn(3, ':').skip(1);
        let (folder, file) = match fields.next()? {
            "" => ("sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        least_limit(&root.join(folder), fields.next()?, file)
    });
    granted.chain(machine).min().unwrap_or(UNKNOWN_BYTES)
}

/// The smallest of the limits in `file` of the cgroup `path` and its ancestors.
fn least_limit(hierarchy: &Path, path: &str, file: &str) -> Option<usize> {
    let around = Path::new(path.trim_start_matches('/')).ancestors();
    around
        .filter_map(|group| fs::read_to_string(hierarchy.join(group).join(file)).ok())
        // `max` means no limit.
        .filter_map(|limit| limit.trim().parse().ok())
        .min()
}

/// The machine's memory, from the text of `/proc/meminfo`.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> usize {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        memory_bytes_below(root.path())
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:        1000 kB\nMemFree:  10 kB\n",
    );

    #[test]
    fn a_container_has_the_memory_of_its_cgroup() {
        let own = ("proc/self/cgroup", "0::/\n");
        let limit = |text| ("sys/fs/cgroup/memory.max", text);
        assert_eq!(machine(&[MEMINFO, own, limit("5000\n")]), 5000);
        assert_eq!(machine(&[MEMINFO, own, limit("max\n")]), 1_024_000);
        assert_eq!(machine(&[MEMINFO, own, limit("99999999\n")]), 1_024_000);
    }

    #[test]
    fn the_smallest_limit_of_a_cgroup_and_its_ancestors_applies() {
        let own = ("proc/self/cgroup", "0::/system.slice/realtime.service\n");
        let outer = ("sys/fs/cgroup/system.slice/memory.max", "4000\n");
        let inner = (
            "sys/fs/cgroup/system.slice/realtime.service/memory.max",
            "max\n",
        );
        assert_eq!(machine(&[MEMINFO, own, outer, inner]), 4000);
    }

    #[test]
    fn version_1_of_cgroups_is_read_too() {
        let own = ("proc/self/cgroup", "3:cpu,cpuacct:/a\n2:memory:/a\n");
        let limit = ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "3000\n");
        assert_eq!(machine(&[MEMINFO, own, limit]), 3000);
    }

    #[test]
    fn without_any_information_a_fixed_amount_is_assumed() {
        assert_eq!(machine(&[]), UNKNOWN_BYTES);
        assert_eq!(machine(&[MEMINFO]), 1_024_000);
    }
}
