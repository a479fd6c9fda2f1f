//! A service that depends on the library makes the system calls that were measured.
//!
//! Cargo unites the features of a crate over all that is built: what the load generator asks of rustix, the loops
//! of the command have, too. The features `linux_*` decide by which calls rustix waits, and for how long. So the
//! library alone must ask for all of them that the command has.

use std::collections::BTreeSet;
use std::process::Command;

/// The versions of Linux that a build of `package` lets rustix count on.
fn versions(package: &str) -> BTreeSet<String> {
    let args = ["tree", "--offline", "--edges", "features,no-dev"];
    let output = Command::new(env!("CARGO"))
        .args(args)
        .args(["--package", package, "--invert", "rustix"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs, since it runs this");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let tree = String::from_utf8_lossy(&output.stdout);
    let features = tree.split('"').filter(|part| part.starts_with("linux_"));
    features.map(str::to_owned).collect()
}

#[test]
fn the_library_waits_as_the_command_does() {
    let command = versions("turnstile-command");
    assert!(command.contains("linux_5_11"), "{command:?}");
    assert_eq!(versions("turnstile-server"), command);
}
