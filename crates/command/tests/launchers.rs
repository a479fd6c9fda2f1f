//! The lines for `srun` and `mpirun` in the documents, as they stand there, with launchers of the test's own
//! that start a process per rank and tell each its number, as Slurm and Open MPI do.
#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod harness;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::TURNSTILE;

/// A launcher: its first argument or its first two say how many, the rest is the command of each rank.
const LAUNCHER: &str = r#"#!/bin/sh
case $1 in
--ntasks=*) n=${1#*=}; shift ;;
-np) n=$2; shift 2 ;;
*) echo "unknown flag $1" >&2; exit 64 ;;
esac
pids=
rank=0
while [ "$rank" -lt "$n" ]; do
    env RANK_VARIABLE=$rank SIZE_VARIABLE=$n "$@" &
    pids="$pids $!"
    rank=$((rank + 1))
done
for pid in $pids; do wait "$pid" || exit 1; done
"#;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// A server that refuses nothing, and its address.
fn serve() -> (Server, String) {
    let mut child = Command::new(TURNSTILE)
        .args(["serve", "--model", "multi-reactor", "--queue-delay-ms", "0"])
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap();
    (Server(child), address.to_owned())
}

/// Writes an executable by a child: a file that this process holds open for writing, perhaps in a fork of
/// another test, could not be run.
fn executable(path: &Path, text: &str) {
    let written = Command::new("/bin/sh")
        .args(["-c", r#"printf %s "$1" > "$2" && chmod +x "$2""#, "sh"])
        .args([text.as_ref(), path.as_os_str()])
        .status();
    assert!(written.unwrap().success());
    assert!(fs::metadata(path).unwrap().permissions().mode() & 0o100 > 0);
}

/// The line of a page that begins with `launcher`.
fn documented(page: &str, launcher: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join(page)).unwrap();
    let line = text.lines().find(|line| line.starts_with(launcher));
    line.unwrap().to_owned()
}

fn run(page: &str, launcher: &str, [rank, size]: [&str; 2]) {
    let folder = format!("turnstile-{launcher}-{}-{}", page.len(), std::process::id());
    let folder = Folder(std::env::temp_dir().join(folder));
    fs::create_dir_all(&folder.0).unwrap();
    let script = LAUNCHER.replace("RANK_VARIABLE", rank);
    executable(
        &folder.0.join(launcher),
        &script.replace("SIZE_VARIABLE", size),
    );
    executable(
        &folder.0.join("turnstile"),
        &format!("#!/bin/sh\nexec '{TURNSTILE}' \"$@\"\n"),
    );
    let (_server, address) = serve();
    let line = documented(page, &format!("{launcher} "));
    // Short, and at this server; the result as JSON.
    let line = line.replace("http://server:8080/", &format!("http://{address}/"));
    let line = line.replace("--rate 4000", "--rate 400 --duration 1s --warmup 500ms");
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("{line} -q --json -")])
        .current_dir(&folder.0)
        .env("PATH", format!("{}:{path}", folder.0.display()))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {error}");
    let sum: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sum["runs"], 4, "{sum}");
    assert_eq!(sum["connections"], 64);
    assert_eq!(sum["rate_offered"], 400.0);
    assert!(sum["requests"].as_u64() > Some(0), "{sum}");
}

#[test]
fn srun_starts_the_shares_of_a_load() {
    for page in ["docs/load.md", "contrib/locust/README.md"] {
        run(page, "srun", ["SLURM_PROCID", "SLURM_NTASKS"]);
    }
}

#[test]
fn mpirun_starts_the_shares_of_a_load() {
    for page in ["docs/load.md", "contrib/locust/README.md"] {
        let variables = ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"];
        run(page, "mpirun", variables);
    }
}
