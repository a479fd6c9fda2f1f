//! The file of a record: a line that says what the file is, and a line with the record as JSON. Its
//! histograms are in the text form of HdrHistogram's logs.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::record::RunRecord;

/// What the first line of a file calls it.
const FORMAT: &str = "turnstile load record";

/// Version of the format. A change that an older reader would misunderstand raises it.
const VERSION: u32 = 1;

/// Longest first line, bytes.
const LINE_BYTES_MAX: u64 = 4096;

/// Largest file taken, bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Title {
    format: String,
    version: u32,
}

impl RunRecord {
    /// The contents of a file that holds the record.
    pub fn to_text(&self) -> String {
        let title = Title {
            format: FORMAT.to_owned(),
            version: VERSION,
        };
        let line = |value: serde_json::Result<String>| {
            value.expect("numbers and strings always serialise") + "\n"
        };
        line(serde_json::to_string(&title)) + &line(serde_json::to_string(self))
    }

    /// Reads a record from its file.
    ///
    /// # Errors
    /// A file that cannot be read, is of another format or version, or does not add up; the
    /// message is one line.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot read {}", path.display());
        let mut file = BufReader::new(File::open(path).with_context(cannot)?.take(FILE_BYTES_MAX));
        Self::parse(&mut file).with_context(cannot)
    }

    fn parse(file: &mut impl BufRead) -> Result<Self> {
        let mut line = String::new();
        file.take(LINE_BYTES_MAX)
            .read_line(&mut line)
            .context("it is not a record of turnstile load --emit-hdr")?;
        let title = serde_json::from_str::<Title>(&line)
            .ok()
            .filter(|title| title.format == FORMAT);
        let Some(Title { version, .. }) = title else {
            bail!("it is not a record of turnstile load --emit-hdr");
        };
        ensure!(
            version == VERSION,
            "its format is version {version}; this program reads version {VERSION}"
        );
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let record: Self = serde_json::from_str(&text).context("it is damaged")?;
        ensure!(record.is_sound(), "it is damaged: its counts do not add up");
        Ok(record)
    }

    /// Whether the counts add up, as those of every run do.
    fn is_sound(&self) -> bool {
        let (shape, counts) = (&self.shape, &self.counts);
        let phases = shape.steps_ns.len().max(1);
        let offers = if shape.arrivals.is_some() { phases } else { 0 };
        let slices = &counts.slices;
        !self.started_unix_ns.is_empty()
            && self.offers.len() == offers
            && counts.phases.len() == phases
            && counts.kinds.len() == shape.kinds.len()
            && slices.iter().all(|slice| {
                slice.phase < phases
                    && slice.start_ns <= slice.end_ns
                    && slice.answered.checked_add(slice.failed) == Some(slice.scheduled)
                    && slice.within <= slice.answered
                    && slice.response.count() == slice.answered
            })
            && slices.iter().map(|slice| slice.failed).sum::<u64>() == counts.failed().total()
            && counts.slip().count() == counts.sent
    }
}

#[cfg(test)]
impl RunRecord {
    pub(crate) fn parse_text(text: &str) -> Result<Self> {
        Self::parse(&mut text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_is_refused_in_one_line() {
        for (text, expected) in [
            ("", "not a record"),
            ("{}\n", "not a record"),
            ("{\"format\":\"x\",\"version\":1}\n{}", "not a record"),
            (
                "{\"format\":\"turnstile load record\",\"version\":2}\n{}",
                "version 2",
            ),
            (
                "{\"format\":\"turnstile load record\",\"version\":1}\n{}",
                "damaged",
            ),
        ] {
            let error = RunRecord::parse_text(text).unwrap_err();
            let line = format!("{error:#}");
            assert!(line.contains(expected) && !line.contains('\n'), "{line}");
        }
    }
}
