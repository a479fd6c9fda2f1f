//! What the services need from a command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;

use crate::{Files, Router, Store};

/// Flags of the stock routes, for whatever program serves them.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Services")]
#[group(id = "ServiceArgs")]
pub struct ServiceArgs {
    /// Folder below which /files/PATH serves; without it that route is 404
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Send FILE.br and FILE.gz below --root to clients that ask for these codings
    #[arg(long, requires = "root")]
    pub precompressed: bool,
    /// SQLite file of /kv/KEY, created if there is none; without it that route is 404
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// How long /kv/KEY waits for another writer before it answers 503, ms
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000,
        hide_short_help = true
    )]
    pub db_busy_ms: u32,
}

/// All routes as `args` have them, to be made before the first fork.
///
/// # Errors
/// The folder cannot be opened, or the file cannot be a store.
pub fn open(args: &ServiceArgs) -> anyhow::Result<Router> {
    let busy = Duration::from_millis(args.db_busy_ms.into());
    let files = args.root.as_deref().map(Files::open).transpose();
    let files = files.map_err(|error| anyhow!("--root {error}"))?;
    let files = match args.precompressed {
        true => files.map(Files::precompressed),
        false => files,
    };
    let store = args.db.as_deref().map(|path| Store::open(path, busy));
    Ok(Router::new(files, store.transpose()?))
}
