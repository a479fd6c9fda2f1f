//! Tells the bench what it was built from, for `env.json`: commit, compiler, profile, target.

use std::env;
use std::process::Command;

fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.ok().filter(|output| output.status.success());
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let line = text.as_deref().and_then(|text| text.lines().next());
    line.unwrap_or_default().to_owned()
}

fn main() {
    // This file grows with every commit; where there is no repository, only build.rs is watched.
    let log = "../../.git/logs/HEAD";
    println!("cargo::rerun-if-changed=build.rs");
    if std::path::Path::new(log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let facts = [
        (
            "COMMIT",
            first_line("git", &["rev-parse", "--short=12", "HEAD"]),
        ),
        ("RUSTC", first_line(&rustc, &["--version"])),
        ("PROFILE", env::var("PROFILE").unwrap_or_default()),
        ("OPT_LEVEL", env::var("OPT_LEVEL").unwrap_or_default()),
        ("TARGET", env::var("TARGET").unwrap_or_default()),
    ];
    for (name, value) in facts {
        println!("cargo::rustc-env=TURNSTILE_{name}={value}");
    }
}
