//! The command `turnstile load merge`: it adds up the records of several runs, made on one machine
//! or on many.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Args;
use schema::{Code, Effect, Reason};

use crate::fail_on::FailOn;
use crate::record::RunRecord;

/// Least share of their windows that runs must have in common to be merged at all.
const OVERLAP_SHARE_MIN: f64 = 0.5;

/// Add up runs that drove one server at the same time, from their --emit-hdr files.
///
/// Their windows must overlap, and the arrivals of open loops must come from different seeds.
/// Counts and rates are added, percentiles are those of the merged histograms: they are as exact as
/// if one generator had sent everything. The reasons why a single run is not valid are kept.
#[derive(Debug, Clone, Args)]
pub struct Merge {
    /// Records to add up
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Write the result as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the sum as comma-separated values
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Exit with status 1 if this holds: errors>N, errors>N%, p50|p90|p99|p99.9|max>DURATION, rate<N,
    /// invalid
    #[arg(long, value_name = "CONDITION")]
    pub fail_on: Vec<FailOn>,

    /// Call the sum not valid for this reason, such as a machine whose record is missing; may be
    /// given many times
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub invalid: Vec<String>,

    /// Do not print the table
    #[arg(long, short)]
    pub quiet: bool,
}

/// A reason is a line.
fn reason(text: &str) -> Result<String, String> {
    let is_line = !text.trim().is_empty() && !text.contains(char::is_control);
    is_line
        .then(|| text.to_owned())
        .ok_or_else(|| "it must be one line".to_owned())
}

impl Merge {
    /// The sum of all files.
    ///
    /// # Errors
    /// A file cannot be read, or its run was asked for differently than the first, or it is given
    /// twice; the message is one line.
    pub fn sum(&self) -> Result<RunRecord> {
        let Some((first, others)) = self.files.split_first() else {
            bail!("no file to merge");
        };
        let mut sum = RunRecord::read(first)?;
        for file in others {
            let record = RunRecord::read(file)?;
            if let Some(difference) = record.differs_from(&sum) {
                bail!(
                    "cannot add {} to {}: {difference}",
                    file.display(),
                    first.display()
                );
            }
            ensure!(
                !record.shares_a_run_with(&sum),
                "{} contains a run that another file contains too",
                file.display()
            );
            if let Some(seed) = record.shared_seed(&sum) {
                bail!(
                    "{} has the seed {seed} of another file: both have the same arrivals",
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
        for reason in &self.invalid {
            sum.add_reason(Reason::new(Code::RunMissing, Effect::Invalidates, reason));
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests;
