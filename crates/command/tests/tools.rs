//! Other people's clients: curl, wrk, ab and a browser, against every model that can hold their
//! connections; and the report in a browser. A tool that is not installed is skipped, and says so.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(model: &str) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_turnstile"));
        command.args(["serve", "--model", model, "--listen", "127.0.0.1:0"]);
        // Tests run beside each other on few CPUs: requests wait, and all are to be served.
        command.args(["--queue-delay-ms", "0"]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let addr = line
            .trim()
            .strip_prefix("listening on ")
            .expect("the ready line");
        Server {
            url: format!("http://{addr}"),
            child,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

/// Whether `tool` is there. If not, its test counts as passed, so the terminal is told past the
/// capture of the test harness.
fn is_installed(tool: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {tool}")])
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED {name}: {tool} is not installed, so nothing was tested here"
        );
    }
    found
}

fn run(tool: &str, args: &[&str]) -> String {
    let Output {
        stdout,
        stderr,
        status,
    } = Command::new("timeout")
        .args(["60", tool])
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{tool} {args:?}: {status}\n{text}");
    text
}

/// Every model, and whether it can hold several connections that stay.
fn models() -> impl Iterator<Item = (&'static str, bool)> {
    turnstile::models::ALL
        .iter()
        .map(|model| (model.name, model.name != "iterative"))
}

#[test]
fn curl() {
    if !is_installed("curl") {
        return;
    }
    for (model, _) in models() {
        let server = Server::start(model);
        let url = |path: &str| format!("{}{path}", server.url);
        assert_eq!(
            run("curl", &["-sS", &url("/plaintext"), &url("/json")]),
            r#"Hello, World!{"message":"Hello, World!"}"#
        );
        assert_eq!(
            run("curl", &["-sS", "--http1.0", &url("/")]),
            "Hello, World!"
        );
        let echoed = run(
            "curl",
            &[
                "-sS",
                "-H",
                "Transfer-Encoding: chunked",
                "-d",
                "some body",
                &url("/echo"),
            ],
        );
        assert_eq!(echoed, "some body");
        // A body of 1 MiB makes curl ask with Expect: 100-continue first.
        let file = std::env::temp_dir().join(format!("turnstile-curl-{}", std::process::id()));
        std::fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
        let data = format!("@{}", file.display());
        let size = run(
            "curl",
            &[
                "-sS",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{size_download}",
                "--data-binary",
                &data,
                &url("/echo"),
            ],
        );
        std::fs::remove_file(&file).unwrap();
        assert_eq!(size, "200 1048576", "{model}");
    }
}

#[test]
fn wrk() {
    if !is_installed("wrk") {
        return;
    }
    for (model, holds_many) in models() {
        let server = Server::start(model);
        let connections = if holds_many { "-c32" } else { "-c1" };
        let text = run(
            "wrk",
            &[
                "-t1",
                connections,
                "-d1s",
                &format!("{}/plaintext", server.url),
            ],
        );
        assert!(
            !text.contains("Socket errors") && !text.contains("Non-2xx"),
            "{model}: {text}"
        );
        assert!(!text.contains("\n  0 requests in"), "{model}: {text}");
    }
}

#[test]
fn ab() {
    if !is_installed("ab") {
        return;
    }
    for (model, holds_many) in models() {
        let server = Server::start(model);
        let connections = if holds_many { "16" } else { "1" };
        for keep_alive in [&["-k"][..], &[]] {
            let url = format!("{}/plaintext", server.url);
            let args = [
                &["-q", "-n", "2000", "-c", connections],
                keep_alive,
                &[url.as_str()],
            ]
            .concat();
            let text = run("ab", &args);
            assert!(
                text.contains("Complete requests:      2000")
                    && text.contains("Failed requests:        0"),
                "{model}: {text}"
            );
        }
    }
}

#[test]
fn a_browser() {
    if !is_installed("chromium") {
        return;
    }
    for (model, _) in models() {
        let server = Server::start(model);
        let page = run(
            "chromium",
            &[
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--timeout=20000",
                "--dump-dom",
                &format!("{}/plaintext", server.url),
            ],
        );
        assert!(page.contains("Hello, World!"), "{model}: {page}");
    }
}

/// A frame of `width` pixels around the page, which tells its own width and that of its content.
fn framed(width: u32) -> String {
    format!(
        r#"<!DOCTYPE html><iframe src="page.html" width="{width}" height="844" style="border:0"></iframe>
<script>onmessage=e=>document.documentElement.setAttribute("data-told",e.data)</script>"#
    )
}

/// What the page tells its frame once it is laid out, and a number of each fifth row whose name is a
/// link was clicked (a browser stops at 200 jumps): how many rows, and how many led to no trials.
const TELL: &str = r##"<script>addEventListener("load",()=>{
const wide=document.documentElement.scrollWidth
const rows=[...document.querySelectorAll(".figures tr:has(th a)")].filter((_,at)=>at%5==0)
const lost=rows.filter(row=>{location.hash="";row.querySelector("td").click()
const trials=document.getElementById(location.hash.slice(1))
return !trials||!document.getElementById("trials").contains(trials)})
parent.postMessage([innerWidth,wide,rows.length,lost.length].join(" "),"*")})</script>"##;

#[test]
fn the_report_fits_a_phone_and_its_numbers_lead_to_trials() {
    if !is_installed("chromium") {
        return;
    }
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../report/tests/recorded");
    let dir = std::env::temp_dir().join(format!("turnstile-page-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for name in ["env.json", "trials.ndjson.gz"] {
        std::fs::copy(recorded.join(name), dir.join(name)).unwrap();
    }
    let report = Command::new(env!("CARGO_BIN_EXE_turnstile"))
        .arg("report")
        .arg(&dir)
        .output()
        .unwrap();
    assert!(report.status.success(), "{report:?}");
    let page = std::fs::read_to_string(dir.join("index.html")).unwrap();
    std::fs::write(dir.join("page.html"), page + TELL).unwrap();
    for width in [390, 1024, 1920] {
        std::fs::write(dir.join("frame.html"), framed(width)).unwrap();
        let dom = run(
            "chromium",
            &[
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--virtual-time-budget=20000",
                "--dump-dom",
                &format!("file://{}", dir.join("frame.html").display()),
            ],
        );
        let told = dom.split("data-told=\"").nth(1);
        let told = told.unwrap_or_else(|| panic!("the page says nothing: {dom}"));
        let told = told.split('"').next().unwrap();
        let told: Vec<u32> = told.split(' ').map(|n| n.parse().unwrap()).collect();
        let [inner, content, rows, lost] = told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(inner, width);
        assert!(content <= width, "{content} px of content on {width} px");
        assert!(rows > 20 && lost == 0, "{lost} of {rows} rows lead nowhere");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
