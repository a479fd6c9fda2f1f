//! The sample units of systemd are what systemd takes. Skipped where `systemd-analyze` is missing.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::path::PathBuf;
use std::process::Command;

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/systemd");

/// The units in a folder of their own, with the program where it was built. `None`: no systemd here.
fn units(name: &str) -> Option<PathBuf> {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("SKIPPED: systemd-analyze is not installed");
        return None;
    }
    let folder =
        std::env::temp_dir().join(format!("turnstile-units-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for unit in std::fs::read_dir(UNITS).unwrap() {
        let unit = unit.unwrap();
        let text = std::fs::read_to_string(unit.path()).unwrap();
        let text = text.replace("/usr/local/bin/turnstile", env!("CARGO_BIN_EXE_turnstile"));
        std::fs::write(folder.join(unit.file_name()), text).unwrap();
    }
    Some(folder)
}

#[test]
fn they_are_valid() {
    let Some(folder) = units("verify") else {
        return;
    };
    for unit in [
        "turnstile.service",
        "turnstile-hardened.service",
        "turnstile.socket",
    ] {
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(folder.join(unit))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && !said.contains("turnstile"),
            "{unit}: {said}"
        );
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_hardened_one_is_hardened() {
    let Some(folder) = units("security") else {
        return;
    };
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--threshold=20"])
        .arg(folder.join("turnstile-hardened.service"))
        .output()
        .unwrap();
    let (said, why) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    // The threshold is an exposure of 2.0 of 10.
    assert!(output.status.success(), "{said}{why}");
    std::fs::remove_dir_all(folder).unwrap();
}
