//! `turnstile serve`.

use std::process::ExitCode;

use turnstile::Model;
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
    #[command(flatten)]
    gateway: services::GatewayArgs,
}

/// Serves the stock routes until drained.
pub fn main(mut args: Args) -> ExitCode {
    match turnstile::models::choose(&args.model, &mut args.serve) {
        Ok(model) => match args.gateway.asked() {
            Some(flag) => serve_gateway(model, flag, &args),
            None => turnstile::serve_with(model, &args.serve, || services::open(&args.services)),
        },
        Err(line) => {
            eprintln!("error: {line}");
            ExitCode::from(2)
        }
    }
}

/// Serves what a back end answers, if the variant can wait for one.
fn serve_gateway(model: &'static Model, flag: &str, args: &Args) -> ExitCode {
    let variant = model.variant(args.serve.variant.as_deref());
    if let Ok(variant) = variant
        && !variant.workers.may_wait()
    {
        eprintln!(
            "error: {flag} waits for a back end inside the call, which would hold up every connection of \
             {}; models that can: {}",
            model.name,
            crate::models::gateways()
        );
        return ExitCode::from(2);
    }
    match args.gateway.open(args.services.root.as_deref()) {
        Ok(gateway) => turnstile::serve_with(model, &args.serve, || {
            Ok::<_, std::convert::Infallible>(gateway)
        }),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
