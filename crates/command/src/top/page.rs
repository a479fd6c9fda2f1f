//! A page of metrics, as far as it is shown.

use std::collections::BTreeMap;
use std::time::Instant;

/// One reading.
#[derive(Debug)]
pub struct Page {
    /// When it was asked for.
    pub at: Instant,
    samples: BTreeMap<String, Vec<Sample>>,
}

#[derive(Debug)]
struct Sample {
    labels: Vec<(String, String)>,
    value: f64,
}

/// Cumulative counts by upper bound, in seconds; the last bound is infinite.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Histogram(pub Vec<(f64, f64)>);

impl Page {
    /// `None`: the text has another format.
    pub fn parse(text: &str, at: Instant) -> Option<Page> {
        let mut samples = BTreeMap::<String, Vec<Sample>>::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (key, value) = line.rsplit_once(' ')?;
            let value = value.parse().ok()?;
            let (name, labels) = match key.split_once('{') {
                None => (key, Vec::new()),
                Some((name, labels)) => (name, pairs(labels.strip_suffix('}')?)?),
            };
            let sample = Sample { labels, value };
            samples.entry(name.to_owned()).or_default().push(sample);
        }
        Some(Page { at, samples })
    }

    /// Whether a Turnstile server has made it.
    pub fn is_ours(&self) -> bool {
        self.samples.contains_key("turnstile_build_info")
    }

    /// Whether it was in a drain, after which it ends.
    pub fn is_draining(&self) -> bool {
        self.get("turnstile_draining") == 1.0
    }

    /// The sample without labels; 0 if there is none.
    pub fn get(&self, name: &str) -> f64 {
        let all = self.samples.get(name).into_iter().flatten();
        let mut plain = all.filter(|sample| sample.labels.is_empty());
        plain.next().map_or(0.0, |sample| sample.value)
    }

    /// Value of a label of the first sample.
    pub fn label(&self, name: &str, label: &str) -> &str {
        let sample = self.samples.get(name).and_then(|all| all.first());
        let mut labels = sample.into_iter().flat_map(|sample| &sample.labels);
        labels
            .find(|(name, _)| name == label)
            .map_or("", |(_, value)| value)
    }

    /// Samples by the value of this label, in the order of the page.
    pub fn by<'a>(&'a self, name: &str, label: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let all = self.samples.get(name).into_iter().flatten();
        all.filter_map(move |sample| {
            let mut labels = sample.labels.iter();
            let (_, value) = labels.find(|(name, _)| name == label)?;
            Some((value.as_str(), sample.value))
        })
    }

    /// The sample with this label; 0 without one.
    pub fn with(&self, name: &str, label: &str, value: &str) -> f64 {
        self.by(name, label)
            .find(|(found, _)| *found == value)
            .map_or(0.0, |(_, sample)| sample)
    }

    /// The histogram `name`.
    pub fn histogram(&self, name: &str) -> Histogram {
        let buckets = format!("{name}_bucket");
        let bounds = self.by(&buckets, "le").map(|(bound, count)| {
            let bound = bound.parse().unwrap_or(f64::INFINITY);
            (bound, count)
        });
        Histogram(bounds.collect())
    }
}

/// `a="b",c="d"`
fn pairs(mut text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let (value, rest) = rest.split_once('"')?;
        pairs.push((name.to_owned(), value.to_owned()));
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(pairs)
}

impl Histogram {
    /// What came since `before`.
    pub fn since(&self, before: &Histogram) -> Histogram {
        let of_before = |index: usize| before.0.get(index).map_or(0.0, |(_, count)| *count);
        let all = self.0.iter().enumerate();
        Histogram(
            all.map(|(index, (bound, count))| (*bound, (count - of_before(index)).max(0.0)))
                .collect(),
        )
    }

    /// How many there are.
    pub fn count(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, count)| *count)
    }

    /// The value below which this part of them lies, seconds: inside a bucket they are taken to be spread
    /// evenly. `None`: there are none. Infinite: it is above the last bound.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let count = self.count();
        if count <= 0.0 {
            return None;
        }
        let rank = part * count;
        let (mut below, mut from) = (0.0, 0.0);
        for (bound, cumulative) in &self.0 {
            if *cumulative >= rank && *cumulative > below {
                return Some(match bound.is_finite() {
                    true => {
                        from + (bound - from) * ((rank - below) / (cumulative - below)).max(0.0)
                    }
                    false => f64::INFINITY,
                });
            }
            (below, from) = (*cumulative, *bound);
        }
        None
    }

    /// The largest bound that is finite, seconds.
    pub fn last_bound(&self) -> f64 {
        let finite = self.0.iter().map(|(bound, _)| *bound);
        finite.filter(|bound| bound.is_finite()).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_by_name_and_label() {
        let text = "# HELP a A.\n# TYPE a gauge\na 1.5\nb{c=\"d\",e=\"f g\"} 2\nb{c=\"h\"} 3\n";
        let page = Page::parse(text, Instant::now()).expect("a page");
        assert_eq!((page.get("a"), page.get("z")), (1.5, 0.0));
        assert_eq!(
            (page.with("b", "c", "h"), page.label("b", "e")),
            (3.0, "f g")
        );
        assert!(Page::parse("<html>\n", Instant::now()).is_none());
        assert!(!page.is_ours());
    }

    #[test]
    fn percentiles_lie_inside_their_bucket() {
        let bounds = [0.001, 0.01, 0.1, f64::INFINITY];
        let of = |counts: [f64; 4]| Histogram(bounds.into_iter().zip(counts).collect());
        let after = of([10.0, 110.0, 110.0, 120.0]);
        let seen = after.since(&of([10.0, 10.0, 10.0, 10.0]));
        assert_eq!(seen.count(), 110.0);
        let median = seen.quantile(0.5).expect("a median");
        assert!((0.001..0.01).contains(&median), "{median}");
        assert_eq!(seen.quantile(0.99), Some(f64::INFINITY));
        assert_eq!(seen.last_bound(), 0.1);
        assert_eq!(of([0.0; 4]).quantile(0.5), None);
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
