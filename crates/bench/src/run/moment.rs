//! How fast the machine is now: a few seconds that tell a slow hour from a fast one.

use std::time::Duration;

use anyhow::{Context, anyhow};
use schema::profile::{Moment, Probe};

use crate::observe::cpus::CpuList;
use crate::observe::stalls;
use crate::plan::catalogue::Catalogue;
use crate::run::capacities::said;
use crate::run::profile::Variant;
use crate::run::setup::Setup;

/// How long the CPUs are watched for moments in which they are away.
const WATCHED: Duration = Duration::from_secs(5);
/// Windows of each variant.
const WINDOWS: usize = 3;

/// What `probed`, models with their variants, cost now, and how often the CPUs are away.
///
/// # Errors
/// A variant is unknown or cannot be measured, a CPU cannot be had, or Ctrl-C.
pub fn moment(probed: &[(String, String)]) -> anyhow::Result<Moment> {
    let (server_cpus, load_cpus) = CpuList::allowed()?.halves();
    let (stalls, client_stalls) = stalls::measure(&server_cpus, &load_cpus, WATCHED)?;
    let setup = Setup::temporary(server_cpus, load_cpus, "moment")?;
    let known = Catalogue::ask(&setup.own)?;
    let probe = |(model, variant): &(String, String)| -> anyhow::Result<Probe> {
        let contender = known.find(model, variant);
        let contender = contender.with_context(|| format!("there is no {model}:{variant}"))?;
        let asked = Variant {
            setup: &setup,
            contender,
        };
        let saturated_us = asked
            .saturated_us(WINDOWS)
            .map_err(|why| anyhow!("{}: {}", contender.label, said(&why)))?;
        Ok(Probe {
            model: model.clone(),
            variant: contender.variant.clone(),
            saturated_us,
        })
    };
    Ok(Moment {
        stalls,
        client_stalls,
        probes: probed.iter().map(probe).collect::<anyhow::Result<_>>()?,
    })
}
