//! The bench from its arguments to its report, with a server and a generator of the test's own.
//!
//! This binary plays the `turnstile` command, because that is what the bench starts: called with
//! `models`, `serve`, `null-server`, `load` or `bench` it is that command; without, it runs the tests.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

mod capacity;
mod checks;
mod contenders;
mod fake;
mod harness;
mod passes;
mod rounds;
mod runs;
mod sharing;
mod store;

use harness::Folder;

#[derive(Parser)]
enum Cli {
    Models {
        #[arg(long)]
        json: bool,
    },
    Serve {
        #[arg(long)]
        model: String,
        #[arg(long)]
        listen: String,
        #[arg(long)]
        workers: Option<u32>,
        #[arg(long)]
        variant: Option<String>,
        #[arg(long)]
        idle_ms: Option<u32>,
        #[arg(long)]
        db: Option<PathBuf>,
    },
    NullServer(bench::NullArgs),
    Load(fake::Load),
    Bench(bench::Args),
    Keep(bench::KeepArgs),
    Spin {
        cpu: usize,
    },
}

fn main() -> ExitCode {
    // Test runners pass filters and flags, none of which is a command.
    let commands = [
        "models",
        "serve",
        "null-server",
        "load",
        "bench",
        "spin",
        "keep",
    ];
    if !std::env::args()
        .nth(1)
        .is_some_and(|first| commands.contains(&first.as_str()))
    {
        tests();
        return ExitCode::SUCCESS;
    }
    match Cli::parse() {
        Cli::Models { .. } => {
            println!("{}", models());
            ExitCode::SUCCESS
        }
        Cli::Serve { model, .. } if model == "broken" => {
            eprintln!("broken: no such luck");
            ExitCode::FAILURE
        }
        Cli::Serve {
            db: Some(db),
            listen,
            ..
        } => store::serve(&listen, &db),
        // A server that answers each complete request and closes a connection when its client does.
        Cli::Serve { listen, .. } => bench::null_main(bench::NullArgs {
            listen,
            close: false,
            scan: true,
            bytes: None,
        }),
        Cli::NullServer(args) => bench::null_main(args),
        Cli::Load(load) => fake::generate(&load),
        Cli::Keep(args) => bench::keep_main(&args),
        Cli::Spin { cpu } => sharing::spin(cpu),
        Cli::Bench(args) => bench::main(args),
    }
}

/// What `models --json` prints, as far as the bench reads it.
fn models() -> serde_json::Value {
    let variants = [
        ("iterative", "-", true, "one", "one", true),
        ("iterative", "inetd", false, "one", "one", true),
        ("prefork", "accept", true, "pool", "workers", true),
        ("prefork", "flock", false, "pool", "workers", true),
        ("single-reactor", "epoll", true, "one", "many", false),
        ("broken", "-", true, "one", "many", false),
    ];
    let entry = |(model, variant, default, workers, holds, processes)| {
        serde_json::json!({
            "model": model, "variant": variant, "default": default, "workers": workers,
            "listens": variant != "inetd",
            "holds": holds, "processes": processes, "shares": false, "connections_max": null,
        })
    };
    variants.map(entry).to_vec().into()
}

fn tests() {
    let folder = Folder::new();
    runs::unusable_arguments_exit_2_with_one_line(&folder);
    runs::a_run_leaves_every_trial_and_nothing_else(&folder);
    runs::a_resumed_run_measures_what_is_missing_only(&folder);
    runs::an_interrupted_run_keeps_what_it_has(&folder);
    runs::a_full_disk_loses_nothing_that_was_measured(&folder);
    rounds::what_cannot_be_settled_is_refused(&folder);
    rounds::rounds_go_on_where_verdicts_are_open(&folder);
    sharing::a_busy_loop_on_the_servers_cpu_is_found(&folder);
    sharing::a_folder_has_one_writer_and_two_benches_see_each_other(&folder);
    passes::a_target_is_measured_where_it_answers(&folder);
    passes::what_the_user_asks_is_what_is_sent(&folder);
    passes::a_target_that_is_not_there_is_one_line(&folder);
    contenders::what_cannot_be_started_is_one_line(&folder);
    contenders::what_does_not_serve_is_one_line(&folder);
    contenders::whatever_it_does_nothing_of_it_is_left(&folder);
    contenders::one_stands_beside_a_model_in_its_rotations(&folder);
    passes::what_a_target_does_otherwise_is_noted(&folder);
    capacity::a_capacity_is_a_bracket_around_what_the_server_can(&folder);
    passes::overload_idle_and_poison_leave_their_figures(&folder);
    passes::system_calls_are_counted_apart(&folder);
    println!("end to end: ok");
}
