//! The shipped files of contenders, with the servers for which they are: skipped where one is missing.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// One foreign server at a time: there are few CPUs, and each looks for what it has left running.
static ALONE: Mutex<()> = Mutex::new(());

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where programs are looked for: in an environment of Python of the project's own, too.
fn path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = [root().join("target/python/bin")];
    let all = own.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(all).expect("folders")
}

/// Says why nothing is tested, past what captures the output of tests. Where `required` is set and this is a
/// run of CI, that is a failure.
fn skipped(why: &str, required: bool) {
    let is_ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty());
    assert!(!(required && is_ci), "CI is set, and {why}");
    let line = format!("SKIPPED contenders: {why}, so nothing was tested here\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn installed(program: &str) -> bool {
    let path = path();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let starts = |folder: &Path| {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names = files.filter_map(|file| file.file_name().into_string().ok());
        names.any(|name| name == program || (program == "php-fpm" && name.starts_with(program)))
    };
    folders.into_iter().any(|folder| starts(&folder))
}

/// Command lines of processes that hold `text`.
fn running(text: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let line = |process: std::fs::DirEntry| std::fs::read(process.path().join("cmdline")).ok();
    let lines = processes.filter_map(line);
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(text)).collect()
}

/// A shipped file that is measured.
struct Shipped<'a> {
    /// The file's name.
    name: &'a str,
    /// The programs that it needs.
    needs: &'a [&'a str],
    /// CI must have them.
    required: bool,
    /// What is asked of its servers.
    scenarios: &'a [&'a str],
    /// How many there are.
    rows: usize,
    /// What their processes are known by.
    traces: &'a [&'a str],
}

/// Measures every row of a shipped file; gives the windows that have answered requests. `None` where a
/// program is missing.
fn measure(shipped: &Shipped<'_>) -> Option<Vec<Value>> {
    let Shipped { name, rows, .. } = *shipped;
    if let Some(missing) = shipped.needs.iter().find(|program| !installed(program)) {
        skipped(&format!("{missing} is not installed"), shipped.required);
        return None;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let out = std::env::temp_dir().join(format!("contenders-{name}-{}", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_turnstile"))
        .args(["bench", "--size", "smoke", "--passes", "measure"])
        .args(["--scenarios", &shipped.scenarios.join(",")])
        .arg("--contenders")
        .arg(root().join(format!("contrib/contenders/{name}.toml")))
        .arg("--out")
        .arg(&out)
        .env("PATH", path())
        .output()
        .expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    // A busy machine leaves no window VALID (1); what is asked for here is that there are windows.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{error}");
    let text = std::fs::read_to_string(out.join("trials.ndjson"));
    let text = text.unwrap_or_else(|reason| panic!("{reason}: {error}"));
    let trials: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a trial"))
        .filter(|trial| trial["role"] == "target" && trial["pass"].is_null())
        .filter(|trial| trial["figures"]["requests"].as_u64() > Some(0))
        .filter(|trial| trial["figures"]["private_kib"].as_u64() > Some(100))
        .collect();
    for scenario in shipped.scenarios {
        let here = trials.iter().filter(|trial| trial["scenario"] == *scenario);
        let served: BTreeSet<&str> = here.filter_map(|trial| trial["label"].as_str()).collect();
        assert_eq!(served.len(), rows, "{scenario}: {served:?}: {error}");
    }
    for trace in shipped.traces {
        assert_eq!(running(trace), Vec::<String>::new());
    }
    let _gone = std::fs::remove_dir_all(&out);
    Some(trials)
}

#[test]
fn gunicorn_serves_with_each_of_its_workers() {
    let own = Command::new("gunicorn")
        .args(["--check-config", "-k", "gevent", "json:loads"])
        .env("PATH", path())
        .output();
    if installed("gunicorn") && !own.is_ok_and(|output| output.status.success()) {
        return skipped("gunicorn has no gevent", true);
    }
    let measured = measure(&Shipped {
        name: "gunicorn",
        needs: &["gunicorn"],
        required: true,
        scenarios: &["churn", "tiny-keepalive"],
        rows: 11,
        traces: &["app_wsgi:application"],
    });
    // Its sync workers close each connection, and are measured all the same; the others keep it.
    for trial in measured.iter().flatten() {
        let label = trial["label"].as_str().expect("a label");
        if trial["scenario"] == "tiny-keepalive" {
            let keeps = !label.starts_with("gunicorn sync");
            assert_eq!(trial["shape"]["keep_alive"], keeps, "{trial}");
        }
    }
}

#[test]
fn apache_serves_with_each_of_its_mpms() {
    let module = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules"];
    let module = module.map(|folder| Path::new(folder).join("mod_wsgi.so"));
    if !module.iter().any(|file| file.exists()) {
        return skipped("there is no mod_wsgi", true);
    }
    measure(&Shipped {
        name: "apache",
        needs: &["apache2"],
        required: true,
        scenarios: &["churn"],
        rows: 8,
        traces: &["run-apache", "httpd.conf"],
    });
}

#[test]
fn php_fpm_serves_behind_nginx() {
    measure(&Shipped {
        name: "php-fpm",
        needs: &["php-fpm", "nginx"],
        required: true,
        scenarios: &["churn"],
        rows: 3,
        traces: &["run-php-fpm", "fpm.conf"],
    });
}

/// One that is measured where it is installed.
fn optional(name: &str, program: &str, rows: usize, traces: &[&str]) {
    measure(&Shipped {
        name,
        needs: &[program],
        required: false,
        scenarios: &["churn"],
        rows,
        traces,
    });
}

#[test]
fn uvicorn_serves() {
    optional("uvicorn", "uvicorn", 2, &["app_asgi:application"]);
}

#[test]
fn granian_serves_both_interfaces() {
    let traces = ["app_asgi:application", "app_wsgi:application"];
    optional("granian", "granian", 4, &traces);
}

#[test]
fn puma_serves_in_each_size() {
    optional("puma", "puma", 6, &["app.ru", "puma: cluster worker"]);
}

#[test]
fn node_serves_with_its_cluster() {
    optional("node", "node", 2, &["node app.js"]);
}

#[test]
fn go_is_compiled_and_serves() {
    optional("go", "go", 2, &["run-go"]);
}
