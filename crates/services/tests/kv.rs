//! `/kv`: what each method means, and what is said when the store cannot serve.

#![allow(clippy::unwrap_used)] // In a test it is the assertion.

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Folder, Reply, ask, get};
use rusqlite::Connection;
use services::{Router, Store};

const BUSY: Duration = Duration::from_millis(50);

fn router(path: &Path) -> Router {
    Router::new(None, Some(Store::open(path, BUSY).unwrap()))
}

fn put(router: &Router, path: &str, value: &[u8]) -> Reply {
    ask(router, &format!("PUT {path}"), "", value)
}

fn delete(router: &Router, path: &str) -> u16 {
    ask(router, &format!("DELETE {path}"), "", b"").status
}

#[test]
fn put_get_delete() {
    let folder = Folder::new("kv");
    let router = router(&folder.at("store"));
    assert_eq!(get(&router, "/kv/a").status, 404);
    assert_eq!(delete(&router, "/kv/a"), 404);
    assert_eq!(put(&router, "/kv/a", b"one").status, 201);
    let reply = get(&router, "/kv/a");
    assert_eq!((reply.status, &reply.body[..]), (200, &b"one"[..]));
    assert_eq!(
        reply.field("Content-Type"),
        Some("application/octet-stream")
    );
    let reply = put(&router, "/kv/a", b"other");
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    let head = ask(&router, "HEAD /kv/a", "", b"");
    assert_eq!(
        (head.status, head.field("Content-Length")),
        (200, Some("5"))
    );
    assert_eq!(get(&router, "/kv/a?x").body, b"other");
    assert_eq!(
        (delete(&router, "/kv/a"), delete(&router, "/kv/a")),
        (204, 404)
    );
    assert_eq!(get(&router, "/kv/a").status, 404);
    assert_eq!(put(&router, "/kv/a", b"").status, 201);
    assert_eq!(
        (
            get(&router, "/kv/a").status,
            get(&router, "/kv/a").body.len()
        ),
        (200, 0)
    );
    let reply = ask(&router, "POST /kv/a", "", b"");
    assert_eq!(reply.status, 405);
    let allow = Some("GET, HEAD, PUT, DELETE, OPTIONS");
    assert_eq!(reply.field("Allow"), allow);
    assert_eq!(ask(&router, "OPTIONS /kv/a", "", b"").field("Allow"), allow);
}

#[test]
fn keys_and_values_are_any_bytes() {
    let folder = Folder::new("kv-bytes");
    let router = router(&folder.at("store"));
    let long = format!("/kv/{}", "%c3".repeat(255));
    let paths = [
        "/kv/%00",
        "/kv/a%00",
        "/kv/a%2fb",
        "/kv/%ff",
        "/kv/..",
        "/kv/%25",
        "/kv/+",
        &long,
    ];
    for (at, path) in paths.iter().enumerate() {
        let value: Vec<u8> = (0..=255).chain([at as u8]).collect();
        assert_eq!(put(&router, path, &value).status, 201, "{path}");
    }
    for (at, path) in paths.iter().enumerate() {
        assert_eq!(get(&router, path).body.last(), Some(&(at as u8)), "{path}");
    }
    assert_eq!(
        get(&router, "/kv/a/b").status,
        200,
        "%2f is a slash like any other"
    );
    let whole = vec![b'v'; 1 << 20];
    assert_eq!(put(&router, "/kv/whole", &whole).status, 201);
    assert!(get(&router, "/kv/whole").body == whole);
    let longer = format!("/kv/{}", "k".repeat(256));
    for bad in ["/kv/", "/kv/%", "/kv/%4", "/kv/%zz", &longer] {
        assert_eq!(put(&router, bad, b"v").status, 400, "{bad}");
        assert_eq!(get(&router, bad).status, 400, "{bad}");
    }
}

#[test]
fn what_was_put_is_there_for_the_next_server() {
    let folder = Folder::new("kv-next");
    assert_eq!(
        put(&router(&folder.at("store")), "/kv/a", b"one").status,
        201
    );
    let next = router(&folder.at("store"));
    assert_eq!(get(&next, "/kv/a").body, b"one");
    assert_eq!(put(&next, "/kv/a", b"two").status, 204);
}

#[test]
fn two_stores_in_one_thread_are_two() {
    let folder = Folder::new("kv-two");
    let (one, two) = (router(&folder.at("one")), router(&folder.at("two")));
    put(&one, "/kv/a", b"one");
    assert_eq!(get(&two, "/kv/a").status, 404);
    put(&two, "/kv/a", b"two");
    assert_eq!(get(&one, "/kv/a").body, b"one");
}

#[test]
fn busy_beyond_the_bound_is_503_and_passes() {
    let folder = Folder::new("kv-busy");
    let router = router(&folder.at("store"));
    put(&router, "/kv/a", b"one");
    let writer = Connection::open(folder.at("store")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let reply = put(&router, "/kv/a", b"two");
    assert!(start.elapsed() >= BUSY, "{:?}", start.elapsed());
    assert_eq!((reply.status, reply.field("Retry-After")), (503, Some("1")));
    assert_eq!(get(&router, "/kv/a").body, b"one", "readers do not wait");
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!(put(&router, "/kv/a", b"two").status, 204);
}

#[test]
fn a_store_that_breaks_is_500() {
    let folder = Folder::new("kv-broken");
    let router = router(&folder.at("store"));
    let other = Connection::open(folder.at("store")).unwrap();
    other.execute_batch("DROP TABLE kv").unwrap();
    assert_eq!(get(&router, "/kv/a").status, 500);
    assert_eq!(put(&router, "/kv/a", b"v").status, 500);
}

#[test]
fn a_file_that_can_be_no_store_is_refused() {
    let folder = Folder::new("kv-refused");
    fs::write(
        folder.at("text"),
        "no database, but longer than a hundred bytes ".repeat(9),
    )
    .unwrap();
    let other = Connection::open(folder.at("other")).unwrap();
    other
        .execute_batch("CREATE TABLE kv (something TEXT)")
        .unwrap();
    for path in [
        &*folder.at("text"),
        &folder.at("other"),
        &folder.at("no/such/folder"),
        &folder.0,
        Path::new(":memory:"),
        Path::new(""),
    ] {
        let error = Store::open(path, BUSY).unwrap_err();
        let line = format!("{error:#}");
        assert!(line.starts_with("--db ") && !line.contains('\n'), "{line}");
    }
    let reply = get(&Router::new(None, None), "/kv/a");
    assert!(
        reply.status == 404 && reply.text().contains("--db"),
        "{reply:?}"
    );
}

/// RFC 9110 section 13: what a precondition forbids changes nothing.
#[test]
fn preconditions_hold() {
    let folder = Folder::new("kv-conditions");
    let router = router(&folder.at("store"));
    let act = |line: &str, fields: &str, value: &[u8]| ask(&router, line, fields, value).status;
    assert_eq!(act("PUT /kv/a", "If-Match: *\r\n", b"no"), 412);
    assert_eq!(get(&router, "/kv/a").status, 404);
    assert_eq!(act("PUT /kv/a", "If-None-Match: *\r\n", b"one"), 201);
    assert_eq!(act("PUT /kv/a", "If-None-Match: *\r\n", b"two"), 412);
    assert_eq!(get(&router, "/kv/a").body, b"one");
    let tag = get(&router, "/kv/a").field("ETag").unwrap().to_owned();
    let matches = format!("If-Match: {tag}\r\n");
    assert_eq!(act("PUT /kv/a", &matches, b"two"), 204);
    assert_eq!(act("PUT /kv/a", &matches, b"three"), 412);
    assert_eq!(act("DELETE /kv/a", &matches, b""), 412);
    assert_eq!(get(&router, "/kv/a").body, b"two");
    let tag = get(&router, "/kv/a").field("ETag").unwrap().to_owned();
    let known = format!("If-None-Match: {tag}\r\n");
    let reply = ask(&router, "GET /kv/a", &known, b"");
    assert_eq!((reply.status, reply.body.len()), (304, 0));
    let reply = ask(&router, "GET /kv/a", "Range: bytes=1-\r\n", b"");
    assert_eq!((reply.status, &reply.body[..]), (206, &b"wo"[..]));
    assert_eq!(
        act("DELETE /kv/a", &format!("If-Match: {tag}\r\n"), b""),
        204
    );
    assert_eq!(act("DELETE /kv/a", "If-Match: *\r\n", b""), 404);
}
