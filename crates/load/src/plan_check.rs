//! Which plans can be run.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::kind::{KINDS_MAX, Kind, is_token};
use crate::plan::{CONNECTIONS_MAX, PIPELINE_MAX, Pace, Plan, STEPS_MAX, THINK_MAX, UNP_BYTES_MAX};
use crate::profile::{RATE_MAX, Step};

/// Most bytes per second of a slow client.
const SLOW_BYTES_PER_S_MAX: u32 = 1 << 20;

/// Most slices of time in a result; each has a histogram.
const SLICES_MAX: u128 = 1_000;

impl Plan {
    /// Refuses what cannot be run, in one line.
    ///
    /// # Errors
    /// Names the first field that is out of its range.
    pub fn check(&self) -> Result<()> {
        ensure!(
            (1..=CONNECTIONS_MAX).contains(&self.connections),
            "connections must be 1 to {CONNECTIONS_MAX}"
        );
        ensure!(
            (1..=self.connections).contains(&self.threads),
            "threads must be 1 to the number of connections ({})",
            self.connections
        );
        ensure!(
            (1..=PIPELINE_MAX).contains(&self.pipeline),
            "pipeline must be 1 to {PIPELINE_MAX}"
        );
        ensure!(
            !(self.new_connection && self.pipeline > 1),
            "with one connection per request there is no pipelining"
        );
        self.check_churn()?;
        self.check_think()?;
        ensure!(!self.duration.is_zero(), "duration must be above zero");
        ensure!(!self.timeout.is_zero(), "timeout must be above zero");
        if let Pace::Open { rate, .. } = self.pace {
            ensure!(
                (rate > 0.0 || (rate == 0.0 && !self.profile.is_empty())) && rate <= RATE_MAX,
                "rate must be above 0 and at most {RATE_MAX}"
            );
        }
        ensure!(
            self.slice
                .is_none_or(|slice| slice.as_nanos() * SLICES_MAX >= self.duration.as_nanos()),
            "a window has at most {SLICES_MAX} slices"
        );
        self.check_profile()?;
        self.check_protocol()?;
        self.check_requests()?;
        self.check_extra_clients()
    }

    fn check_churn(&self) -> Result<()> {
        ensure!(
            (0.0..1.0).contains(&self.churn),
            "the share of requests on a connection of their own must be 0 to 1"
        );
        if !self.is_mixed() {
            return Ok(());
        }
        ensure!(
            self.pipeline == 1,
            "where some requests have a connection of their own there is no pipelining"
        );
        ensure!(
            self.unp_bytes.is_none(),
            "a share of requests on connections of their own belongs to HTTP, not to the UNP protocol"
        );
        ensure!(
            self.script.is_none(),
            "requests from a file are sent on kept connections, or each on its own"
        );
        Ok(())
    }

    fn check_think(&self) -> Result<()> {
        if self.think.is_zero() {
            return Ok(());
        }
        ensure!(
            self.think <= THINK_MAX,
            "clients think for {} s at most",
            THINK_MAX.as_secs()
        );
        ensure!(
            self.pace == Pace::Closed,
            "clients think in a closed loop only"
        );
        ensure!(
            self.pipeline == 1,
            "clients that think after each reply do not pipeline"
        );
        Ok(())
    }

    fn check_profile(&self) -> Result<()> {
        if self.profile.is_empty() {
            return Ok(());
        }
        let Pace::Open { .. } = self.pace else {
            bail!("a profile belongs to an open loop");
        };
        ensure!(
            self.profile.len() <= STEPS_MAX,
            "a profile has at most {STEPS_MAX} steps"
        );
        self.profile.iter().try_for_each(Step::check)?;
        ensure!(
            self.profile.iter().any(|step| step.expected() > 0.0),
            "the rate of a profile must be above 0 somewhere"
        );
        ensure!(
            self.duration == self.profile.iter().map(|step| step.duration).sum(),
            "the duration must be the sum of the profile's steps"
        );
        Ok(())
    }

    fn check_protocol(&self) -> Result<()> {
        let Some(bytes) = self.unp_bytes else {
            ensure!(
                !self.target.is_unp(),
                "{} is not an HTTP server's URL",
                self.target
            );
            return Ok(());
        };
        ensure!(
            self.target.is_unp() || self.target.is_unix(),
            "the UNP protocol needs unp://HOST:PORT or unix:/SOCKET"
        );
        ensure!(
            self.target.path() == "/",
            "the UNP protocol has no path {}",
            self.target.path()
        );
        ensure!(
            (1..=UNP_BYTES_MAX).contains(&bytes),
            "a UNP request asks for 1 to {UNP_BYTES_MAX} bytes"
        );
        let plain = self.method == "GET"
            && self.headers.is_empty()
            && self.requests.is_empty()
            && self.body_bytes == 0
            && self.body.is_none()
            && self.expect_status.is_empty();
        ensure!(
            plain,
            "methods, headers, mixes, bodies and statuses belong to HTTP, not to the UNP protocol"
        );
        let extra = self.slow.senders + self.slow.readers > 0 || self.poison.is_some();
        ensure!(
            !extra,
            "slow clients and poisoned requests belong to HTTP, not to the UNP protocol"
        );
        Ok(())
    }

    fn check_requests(&self) -> Result<()> {
        ensure!(
            is_token(&self.method),
            "method {:?} is not a token",
            self.method
        );
        ensure!(
            self.requests.len() <= KINDS_MAX,
            "a mix has at most {KINDS_MAX} kinds of request"
        );
        let kinds = self.percentile.and_then(|percentile| percentile.kinds());
        ensure!(
            kinds.is_none_or(|(_, end)| end <= self.requests.len()),
            "a percentile is asked of kinds up to {}; the mix has {}",
            kinds.map_or(0, |(_, end)| end),
            self.requests.len()
        );
        if self.script.is_none() {
            self.requests.iter().try_for_each(Kind::check)?;
        }
        ensure!(
            self.expect_status.iter().all(|s| (200..=599).contains(s)),
            "an expected status must be 200 to 599"
        );
        for line in &self.headers {
            let Some((name, value)) = line.split_once(':') else {
                bail!("header {line:?} has no colon");
            };
            ensure!(
                is_token(name) && !value.contains(['\r', '\n', '\0']),
                "header {line:?} is malformed"
            );
        }
        Ok(())
    }

    fn check_extra_clients(&self) -> Result<()> {
        for (count, name) in [
            (self.idle, "idle"),
            (self.slow.senders, "slow senders"),
            (self.slow.readers, "slow readers"),
        ] {
            ensure!(
                count <= CONNECTIONS_MAX,
                "{name} must be at most {CONNECTIONS_MAX}"
            );
        }
        ensure!(
            (1..=SLOW_BYTES_PER_S_MAX).contains(&self.slow.bytes_per_s),
            "slow bytes per second must be 1 to {SLOW_BYTES_PER_S_MAX}"
        );
        let poison = self.poison.as_ref();
        for path in [Some(&self.slow.path), poison.map(|poison| &poison.path)] {
            ensure!(
                path.is_none_or(|p| p.starts_with('/') && p.bytes().all(|b| b.is_ascii_graphic())),
                "path {:?} must begin with / and contain neither spaces nor characters outside ASCII",
                path.map_or("", String::as_str)
            );
        }
        ensure!(
            poison.is_none_or(|poison| poison.every != Some(Duration::ZERO)),
            "the time between poisoned requests must be above zero"
        );
        Ok(())
    }
}
