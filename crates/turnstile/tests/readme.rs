//! What the README says of the models is what the models say.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::process::Command;

#[test]
fn the_models_table_is_generated() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme
        .split_once("-->\n")
        .expect("the table begins after a comment");
    let (table, _) = rest
        .split_once("<!-- /models -->")
        .expect("the table ends at a comment");
    let made = Command::new(env!("CARGO_BIN_EXE_turnstile"))
        .args(["models", "--markdown"])
        .output()
        .unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    assert_eq!(
        table, made,
        "paste the output of `turnstile models --markdown` into README.md"
    );
}

/// The diagram line of each model's page ("accepts: .. · reads: ..") equals its `Roles`.
#[test]
fn every_page_states_the_roles_of_its_model() {
    for model in turnstile::models::ALL {
        let page = std::fs::read_to_string(format!("../models/{}/src/lib.rs", model.name)).unwrap();
        let roles = model.variants[0].roles;
        let line = format!(
            "//! accepts: {} · reads: {} · computes: {} · writes: {}\n",
            roles.accepts, roles.reads, roles.computes, roles.writes
        );
        assert!(
            page.contains(&line),
            "{}: its page lacks {line:?}",
            model.name
        );
        for part in [
            "**Cost.**",
            "**What breaks it.**",
            "**When to pick it.**",
            "**Source.**",
            "```text",
        ] {
            assert!(page.contains(part), "{}: its page lacks {part}", model.name);
        }
    }
}

/// A model crate is its scheduling idea: it fits on a screen or two, and knows no other model.
#[test]
fn models_do_not_know_each_other() {
    for model in turnstile::models::ALL {
        let manifest =
            std::fs::read_to_string(format!("../models/{}/Cargo.toml", model.name)).unwrap();
        for other in turnstile::models::ALL
            .iter()
            .filter(|other| other.name != model.name)
        {
            let line = format!("\n{}.workspace", other.name);
            assert!(
                !manifest.contains(&line),
                "{} depends on {}",
                model.name,
                other.name
            );
        }
        let main =
            std::fs::read_to_string(format!("../models/{}/src/main.rs", model.name)).unwrap();
        assert!(
            main.lines().count() <= 5,
            "{}: main.rs is three lines and its title",
            model.name
        );
    }
}
