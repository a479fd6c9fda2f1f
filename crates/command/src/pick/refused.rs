//! How a step of the command ends that has no answer, and how it prints.

/// Why there is no answer, and the exit status.
pub(crate) struct Refused(pub(crate) u8, pub(crate) String);

/// An argument that cannot be used.
pub(crate) fn unusable(line: impl Into<String>) -> Refused {
    Refused(2, line.into())
}

/// Something failed.
pub(crate) fn failed(line: impl Into<String>) -> Refused {
    Refused(1, line.into())
}

/// Prints lines. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn say(lines: &str) -> Result<(), Refused> {
    report::out::print(&format!("{lines}\n")).map_err(|error| failed(format!("{error:#}")))
}
