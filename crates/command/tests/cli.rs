//! The command line: what is refused, with which exit code, and in how many words.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod harness;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use harness::{Client, Exit, PATIENCE, Server, TURNSTILE, columns, run};

fn turnstile(args: &[&str]) -> Exit {
    let mut command = Command::new(TURNSTILE);
    command.args(args);
    run(command).unwrap_or_else(|error| panic!("{args:?}: {error:#}"))
}

/// Serving with a model that starts with any of the flags given.
fn serve(args: &[&str]) -> Exit {
    turnstile(&[&["serve", "--model", "prefork"], args].concat())
}

/// Exit code, and on standard error one line that says `about`.
#[track_caller]
fn refused(exit: &Exit, code: i32, about: &str) {
    let lines: Vec<_> = exit.stderr.lines().collect();
    assert_eq!(exit.code, Some(code), "{exit:?}");
    assert_eq!(lines.len(), 1, "one clear line, not\n{}", exit.stderr);
    assert!(
        lines[0].contains(about),
        "{:?} does not say {about:?}",
        lines[0]
    );
    assert_eq!(exit.stdout, "", "standard output is for what was asked for");
}

/// The same for `serve`, whose line begins with `error:`.
#[track_caller]
fn serve_refused(args: &[&str], code: i32, about: &str) {
    let exit = serve(args);
    refused(&exit, code, about);
    assert!(exit.stderr.starts_with("error: "), "{}", exit.stderr);
}

#[test]
fn unknown_and_missing_arguments() {
    for (args, about) in [
        (&["serve", "--model", "prefork", "--bogus"][..], "--bogus"),
        (&["serve", "--model", "prefork", "--listn", "x"], "--listen"),
        (&["serve", "--model"], "--model"),
        (&["serve"], "--model <NAME>"),
        (&["models", "--bogus"], "--bogus"),
        (&["models", "--json", "--markdown"], "--markdown"),
        (&["load", "--bogus"], "--bogus"),
        (&["bench", "--bogus"], "--bogus"),
        (&["report", "--bogus"], "--bogus"),
        (&["compare", "before"], "<AFTER>"),
        (&["bogus"], "bogus"),
    ] {
        let exit = turnstile(args);
        refused(&exit, 2, about);
        assert!(exit.stderr.starts_with("error: "), "{}", exit.stderr);
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [&["--help"][..], &["--version"], &["serve", "--help"]] {
        let exit = turnstile(args);
        assert_eq!((exit.code, exit.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(!exit.stdout.is_empty(), "{args:?}");
    }
    let exit = turnstile(&[]);
    assert_eq!(exit.code, Some(2), "{exit:?}");
    assert!(exit.stderr.contains("serve"), "what there is: {exit:?}");
}

#[test]
fn unknown_names() {
    refused(&turnstile(&["serve", "--model", "nope"]), 2, "nope");
    serve_refused(&["--variant", "nope"], 2, "nope");
    refused(&turnstile(&["serve", "--model", "prefork:nope"]), 2, "nope");
    refused(&turnstile(&["serve", "--model", "nope:poll"]), 2, "nope");
}

/// An address of documentation that no machine has (RFC 5737): a server that tries it was told
/// everything else well.
const NOBODYS: &str = "192.0.2.1:1";

#[test]
fn a_model_is_named_with_its_variant() {
    let serve = |label: &str, more: &[&str]| {
        turnstile(&[&["serve", "--model", label, "--listen", NOBODYS], more].concat())
    };
    for label in ["prefork:accept", "prefork:flock", "iterative:-"] {
        refused(&serve(label, &[]), 1, NOBODYS);
    }
    refused(&serve("prefork:flock", &["--variant", "flock"]), 1, NOBODYS);
    let two = serve("prefork:flock", &["--variant", "mutex"]);
    refused(&two, 2, "--model prefork:flock is not --variant mutex");
}

#[test]
fn unknown_protocol() {
    serve_refused(&["--protocol", "nope"], 2, "nope");
}

#[test]
fn malformed_addresses() {
    for bad in [
        "nope",
        "127.0.0.1",
        "127.0.0.1:99999",
        "localhost",
        "localhost:",
        "localhost:http",
        "no host:80",
        "::1:80",
        ":",
        "unix:",
        "fd:x",
        "fd:-1",
        "",
    ] {
        serve_refused(&["--listen", bad], 2, "listen");
    }
}

#[test]
fn unusable_addresses() {
    serve_refused(&["--listen", "192.0.2.1:0"], 1, "192.0.2.1:0");
    serve_refused(&["--listen", "unix:/nowhere/at/all"], 1, "/nowhere/at/all");
    serve_refused(&["--listen", "fd:99"], 1, "fd:99");
    serve_refused(&["--listen", "fd:1"], 1, "fd:1");
    // Too long for a name, so that no resolver has to be asked.
    let nobody = format!("{}.invalid", "x".repeat(80));
    serve_refused(
        &["--listen", &format!("{nobody}:80")],
        1,
        &format!("{nobody} has no address"),
    );
    let long = format!("unix:/tmp/{}", "x".repeat(120));
    serve_refused(&["--listen", &long], 1, "xxx");
    // One bad address among good ones is enough.
    serve_refused(
        &["--listen", "127.0.0.1:0", "--listen", "fd:99"],
        1,
        "fd:99",
    );
}

/// Prefork with listeners that its children share, and with some for each child.
fn listening(variant: &str, addr: &str, listeners: usize) -> Server {
    let mut command = Command::new(TURNSTILE);
    command.args(["serve", "--model", "prefork", "--workers", "4"]);
    command.args(["--variant", variant, "--listen", addr]);
    command.args(["--queue-delay-ms", "0"]);
    Server::start(command, listeners).unwrap()
}

fn answers(ip: impl Into<IpAddr>, server: &Server, listener: usize) {
    let (_, port) = server.addrs[listener].rsplit_once(':').unwrap();
    let addr = SocketAddr::new(ip.into(), port.parse().unwrap());
    let mut client = Client::connect(&addr.to_string()).unwrap();
    client.get("/").unwrap().expect(200).unwrap();
}

#[test]
fn a_port_alone_is_every_address() {
    for variant in ["accept", "reuseport"] {
        let mut server = listening(variant, ":0", 1);
        answers(Ipv4Addr::LOCALHOST, &server, 0);
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            assert!(server.addrs[0].starts_with("[::]:"), "{:?}", server.addrs);
            answers(Ipv6Addr::LOCALHOST, &server, 0);
        }
        server.drain(PATIENCE).unwrap();
    }
}

#[test]
fn a_name_is_all_its_addresses() {
    let mut all: Vec<_> = ("localhost", 0).to_socket_addrs().unwrap().collect();
    all.retain(|addr| TcpListener::bind(addr).is_ok());
    all.sort();
    all.dedup();
    for variant in ["accept", "reuseport"] {
        let mut server = listening(variant, "localhost:0", all.len());
        let mut said: Vec<IpAddr> = Vec::new();
        for (listener, addr) in server.addrs.iter().enumerate() {
            said.push(addr.parse::<SocketAddr>().unwrap().ip());
            answers(said[listener], &server, listener);
        }
        said.sort();
        assert_eq!(said, all.iter().map(SocketAddr::ip).collect::<Vec<_>>());
        server.drain(PATIENCE).unwrap();
    }
}

#[test]
fn addresses_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    serve_refused(&["--listen", &addr], 1, &addr);
    let path = std::env::temp_dir().join(format!("turnstile-cli-{}.sock", std::process::id()));
    let live = std::os::unix::net::UnixListener::bind(&path).unwrap();
    serve_refused(
        &["--listen", &format!("unix:{}", path.display())],
        1,
        "in use",
    );
    drop(live);
    std::fs::remove_file(&path).unwrap();
    // What is no socket is not replaced.
    std::fs::write(&path, "precious").unwrap();
    let exit = serve(&["--listen", &format!("unix:{}", path.display())]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
    refused(&exit, 1, "in use");
}

#[test]
fn counts_of_workers() {
    serve_refused(&["--workers", "0"], 2, "--workers");
    serve_refused(&["--workers", "99999999"], 2, "--workers");
    for model in ["iterative", "single-reactor"] {
        let exit = turnstile(&["serve", "--model", model, "--workers", "2"]);
        refused(&exit, 2, "one worker");
    }
}

/// Of what was asked for, only what is not done is told.
#[test]
fn more_workers_than_connections() {
    let few = ["--workers", "9", "--connections-max", "8"];
    let exit = serve(&[&few[..], &["--listen", NOBODYS]].concat());
    assert_eq!(exit.code, Some(1), "{exit:?}");
    let told = exit.stderr.matches("8 workers, not 9");
    assert_eq!(told.count(), 1, "{exit:?}");
    serve_refused(&["--connections-max", "8", "--listen", NOBODYS], 1, NOBODYS);
}

#[test]
fn limits() {
    for flag in [
        "--idle-ms",
        "--head-ms",
        "--write-ms",
        "--backlog",
        "--connections-max",
        "--input-bytes",
    ] {
        serve_refused(&[flag, "0"], 2, flag);
    }
}

#[test]
fn limits_that_could_do_nothing() {
    let high = "is not within 1 to";
    serve_refused(&["--connections-per-address-max", "65535"], 2, high);
    serve_refused(&["--rate-per-address-max", "1000001"], 2, high);
    serve_refused(&["--addresses-max", "0"], 2, "--addresses-max");
    for name in ["", "a b", "a:b", "ä"] {
        let exit = serve(&["--deadline-header", name]);
        refused(&exit, 2, "not the name of a header field");
    }
    for flag in [
        &["--rate-per-address-max", "1"],
        &["--in-flight-max", "1"],
        &["--deadline-header", "X-Timeout"],
    ] {
        serve_refused(&[&["--protocol", "unp"], &flag[..]].concat(), 2, flag[0]);
        let inetd = ["serve", "--model", "iterative:inetd"];
        let exit = turnstile(&[&inetd, &flag[..]].concat());
        refused(&exit, 2, flag[0]);
    }
}

#[test]
fn malformed_numbers() {
    for bad in ["x", "1.5", "99999999999999999999999", ""] {
        serve_refused(&["--idle-ms", bad], 2, "--idle-ms");
        serve_refused(&["--workers", bad], 2, "--workers");
    }
}

#[test]
fn cpus() {
    for bad in ["x", "", "0-", "3-1", "0,,1", "99999"] {
        serve_refused(&["--cpus", bad], 2, "--cpus");
    }
}

#[test]
fn models_json_keeps_its_contract() {
    let exit = turnstile(&["models", "--json"]);
    assert_eq!(exit.code, Some(0));
    let models: serde_json::Value = serde_json::from_str(&exit.stdout).unwrap();
    let models = models.as_array().unwrap();
    let mut defaults = Vec::new();
    for entry in models {
        for field in ["model", "variant", "summary", "pick_when", "breaks_when"] {
            assert!(
                entry[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {entry}"
            );
        }
        for role in ["accepts", "reads", "computes", "writes"] {
            let who = entry["roles"][role].as_str();
            assert!(who.is_some_and(|who| !who.is_empty()), "{role}: {entry}");
        }
        if entry["default"].as_bool().unwrap() {
            defaults.push(entry["model"].as_str().unwrap());
        }
    }
    let mut names: Vec<_> = models
        .iter()
        .map(|entry| entry["model"].as_str().unwrap())
        .collect();
    names.dedup();
    assert_eq!(
        defaults, names,
        "each model has one default variant, and its variants together"
    );
}

#[test]
fn every_listed_variant_can_be_named() {
    let listed = turnstile(&["models", "--json"]);
    let models: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    for entry in models.as_array().unwrap() {
        let (model, variant) = (
            entry["model"].as_str().unwrap(),
            entry["variant"].as_str().unwrap(),
        );
        let probe = [
            "serve",
            "--model",
            model,
            "--variant",
            variant,
            "--listen",
            NOBODYS,
        ];
        // A super-server listens for it.
        let (code, says) = match variant {
            "inetd" => (2, "inetd opens no listener"),
            _ => (1, NOBODYS),
        };
        refused(&turnstile(&probe), code, says);
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    for args in [
        &["models"][..],
        &["models", "--json"],
        &["models", "--markdown"],
    ] {
        let mut child = Command::new(TURNSTILE)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{args:?}");
    }
}

/// A supervisor that closes the pipe it read the address from must not end the server's start.
#[test]
fn serving_without_standard_output() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(ours);
    let mut nobody_reads = Command::new(TURNSTILE);
    nobody_reads.stdout(OwnedFd::from(theirs));
    let mut closed = Command::new("sh");
    closed.args(["-c", "exec \"$@\" >&-", "sh", TURNSTILE]);
    for (number, mut command) in [nobody_reads, closed].into_iter().enumerate() {
        let name = format!("turnstile-cli-{}-{number}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let addr = format!("unix:{}", path.display());
        command.args(["serve", "--model", "iterative", "--listen", &addr]);
        command.args(["--queue-delay-ms", "0"]);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut client = None;
        let serves = || {
            client = Client::connect(&addr).ok();
            client.is_some()
        };
        harness::eventually("it serves", PATIENCE, serves).unwrap();
        client.unwrap().get("/").unwrap().expect(200).unwrap();
        harness::process::signal(child.id(), harness::process::Signal::TERM);
        assert_eq!(child.wait().unwrap().code(), Some(0), "it must drain");
    }
}

#[test]
fn load_is_careful_with_urls() {
    for bad in [
        "nonsense",
        "ftp://127.0.0.1/",
        "http://",
        "http://127.0.0.1:99999/",
        "",
    ] {
        let exit = turnstile(&["load", bad]);
        assert_eq!(exit.code, Some(2), "{bad:?}: {exit:?}");
        assert_eq!(exit.stderr.lines().count(), 1, "{bad:?}: {exit:?}");
    }
}

#[test]
fn load_reports_whom_it_cannot_reach() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}/");
    let exit = turnstile(&["load", &url, "--duration", "200ms", "--warmup", "0s"]);
    refused(&exit, 1, &url);
}

#[test]
fn bench_knows_its_names() {
    for flag in ["--scenarios", "--models", "--size"] {
        refused(&turnstile(&["bench", flag, "nope"]), 2, "nope");
    }
}

/// A variable of a script that is empty must not mean "all".
#[test]
fn a_bench_of_nothing_is_refused() {
    let lists = ["--scenarios", "--models", "--passes", "--size"];
    for flag in lists {
        for nothing in ["", " ", ","] {
            let exit = turnstile(&["bench", flag, nothing, "--out", "/proc/nowhere"]);
            let about = if flag == "--size" { "size" } else { flag };
            refused(&exit, 2, about);
        }
    }
    for flag in [
        "--target",
        "--contenders",
        "--request",
        "--header",
        "--rates",
    ] {
        refused(&turnstile(&["bench", flag, ""]), 2, flag);
    }
}

#[test]
fn report_wants_a_run() {
    refused(
        &turnstile(&["report", "/nowhere/at/all"]),
        2,
        "/nowhere/at/all",
    );
    let empty = std::env::temp_dir().join(format!("turnstile-cli-{}", std::process::id()));
    std::fs::create_dir(&empty).unwrap();
    let exit = turnstile(&["report", empty.to_str().unwrap()]);
    std::fs::remove_dir(&empty).unwrap();
    refused(&exit, 2, "turnstile-cli");
}

/// Every model crate is a program of its own.
#[test]
fn each_model_has_a_program() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    for column in columns().unwrap() {
        let main = crates.join(&column.model).join("src/main.rs");
        assert!(main.is_file(), "no {}", main.display());
    }
}

#[test]
fn a_root_or_a_store_that_is_none_is_a_failure() {
    serve_refused(&["--root", "/nowhere/at/all"], 1, "--root /nowhere/at/all");
    serve_refused(&["--root", "/proc/version"], 1, "--root /proc/version");
    serve_refused(&["--db", "/nowhere/at/all"], 1, "--db /nowhere/at/all");
    serve_refused(&["--db", "/proc/version"], 1, "--db /proc/version");
    serve_refused(&["--db", ":memory:"], 1, "--db :memory:");
    serve_refused(&["--db-busy-ms", "soon"], 2, "--db-busy-ms");
}
