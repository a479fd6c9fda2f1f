//! The `serve` command line.
//!
//! The flags are described by hand: to derive them takes six crates more, a parser of Rust among
//! them, in every program that serves with this library.

use std::path::PathBuf;

use clap::builder::{EnumValueParser, PossibleValue};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum, value_parser};
use proto::{Limits, Protocol};

use crate::{Address, LogFormat, LogTarget, SlowClients, limits};

/// Flags of `turnstile serve`, and of every program that serves with one model.
#[derive(Debug, Clone, Default)]
pub struct ServeArgs {
    /// Variant of the model, unless the default one.
    pub variant: Option<String>,
    /// Where to listen, unless at `127.0.0.1:8080`.
    pub listen: Vec<Address>,
    /// How many worker processes, threads or loops, unless as many as the variant has by itself.
    pub workers: Option<usize>,
    /// What holds slow clients, unless a worker does.
    pub front: Option<SlowClients>,
    /// What is spoken.
    pub protocol: Protocol,
    /// List of CPUs to run on, such as `0` or `0-3,6`.
    pub cpus: Option<String>,
    /// Permissions of the Unix sockets that it makes, unless the umask's.
    pub unix_mode: Option<u32>,
    /// The user to run as once it listens, by name or number.
    pub user: Option<String>,
    /// The group to run as once it listens, unless the user's.
    pub group: Option<String>,
    /// File that holds the id of the main process.
    pub pid_file: Option<PathBuf>,
    /// Where to serve metrics and health.
    pub admin: Option<Address>,
    /// The field in which clients say how long they wait for a reply, ms.
    pub deadline_header: Option<String>,
    /// Where to write a line for each request.
    pub access_log: Option<LogTarget>,
    /// How these lines are written.
    pub access_log_format: LogFormat,
    /// Bounds and timeouts.
    pub limits: Limits,
    /// Whether the bound of connections was asked for, even if it is the default: one that was is not lowered
    /// to what fits into the memory of a container.
    pub asks_connections_max: bool,
}

impl Args for ServeArgs {
    fn augment_args(command: Command) -> Command {
        let flags = [
            Arg::new("variant")
                .value_name("V")
                .help("Variant of the model"),
            Arg::new("listen")
                .value_name("ADDR")
                .value_parser(value_parser!(Address))
                .action(ArgAction::Append)
                .help(
                    "Address to listen on: HOST:PORT (a name is all its addresses; IPv6 in \
                     brackets), :PORT (every address: [::] with IPv4, or 0.0.0.0 without IPv6), \
                     unix:/path or fd:N; may be given several times [default: 127.0.0.1:8080]",
                ),
            Arg::new("workers")
                .value_name("N")
                .value_parser(value_parser!(usize))
                .help("Worker processes, threads or loops"),
            Arg::new("front")
                .value_name("HOW")
                .value_parser(EnumValueParser::<SlowClients>::new())
                .num_args(0..=1)
                .default_missing_value("poll")
                .help("Keep slow clients out of the workers of blocking models"),
            Arg::new("protocol")
                .value_name("PROTOCOL")
                .value_parser(EnumValueParser::<ProtocolArg>::new())
                .default_value("http")
                .help("Protocol to speak"),
            Arg::new("cpus")
                .value_name("LIST")
                .help("CPUs to run on, such as 0 or 0-3,6"),
            Arg::new("unix-mode")
                .value_name("MODE")
                .value_parser(parse_mode)
                .help(
                    "Permissions of unix:/path listeners, octal such as 660 [default: the umask's]",
                ),
            Arg::new("user")
                .value_name("NAME")
                .help("User to run as once it listens: a name or a number"),
            Arg::new("group")
                .value_name("NAME")
                .help("Group to run as once it listens [default: that of --user]"),
            Arg::new("pid-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help(
                    "File to write the process id to; after a hot restart, that of the new process",
                ),
            Arg::new("admin")
                .value_name("ADDR")
                .value_parser(value_parser!(Address))
                .help("Address to serve /metrics, /healthz and /readyz on, as for --listen"),
            Arg::new("deadline-header")
                .value_name("NAME")
                .value_parser(parse_field_name)
                .help(
                    "Header field in which clients say how long they wait, in ms: requests that have \
                     waited for longer are answered with 503",
                ),
            Arg::new("access-log")
                .value_name("TARGET")
                .value_parser(value_parser!(LogTarget))
                .help(
                    "Write a line for each request to a file, - (standard error) or unix:/path (a \
                     datagram socket); SIGUSR1 opens the file anew",
                ),
            Arg::new("access-log-format")
                .value_name("FORMAT")
                .value_parser(value_parser!(LogFormat))
                .default_value("combined")
                .help("Format of its lines: combined or json"),
        ];
        let flags = flags.map(|flag| {
            let name = flag.get_id().to_string();
            flag.long(name)
        });
        limits::add_flags(command.args(flags))
    }

    fn augment_args_for_update(command: Command) -> Command {
        ServeArgs::augment_args(command)
    }
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<ServeArgs, clap::Error> {
        Ok(ServeArgs {
            variant: matches.get_one("variant").cloned(),
            listen: matches
                .get_many("listen")
                .map(|addrs| addrs.cloned().collect())
                .unwrap_or_default(),
            workers: matches.get_one("workers").copied(),
            front: matches.get_one("front").copied(),
            protocol: matches
                .get_one("protocol")
                .map_or_else(Protocol::default, |&ProtocolArg(protocol)| protocol),
            cpus: matches.get_one("cpus").cloned(),
            unix_mode: matches.get_one("unix-mode").copied(),
            user: matches.get_one("user").cloned(),
            group: matches.get_one("group").cloned(),
            pid_file: matches.get_one("pid-file").cloned(),
            admin: matches.get_one("admin").cloned(),
            deadline_header: matches.get_one("deadline-header").cloned(),
            access_log: matches.get_one("access-log").cloned(),
            access_log_format: matches
                .get_one("access-log-format")
                .copied()
                .unwrap_or_default(),
            limits: limits::given(matches),
            asks_connections_max: matches.contains_id("connections_max"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = ServeArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode @ 0..=0o777) => Ok(mode),
        _ => Err("not a mode such as 660".into()),
    }
}

/// The name of a field (RFC 9110 section 5.1).
fn parse_field_name(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_token) {
        true => Ok(text.to_owned()),
        false => Err("not the name of a header field".into()),
    }
}

/// A protocol by the name that users give it.
#[derive(Debug, Clone, Copy)]
struct ProtocolArg(Protocol);

impl ValueEnum for ProtocolArg {
    fn value_variants<'a>() -> &'a [ProtocolArg] {
        &[ProtocolArg(Protocol::Http), ProtocolArg(Protocol::Unp)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self.0 {
            Protocol::Http => PossibleValue::new("http").help("HTTP/1.1"),
            Protocol::Unp => PossibleValue::new("unp").help("The line protocol of UNP chapter 30"),
        })
    }
}
