//! What the production envelope costs: `envelope.ndjson`, as a section of the report.
//!
//! ```text
//! overload   goodput and response times above the capacity, with shedding and without
//! restart    response times while a server is replaced, and what was refused or lost
//! logs       CPU per request with the admin address and access logs
//! draw       what their drawings share
//! table      tables that stand the same in Markdown and HTML
//! ```
//!
//! Each part gives a drawing, a table, and one sentence that says what the figures mean for a service. The
//! sentence is made from the figures, so that it says something else where they do.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use schema::envelope::{FILE, Line};

use crate::drawing::Plot;
use crate::format;
use crate::read;

mod draw;
mod lines;
mod logs;
mod overload;
mod part;
mod restart;
mod short;
mod table;

pub use lines::Envelope;
pub use part::Part;

/// The envelope in `dir`, and a remark when its last line was cut short; `None` where there is none.
pub fn read(dir: &Path) -> Result<(Option<Envelope>, Option<String>)> {
    let file = dir.join(FILE);
    if !file.is_file() {
        return Ok((None, None));
    }
    let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
    let (envelope, remark) =
        parse(&bytes).map_err(|(line, why)| anyhow!("{}:{line}: {why}", file.display()))?;
    Ok((Some(envelope), remark))
}

/// The envelope in `bytes`, and a remark when the last line was cut short.
fn parse(bytes: &[u8]) -> Result<(Envelope, Option<String>), (usize, String)> {
    let (lines, cut) = read::lines(bytes)?;
    if !matches!(lines.first(), None | Some(Line::Run(_))) {
        let text = "the first line does not say what was measured".to_owned();
        return Err((1, text));
    }
    let mut envelope = Envelope::default();
    lines.into_iter().for_each(|line| envelope.add(line));
    let remark = |line: usize| {
        format!(
            "{FILE} ends in the middle of line {line}: it was interrupted, that line is left out"
        )
    };
    Ok((envelope, cut.map(remark)))
}

impl Envelope {
    fn add(&mut self, line: Line) {
        match line {
            Line::Run(run) => self.run = run,
            Line::Overload(overload) => self.overload.push(overload),
            Line::Restart(restart) => self.restarts.push(restart),
            Line::Log(log) => self.logs.push(log),
            Line::LogEnd(end) => self.ends.push(end),
            Line::Unmeasured(missing) => self.unmeasured.push(missing),
            Line::End(_) => self.complete = true,
            Line::Unknown => {}
        }
    }

    /// Its parts, as far as there is something to show.
    pub fn parts(&self) -> Vec<Part> {
        let parts = [overload::part(self), restart::part(self), logs::part(self)];
        parts.into_iter().flatten().collect()
    }

    /// The drawings, as files.
    pub fn plots(&self) -> Vec<Plot> {
        let plot = |part: Part| Plot {
            name: part.id.to_owned(),
            svg: part.svg,
            style: draw::STYLE,
        };
        self.parts().into_iter().map(plot).collect()
    }

    /// `Turnstile: what the production envelope costs, quick run of 2026-11-26`.
    pub fn title(&self) -> String {
        let mut title = format!(
            "Turnstile: what the production envelope costs, {} run",
            self.run.size
        );
        if let Some(day) = self.run.started.get(..10) {
            title.push_str(&format!(" of {day}"));
        }
        title
    }

    /// One sentence: of what these are the figures. A file may have been put beside another run.
    pub fn measured(&self) -> String {
        let run = &self.run;
        let mut text = format!(
            "{} on {}, {}, server on CPU {}, generator on CPU {}; begun {}, seed {}",
            format::count(run.models.len(), "model"),
            run.cpu,
            format::count(run.cpus as usize, "CPU"),
            run.server_cpus,
            run.load_cpus,
            run.started,
            run.seed
        );
        let build: Vec<&str> = [run.turnstile.as_str(), run.commit.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        text.push_str(&format!("; turnstile {}.", build.join(", commit ")));
        text
    }

    /// What a reader must know first.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = self.run.remarks.clone();
        if !self.complete {
            notices.push("It is not complete: the run was interrupted.".to_owned());
        }
        if self.run.size == "smoke" {
            notices.push(
                "Size smoke: it shows that everything runs. Its windows are too short for figures to rest on."
                    .to_owned(),
            );
        }
        for missing in &self.unmeasured {
            notices.push(format!(
                "{}, {}: not measured, {}.",
                missing.model,
                missing.part,
                missing.reason.trim_end_matches('.')
            ));
        }
        let spoiled = self.spoiled();
        if spoiled > 0 {
            let all = self.overload.len() + self.restarts.len() + self.logs.len();
            notices.push(format!(
                "{spoiled} of {all} windows are left out, because something else disturbed them; {FILE} says what."
            ));
        }
        notices
    }

    fn spoiled(&self) -> usize {
        let overload = self.overload.iter().filter(|line| line.spoiled.is_some());
        let restarts = self.restarts.iter().filter(|line| line.spoiled.is_some());
        let logs = self.logs.iter().filter(|line| line.spoiled.is_some());
        overload.count() + restarts.count() + logs.count()
    }
}

#[cfg(test)]
mod tests {
    use schema::envelope::{Log, Unmeasured};

    use super::*;

    #[test]
    fn a_line_that_was_cut_short_is_left_out_and_a_wrong_one_is_named() {
        let run = r#"{"kind":"run","models":["a"]}"#;
        let good = format!("{run}\n{{\"kind\":\"log\",\"model\":\"a\"}}\n");
        let (envelope, remark) = parse(good.as_bytes()).expect("good");
        assert_eq!((envelope.logs.len(), remark), (1, None));
        let (envelope, remark) = parse(format!("{good}{{\"kind\":").as_bytes()).expect("cut");
        assert_eq!(envelope.logs.len(), 1);
        assert!(remark.expect("a remark").contains("line 3"));
        assert_eq!(
            parse(format!("{good}no\n").as_bytes())
                .expect_err("wrong")
                .0,
            3
        );
        let headless = parse(b"{\"kind\":\"end\"}\n").expect_err("no first line");
        assert!(headless.1.contains("first line"), "{headless:?}");
    }

    #[test]
    fn what_is_incomplete_or_left_out_is_said() {
        let mut envelope = Envelope::default();
        envelope.run.size = "quick".to_owned();
        assert_eq!(envelope.notices().len(), 1, "not complete");
        envelope.complete = true;
        assert!(envelope.notices().is_empty());
        envelope.logs.push(Log {
            spoiled: Some("others used 20 % of the CPUs".to_owned()),
            ..Log::default()
        });
        envelope.unmeasured.push(Unmeasured {
            model: "a".into(),
            part: "logs".into(),
            reason: "it did not start.".into(),
        });
        let notices = envelope.notices();
        assert_eq!(notices[0], "a, logs: not measured, it did not start.");
        assert!(notices[1].starts_with("1 of 1 windows"), "{notices:?}");
        assert!(envelope.parts().is_empty());
    }
}
