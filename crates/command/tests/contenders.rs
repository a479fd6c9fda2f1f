//! The shipped files of contenders, with the servers for which they are: skipped where one is missing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
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

/// Measures every row of a shipped file in `churn`; `traces` are what its processes are known by.
fn measure(name: &str, needs: &[&str], rows: usize, traces: &[&str]) {
    if let Some(missing) = needs.iter().find(|program| !installed(program)) {
        println!("skipped: {missing} is not installed");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = std::env::temp_dir().join(format!("contenders-{name}-{}", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_turnstile"))
        .args([
            "bench",
            "--size",
            "smoke",
            "--passes",
            "measure",
            "--scenarios",
            "churn",
        ])
        .arg("--contenders")
        .arg(root.join(format!("contrib/contenders/{name}.toml")))
        .arg("--out")
        .arg(&out)
        .output()
        .expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    // A busy machine leaves no window VALID (1); what is asked for here is that there are windows.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{error}");
    let text = std::fs::read_to_string(out.join("trials.ndjson"));
    let text = text.unwrap_or_else(|reason| panic!("{reason}: {error}"));
    let served: BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a trial"))
        .filter(|trial| trial["role"] == "target" && trial["pass"].is_null())
        .filter(|trial| trial["figures"]["requests"].as_u64() > Some(0))
        .filter(|trial| trial["figures"]["private_kib"].as_u64() > Some(100))
        .filter_map(|trial| trial["label"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(served.len(), rows, "{served:?}: {error}");
    for trace in traces {
        assert_eq!(running(trace), Vec::<String>::new());
    }
    let _gone = std::fs::remove_dir_all(&out);
}

#[test]
fn gunicorn_serves_with_each_of_its_workers() {
    let own = Command::new("gunicorn")
        .args(["--check-config", "-k", "gevent", "json:loads"])
        .output();
    if installed("gunicorn") && !own.is_ok_and(|output| output.status.success()) {
        println!("skipped: gunicorn has no gevent");
        return;
    }
    measure("gunicorn", &["gunicorn"], 11, &["app_wsgi:application"]);
}

#[test]
fn apache_serves_with_each_of_its_mpms() {
    let module = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules"];
    let module = module.map(|folder| Path::new(folder).join("mod_wsgi.so"));
    if !module.iter().any(|file| file.exists()) {
        println!("skipped: there is no mod_wsgi");
        return;
    }
    measure("apache", &["apache2"], 8, &["run-apache", "httpd.conf"]);
}

#[test]
fn php_fpm_serves_behind_nginx() {
    measure(
        "php-fpm",
        &["php-fpm", "nginx"],
        3,
        &["run-php-fpm", "fpm.conf"],
    );
}
