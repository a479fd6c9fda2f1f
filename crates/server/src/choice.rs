//! Programs whose command line chooses the model.

use std::fmt::Display;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use proto::Service;

use crate::start::{end, parse, serve_with};
use crate::{Model, ServeArgs, unusable};

/// The whole `main` of a program that serves with any of `models`, the one that `--model` names: as
/// [`main_with`](crate::main_with) otherwise.
pub fn main_choosing<A: Args, S: Service + 'static, E: Display>(
    models: &[&'static Model],
    service: impl FnOnce(&A) -> Result<S, E>,
) -> ExitCode {
    let parsed = parse::<Choosing<A>>("serve", "Serves with the model that --model names");
    let (mut args, choosing) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return unusable(&error),
    };
    match choose(models, &choosing.label, &mut args) {
        Ok(model) => serve_with(model, &args, || service(&choosing.own)),
        Err(line) => end(2, line),
    }
}

/// The model of `models` that `label` names. Where it names a variant, too (`prefork:flock`), `args` ask
/// for that one.
///
/// # Errors
/// There is none, or the flags name another variant; one line.
pub fn choose(
    models: &[&'static Model],
    label: &str,
    args: &mut ServeArgs,
) -> Result<&'static Model, String> {
    let (name, labelled) = match label.split_once(':') {
        Some((name, variant)) => (name, Some(variant)),
        None => (label, None),
    };
    if let Some(labelled) = labelled
        && let Some(other) = args.variant.replace(labelled.to_owned())
        && other != labelled
    {
        return Err(format!(
            "--model {label} is not --variant {other}: name one of them"
        ));
    }
    let found = models.iter().copied().find(|model| model.name == name);
    found.ok_or_else(|| {
        let known: Vec<_> = models.iter().map(|model| model.name).collect();
        format!("there is no model {name:?}; there are {}", known.join(", "))
    })
}

/// `--model`, and the flags of a service.
struct Choosing<A> {
    label: String,
    own: A,
}

impl<A: Args> Args for Choosing<A> {
    fn augment_args(command: Command) -> Command {
        let model = Arg::new("model")
            .long("model")
            .value_name("NAME")
            .required(true)
            .help("Name of the model, or model:variant, as `turnstile models` lists them");
        A::augment_args(command.arg(model))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Choosing::<A>::augment_args(command)
    }
}

impl<A: FromArgMatches> FromArgMatches for Choosing<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Choosing<A>, clap::Error> {
        Ok(Choosing {
            label: matches.get_one("model").cloned().unwrap_or_default(),
            own: A::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Choosing::from_arg_matches(matches)?;
        Ok(())
    }
}
