//! The usual workloads as flags.

use crate::parse::{File, FileClass, FileDistribution};
use crate::{Distribution, Workload};

/// A workload of one class as flags. Those that are given beside a file replace what the file says.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Offered requests per second
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub rate: Option<f64>,

    /// Clients, each of which waits for its reply, instead of a rate
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "rate",
        allow_negative_numbers = true
    )]
    pub population: Option<i64>,

    /// How long a client waits after a reply, ms
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    pub think_ms: Option<f64>,

    /// Connections that are open at once
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub connections: Option<i64>,

    /// How many of them carry the load
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub active: Option<i64>,

    /// Share of requests that come on a connection of their own
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub churn: Option<f64>,

    /// CPU of the handler per request, µs
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub cpu_us: Option<f64>,

    /// A back end that blocks its worker, µs per request
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub blocked_us: Option<f64>,

    /// A back end that is awaited with the worker free, µs per request
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub wait_us: Option<f64>,

    /// Bytes of a reply
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub reply_bytes: Option<i64>,

    /// Bytes of a request's body
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub request_bytes: Option<i64>,

    /// The objective: p99 of the response time, ms
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    pub p99_ms: Option<f64>,

    /// CPUs of the server
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub cpus: Option<i64>,

    /// Memory that the server may use, MiB
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub memory_mib: Option<i64>,

    /// io_uring is not allowed
    #[arg(long)]
    pub no_io_uring: bool,

    /// Handlers share state in memory
    #[arg(long)]
    pub shared_memory: bool,

    /// One request's crash may cost only its own connection
    #[arg(long)]
    pub crash_isolation: bool,
}

impl Flags {
    /// Whether none was given.
    pub fn is_empty(&self) -> bool {
        format!("{self:?}") == format!("{:?}", Self::default())
    }

    /// The workload of the flags alone.
    ///
    /// # Errors
    /// One line that names the field and what is wrong with it.
    pub fn workload(&self) -> Result<Workload, String> {
        self.over(None)
    }

    /// The workload of a file's `text`, in which the flags replace what is said there.
    ///
    /// # Errors
    /// One line that names the field and what is wrong with it, or that the file has several classes and
    /// a flag is about one.
    pub fn over(&self, text: Option<&str>) -> Result<Workload, String> {
        let mut file = match text {
            // Read as a workload first, so that an error names its line.
            Some(text) => Workload::parse(text).and_then(|_| {
                toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
            })?,
            None => File {
                class: vec![FileClass::default()],
                ..File::default()
            },
        };
        if self.rate.is_some() {
            (file.rate, file.population, file.think_ms) = (self.rate, None, None);
        }
        if self.population.is_some() {
            (file.population, file.rate) = (self.population, None);
        }
        file.think_ms = self.think_ms.or(file.think_ms);
        if let Some(connections) = self.connections {
            // Where all connections were active, all are; otherwise no more than there are.
            let all = file.active == file.connections;
            file.active = file.active.filter(|_| !all).map(|n| n.min(connections));
            file.connections = self.connections;
        }
        file.active = self.active.or(file.active);
        file.churn = self.churn.unwrap_or(file.churn);
        if let Some(ms) = self.p99_ms {
            (file.objective.percentile, file.objective.response_ms) = (Some(99.0), Some(ms));
        }
        file.machine.cpus = self.cpus.or(file.machine.cpus);
        file.machine.memory_mib = self.memory_mib.or(file.machine.memory_mib);
        if self.no_io_uring {
            file.machine.io_uring = Some(false);
        }
        file.needs.shared_memory |= self.shared_memory;
        file.needs.crash_isolation |= self.crash_isolation;
        self.class(&mut file.class)?;
        file.into_workload()
    }

    fn class(&self, classes: &mut [FileClass]) -> Result<(), String> {
        let times = [self.cpu_us, self.blocked_us, self.wait_us];
        let bytes = [self.reply_bytes, self.request_bytes];
        if times.iter().all(Option::is_none) && bytes.iter().all(Option::is_none) {
            return Ok(());
        }
        let [class] = classes else {
            return Err("the file has several classes: a time or size by flag is of one".into());
        };
        let constant = |us: Option<f64>| us.map(|us| FileDistribution(Distribution::Constant(us)));
        for (field, given) in [&mut class.cpu_us, &mut class.blocked_us, &mut class.wait_us]
            .into_iter()
            .zip(times)
        {
            if given.is_some() {
                *field = constant(given);
            }
        }
        class.reply_bytes = self.reply_bytes.or(class.reply_bytes);
        class.request_bytes = self.request_bytes.unwrap_or(class.request_bytes);
        Ok(())
    }
}
