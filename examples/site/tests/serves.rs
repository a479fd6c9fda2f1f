//! The example as it runs, on every model.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../every_model.rs"]
mod every_model;
#[path = "../../started.rs"]
mod started;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use started::Started;

const STYLE: &str = include_str!("../public/style.css");
const INDEX: &str = include_str!("../public/index.html");
const GUIDE: &str = include_str!("../public/guide/index.html");

/// A copy of the site with compressed files, a file beside it, and links that lead there.
fn site(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    let root = folder.join("public");
    fs::create_dir_all(root.join("guide")).unwrap();
    for (file, text) in [
        ("style.css", STYLE),
        ("style.css.br", "as brotli"),
        ("style.css.gz", "as gzip"),
        ("index.html", INDEX),
        ("index.html.gz", "the index as gzip"),
        ("guide/index.html", GUIDE),
        ("empty.txt", ""),
    ] {
        fs::write(root.join(file), text).unwrap();
    }
    fs::write(folder.join("secret.txt"), "the secret").unwrap();
    symlink("../secret.txt", root.join("link.txt")).unwrap();
    symlink("..", root.join("up")).unwrap();
    root
}

/// The value of a field of a reply.
fn field<'r>(reply: &'r str, name: &str) -> Option<&'r str> {
    let (head, _) = reply.split_once("\r\n\r\n")?;
    head.split("\r\n")
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What is asked, the status, a field of the reply (none if it is empty), and the body (any if it is `*`).
type Case = (
    &'static str,
    u16,
    (&'static str, &'static str),
    &'static str,
);

const CASES: &[Case] = &[
    (
        "GET / HTTP/1.1",
        200,
        ("Content-Type", "text/html; charset=utf-8"),
        INDEX,
    ),
    (
        "GET /guide/ HTTP/1.1",
        200,
        ("Content-Type", "text/html; charset=utf-8"),
        GUIDE,
    ),
    (
        "GET /guide?page=2 HTTP/1.1",
        301,
        ("Location", "/guide/?page=2"),
        "*",
    ),
    (
        "GET /style.css HTTP/1.1",
        200,
        ("Vary", "Accept-Encoding"),
        STYLE,
    ),
    (
        "HEAD /style.css HTTP/1.1",
        200,
        ("Accept-Ranges", "bytes"),
        "",
    ),
    ("GET /empty.txt HTTP/1.1", 200, ("Content-Length", "0"), ""),
    // The better coding of those that the client takes, however it writes them.
    (
        "GET /style.css HTTP/1.1\r\nAccept-Encoding: gzip, br",
        200,
        ("Content-Encoding", "br"),
        "as brotli",
    ),
    (
        "GET /style.css HTTP/1.1\r\nAccept-Encoding: br;q=0, gzip",
        200,
        ("Content-Encoding", "gzip"),
        "as gzip",
    ),
    (
        "GET / HTTP/1.1\r\nAccept-Encoding: br, gzip",
        200,
        ("Content-Encoding", "gzip"),
        "the index as gzip",
    ),
    (
        "GET /style.css HTTP/1.1\r\nAccept-Encoding: identity",
        200,
        ("Content-Encoding", ""),
        STYLE,
    ),
    (
        "GET /guide/ HTTP/1.1\r\nAccept-Encoding: br, gzip",
        200,
        ("Content-Encoding", ""),
        GUIDE,
    ),
    (
        "GET /style.css HTTP/1.1\r\nIf-None-Match: \"other\"",
        200,
        ("Accept-Ranges", "bytes"),
        STYLE,
    ),
    (
        "GET /style.css HTTP/1.1\r\nIf-Match: \"other\"",
        412,
        ("", ""),
        "*",
    ),
    (
        "GET /style.css HTTP/1.1\r\nRange: bytes=0-3",
        206,
        ("Content-Range", "bytes 0-3/103"),
        "body",
    ),
    (
        "GET /style.css HTTP/1.1\r\nRange: bytes=-2",
        206,
        ("Content-Range", "bytes 101-102/103"),
        "}\n",
    ),
    (
        "GET /style.css HTTP/1.1\r\nRange: bytes=0-3\r\nIf-Range: \"other\"",
        200,
        ("Content-Range", ""),
        STYLE,
    ),
    (
        "GET /style.css HTTP/1.1\r\nRange: bytes=103-",
        416,
        ("Content-Range", "bytes */103"),
        "*",
    ),
    ("GET /nothing HTTP/1.1", 404, ("", ""), "*"),
    ("POST /style.css HTTP/1.1", 405, ("Allow", "GET, HEAD"), "*"),
    // Out of the folder: by name, encoded, by links, and by what is no path at all.
    ("GET /../secret.txt HTTP/1.1", 404, ("", ""), "*"),
    ("GET /guide/../../secret.txt HTTP/1.1", 404, ("", ""), "*"),
    ("GET /%2e%2e/secret.txt HTTP/1.1", 404, ("", ""), "*"),
    ("GET /..%2fsecret.txt HTTP/1.1", 404, ("", ""), "*"),
    ("GET /link.txt HTTP/1.1", 404, ("", ""), "*"),
    ("GET /up/secret.txt HTTP/1.1", 404, ("", ""), "*"),
    ("GET //etc/passwd HTTP/1.1", 404, ("", ""), "*"),
    ("GET /style.css%00.txt HTTP/1.1", 404, ("", ""), "*"),
];

fn check(site: &Started, label: &str, &(asked, status, (name, value), body): &Case) {
    let reply = site.ask_with(asked, "");
    assert!(
        reply.starts_with(&format!("HTTP/1.1 {status} ")),
        "{label}: {asked}: {reply}"
    );
    assert!(!reply.contains("secret"), "{label}: {asked}: {reply}");
    if !name.is_empty() {
        let expected = Some(value).filter(|value| !value.is_empty());
        assert_eq!(field(&reply, name), expected, "{label}: {asked}: {reply}");
    }
    if body != "*" {
        let (_, sent) = reply.split_once("\r\n\r\n").unwrap();
        assert_eq!(sent, body, "{label}: {asked}");
    }
}

/// A client that has a version is not sent it again; it is told of another one.
fn check_versions(site: &Started, label: &str, root: &Path) {
    let of = |fields: &str| site.ask_with(&format!("GET /style.css HTTP/1.1{fields}"), "");
    let (plain, packed) = (of(""), of("\r\nAccept-Encoding: br"));
    let tag = field(&plain, "ETag").unwrap().to_owned();
    assert_ne!(Some(tag.as_str()), field(&packed, "ETag"), "{label}");
    let modified = field(&plain, "Last-Modified").unwrap();
    for known in [
        format!("\r\nIf-None-Match: {tag}"),
        format!("\r\nIf-None-Match: \"other\", W/{tag}"),
        format!("\r\nIf-Modified-Since: {modified}"),
    ] {
        let reply = of(&known);
        assert!(reply.starts_with("HTTP/1.1 304 "), "{label}: {reply}");
        assert!(reply.ends_with("\r\n\r\n"), "{label}: {reply}");
    }
    let part = of(&format!("\r\nRange: bytes=0-3\r\nIf-Range: {tag}"));
    assert!(part.ends_with("\r\n\r\nbody"), "{label}: {part}");
    // A rename, as a deployment does it: another file of that name.
    fs::write(root.join("style.new"), STYLE.to_uppercase()).unwrap();
    fs::rename(root.join("style.new"), root.join("style.css")).unwrap();
    let reply = of(&format!("\r\nIf-None-Match: {tag}"));
    assert!(reply.ends_with(&STYLE.to_uppercase()), "{label}: {reply}");
    fs::write(root.join("style.css"), STYLE).unwrap();
}

#[test]
fn the_site_is_sent_and_nothing_else_on_every_model() {
    let root = site("every_model");
    for column in every_model::columns() {
        let label = column.label();
        let flags = ["--model", &label, "--root", root.to_str().unwrap()];
        let site = Started::new(env!("CARGO_BIN_EXE_site"), &flags);
        for case in CASES {
            check(&site, &label, case);
        }
        check_versions(&site, &label, &root);
        site.drain();
    }
}
