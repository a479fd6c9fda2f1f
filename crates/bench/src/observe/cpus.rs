//! Lists of CPUs such as `0-3,8`, and the halves that server and generator get by default.

use std::collections::BTreeSet;
use std::fmt;

use rustix::thread::CpuSet;

use crate::failure::{Failure, bail_usage};

/// A set of CPUs, printed and parsed as the kernel does (`0-3,8`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuList(BTreeSet<usize>);

/// The flags that say which CPUs the server and the load generator get.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CpuArgs {
    /// CPUs for the server, such as 0-3,8 [default: the lower half of the allowed]
    #[arg(long, value_name = "LIST")]
    pub server_cpus: Option<String>,

    /// CPUs for the load generator [default: the upper half of the allowed]
    #[arg(long, value_name = "LIST")]
    pub load_cpus: Option<String>,
}

impl CpuArgs {
    /// The CPUs of the server and of the load, as the flags say, or [halves](CpuList::halves) of what is allowed.
    pub fn shared_out(&self, allowed: &CpuList) -> Result<(CpuList, CpuList), Failure> {
        let (lower, upper) = allowed.halves();
        let of = |given: &Option<String>, flag, half| match given {
            Some(list) => CpuList::parse(list, flag, allowed),
            None => Ok(half),
        };
        Ok((
            of(&self.server_cpus, "--server-cpus", lower)?,
            of(&self.load_cpus, "--load-cpus", upper)?,
        ))
    }
}

impl CpuList {
    /// The CPUs this process may run on.
    pub fn allowed() -> std::io::Result<Self> {
        let mask = rustix::thread::sched_getaffinity(None)?;
        Ok(Self(
            (0..CpuSet::MAX_CPU)
                .filter(|&cpu| mask.is_set(cpu))
                .collect(),
        ))
    }

    /// Reads `0-3,8`, and refuses what is not within `allowed`.
    pub fn parse(text: &str, flag: &str, allowed: &Self) -> Result<Self, Failure> {
        let bad = || {
            Failure::usage(format!(
                "{flag}: '{text}' is not a list of CPUs such as 0-3,8"
            ))
        };
        let mut cpus = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| bad())?;
            let last: usize = last.trim().parse().map_err(|_| bad())?;
            if first > last || last >= CpuSet::MAX_CPU {
                return Err(bad());
            }
            cpus.extend(first..=last);
        }
        if let Some(cpu) = cpus.difference(&allowed.0).next() {
            bail_usage!("{flag}: CPU {cpu} is not among the allowed ones ({allowed})");
        }
        Ok(Self(cpus))
    }

    /// The lower half (the server's by default) and the upper half (the generator's).
    ///
    /// A single CPU cannot be halved: both get it, and the run says so.
    pub fn halves(&self) -> (Self, Self) {
        if self.0.len() < 2 {
            return (self.clone(), self.clone());
        }
        let half = self.0.len() / 2;
        (
            Self(self.0.iter().copied().take(half).collect()),
            Self(self.0.iter().copied().skip(half).collect()),
        )
    }

    /// Keeps the calling thread on the first of them.
    pub fn pin_to_first(&self) -> std::io::Result<()> {
        let mut set = CpuSet::new();
        set.set(self.0.first().copied().unwrap_or(0));
        Ok(rustix::thread::sched_setaffinity(None, &set)?)
    }

    /// How many CPUs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `cpu` is one of them.
    pub fn has(&self, cpu: usize) -> bool {
        self.0.contains(&cpu)
    }

    /// `true` when the lists have a CPU in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.0.is_disjoint(&other.0)
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().copied()
    }

    /// As `sched_setaffinity(2)` takes it.
    pub fn mask(&self) -> CpuSet {
        let mut mask = CpuSet::new();
        for &cpu in &self.0 {
            mask.set(cpu);
        }
        mask
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus: Vec<usize> = self.iter().collect();
        for (i, run) in cpus.chunk_by(|a, b| a + 1 == *b).enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match run {
                [only] => write!(f, "{comma}{only}")?,
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(cpus: impl IntoIterator<Item = usize>) -> CpuList {
        CpuList(cpus.into_iter().collect())
    }

    #[test]
    fn lists_are_read_and_printed_as_the_kernel_does() {
        let allowed = list(0..16);
        for (text, printed) in [
            ("0", "0"),
            ("0-3,8", "0-3,8"),
            ("3,1,2", "1-3"),
            ("0,2,4-5", "0,2,4-5"),
        ] {
            let cpus = CpuList::parse(text, "--server-cpus", &allowed).expect("a good list");
            assert_eq!(cpus.to_string(), printed);
        }
    }

    #[test]
    fn bad_lists_are_refused_by_name() {
        for text in ["", "x", "1-", "3-1", "0,,1", "99999999", "16", "-1"] {
            let error = CpuList::parse(text, "--load-cpus", &list(0..16)).expect_err(text);
            assert_eq!(error.code(), 2);
            assert!(error.to_string().contains("--load-cpus"), "{error}");
        }
    }

    #[test]
    fn halves_do_not_overlap_unless_there_is_one_cpu() {
        let (low, high) = list([0, 1]).halves();
        assert_eq!(
            (low.to_string(), high.to_string()),
            ("0".into(), "1".into())
        );
        let (low, high) = list([2, 3, 4, 8, 9]).halves();
        assert_eq!(
            (low.to_string(), high.to_string()),
            ("2-3".into(), "4,8-9".into())
        );
        assert!(!low.overlaps(&high));
        let (low, high) = list([5]).halves();
        assert!(low.overlaps(&high));
    }
}
