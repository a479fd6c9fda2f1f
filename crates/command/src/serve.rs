//! `turnstile serve`.

use std::process::ExitCode;

use server::ServeArgs;

/// Flags of `turnstile serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the model, as `turnstile models` lists them
    #[arg(long, value_name = "NAME")]
    model: String,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    services: services::ServiceArgs,
}

/// Serves the stock routes until drained.
pub fn main(args: &Args) -> ExitCode {
    match turnstile::models::named(&args.model) {
        Ok(model) => server::serve_with(model, &args.serve, || services::open(&args.services)),
        Err(line) => {
            eprintln!("error: {line}");
            ExitCode::from(2)
        }
    }
}
