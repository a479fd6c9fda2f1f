//! A file of requests, read entry by entry.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;

use crate::entry::{Broken, Entry};
use crate::{clf, har, json_lines};

/// Longest line, bytes: a longer one is broken.
pub const LINE_BYTES_MAX: u64 = 1 << 20;

/// Largest HAR file taken, bytes, unpacked: it is read as a whole. A log may be of any length.
pub const FILE_BYTES_MAX: u64 = 512 << 20;

/// Lines that may be broken before the first one that is a request.
const BROKEN_FIRST_MAX: u64 = 1000;

/// What a file of requests is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Common or combined log format: the second is the first with more fields.
    Common,
    /// A JSON object per line.
    JsonLines,
    /// An HTTP archive.
    Har,
}

/// Reads a line.
type Parse = fn(&str) -> Result<Entry>;

enum Source<'a> {
    Lines {
        input: Box<dyn BufRead + 'a>,
        parse: Parse,
        line: Vec<u8>,
    },
    Entries(std::vec::IntoIter<Result<Entry>>),
}

/// The requests of a file, in its order, which need not be that of time. What is no request is left
/// out and counted.
pub struct Trace<'a> {
    format: Format,
    source: Source<'a>,
    first: Option<Entry>,
    number: u64,
    read: u64,
    broken: Broken,
}

impl Trace<'static> {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be read, or holds no request; the message is one line.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_as(path, json_lines::parse)
    }

    /// The same of a file whose JSON lines need not have a time, for who does not look at it.
    ///
    /// # Errors
    /// As [`Trace::open`].
    pub fn open_untimed(path: &Path) -> Result<Self> {
        Self::open_as(path, json_lines::parse_untimed)
    }

    fn open_as(path: &Path, json: Parse) -> Result<Self> {
        let cannot = || format!("cannot read {}", path.display());
        if path == Path::new("-") {
            return Trace::read_as(std::io::stdin(), json).context("cannot read standard input");
        }
        Trace::read_as(File::open(path).with_context(cannot)?, json).with_context(cannot)
    }
}

impl<'a> Trace<'a> {
    /// The requests of `input`, whose format is told by its beginning.
    ///
    /// # Errors
    /// The input cannot be read, or holds no request; the message is one line.
    pub fn new(input: impl Read + 'a) -> Result<Self> {
        Self::read_as(input, json_lines::parse)
    }

    fn read_as(input: impl Read + 'a, json: Parse) -> Result<Self> {
        let mut input: Box<dyn BufRead + 'a> = Box::new(BufReader::new(input));
        if input.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
            input = Box::new(BufReader::new(MultiGzDecoder::new(input)));
        }
        skip_white_space(&mut input)?;
        let start = input.fill_buf()?;
        ensure!(!start.is_empty(), "it is empty");
        if !start.starts_with(b"{") {
            return Self::lines(Format::Common, input, clf::parse);
        }
        // A HAR is one object, usually over many lines; so its first line is no whole object, or
        // holds the log.
        let mut line = Vec::new();
        input
            .by_ref()
            .take(FILE_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        let whole = serde_json::from_slice::<serde_json::Value>(&line);
        if whole.is_ok_and(|value| value.get("log").is_none_or(|log| !log.is_object())) {
            let input = Box::new(std::io::Cursor::new(line).chain(input));
            return Self::lines(Format::JsonLines, input, json);
        }
        let left = FILE_BYTES_MAX.saturating_sub(line.len() as u64);
        input.by_ref().take(left + 1).read_to_end(&mut line)?;
        ensure!(
            line.len() as u64 <= FILE_BYTES_MAX,
            "a HAR may have {FILE_BYTES_MAX} bytes"
        );
        Self::whole(Format::Har, Source::Entries(har::parse(&line)?.into_iter()))
    }

    fn lines(format: Format, input: Box<dyn BufRead + 'a>, parse: Parse) -> Result<Self> {
        let line = Vec::new();
        Self::whole(format, Source::Lines { input, parse, line })
    }

    /// Reads up to the first request, so that a file of something else is found out at once.
    fn whole(format: Format, source: Source<'a>) -> Result<Self> {
        let mut trace = Self {
            format,
            source,
            first: None,
            number: 0,
            read: 0,
            broken: Broken::default(),
        };
        trace.first = trace.advance(BROKEN_FIRST_MAX)?;
        if trace.first.is_none() {
            let why = trace.broken.first.as_ref();
            let why = why.map_or("it is empty", |(_, why)| why.as_str());
            let number = trace.broken.count;
            bail!("it holds no request: {number} broken, of the first {why}");
        }
        Ok(trace)
    }

    /// What the file is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Requests read so far.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Lines or entries so far that are no request.
    pub fn broken(&self) -> &Broken {
        &self.broken
    }

    /// The next request; `None` at the end, or when so many in a row are broken.
    fn advance(&mut self, broken_max: u64) -> Result<Option<Entry>> {
        let limit = self.broken.count.saturating_add(broken_max);
        while self.broken.count < limit {
            let entry = match &mut self.source {
                Source::Entries(entries) => match entries.next() {
                    Some(entry) => entry,
                    None => return Ok(None),
                },
                Source::Lines { input, parse, line } => match next_line(input, line)? {
                    Line::End => return Ok(None),
                    Line::Empty => {
                        self.number += 1;
                        continue;
                    }
                    Line::Text(text) => text.and_then(*parse),
                },
            };
            self.number += 1;
            match entry {
                Ok(entry) => return Ok(Some(entry)),
                Err(why) => self.broken.add(self.number, &why),
            }
        }
        Ok(None)
    }
}

impl Iterator for Trace<'_> {
    type Item = Result<Entry>;

    /// The next request, or a failure to read the file, after which there is nothing more.
    fn next(&mut self) -> Option<Result<Entry>> {
        let first = self.first.take().map(Ok);
        let entry = first.or_else(|| self.advance(u64::MAX).transpose());
        if matches!(entry, Some(Ok(_))) {
            self.read += 1;
        } else {
            self.source = Source::Entries(Vec::new().into_iter());
        }
        entry
    }
}

enum Line<'a> {
    End,
    Empty,
    Text(Result<&'a str>),
}

/// The next line without its end. Of a line that is too long the rest is skipped.
fn next_line<'l>(input: &mut dyn BufRead, line: &'l mut Vec<u8>) -> Result<Line<'l>> {
    line.clear();
    let n = input.take(LINE_BYTES_MAX).read_until(b'\n', line)?;
    if n == 0 {
        return Ok(Line::End);
    }
    if n as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
        let error = anyhow::anyhow!("it is longer than {LINE_BYTES_MAX} bytes");
        return Ok(Line::Text(Err(error)));
    }
    let text = line.trim_ascii();
    if text.is_empty() {
        return Ok(Line::Empty);
    }
    Ok(Line::Text(
        std::str::from_utf8(text).context("it is not UTF-8"),
    ))
}

/// Skips what may stand before the first entry: a byte order mark, empty lines.
fn skip_white_space(input: &mut dyn BufRead) -> Result<()> {
    if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    loop {
        let buffer = input.fill_buf()?;
        let white = buffer
            .iter()
            .take_while(|b| b.is_ascii_whitespace())
            .count();
        let more = white > 0 && white == buffer.len();
        input.consume(white);
        if !more {
            return Ok(());
        }
    }
}
