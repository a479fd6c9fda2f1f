//! In front of what people have: a FastCGI application, an HTTP server, or a program per request.
//!
//! These services wait inside the call, so they are for models whose workers hold one connection each.
//! A back end that is down, breaks off or speaks nonsense is 502, one that is too slow is 504, and one that
//! fails after its head has a reply that is cut, never one that looks complete.

mod cgi;
mod exec;
mod fastcgi;
mod proxy;
mod wire;

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use proto::{Nature, Request, Response, Service};

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
}

/// A service that passes requests on.
#[derive(Debug)]
pub enum Gateway {
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
        let patience = Duration::from_millis(self.gateway_ms.max(1).into());
        if let Some(url) = &self.proxy {
            let proxy = proxy::Proxy::new(url, patience);
            return Ok(Gateway::Proxy(
                proxy.map_err(|why| anyhow!("--proxy {url}: {why}"))?,
            ));
        }
        if let Some(addr) = &self.fastcgi {
            let root = root
                .context("--fastcgi needs --root")?
                .canonicalize()
                .context("--root")?;
            return Ok(Gateway::FastCgi(fastcgi::FastCgi::new(
                addr, root, patience,
            )));
        }
        let path = self.exec.clone().context("no gateway was asked for")?;
        let path = path
            .canonicalize()
            .with_context(|| format!("--exec {}", path.display()))?;
        ensure!(path.is_file(), "--exec {}: not a program", path.display());
        Ok(Gateway::Exec(exec::Exec::new(path, patience)))
    }
}

impl Service for Gateway {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let passed = match self {
            Gateway::FastCgi(fastcgi) => fastcgi.pass(request, response),
            Gateway::Proxy(proxy) => proxy.pass(request, response),
            Gateway::Exec(exec) => exec.pass(request, response),
        };
        if let Err(error) = passed {
            fail(&error, response);
        }
    }

    fn nature(&self, _: &Request<'_>) -> Nature {
        Nature::Blocking
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// Nothing was written to `response` yet that this does not overwrite.
fn fail(error: &io::Error, response: &mut Response<'_>) {
    log(format_args!("gateway: {error}"));
    match is_timeout(error) {
        true => plain(response, 504, "The back end took too long.\n"),
        false => plain(response, 502, "The back end has failed.\n"),
    }
}

/// An error of a back end that does not speak as it should.
fn nonsense(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the back end sent {what}"))
}
