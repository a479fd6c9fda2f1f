//! `turnstile serve`.

use std::process::ExitCode;

use turnstile::{Model, ServeArgs};

/// Flags of `turnstile serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the model, or model:variant, as `turnstile models` lists them
    #[arg(long, value_name = "NAME")]
    model: String,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    services: services::ServiceArgs,
}

/// Serves the stock routes until drained.
pub fn main(mut args: Args) -> ExitCode {
    match choose(&args.model, &mut args.serve.variant) {
        Ok(model) => turnstile::serve_with(model, &args.serve, || services::open(&args.services)),
        Err(line) => {
            eprintln!("error: {line}");
            ExitCode::from(2)
        }
    }
}

/// The model that `label` names. Where it names a variant, too, `variant` is that.
fn choose(label: &str, variant: &mut Option<String>) -> Result<&'static Model, String> {
    let Some((name, labelled)) = label.split_once(':') else {
        return turnstile::models::named(label);
    };
    match variant.replace(labelled.to_owned()) {
        Some(other) if other != labelled => Err(format!(
            "--model {label} is not --variant {other}: name one of them"
        )),
        _ => turnstile::models::named(name),
    }
}
