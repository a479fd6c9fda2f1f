//! Media types by extension: what sites are made of, and no more.

/// (extension, media type), in the order of the alphabet. Text is UTF-8, as all of it has been for
/// many years.
const TYPES: &[(&str, &str)] = &[
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/vnd.microsoft.icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
    ("xml", "text/xml; charset=utf-8"),
    ("zip", "application/zip"),
];

/// The media type of a file called `path`; `application/octet-stream` for what is not known.
pub fn of(path: &[u8]) -> &'static str {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let dot = name.iter().rposition(|&byte| byte == b'.');
    let extension = dot.map_or(&[][..], |dot| &name[dot + 1..]);
    let known = TYPES
        .iter()
        .find(|(known, _)| extension.eq_ignore_ascii_case(known.as_bytes()));
    known.map_or("application/octet-stream", |(_, media)| media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_the_last_extension_of_the_last_segment() {
        for (path, media) in [
            ("a.html", "text/html; charset=utf-8"),
            ("x/y.PNG", "image/png"),
            ("a.tar.gz", "application/gzip"),
            ("a.html/b", "application/octet-stream"),
            ("README", "application/octet-stream"),
            (".", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(of(path.as_bytes()), media, "{path}");
        }
    }
}
