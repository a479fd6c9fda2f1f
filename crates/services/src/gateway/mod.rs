//! In front of what people have: a FastCGI application, an HTTP server, or a program per request.
//!
//! These services wait inside the call, so they are for models whose workers hold one connection each.
//! A back end that is down, breaks off or speaks nonsense is 502, one that is too slow is 504, and one that
//! fails after its head has a reply that is cut, never one that looks complete.

mod cgi;
mod errors;
mod exchange;
mod exec;
mod fastcgi;
mod fields;
mod forwarded;
mod kept;
mod proxy;
mod records;
mod spool;
mod wire;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use proto::{Intake, Memory, Nature, Request, Response, Service};

use errors::is_timeout;
pub use forwarded::Trusted;
use wire::Patience;

use crate::{log, plain};

/// Flags of the gateways; one at most may be given, and it gets every request.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Gateways")]
#[group(id = "GatewayArgs")]
pub struct GatewayArgs {
    /// Pass requests to the FastCGI application at HOST:PORT or unix:/path; scripts are below --root
    #[arg(long, value_name = "ADDR", requires = "root", conflicts_with_all = ["proxy", "exec"])]
    pub fastcgi: Option<String>,
    /// Pass requests to the HTTP server at http://HOST:PORT
    #[arg(long, value_name = "URL", conflicts_with = "exec")]
    pub proxy: Option<String>,
    /// Answer every request with this program (CGI/1.1)
    #[arg(long, value_name = "PATH")]
    pub exec: Option<PathBuf>,
    /// How long a gateway waits for its back end, each time, ms
    #[arg(
        long,
        value_name = "N",
        default_value_t = 30_000,
        hide_short_help = true
    )]
    pub gateway_ms: u32,
    /// How long an exchange with the back end takes at most, from the first byte of the request that it is
    /// sent to the last of its reply, ms; 0: without end
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3_600_000,
        hide_short_help = true
    )]
    pub gateway_total_ms: u32,
    /// Most bytes of a request body that a gateway passes on, MiB; beyond --body-bytes-max it goes on as it comes
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_024,
        hide_short_help = true
    )]
    pub gateway_body_mib: u32,
    /// Peers whose X-Forwarded-For and Forwarded are passed on by --proxy: addresses, ADDRESS/BITS, or
    /// unix; those of others are dropped
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        requires = "proxy",
        hide_short_help = true
    )]
    pub trusted_proxies: Vec<Trusted>,
}

/// A service that passes requests on.
#[derive(Debug)]
pub struct Gateway {
    to: BackEnd,
    body_bytes_max: u64,
}

#[derive(Debug)]
enum BackEnd {
    /// To a FastCGI application.
    FastCgi(fastcgi::FastCgi),
    /// To an HTTP server.
    Proxy(proxy::Proxy),
    /// To a program that is started for it.
    Exec(exec::Exec),
}

impl GatewayArgs {
    /// Which flag asks for a gateway, if one does.
    pub fn asked(&self) -> Option<&'static str> {
        let asked = [
            ("--fastcgi", self.fastcgi.is_some()),
            ("--proxy", self.proxy.is_some()),
            ("--exec", self.exec.is_some()),
        ];
        asked.into_iter().find_map(|(flag, is)| is.then_some(flag))
    }

    /// The gateway. `root` is the folder of a FastCGI application's scripts.
    ///
    /// # Errors
    /// The address, URL, folder or program cannot be one.
    pub fn open(&self, root: Option<&std::path::Path>) -> anyhow::Result<Gateway> {
        let to = self.back_end(root)?;
        let body_bytes_max = u64::from(self.gateway_body_mib) << 20;
        Ok(Gateway { to, body_bytes_max })
    }

    fn back_end(&self, root: Option<&std::path::Path>) -> anyhow::Result<BackEnd> {
        let patience = Patience {
            each: Duration::from_millis(self.gateway_ms.max(1).into()),
            total: Duration::from_millis(self.gateway_total_ms.into()),
        };
        if let Some(url) = &self.proxy {
            let proxy = proxy::Proxy::new(url, patience, self.trusted_proxies.clone());
            let proxy = proxy.map_err(|why| anyhow!("--proxy {url:?}: {why}"))?;
            return Ok(BackEnd::Proxy(proxy));
        }
        if let Some(addr) = &self.fastcgi {
            ensure!(
                is_address(addr),
                "--fastcgi {addr:?}: neither HOST:PORT nor unix:/PATH"
            );
            let root = root.context("--fastcgi needs --root")?;
            let root = root
                .canonicalize()
                .with_context(|| format!("--root {}", root.display()))?;
            let fastcgi = fastcgi::FastCgi::new(addr, root, patience);
            return Ok(BackEnd::FastCgi(fastcgi));
        }
        let path = self.exec.clone().context("no gateway was asked for")?;
        let path = path
            .canonicalize()
            .with_context(|| format!("--exec {}", path.display()))?;
        let is_program = path.is_file()
            && path
                .metadata()
                .is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
        ensure!(is_program, "--exec {}: not a program", path.display());
        Ok(BackEnd::Exec(exec::Exec::new(path, patience)))
    }
}

fn is_address(addr: &str) -> bool {
    match addr.strip_prefix("unix:") {
        Some(path) => path.starts_with('/') && path.len() < 108,
        None => addr.rsplit_once(':').is_some_and(|(host, port)| {
            let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
            !host.is_empty() && is_port && port.parse::<u16>().is_ok_and(|port| port > 0)
        }),
    }
}

impl Service for Gateway {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let passed = match &self.to {
            BackEnd::FastCgi(fastcgi) => fastcgi.pass(request, response),
            BackEnd::Proxy(proxy) => proxy.pass(request, response),
            BackEnd::Exec(exec) => exec.pass(request, response),
        };
        if let Err(error) = passed {
            fail(&error, response);
        }
    }

    fn nature(&self, _: &Request<'_>) -> Nature {
        Nature::Blocking
    }

    fn memory(&self) -> Memory {
        Memory::Any
    }

    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        let bytes_max = self.body_bytes_max;
        match &self.to {
            BackEnd::FastCgi(fastcgi) => fastcgi.intake(request, bytes, bytes_max),
            BackEnd::Proxy(proxy) => proxy.intake(request, bytes, bytes_max),
            BackEnd::Exec(_) => Intake::Pieces(Box::new(exec::Filed::default()), bytes_max),
        }
    }
}

/// Nothing was written to `response` yet that this does not overwrite.
fn fail(error: &io::Error, response: &mut Response<'_>) {
    log(format_args!("gateway: {error}"));
    match is_timeout(error) {
        true => plain(response, 504, "The back end took too long.\n"),
        false => plain(response, 502, "The back end has failed.\n"),
    }
}
