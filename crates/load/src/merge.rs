//! `turnstile load merge`: the records of several runs, on one machine or on many, added up.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Args;

use crate::record::Record;

/// With less of their windows in common, runs were not made together.
const OVERLAP_SHARE_MIN: f64 = 0.5;

/// Add up runs that drove one server at the same time, from their --emit-hdr files.
///
/// Their windows must overlap, and the arrivals of open loops must come from different seeds.
/// Counts and rates are sums, percentiles those of the merged histograms: as exact as if one
/// generator had sent it all. A run that was not valid by itself keeps its reasons.
#[derive(Debug, Clone, Args)]
pub struct Merge {
    /// Records to add up
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Write the result as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Do not print the table
    #[arg(long, short)]
    pub quiet: bool,
}

impl Merge {
    /// The sum of all files.
    ///
    /// # Errors
    /// A file that cannot be read, or whose run differs from the first in what was asked, or is
    /// there twice; the message is one line.
    pub fn sum(&self) -> Result<Record> {
        let Some((first, others)) = self.files.split_first() else {
            bail!("no file to merge");
        };
        let mut sum = Record::read(first)?;
        for file in others {
            let record = Record::read(file)?;
            if let Some(difference) = record.differs_from(&sum) {
                bail!(
                    "cannot add {} to {}: {difference}",
                    file.display(),
                    first.display()
                );
            }
            ensure!(
                !record.shares_a_run_with(&sum),
                "{} holds a run that another file holds too",
                file.display()
            );
            if let Some(seed) = record.shared_seed(&sum) {
                bail!(
                    "{} has the seed {seed} of another file: its arrivals are not its own",
                    file.display()
                );
            }
            sum.merge(&record);
            let share = sum.overlap_share();
            ensure!(
                share >= OVERLAP_SHARE_MIN,
                "{} was not measured at the same time: {:.0} % of the windows in common",
                file.display(),
                share * 100.0
            );
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests;
