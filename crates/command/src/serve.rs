//! `turnstile serve`.

use std::process::ExitCode;

use turnstile::ServeArgs;

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
    match turnstile::models::choose(&args.model, &mut args.serve) {
        Ok(model) => turnstile::serve_with(model, &args.serve, || services::open(&args.services)),
        Err(line) => {
            eprintln!("error: {line}");
            ExitCode::from(2)
        }
    }
}
