//! Command lines that cannot be used: one clear line for each.

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;

/// Says what is wrong with a command line, in one line on standard error. Help and the version are
/// printed where they were asked for, and help where nothing was.
pub fn unusable(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => drop(error.print()),
        _ => {
            let line = line(&error.to_string());
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
    ExitCode::from(error.exit_code() as u8)
}

/// The first paragraph of clap's text, and its tip if it has one. The usage stays out.
fn line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    let first: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let mut line = first.join(" ");
    if let Some(tip) = lines.find(|line| line.starts_with("tip:")) {
        line = format!("{line} ({tip})");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_and_its_tip_are_one_line() {
        for (text, expected) in [
            ("error: a\n\nUsage: b\n\nFor more\n", "error: a"),
            ("error: a:\n  --b <C>\n\nUsage: d\n", "error: a: --b <C>"),
            ("error: a\n\n  tip: b\n\nUsage: c\n", "error: a (tip: b)"),
            ("error: a", "error: a"),
        ] {
            assert_eq!(line(text), expected, "{text:?}");
        }
    }
}
