//! `turnstile bench --envelope`: what the things cost that make a server operable.
//!
//! Like the rest of the bench it runs `turnstile serve` and `turnstile load` as children and links no
//! model. Its lines say nothing but what was read: shares, ratios and intervals are the report's.
//!
//! What can be paired is. In the overload both servers of a pair, with shedding and without, see the same
//! arrivals, one right after the other, in an order drawn anew. Of the logs, all setups of a model stand side
//! by side, and each rotation loads every one of them once. A restart has no partner: it is its own
//! comparison, before and after.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use schema::envelope::{Line, Unmeasured as Missing};
use schema::random::SplitMix64;

use crate::args::Args;
use crate::failure::{Failure, Unmeasured};
use crate::observe::cpus::CpuList;
use crate::plan::catalogue::Catalogue;
use crate::plan::contender::Contender;
use crate::plan::estimate;
use crate::run::progress::Progress;
use crate::run::setup::Setup;

use plan::Part;
use record::Record;
use session::{Session, Stopped};

mod logs;
mod overload;
mod plan;
mod record;
mod restart;
mod server;
mod session;

/// Measures the envelope; gives the folder of the results.
///
/// # Errors
/// See [`Failure`]. After an interruption the folder holds what was measured, with a report.
pub fn run(args: &Args) -> Result<PathBuf, Failure> {
    let times = plan::times(args)?;
    let allowed = CpuList::allowed()?;
    let (server_cpus, load_cpus) = args.cpus.shared_out(&allowed)?;
    let own = std::env::current_exe().context("this command does not find itself")?;
    let server = args.server.clone().unwrap_or_else(|| own.clone());
    let catalogue = Catalogue::of(args.server.as_deref(), &own)?;
    let contenders = catalogue.choose(args.models.as_deref().unwrap_or("all"))?;
    let seed = args.seed.unwrap_or_else(|| u64::from(std::process::id()));
    let cpus = [&server_cpus, &load_cpus];
    let (run, env) = plan::described(&times, &allowed, cpus, &contenders, seed);
    let record = Record::create(args.out.clone(), run, env)?;
    let scratch = |name: &str| record.scratch(name);
    let setup = Setup {
        server,
        ..Setup::of_own(server_cpus, load_cpus, scratch)?
    };
    let folder = record.folder().to_owned();
    let total = times.total(contenders.len());
    eprintln!(
        "envelope, {}: {} models, about {}; overload, restarts and logs one after the other",
        times.name,
        contenders.len(),
        estimate::words(total)
    );
    let began = Instant::now();
    let mut session = Session {
        setup,
        times,
        record,
        random: SplitMix64::new(seed),
        seed,
    };
    let measured = session.measure(&contenders, total);
    let took = began.elapsed();
    if measured.is_ok() {
        session.record.end(took)?;
        eprintln!(
            "took {}, announced {}",
            estimate::words(took),
            estimate::words(total)
        );
    }
    session.record.clean();
    if session.record.has_figures() {
        report::write(&folder)
            .context("the report cannot be written; the measurements are kept")?;
    }
    measured?;
    if !session.record.has_figures() {
        return Err(Failure::Failed(anyhow::anyhow!(
            "nothing could be measured: {} says why",
            folder.join(schema::envelope::FILE).display()
        )));
    }
    Ok(folder)
}

impl Session {
    fn measure(&mut self, contenders: &[Contender], total: Duration) -> Result<(), Failure> {
        let mut progress = Progress::new(total, 1);
        for part in Part::ALL {
            for (at, contender) in contenders.iter().enumerate() {
                let (name, label) = (part.name(), &contender.label);
                let (number, all) = (at + 1, contenders.len());
                progress.say(&format!("{name} {number}/{all}: {label}"));
                let measured = match part {
                    Part::Overload => overload::measure(self, contender),
                    Part::Restart => restart::measure(self, contender),
                    Part::Logs => logs::measure(self, contender),
                };
                progress.done(self.times.of(part));
                match measured {
                    Ok(()) => {}
                    Err(Stopped::Unmeasured(Unmeasured::Interrupted)) => {
                        progress.finish();
                        return Err(Failure::Interrupted);
                    }
                    Err(Stopped::Unmeasured(Unmeasured::Because(reason))) => {
                        progress.say(&format!("  not measured: {}", reason.text));
                        self.record.append(&Line::Unmeasured(Missing {
                            model: contender.label.clone(),
                            part: part.name().to_owned(),
                            reason: reason.text,
                        }))?;
                    }
                    Err(Stopped::Failed(error)) => return Err(error.into()),
                }
            }
        }
        progress.finish();
        Ok(())
    }
}
