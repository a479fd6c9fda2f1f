//! The figures a trial holds, each with its name, unit and direction.

use schema::Figure;

use crate::data::{Figures, Latency};
use crate::format;

/// One figure of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Correct answers per second.
    Throughput,
    /// CPU of the server's tree per request.
    ServerCpu,
    /// CPU of the whole machine per request.
    MachineCpu,
    /// Response time percentiles.
    P50,
    /// 90th.
    P90,
    /// 99th.
    P99,
    /// 99.9th.
    P999,
    /// Service time percentiles, which do not show how long a request waited before it was sent.
    ServiceP50,
    /// 90th.
    ServiceP90,
    /// 99th.
    ServiceP99,
    /// 99.9th.
    ServiceP999,
    /// Context switches per request.
    Switches,
    /// Proportional set size under load.
    Pss,
    /// Proportional set size before any connection.
    PssIdle,
    /// Processes and threads.
    Tasks,
    /// SIGTERM to exit.
    Drain,
    /// Lateness of the generator itself, p99.
    Lateness,
    /// Correct answers within the objective per second, while twice the capacity is offered.
    Goodput,
    /// From the end of that until the objective is kept again.
    Recovery,
    /// Jain's index of the requests each worker served.
    Jain,
}

impl Metric {
    /// What a heading calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::ServerCpu => "server CPU per request",
            Self::MachineCpu => "machine CPU per request",
            Self::P50 => "p50 response",
            Self::P90 => "p90 response",
            Self::P99 => "p99 response",
            Self::P999 => "p99.9 response",
            Self::ServiceP50 => "p50 service",
            Self::ServiceP90 => "p90 service",
            Self::ServiceP99 => "p99 service",
            Self::ServiceP999 => "p99.9 service",
            Self::Switches => "context switches per request",
            Self::Pss => "memory under load (PSS)",
            Self::PssIdle => "memory idle (PSS)",
            Self::Tasks => "processes and threads",
            Self::Drain => "time to drain",
            Self::Lateness => "lateness of the generator, p99",
            Self::Goodput => "goodput at twice the capacity",
            Self::Recovery => "time to recover",
            Self::Jain => "Jain's index of workers",
        }
    }

    /// The same for a narrow column.
    pub fn short(self) -> &'static str {
        match self {
            Self::ServerCpu => "CPU per request",
            Self::Goodput => "goodput at 2×",
            _ => self.name(),
        }
    }

    /// The quantile of the response that it is; `None` for other figures.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P90 => Some(0.9),
            Self::P99 => Some(0.99),
            Self::P999 => Some(0.999),
            _ => None,
        }
    }

    /// The group of figures that it is of, as findings name it; `None` for what no finding names.
    pub fn group(self) -> Option<Figure> {
        match self {
            Self::Throughput | Self::Goodput => Some(Figure::Throughput),
            Self::ServerCpu | Self::MachineCpu | Self::Switches => Some(Figure::ServerCpu),
            Self::Pss | Self::PssIdle | Self::Tasks => Some(Figure::Memory),
            Self::Drain | Self::Lateness | Self::Jain => None,
            _ => Some(Figure::Latency),
        }
    }

    /// `true` where more is better.
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::Throughput | Self::Goodput | Self::Jain)
    }

    /// `higher is better` or `lower is better`.
    pub fn direction(self) -> &'static str {
        if self.more_is_better() {
            "higher is better"
        } else {
            "lower is better"
        }
    }

    /// The value in `figures`, in the schema's unit; infinite where the answer never came, `None`
    /// where it was not measured.
    pub fn value(self, figures: &Figures) -> Option<f64> {
        let latency = |histogram: &Latency, pick: fn(&Latency) -> Option<f64>| {
            // A null percentile beside unanswered requests is an infinite one; alone, a missing one.
            let unanswered = figures.scheduled > figures.requests;
            pick(histogram).or_else(|| unanswered.then_some(f64::INFINITY))
        };
        match self {
            Self::Throughput => Some(figures.throughput_rps),
            Self::ServerCpu => figures.server_cpu_us_per_request,
            Self::MachineCpu => figures.machine_cpu_us_per_request,
            Self::P50 => latency(&figures.response_us, |each| each.p50),
            Self::P90 => latency(&figures.response_us, |each| each.p90),
            Self::P99 => latency(&figures.response_us, |each| each.p99),
            Self::P999 => latency(&figures.response_us, |each| each.p999),
            Self::ServiceP50 => latency(&figures.service_us, |each| each.p50),
            Self::ServiceP90 => latency(&figures.service_us, |each| each.p90),
            Self::ServiceP99 => latency(&figures.service_us, |each| each.p99),
            Self::ServiceP999 => latency(&figures.service_us, |each| each.p999),
            Self::Switches => figures.context_switches_per_request,
            Self::Pss => figures.pss_kib.map(|kib| kib as f64),
            Self::PssIdle => figures.pss_idle_kib.map(|kib| kib as f64),
            Self::Tasks => figures.tasks.map(f64::from),
            Self::Drain => figures.drain_ms,
            Self::Lateness => figures.generator_late_p99_us,
            Self::Goodput => figures.overload().map(|phase| phase.goodput_rps),
            // A load in steps without a recovery did not recover within its window.
            Self::Recovery if figures.phases.is_empty() => None,
            Self::Recovery => Some(figures.recovery_ms.unwrap_or(f64::INFINITY)),
            Self::Jain => figures.jain,
        }
    }

    /// `true` where the figure of a trial that did not hold its offered rate says nothing good: an
    /// overloaded server serves few requests cheaply.
    pub fn needs_the_rate_held(self) -> bool {
        !matches!(
            self,
            Self::Throughput
                | Self::Pss
                | Self::PssIdle
                | Self::Tasks
                | Self::Drain
                | Self::Lateness
                | Self::Goodput
                | Self::Recovery
                | Self::Jain
        )
    }

    /// The value as a logarithmic cost: smaller is better in every metric, and the difference of
    /// two is the logarithm of how many times worse one is.
    pub fn cost(self, value: f64) -> f64 {
        let log = value.max(0.0).ln();
        let log = if self.more_is_better() { -log } else { log };
        log.clamp(-crate::stats::INFINITE_LOG, crate::stats::INFINITE_LOG)
    }

    /// The value with its unit, short.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Throughput | Self::Goodput => format::rate(value),
            Self::Switches | Self::Tasks | Self::Jain => format::number(value),
            Self::Pss | Self::PssIdle => format::kib(value),
            Self::Drain | Self::Recovery => format!("{} ms", format::number(value)),
            _ => format::micros(value),
        }
    }
}
