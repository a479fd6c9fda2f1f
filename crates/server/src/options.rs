//! The `serve` command line.

use clap::{Args, ValueEnum};
use os::net::Addr;

use crate::limits::LimitArgs;

/// Flags of `turnstile serve`, and of every model's own program.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Variant of the model
    #[arg(long, value_name = "V")]
    pub variant: Option<String>,
    /// Address to listen on: IP:PORT (IPv6 in brackets), unix:/path or fd:N; may be given several times
    /// [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<Addr>,
    /// Worker processes, threads or loops
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Protocol to speak
    #[arg(long, value_enum, default_value_t)]
    pub protocol: ProtocolArg,
    /// CPUs to run on, such as 0 or 0-3,6
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// The protocols, by the names users give them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ProtocolArg {
    /// HTTP/1.1
    #[default]
    Http,
    /// The line protocol of UNP chapter 30
    Unp,
}

impl From<ProtocolArg> for proto::Protocol {
    fn from(arg: ProtocolArg) -> proto::Protocol {
        match arg {
            ProtocolArg::Http => proto::Protocol::Http,
            ProtocolArg::Unp => proto::Protocol::Unp,
        }
    }
}
