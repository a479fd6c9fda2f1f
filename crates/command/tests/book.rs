//! The code in the documents: shell blocks are run, page by page, as a reader would; a block that is not run
//! says why in a comment before it. Rust blocks are compiled by the crate `book`.
//!
//! In what is run, the ports 8080 and 8081 are free ones, servers refuse nothing however busy the machine is,
//! and `/tmp/` is a folder of the test. A comment
//! `<!-- file: NAME -->` before a block means that the reader writes it to that file.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod harness;

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use harness::TURNSTILE;

/// Pages whose blocks a program has printed: what they show is no code.
const GENERATED: &[&str] = &["docs/choosing.md", "docs/models.md"];

/// A fenced block.
struct Block {
    page: String,
    line: usize,
    language: String,
    file: Option<String>,
    /// Why it is not run.
    why_not: Option<String>,
    text: String,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }

    fn is_run(&self) -> bool {
        self.language == "sh" && self.why_not.is_none()
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The README and the pages of docs/, without those that are generated.
fn pages() -> Vec<String> {
    let folder = std::fs::read_dir(root().join("docs")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> = names
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    pages.push("README.md".into());
    pages.retain(|page| !GENERATED.contains(&page.as_str()));
    pages.sort();
    pages
}

fn blocks(page: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let mut blocks = Vec::new();
    let (mut open, mut before) = (None::<Block>, "");
    for (number, line) in text.lines().enumerate() {
        match (open.take(), line.strip_prefix("```")) {
            (None, Some(info)) => {
                let said = |what: &str| {
                    let rest = before.strip_prefix("<!-- ")?.strip_prefix(what)?;
                    rest.strip_suffix(" -->").map(String::from)
                };
                open = Some(Block {
                    page: page.to_owned(),
                    line: number + 1,
                    language: info.split(',').next().unwrap_or_default().to_owned(),
                    file: said("file: "),
                    why_not: said("not run: "),
                    text: String::new(),
                });
            }
            (Some(block), Some(_)) => blocks.push(block),
            (Some(mut block), None) => {
                block.text += line;
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
        if !line.is_empty() {
            before = line;
        }
    }
    assert!(open.is_none(), "{page}: a block is not closed");
    blocks
}

fn all_blocks() -> Vec<Block> {
    pages().iter().flat_map(|page| blocks(page)).collect()
}

/// Every block says its language, so that something becomes of it; `text` is what programs print.
#[test]
fn every_block_is_compiled_read_or_run() {
    let compiled = std::fs::read_to_string(root().join("crates/book/src/lib.rs")).unwrap();
    for block in all_blocks() {
        let place = block.place();
        match block.language.as_str() {
            "rust" => assert!(
                compiled.contains(&format!("\"{}\"", block.page)),
                "{place}: crates/book/src/lib.rs does not list this page"
            ),
            "toml" => {
                let read = block.text.parse::<toml::Table>();
                assert!(read.is_ok(), "{place}: {read:?}");
            }
            "json" => {
                let read = serde_json::from_str::<serde_json::Value>(&block.text);
                assert!(read.is_ok(), "{place}: {read:?}");
            }
            // The former is run below; so is the latter, behind the real nginx.
            "sh" | "nginx" => {}
            "text" => {}
            language => panic!(
                "{place}: a block says its language: rust, toml, json, text for what is no code, or sh, \
                 which is run unless a line before it says <!-- not run: WHY -->; not {language:?}"
            ),
        }
    }
}

/// The help of a command, or nothing if there is none of that name.
fn help(words: &[&str]) -> Option<String> {
    let output = Command::new(TURNSTILE)
        .args(words)
        .arg("--help")
        .output()
        .unwrap();
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).unwrap())
}

/// The commands named `turnstile` in a block, in words, without comments and what is quoted.
fn commands(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let text: String = text.split('\'').step_by(2).collect();
    let lines = text
        .lines()
        .map(|line| line.split(" #").next().unwrap_or(line));
    lines
        .map(|line| {
            line.split_whitespace()
                .map(String::from)
                .collect::<Vec<_>>()
        })
        .filter(|words| {
            let program = words.first().map(|word| word.rsplit('/').next());
            program == Some(Some("turnstile")) && words.len() > 1
        })
        .collect()
}

/// Commands that are not run have flags that exist.
#[test]
fn commands_have_the_flags_that_pages_give_them() {
    let mut helps: HashMap<String, Option<String>> = HashMap::new();
    let mut checked = 0;
    for block in all_blocks().iter().filter(|block| block.language == "sh") {
        for words in commands(&block.text) {
            let name = words[1].clone();
            let known = helps.entry(name.clone()).or_insert_with(|| help(&[&name]));
            let Some(known) = known else {
                panic!("{}: there is no `turnstile {name}`", block.place());
            };
            let mut known = known.clone();
            if let Some(second) = words
                .get(2)
                .filter(|word| word.chars().all(char::is_alphabetic))
            {
                known += &help(&[&name, second]).unwrap_or_default();
            }
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap();
                let is_known = known
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                    .any(|word| word == flag);
                assert!(
                    is_known,
                    "{}: `turnstile {name}` has no {flag}",
                    block.place()
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "only {checked} flags were found");
}

/// A port of loopback that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Where a page is run. It has the same name each time, so that what cargo has built is found again.
fn folder(page: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (root(), page).hash(&mut hasher);
    let folder = std::env::temp_dir().join(format!("turnstile-book-{:016x}", hasher.finish()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    // The reader's clone.
    let clone = root().canonicalize().unwrap();
    std::os::unix::fs::symlink(clone, folder.join("turnstile")).unwrap();
    folder
}

/// The blocks of a page as one script. A server in the background is waited for, as a reader does.
fn script(blocks: &[Block]) -> String {
    let mut script = String::from(
        "set -eu\ntrap 'jobs -p | xargs -r kill 2>/dev/null || :' EXIT\n\
         ready() { for _ in $(seq 200); do (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null && return; sleep 0.1; done; exit 9; }\n",
    );
    for block in blocks
        .iter()
        .filter(|block| block.is_run() || block.file.is_some())
    {
        if let Some(file) = &block.file {
            script += &format!("cat > {file} <<'END-OF-FILE'\n{}END-OF-FILE\n", block.text);
            continue;
        }
        script += &format!(": {}\n", block.place());
        for line in block.text.lines() {
            script += line;
            script += match line {
                line if line.ends_with(" &") => "\nready\n",
                "kill %1" => "; wait\n",
                _ => "\n",
            };
            if line.starts_with("cd ") {
                script += "[ -e target ] || ln -s \"$TARGET\" target\n";
            }
        }
    }
    script
}

fn run(page: &str, blocks: &[Block]) -> Output {
    let folder = folder(page);
    let in_folder = format!("{}/", folder.display());
    let script = script(blocks)
        .replace("/tmp/", &in_folder)
        .replace(" --listen 127", " --queue-delay-ms 0 --listen 127")
        .replace("8080", &free_port().to_string())
        .replace("8081", &free_port().to_string());
    let programs = Path::new(TURNSTILE).parent().unwrap().display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-c", &script])
        .current_dir(&folder)
        .env("PATH", path);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book");
    std::fs::create_dir_all(&target).unwrap();
    bash.env("TARGET", target);
    // What cargo needs is there since this test was built; and no target folder but the page's own.
    bash.env("CARGO_NET_OFFLINE", "true")
        .env_remove("CARGO_TARGET_DIR");
    let output = bash.stdin(Stdio::null()).output().unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    output
}

/// Which of the programs that a test needs are not installed, said past the capture of the test harness.
fn is_skipped(tools: &[&str]) -> bool {
    let is_there = |tool: &str| {
        let looked = Command::new("bash")
            .args(["-c", "command -v \"$0\"", tool])
            .output();
        looked.is_ok_and(|output| output.status.success())
    };
    let missing: Vec<_> = tools.iter().filter(|tool| !is_there(tool)).collect();
    if !missing.is_empty() {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED {name}: not installed: {missing:?}"
        );
    }
    !missing.is_empty()
}

fn assert_runs(page: &str, blocks: &[Block]) -> String {
    let output = run(page, blocks);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{page}: {}\n{out}\n{err}",
        output.status
    );
    out
}

const GETTING_STARTED: &str = "docs/getting-started.md";

#[test]
fn the_shell_blocks_of_the_pages_run() {
    if is_skipped(&["bash", "curl"]) {
        return;
    }
    let mut ran = BTreeSet::new();
    for page in pages().iter().filter(|page| *page != GETTING_STARTED) {
        let blocks = blocks(page);
        if blocks.iter().any(Block::is_run) {
            assert_runs(page, &blocks);
            ran.insert(page.clone());
        }
    }
    assert!(ran.contains("docs/deploying.md"), "{ran:?}");
}

/// The first page is followed to the letter, from `cargo new` on, and the replies are those that it says.
#[test]
fn the_first_page_can_be_followed() {
    if is_skipped(&["bash", "curl", "cargo"]) {
        return;
    }
    let out = assert_runs(GETTING_STARTED, &blocks(GETTING_STARTED));
    for said in ["2 yes, 0 no\n", "2 yes, 1 no\n"] {
        assert!(out.contains(said), "{said}: {out}");
    }
}

/// The configuration of nginx in the page about deploying works with the server behind it.
#[test]
fn nginx_stands_before_it_as_the_page_says() {
    if is_skipped(&["bash", "curl", "nginx"]) {
        return;
    }
    let page = "docs/deploying.md";
    let mut blocks = blocks(page);
    blocks.retain(|block| block.language == "nginx");
    assert_eq!(blocks.len(), 1);
    let site = blocks.pop().unwrap();
    let shell = |text: String| Block {
        language: "sh".into(),
        text,
        ..Block {
            page: page.into(),
            line: site.line,
            language: String::new(),
            file: None,
            why_not: None,
            text: String::new(),
        }
    };
    let whole = format!(
        "daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path f;\nuwsgi_temp_path u;\nscgi_temp_path s;\n{}}}\n",
        site.text
    );
    let steps = "turnstile serve --model prefork --listen 127.0.0.1:8080 &\n".to_owned()
        + "nginx -p \"$PWD\" -c \"$PWD/nginx.conf\" & sleep 0.1\n"
        + "curl -s --retry 50 --retry-delay 1 --retry-connrefused http://127.0.0.1:8081/json\n"
        + "curl -s http://127.0.0.1:8081/echo -d 'through nginx'\n";
    let config = Block {
        file: Some("nginx.conf".into()),
        ..shell(whole)
    };
    let out = assert_runs(page, &[config, shell(steps)]);
    assert!(
        out.contains("Hello") && out.ends_with("through nginx"),
        "{out}"
    );
}
