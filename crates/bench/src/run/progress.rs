//! The progress of a run: a bar on a terminal, one line per scenario elsewhere.
//!
//! Both are drawn between visits only: a bar that moves during one would take CPU from what is measured.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::plan::estimate::words;
use crate::plan::visit::Visit;

/// Progress through a plan, in estimated time.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    blocks: u32,
    total: Duration,
    done: Duration,
    started: Instant,
    line: Option<(u32, &'static str)>,
    /// In which round it is, where there are rounds.
    round: Option<usize>,
}

impl Progress {
    /// Begins; `total` is the estimate of all that is to be done.
    pub fn new(total: Duration, blocks: u32) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("[{bar:30}] {percent:>3} %  {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar
        });
        Self {
            bar,
            blocks,
            total,
            done: Duration::ZERO,
            started: Instant::now(),
            line: None,
            round: None,
        }
    }

    /// A visit begins.
    pub fn visit(&mut self, visit: &Visit) {
        if let Some(round) = self.round.filter(|_| visit.measured_in_slices()) {
            // How many rounds there will be is not known: what passes is the time.
            if let Some(bar) = &self.bar {
                let (gone, all) = (self.started.elapsed(), self.total.as_secs_f64());
                bar.set_position((gone.as_secs_f64() / all.max(1e-9) * 100.0).min(99.0) as u64);
                bar.set_message(format!("round {}, {}", round + 1, visit.scenario.name));
            }
            return;
        }
        let (block, name) = (visit.block + 1, visit.scenario.name);
        let place = format!("block {block}/{}, {name}", self.blocks);
        let left = words(self.left());
        if let Some(bar) = &self.bar {
            let share = self.done.as_secs_f64() / self.total.as_secs_f64().max(1e-9);
            bar.set_position((share * 100.0) as u64);
            let who = match visit.measured_in_slices() {
                true => "all side by side",
                false => &visit.contender.label,
            };
            bar.set_message(format!("{left} left  {place}, {who}"));
        } else if self.line != Some((visit.block, visit.scenario.name)) {
            self.line = Some((visit.block, visit.scenario.name));
            eprintln!("{place}: about {left} left");
        }
    }

    /// A round begins, with so many verdicts of its scenario open.
    pub fn round(&mut self, round: usize, scenario: &str, open: Option<usize>) {
        self.round = Some(round);
        if self.bar.is_none() {
            let open = match open {
                None => "all servers".to_owned(),
                Some(1) => "one verdict is open".to_owned(),
                Some(open) => format!("{open} verdicts are open"),
            };
            eprintln!("round {}, {scenario}: {open}", round + 1);
        }
    }

    /// A visit that was estimated at `time` is over.
    pub fn done(&mut self, time: Duration) {
        self.done += time;
    }

    /// Prints a line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The time that is left, corrected by how long the visits so far took.
    fn left(&self) -> Duration {
        let left = self.total.saturating_sub(self.done);
        let real = self.started.elapsed().as_secs_f64();
        let estimated = self.done.as_secs_f64();
        if estimated < 5.0 {
            left
        } else {
            left.mul_f64(real / estimated)
        }
    }
}
