//! The limits as flags: each bound of [`Limits`] under its own name.

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::Limits;

macro_rules! flags {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:expr, $help:literal;)*) => {
        pub(crate) fn add_flags(command: Command) -> Command {
            command
                .next_help_heading("Limits")
                .args([$(flag(stringify!($name), $help).value_parser(value_parser!($type))),*])
                .next_help_heading(None)
        }

        /// The defaults with these flags applied.
        pub(crate) fn given(matches: &ArgMatches) -> Limits {
            let mut limits = Limits::default();
            $(if let Some(value) = matches.get_one(stringify!($name)) {
                limits.$name = *value;
            })*
            limits
        }

        /// Says which one makes no sense, if one does.
        pub(crate) fn check(limits: &Limits) -> Result<(), String> {
            $(if limits.$name == 0 && !MAY_BE_ZERO.contains(&stringify!($name)) {
                return Err(format!("--{} must be at least 1", hyphenated(stringify!($name))));
            })*
            $(if let Some(most) = most_of(stringify!($name)) && limits.$name as u64 > most {
                return Err(format!("--{} {} is not within 1 to {most}", hyphenated(stringify!($name)), limits.$name));
            })*
            if limits.fields_max > Limits::FIELDS_CAP {
                return Err(format!("--fields-max {} is above {}", limits.fields_max, Limits::FIELDS_CAP));
            }
            Ok(())
        }
    };
}

/// A larger value must be a typing error, or cannot be had. Negative numbers are larger than all.
fn most_of(name: &str) -> Option<u64> {
    Some(match name {
        "threads_max" | "sending_max" | "backlog" => 65_536,
        "events_max" => 8_192, // A ring has eight completions for each, 65,536 at most (io_uring_setup(2)).
        "lent_buffers" => 32_768,
        "connections_per_address_max" => 65_534, // It is counted in 16 bits.
        "rate_per_address_max" => 1_000_000,
        "addresses_max" => 1 << 22,
        "queue_max" => 1 << 20,
        "input_bytes" | "lent_buffer_bytes" | "unsent_bytes_max" | "access_log_bytes_max" => {
            1 << 30
        }
        "connections_max" => 1 << 30, // As many descriptors as a process can have (fs.nr_open).
        name if name.ends_with("_bytes_max") => 1 << 40,
        name if name.ends_with("_ms") || name.ends_with("_ms_max") => YEAR_MS,
        _ => return None,
    })
}

const YEAR_MS: u64 = 365 * 24 * 3_600_000;

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(hyphenated(name))
        .value_name("N")
        .help(help)
        .hide_short_help(true)
}

fn hyphenated(name: &str) -> String {
    name.replace('_', "-")
}

/// Bounds for which nothing at all is a sensible amount.
const MAY_BE_ZERO: &[&str] = &[
    "empty_lines_max",
    "body_bytes_max",
    "chunk_extension_bytes_max",
    "trailer_bytes_max",
    "trailer_fields_max",
    "spare_bytes_max",
    "queue_delay_ms",
    "connections_per_address_max",
    "rate_per_address_max",
    "in_flight_max",
    "drain_delay_ms",
    "drain_idle_ms",
    "drain_ms",
    "stuck_ms",
    "worker_requests_max",
    "worker_rss_max",
];

proto::limits!(flags);
