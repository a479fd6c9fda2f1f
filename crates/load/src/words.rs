//! What the kernel or the resolver said, in their words.

use std::io;

use rustix::io::Errno;

/// An error without its number, and not as the beginning of a sentence.
pub(crate) fn of(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// What a connection was refused with.
pub(crate) fn of_errno(errno: Errno) -> String {
    match errno {
        // Of a Unix socket; "resource temporarily unavailable" would say little.
        Errno::AGAIN => "the server's backlog is full".to_owned(),
        errno => of(&errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        for (errno, words) in [
            (Errno::CONNREFUSED, "connection refused"),
            (Errno::NOENT, "no such file or directory"),
            (Errno::ACCESS, "permission denied"),
            (Errno::HOSTUNREACH, "no route to host"),
            (Errno::AGAIN, "the server's backlog is full"),
        ] {
            assert_eq!(of_errno(errno), words);
        }
    }
}
