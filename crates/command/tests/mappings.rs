//! What a fork copies: the mappings of the program. Two libraries more cost each client of
//! `fork-per-client` a tenth, and nothing but this would notice.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_turnstile");

#[test]
#[cfg_attr(not(target_env = "gnu"), ignore = "the libraries are glibc's")]
fn a_server_maps_the_c_library_and_no_other() {
    let mut server = Command::new(PROGRAM)
        .args(["serve", "--model", "fork-per-client", "--listen"])
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut ready = BufReader::new(server.stdout.take().unwrap());
    ready.read_line(&mut line).unwrap();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", server.id())).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let mut libraries: Vec<_> = maps
        .lines()
        .filter_map(|line| line.rsplit('/').next().filter(|name| name.contains(".so")))
        .collect();
    libraries.dedup();
    if !is_ordered() {
        libraries.retain(|name| !name.starts_with("libgcc_s")); // Linked all the same by mold.
    }
    let (c, linker) = ("libc.so.", "ld-linux");
    assert!(libraries.len() == 2, "{libraries:?}");
    assert!(libraries[0].starts_with(c), "{libraries:?}");
    assert!(libraries[1].starts_with(linker), "{libraries:?}");
}

/// The linker drops a section that nothing was put into.
#[test]
fn the_path_of_a_request_is_kept_together() {
    if !is_ordered() {
        eprintln!("skipped: this linker reads no scripts");
        return;
    }
    let program = std::fs::read(PROGRAM).unwrap();
    let name = b"\0.text.request\0";
    let kept = program.windows(name.len()).any(|at| at == name);
    assert!(kept, "request.ld chose nothing");
}

/// Whether the linker took orders: see `build.rs`.
fn is_ordered() -> bool {
    env!("TURNSTILE_ORDERED") == "true"
}
