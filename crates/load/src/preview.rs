//! What has come so far, as lines of JSON, for a page that shows a run while it goes on.
//!
//! A preview is made of counts that are read while they change, and holds no percentile: nothing is
//! ever judged by it.

use serde::Serialize;

use crate::shared::SoFar;

/// Makes a line of each look at a run.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    last: SoFar,
}

/// A line.
#[derive(Debug, Serialize)]
struct Line {
    /// Correct replies within the window so far.
    answered: u64,
    /// Failures so far.
    failed: u64,
    /// Mean time in the system of those that came since the line before, by Little's law; absent
    /// where none came.
    mean_us: Option<f64>,
}

impl Preview {
    /// The next line.
    pub(crate) fn line(&mut self, now: SoFar) -> String {
        let came = now.answered.saturating_sub(self.last.answered);
        let occupied_ns = now.occupied_ns.saturating_sub(self.last.occupied_ns);
        self.last = now;
        let line = Line {
            answered: now.answered,
            failed: now.failed,
            mean_us: (came > 0).then(|| occupied_ns as f64 / 1e3 / came as f64),
        };
        serde_json::to_string(&line).expect("numbers always serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_counts_so_far_and_the_mean_since_the_last() {
        let mut preview = Preview::default();
        let mut so_far = SoFar {
            answered: 4,
            failed: 1,
            occupied_ns: 6_000,
        };
        let line = preview.line(so_far);
        assert_eq!(line, r#"{"answered":4,"failed":1,"mean_us":1.5}"#);
        let line = preview.line(so_far);
        assert_eq!(line, r#"{"answered":4,"failed":1,"mean_us":null}"#);
        (so_far.answered, so_far.occupied_ns) = (5, 16_000);
        assert!(preview.line(so_far).ends_with(r#""mean_us":10.0}"#));
    }
}
