//! A page of metrics, read with distrust: what `promtool check metrics` would refuse is refused here.
//!
//! The format is version 0.0.4 of Prometheus' text exposition format; the names are held to its
//! conventions (base units, `_total` for counters and for nothing else).

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, bail, ensure};

use super::Client;

/// A page: its samples, in order, and the kind of each family.
#[derive(Debug, Default)]
pub struct Page {
    samples: Vec<Sample>,
    kinds: BTreeMap<String, String>,
}

/// One line that is no comment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

impl Sample {
    fn label(&self, name: &str) -> Option<&str> {
        let mut all = self.labels.iter();
        all.find(|(label, _)| label == name)
            .map(|(_, value)| value.as_str())
    }

    /// Its labels but `le`.
    fn others(&self) -> Vec<(String, String)> {
        let others = self.labels.iter().filter(|(name, _)| name != "le");
        others.cloned().collect()
    }
}

/// Gets `/metrics` of the admin server at `addr`.
pub fn metrics(addr: &str) -> anyhow::Result<Page> {
    let reply = Client::connect(addr)?.get("/metrics")?.expect(200)?;
    let kind = reply.field("content-type").unwrap_or_default();
    ensure!(
        kind == "text/plain; version=0.0.4; charset=utf-8",
        "content type {kind:?}"
    );
    Page::parse(std::str::from_utf8(&reply.body)?)
}

/// What is not 0, but for buckets: short enough for a line of a log.
impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = |one: &&Sample| one.value != 0.0 && one.label("le").is_none();
        for Sample {
            name,
            labels,
            value,
        } in self.samples.iter().filter(counts)
        {
            write!(f, "{}", name.trim_start_matches("turnstile_"))?;
            for (label, text) in labels {
                write!(f, " {label}={text}")?;
            }
            write!(f, " {value}; ")?;
        }
        Ok(())
    }
}

impl Page {
    /// Reads a page, or says what is wrong with it.
    pub fn parse(text: &str) -> anyhow::Result<Page> {
        ensure!(text.ends_with('\n'), "the last line has no end");
        let mut page = Page::default();
        let (mut helped, mut family) = (String::new(), None::<(String, String)>);
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').context("a HELP without words")?;
                ensure!(!help.trim().is_empty(), "{name}: its HELP is empty");
                helped = name.to_owned();
                family = None;
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').context("a TYPE without a kind")?;
                ensure!(name == helped, "{name}: TYPE without HELP before it");
                check_name(name, kind)?;
                let before = page.kinds.insert(name.to_owned(), kind.to_owned());
                ensure!(before.is_none(), "{name}: its TYPE comes twice");
                family = Some((name.to_owned(), kind.to_owned()));
            } else {
                let sample = sample(line).with_context(|| format!("{line:?}"))?;
                let (name, kind) = family
                    .as_ref()
                    .with_context(|| format!("{line:?}: not behind its TYPE"))?;
                check_sample(&sample, name, kind).with_context(|| format!("{line:?}"))?;
                page.samples.push(sample);
            }
        }
        page.check_duplicates()?;
        page.check_histograms()?;
        Ok(page)
    }

    fn check_duplicates(&self) -> anyhow::Result<()> {
        let key = |sample: &Sample| {
            let mut labels = sample.labels.clone();
            labels.sort();
            format!("{} {labels:?}", sample.name)
        };
        let mut keys: Vec<_> = self.samples.iter().map(key).collect();
        keys.sort();
        let twice = keys.windows(2).find(|two| two[0] == two[1]);
        ensure!(twice.is_none(), "it comes twice: {twice:?}");
        Ok(())
    }

    fn check_histograms(&self) -> anyhow::Result<()> {
        for (name, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            let of = |suffix: &str| {
                let full = format!("{name}{suffix}");
                self.samples.iter().filter(move |one| one.name == full)
            };
            for count in of("_count") {
                let is_same = |one: &&Sample| one.others() == count.labels;
                let buckets: Vec<_> = of("_bucket").filter(is_same).collect();
                let bounds = buckets.iter().map(|bucket| match bucket.label("le") {
                    Some("+Inf") => Ok(f64::INFINITY),
                    Some(bound) => Ok(bound.parse::<f64>()?),
                    None => bail!("{name}: a bucket without le"),
                });
                let bounds = bounds.collect::<anyhow::Result<Vec<_>>>()?;
                ensure!(
                    bounds.windows(2).all(|two| two[0] < two[1]),
                    "{name}: bounds must rise: {bounds:?}"
                );
                ensure!(
                    buckets.windows(2).all(|two| two[0].value <= two[1].value),
                    "{name}: buckets are cumulative"
                );
                let last = buckets.last().context("a histogram without buckets")?;
                ensure!(
                    last.label("le") == Some("+Inf") && last.value == count.value,
                    "{name}: the last bucket holds all, {} of {}",
                    last.value,
                    count.value
                );
                ensure!(
                    of("_sum").any(|one| one.labels == count.labels),
                    "{name}: no sum"
                );
            }
        }
        Ok(())
    }

    /// The families that have a TYPE, with or without a sample.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// Value of the sample `name` that has no labels.
    pub fn value(&self, name: &str) -> anyhow::Result<f64> {
        let mut all = self.samples.iter();
        all.find(|sample| sample.name == name && sample.labels.is_empty())
            .map(|sample| sample.value)
            .with_context(|| format!("there is no {name}"))
    }

    /// Value of the sample `name` with this label; 0 without one.
    pub fn with(&self, name: &str, label: &str, value: &str) -> f64 {
        let mut all = self.samples.iter();
        all.find(|sample| sample.name == name && sample.label(label) == Some(value))
            .map_or(0.0, |sample| sample.value)
    }

    /// Sum of the samples `name`, whatever their labels.
    pub fn sum(&self, name: &str) -> f64 {
        let all = self.samples.iter().filter(|sample| sample.name == name);
        all.map(|sample| sample.value).sum()
    }

    /// What must never fall: counters, and counts and buckets of histograms, by name and labels.
    pub fn counters(&self) -> BTreeMap<String, f64> {
        let is_one = |sample: &&Sample| {
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| sample.name.strip_suffix(suffix))
                .filter(|family| self.kinds.contains_key(*family))
                .unwrap_or(&sample.name);
            self.kinds.get(family).is_some_and(|kind| kind != "gauge")
        };
        let all = self.samples.iter().filter(is_one);
        all.map(|one| (format!("{} {:?}", one.name, one.labels), one.value))
            .collect()
    }
}

/// Parts of a name that are no base unit.
const NO_UNITS: [&str; 10] = [
    "ms", "us", "ns", "kb", "mb", "kib", "mib", "millis", "minutes", "ticks",
];

fn check_name(name: &str, kind: &str) -> anyhow::Result<()> {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    ensure!(
        name.bytes().all(is_legal) && !name.starts_with(|first: char| first.is_ascii_digit()),
        "{name}: an unusual name"
    );
    ensure!(
        ["counter", "gauge", "histogram"].contains(&kind),
        "{name}: TYPE {kind}"
    );
    ensure!(
        name.ends_with("_total") == (kind == "counter"),
        "{name}: counters end in _total, and nothing else does"
    );
    let reserved = ["_bucket", "_sum", "_count", "_info_total"];
    ensure!(
        reserved.iter().all(|suffix| !name.ends_with(suffix)),
        "{name}: its end has another meaning"
    );
    let unit = name.split('_').find(|part| NO_UNITS.contains(part));
    ensure!(unit.is_none(), "{name}: {unit:?} is no base unit");
    Ok(())
}

fn check_sample(sample: &Sample, family: &str, kind: &str) -> anyhow::Result<()> {
    let suffix = sample.name.strip_prefix(family);
    let suffix = suffix.with_context(|| format!("it stands behind {family}"))?;
    let is_known = match kind {
        "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
        _ => suffix.is_empty(),
    };
    ensure!(is_known, "it stands behind {family}");
    ensure!(sample.value.is_finite(), "its value is no number");
    ensure!(kind == "gauge" || sample.value >= 0.0, "it is below 0");
    Ok(())
}

/// `name{label="value",...} 1.5`
fn sample(line: &str) -> anyhow::Result<Sample> {
    let (key, value) = line.rsplit_once(' ').context("no value")?;
    let value = value.parse().context("its value is no number")?;
    let Some((name, rest)) = key.split_once('{') else {
        return Ok(Sample {
            name: key.to_owned(),
            labels: Vec::new(),
            value,
        });
    };
    let mut rest = rest.strip_suffix('}').context("no end of its labels")?;
    let mut labels = Vec::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").context("a label without a value")?;
        ensure!(
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "label {label:?}"
        );
        // No value of ours needs an escape, so a backslash is a mistake.
        let (value, after) = after.split_once('"').context("no end of a value")?;
        ensure!(!value.contains('\\'), "value {value:?}");
        labels.push((label.to_owned(), value.to_owned()));
        rest = match after.strip_prefix(',') {
            Some(more) => more,
            None if after.is_empty() => after,
            None => bail!("{after:?} behind a value"),
        };
    }
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Pages with one mistake each, so that it is known that each is found.
pub const MISTAKES: &[(&str, &str)] = &[
    (
        "no end",
        "# HELP a_total A.\n# TYPE a_total counter\na_total 1",
    ),
    ("no HELP", "# TYPE a_total counter\na_total 1\n"),
    ("no TYPE", "# HELP a_total A.\na_total 1\n"),
    (
        "no words",
        "# HELP a_total \n# TYPE a_total counter\na_total 1\n",
    ),
    ("counter's name", "# HELP a A.\n# TYPE a counter\na 1\n"),
    (
        "gauge's name",
        "# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n",
    ),
    ("unit", "# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n"),
    ("kind", "# HELP a A.\n# TYPE a summary\na 1\n"),
    ("other family", "# HELP a A.\n# TYPE a gauge\nb 1\n"),
    (
        "twice",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c\"} 1\na{b=\"c\"} 2\n",
    ),
    (
        "family twice",
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\na{b=\"c\"} 1\n",
    ),
    ("no number", "# HELP a A.\n# TYPE a gauge\na one\n"),
    ("not finite", "# HELP a A.\n# TYPE a gauge\na NaN\n"),
    (
        "below 0",
        "# HELP a_total A.\n# TYPE a_total counter\na_total -1\n",
    ),
    ("labels", "# HELP a A.\n# TYPE a gauge\na{b=c} 1\n"),
    (
        "not cumulative",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    ),
    (
        "bounds",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    ),
    (
        "not all",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
    ),
    (
        "no sum",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 1\n",
    ),
];
