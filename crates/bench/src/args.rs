//! The command line of `turnstile bench`.

use std::path::PathBuf;

use crate::observe::cpus::CpuArgs;
use crate::plan::own;

/// `turnstile bench`: measure models side by side, and leave a folder with every figure.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// smoke (1 block, no ranking), quick (3 blocks) or full (16 blocks) [default: quick]
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,

    /// Models, as `prefork`, `prefork:flock` or `prefork:all`; or `all`, or `all-variants`
    /// [default: all; with --target or --contenders, none]
    #[arg(long, value_name = "A,B")]
    pub models: Option<String>,

    /// A server that is running: `[NAME=]URL[,pid=PID][,beside=MODEL]`; repeatable
    ///
    /// It is measured in the scenarios whose paths it answers, in the same blocks as the models. A
    /// path in the URL is asked for in place of /plaintext, in scenarios that ask for nothing else.
    /// With its PID, CPU and memory of its process tree are read; without it, they are not known.
    #[arg(long = "target", value_name = "[NAME=]URL")]
    pub targets: Vec<String>,

    /// A file of servers that the bench starts by a command, in a grid of sizes (TOML); repeatable
    ///
    /// Each is a row beside the models that are named. docs/contenders.md has examples.
    #[arg(long, value_name = "FILE")]
    pub contenders: Vec<String>,

    /// How much of a target's reply must stay the same: exact, length or none [default: what does]
    #[arg(long, value_name = "HOW")]
    pub body_check: Option<String>,

    /// Rates to offer in every scenario, per second [default: from the scenario, or from what targets do]
    #[arg(long, value_name = "R,R", value_delimiter = ',')]
    pub rates: Vec<f64>,

    /// What every row is asked for, WEIGHT:METHOD:PATH, in scenarios that ask for one path; repeatable
    /// [scenarios then: tiny-keepalive,churn]
    ///
    /// `{n:K}` in the path is replaced by a number below K, drawn for every request.
    #[arg(long = "request", value_name = "KIND")]
    pub requests: Vec<String>,

    /// A header field of every request, NAME: VALUE; repeatable. It is kept in the folder
    #[arg(long = "header", short = 'H', value_name = "LINE")]
    pub headers: Vec<String>,

    /// Connections, in every scenario [default: from the scenario]
    #[arg(long, short, value_name = "N")]
    pub connections: Option<u32>,

    /// The length of every slice and window, such as 500ms or 2s [default: from the size]
    #[arg(long, value_name = "D", value_parser = own::seconds)]
    pub duration: Option<f64>,

    /// Measure a grid of contenders that is larger than 40 rows
    #[arg(long)]
    pub yes: bool,

    /// Scenarios, or `key`, or `all`; --list-scenarios names them [default: key; all in full]
    #[arg(long, value_name = "A,B")]
    pub scenarios: Option<String>,

    /// A workload in a TOML file instead of scenarios: a mix of /work requests, its rate or its
    /// population, and its objective
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenarios", "targets"])]
    pub workload: Option<PathBuf>,

    /// The passes: measure, capacity, memory, system-calls [default: all of them]
    #[arg(long, value_name = "A,B")]
    pub passes: Option<String>,

    /// Measure what makes a server operable, instead of scenarios: overload with shedding and without,
    /// hot restarts under load, and the CPU of access logs
    ///
    /// The results are a section of the report: of a folder of their own, or, with --out, of a run that
    /// is there.
    #[arg(
        long,
        conflicts_with_all = [
            "targets", "contenders", "body_check", "rates", "requests", "headers", "connections",
            "duration", "yes", "scenarios", "workload", "passes", "minutes", "until", "resume",
            "list_scenarios", "load"
        ]
    )]
    pub envelope: bool,

    /// Minutes for all of it: rounds of slices go on where verdicts are open [default: as --size says]
    ///
    /// Rounds end when every verdict is settled (--until), and before the time is over. Only the speed
    /// is measured unless --passes says more.
    #[arg(long, value_name = "N")]
    pub minutes: Option<f64>,

    /// Go on in rounds of slices until every server is shown to be tied with the best, within so many
    /// per cent, or behind it [default with --minutes: 3%]
    #[arg(long, value_name = "PERCENT")]
    pub until: Option<String>,

    /// Folder for the results [default: results/UTC-TIME-SIZE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Continue an unfinished run: trials that it already holds are not repeated
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub resume: Option<PathBuf>,

    /// The seed of everything random: the order of the servers and the arrivals
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Who gets which CPUs.
    #[command(flatten)]
    pub cpus: CpuArgs,

    /// The server to measure: any command with `models --json` and `serve` [default: this one]
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,

    /// Print the scenarios and stop
    #[arg(long)]
    pub list_scenarios: bool,

    /// A generator other than this command, for tests of the bench itself.
    #[arg(long, value_name = "PATH", hide = true)]
    pub load: Option<PathBuf>,
}
