//! `/files`: what is sent, and that nothing else ever is.

#![allow(clippy::unwrap_used)] // In a test it is the assertion.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use common::{Folder, ask, get};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use services::{Files, Router};

/// A tree to serve from, in a folder beside a secret.
fn tree(name: &str) -> (Folder, Router) {
    let folder = Folder::new(name);
    let root = folder.at("root");
    fs::create_dir_all(root.join("sub/bare")).unwrap();
    fs::create_dir_all(folder.at("root-beside")).unwrap();
    for (path, text) in [
        ("secret.txt", "SECRET"),
        ("root-beside/secret.txt", "SECRET"),
        ("root/a.txt", "a"),
        ("root/index.html", "<p>root"),
        ("root/sub/index.html", "<p>sub"),
        ("root/sub/b c.css", "b"),
        ("root/sub/%2e%2e", "literal"),
        ("root/empty", ""),
    ] {
        fs::write(folder.at(path), text).unwrap();
    }
    for (target, link) in [
        ("../secret.txt", "out"),
        ("..", "up"),
        ("../root-beside", "beside"),
        ("/etc/passwd", "absolute"),
        ("/", "slash"),
        ("/proc/self/root", "magic"),
        ("loop", "loop"),
        ("sub/index.html", "in"),
        ("sub", "folder-in"),
        ("sub/../../secret.txt", "zigzag"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    mknodat(
        CWD,
        root.join("fifo"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    let router = Router::new(Some(Files::open(&root).unwrap()), None);
    (folder, router)
}

/// Every shape is a 404 that has read nothing, and none of them hangs.
#[test]
fn nothing_outside_the_root_is_ever_sent() {
    let (folder, router) = tree("outside");
    let _socket = std::os::unix::net::UnixListener::bind(folder.at("root/socket")).unwrap();
    let absolute = folder.at("secret.txt");
    let absolute = absolute.to_str().unwrap();
    let long = format!("/files/{}a.txt", "sub/../".repeat(600));
    let deep = format!("/files/{}", "a/".repeat(2_000));
    let name = format!("/files/{}", "n".repeat(300));
    let proc_root = format!("/files//proc/self/root{absolute}");
    let whole = format!("/files/{absolute}");
    let encoded = format!("/files/{}", absolute.replace('/', "%2f"));
    for path in [
        "/files/../secret.txt",
        "/files/./../secret.txt",
        "/files/sub/../../secret.txt",
        "/files/sub/../a.txt",
        "/files/..",
        "/files/../",
        "/files/../root-beside/secret.txt",
        "/files/%2e%2e/secret.txt",
        "/files/%2E%2E/secret.txt",
        "/files/.%2e/secret.txt",
        "/files/%2e%2e%2fsecret.txt",
        "/files/..%2fsecret.txt",
        "/files/..%2Fsecret.txt",
        "/files/%252e%252e/secret.txt",
        "/files/%252e%252e%252fsecret.txt",
        "/files/..%252fsecret.txt",
        "/files/..%5csecret.txt",
        "/files/..\\secret.txt",
        "/files/....//secret.txt",
        "/files/..;/secret.txt",
        "/files/%c0%ae%c0%ae/secret.txt",
        "/files/%c0%ae%c0%ae%c0%afsecret.txt",
        "/files/%uff0e%uff0e/secret.txt",
        "/files/a.txt%00.html",
        "/files/%00",
        "/files/..%00/secret.txt",
        "/files/a.txt/",
        "/files/a.txt/..",
        "/files//etc/passwd",
        "/files/%2fetc%2fpasswd",
        "/files///etc/passwd",
        "/files/file:%2f%2f/etc/passwd",
        "/files/~root/.bashrc",
        "/files/out",
        "/files/up",
        "/files/up/secret.txt",
        "/files/up/root/a.txt",
        "/files/beside/secret.txt",
        "/files/absolute",
        "/files/slash/etc/passwd",
        "/files/magic/etc/passwd",
        "/files/loop",
        "/files/zigzag",
        "/files/fifo",
        "/files/socket",
        "/files/sub/bare",
        "/files/sub/bare/",
        "/files/%",
        "/files/%2",
        "/files/%zz",
        "/files/nothing",
        "/filesystem/a.txt",
        "/files",
        &long,
        &deep,
        &name,
        &proc_root,
        &whole,
        &encoded,
    ] {
        let reply = get(&router, path);
        assert_eq!(reply.status, 404, "{path}: {}", reply.head);
        assert!(reply.field("Last-Modified").is_none(), "{path}");
        assert!(!reply.text().contains("SECRET"), "{path}");
        assert!(!reply.text().contains("root:"), "{path}");
    }
}

#[test]
fn files_below_the_root_are_sent() {
    let (_folder, router) = tree("inside");
    let html = "text/html; charset=utf-8";
    let binary = "application/octet-stream";
    for (path, text, media) in [
        ("/files/a.txt", "a", "text/plain; charset=utf-8"),
        ("/files/a.txt?query=..", "a", "text/plain; charset=utf-8"),
        ("/files/./a.txt", "a", "text/plain; charset=utf-8"),
        ("/files/%61%2etxt", "a", "text/plain; charset=utf-8"),
        ("/files/", "<p>root", html),
        ("/files/index.html", "<p>root", html),
        ("/files/sub/", "<p>sub", html),
        ("/files/sub%2findex.html", "<p>sub", html),
        ("/files/sub/b%20c.css", "b", "text/css; charset=utf-8"),
        ("/files/sub/%252e%252e", "literal", binary),
        ("/files/in", "<p>sub", binary),
        ("/files/folder-in/index.html", "<p>sub", html),
        ("/files/empty", "", binary),
    ] {
        let reply = get(&router, path);
        assert_eq!((reply.status, reply.text()), (200, text.into()), "{path}");
        assert_eq!(reply.field("Content-Type"), Some(media), "{path}");
        let length = text.len().to_string();
        assert_eq!(reply.field("Content-Length"), Some(&*length), "{path}");
        let head = ask(&router, &format!("HEAD {path}"), "", b"");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.field("Content-Length"), Some(&*length), "{path}");
    }
    let reply = get(&router, "/files/sub?q=1");
    assert_eq!(reply.status, 301);
    assert_eq!(reply.field("Location"), Some("/files/sub/?q=1"));
    let reply = ask(&router, "POST /files/a.txt", "", b"");
    assert_eq!(reply.status, 405);
    assert_eq!(reply.field("Allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let (folder, router) = tree("unchanged");
    let second = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let file = fs::File::options()
        .write(true)
        .open(folder.at("root/a.txt"))
        .unwrap();
    // The half second is not told, and must not count.
    file.set_modified(second + Duration::from_millis(500))
        .unwrap();
    let asked = |field: &str| ask(&router, "GET /files/a.txt", field, b"");
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(asked("").field("Last-Modified"), Some(date));
    for (field, status) in [
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304),
        ("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304),
        ("If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", 304),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT\r\n", 304),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200),
        ("If-Modified-Since: yesterday\r\n", 200),
        ("If-Modified-Since: \r\n", 200),
        (
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\nIf-None-Match: \"x\"\r\n",
            200,
        ),
    ] {
        let reply = asked(field);
        assert_eq!(reply.status, status, "{field}");
        assert_eq!(reply.body.is_empty(), status == 304, "{field}");
        assert_eq!(reply.field("Last-Modified"), Some(date), "{field}");
    }
    // A clock that was wrong: not later than now, and not before dates begin.
    file.set_modified(SystemTime::now() + Duration::from_secs(1 << 33))
        .unwrap();
    let told = asked("");
    let told = httpdate::parse_http_date(told.field("Last-Modified").unwrap()).unwrap();
    assert!(told <= SystemTime::now());
    file.set_modified(SystemTime::UNIX_EPOCH - Duration::from_secs(5))
        .unwrap();
    let reply = asked("");
    assert_eq!(
        reply.field("Last-Modified"),
        Some("Thu, 01 Jan 1970 00:00:00 GMT")
    );
}

#[test]
fn large_files_are_whole() {
    let (folder, router) = tree("large");
    for size in [65_535, 65_536, 65_537, 200_000, 5 << 20] {
        let bytes: Vec<u8> = (0..size).map(|at| (at * 7 % 251) as u8).collect();
        fs::write(folder.at("root/large.bin"), &bytes).unwrap();
        let reply = get(&router, "/files/large.bin");
        assert_eq!(reply.field("Content-Length"), Some(&*size.to_string()));
        assert!(reply.body == bytes, "{size} bytes differ");
        let head = ask(&router, "HEAD /files/large.bin", "", b"");
        assert_eq!((head.status, head.body.len()), (200, 0));
    }
}

#[test]
fn what_may_not_be_read_is_forbidden() {
    let (folder, router) = tree("forbidden");
    let path = folder.at("root/a.txt");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read anything.
    let status = if fs::File::open(&path).is_ok() {
        200
    } else {
        403
    };
    assert_eq!(get(&router, "/files/a.txt").status, status);
}

#[test]
fn a_root_that_is_none_is_refused() {
    let (folder, _) = tree("refused");
    for path in ["root/a.txt", "nothing", "root/fifo"] {
        let path = folder.at(path);
        let error = Files::open(&path).unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
    }
    let reply = get(&Router::new(None, None), "/files/a.txt");
    assert!(
        reply.status == 404 && reply.text().contains("--root"),
        "{reply:?}"
    );
}

#[test]
fn a_folder_is_a_service_of_its_own() {
    let (folder, _) = tree("service");
    let files = Files::open(folder.at("root")).unwrap();
    assert_eq!(get(&files, "/a.txt").text(), "a");
    assert_eq!(get(&files, "/sub/").text(), "<p>sub");
    assert_eq!(get(&files, "/../secret.txt").status, 404);
    let reply = ask(&files, "DELETE /a.txt", "", b"");
    assert_eq!(reply.status, 405);
    assert_eq!(reply.field("Allow"), Some("GET, HEAD"));
    assert_eq!(ask(&files, "OPTIONS *", "", b"").status, 405);
}

#[test]
fn ranges_and_preconditions() {
    let (folder, router) = tree("files-ranges");
    let text: String = (0..30_000).map(|number| format!("{number} ")).collect();
    fs::write(folder.at("root/long"), &text).unwrap();
    let ask = |fields: &str| ask(&router, "GET /files/long", fields, b"");
    let whole = ask("");
    let tag = whole.field("ETag").unwrap().to_owned();
    assert_eq!(whole.field("Accept-Ranges"), Some("bytes"));
    assert_eq!(ask(&format!("If-None-Match: {tag}\r\n")).status, 304);
    assert_eq!(ask("If-Match: \"x\"\r\n").status, 412);
    let part = ask(&format!("Range: bytes=100-70000\r\nIf-Range: {tag}\r\n"));
    assert_eq!((part.status, part.text()), (206, text[100..=70_000].into()));
    assert_eq!(ask("Range: bytes=100-\r\nIf-Range: \"x\"\r\n").text(), text);
    assert_eq!(ask("Range: bytes=999999-\r\n").status, 416);
    let parts = ask("Range: bytes=0-9,100-70000\r\n");
    assert_eq!(parts.status, 206);
    assert!(parts.text().contains(&text[100..=70_000]));
    let date = whole.field("Last-Modified").unwrap();
    let twice = format!("If-Modified-Since: {date}\r\n").repeat(2);
    assert_eq!(ask(&twice).status, 200, "two lines are no date");
    fs::write(folder.at("root/long"), "changed").unwrap();
    assert_ne!(ask("").field("ETag"), Some(&tag[..]));
}

#[test]
fn compressed_files_beside_it_are_sent_to_those_who_ask() {
    let (folder, _) = tree("files-compressed");
    for (name, text) in [
        ("a.txt.gz", "gz"),
        ("index.html.br", "br"),
        ("index.html.gz", "gz"),
    ] {
        fs::write(folder.at("root").join(name), text).unwrap();
    }
    let files = Files::open(folder.at("root")).unwrap().precompressed();
    for (path, fields, body, coding) in [
        ("/a.txt", "", "a", None),
        (
            "/a.txt",
            "Accept-Encoding: gzip, br\r\n",
            "gz",
            Some("gzip"),
        ),
        ("/a.txt", "Accept-Encoding: gzip;q=0\r\n", "a", None),
        ("/", "Accept-Encoding: gzip, br\r\n", "br", Some("br")),
    ] {
        let reply = ask(&files, &format!("GET {path}"), fields, b"");
        assert_eq!(
            (reply.text().as_str(), reply.field("Content-Encoding")),
            (body, coding)
        );
        assert_eq!(reply.field("Vary"), Some("Accept-Encoding"));
        let media = reply.field("Content-Type").unwrap();
        assert!(media.starts_with("text/"), "{media}");
    }
}
