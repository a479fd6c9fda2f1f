//! Names of places in the page, and of files.

use crate::data::Pass;
use crate::run::{Run, Window};

/// A name fit for files and anchors: letters, digits and dashes.
pub fn slug(name: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    name.to_ascii_lowercase().chars().map(plain).collect()
}

/// The anchor of the figure that decides `scenario`.
pub fn deciding(scenario: &str) -> String {
    format!("d-{}", slug(scenario))
}

/// The anchor of a row's trials of another pass in one scenario: by places in the run, because a
/// page holds thousands of links.
pub fn pass(run: &Run, pass: Pass, scenario: &str, label: &str) -> String {
    let kind = match pass {
        Pass::Measure => 'm',
        Pass::Memory => 'k',
        Pass::SystemCalls => 's',
        Pass::Capacity => 'c',
        Pass::Drain => 'd',
    };
    let scenarios = run.scenarios_of(pass);
    let scenario = scenarios.iter().position(|each| each == scenario);
    format!("{kind}{}-{}", scenario.unwrap_or(0), place(run, label))
}

/// The anchor of a row's trials in one window of one scenario.
pub fn trials(run: &Run, scenario: &str, label: &str, window: Window) -> String {
    let windows = run.windows(scenario);
    let window = windows.iter().position(|each| *each == window);
    let scenario = run.scenarios.iter().position(|each| each == scenario);
    let (scenario, window) = (scenario.unwrap_or(0), window.unwrap_or(0));
    format!("t{scenario}-{}-{window}", place(run, label))
}

fn place(run: &Run, label: &str) -> usize {
    let place = run.rows.iter().position(|row| row.label == label);
    place.unwrap_or(0)
}
