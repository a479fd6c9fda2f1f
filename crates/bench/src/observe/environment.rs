//! `env.json`: the machine and the build, on which the figures depend. No host name, no path.

use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

use report::data::Env;
use schema::gates::STEAL_SHARE_MAX;

use crate::observe::cpus::CpuList;
use crate::plan::request::Request;

/// Describes machine, kernel, limits and build at the start of a run of `trials` trials.
pub fn describe(request: &Request, allowed: &CpuList, trials: u64) -> Env {
    let cpuinfo = read("/proc/cpuinfo");
    let virtual_machine = lines_of(&cpuinfo, "flags").any(|flags| {
        let mut flags = flags.split_whitespace();
        flags.any(|flag| flag == "hypervisor")
    });
    let mut env = Env {
        turnstile: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("TURNSTILE_COMMIT").to_owned(),
        size: request.size.clone(),
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        trials_planned: trials,
        cpu: lines_of(&cpuinfo, "model name")
            .next()
            .unwrap_or_default()
            .to_owned(),
        cpus: u32::try_from(allowed.len()).unwrap_or(u32::MAX),
        server_cpus: request.server_cpus.clone(),
        load_cpus: request.load_cpus.clone(),
        memory_mib: lines_of(&read("/proc/meminfo"), "MemTotal")
            .next()
            .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
            .unwrap_or(0)
            / 1024,
        kernel: read("/proc/sys/kernel/osrelease"),
        virtual_machine,
        limits: limits(),
        build: build(),
        seed: request.seed,
        ..Env::default()
    };
    env.remarks = remarks(&env);
    env
}

/// What the reader must know before the first figure.
fn remarks(env: &Env) -> Vec<String> {
    let mut remarks = Vec::new();
    if env.cpus < 2 {
        remarks.push(
            "One CPU: server and generator share it, and every figure shows both.".to_owned(),
        );
    } else if env.cpus < 4 {
        remarks.push(format!(
            "{} CPUs: the server has CPU {}, the generator CPU {}; nothing here shows how a model scales.",
            env.cpus, env.server_cpus, env.load_cpus
        ));
    } else if env.server_cpus == env.load_cpus {
        remarks.push("Server and generator share their CPUs.".to_owned());
    }
    if env.virtual_machine {
        remarks.push(format!(
            "A virtual machine: trials with more than {:.0} % of stolen CPU time are left out.",
            STEAL_SHARE_MAX * 100.0
        ));
    }
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().and_then(|load| load.parse().ok());
    if let Some(load) = load.filter(|&load: &f64| load > 0.5) {
        remarks.push(format!(
            "The machine was not idle at the start: load average {load}."
        ));
    }
    let profile = env.build.get("profile");
    if profile.is_some_and(|profile| profile != "release") {
        remarks.push(
            "Measured by a debug build: the figures say nothing about a release build.".to_owned(),
        );
    }
    remarks
}

fn limits() -> BTreeMap<String, String> {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let nofile = files
        .current
        .map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    let settings = [
        ("somaxconn", "/proc/sys/net/core/somaxconn"),
        (
            "tcp_max_syn_backlog",
            "/proc/sys/net/ipv4/tcp_max_syn_backlog",
        ),
        ("port_range", "/proc/sys/net/ipv4/ip_local_port_range"),
        ("tcp_tw_reuse", "/proc/sys/net/ipv4/tcp_tw_reuse"),
        (
            "governor",
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        ),
        ("smt", "/sys/devices/system/cpu/smt/control"),
        ("thp", "/sys/kernel/mm/transparent_hugepage/enabled"),
    ];
    let known = settings
        .iter()
        .map(|(name, path)| ((*name).to_owned(), read(path)));
    known
        .filter(|(_, value)| !value.is_empty())
        .chain([("nofile".to_owned(), nofile)])
        .collect()
}

fn build() -> BTreeMap<String, String> {
    let facts = [
        ("rustc", env!("TURNSTILE_RUSTC")),
        ("profile", env!("TURNSTILE_PROFILE")),
        ("opt_level", env!("TURNSTILE_OPT_LEVEL")),
        ("target", env!("TURNSTILE_TARGET")),
    ];
    BTreeMap::from(facts.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// The text of a file in /proc or /sys on one line; empty where the kernel has no such file.
fn read(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    if path == "/proc/cpuinfo" || path == "/proc/meminfo" {
        return text;
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The values of `name : value` lines.
fn lines_of<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .filter(move |(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}
