//! What the documents say of the models is what the models say.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::process::Command;

use turnstile::{Model, Roles, Variant};

/// What stands in a document between the comments that enclose its table of models.
fn table_of(document: &str) -> &str {
    let (_, rest) = document
        .split_once("<!-- models")
        .and_then(|(_, rest)| rest.split_once("-->\n"))
        .expect("the table begins after a comment");
    let (table, _) = rest
        .split_once("<!-- /models -->")
        .expect("the table ends at a comment");
    table
}

#[test]
fn the_table_of_all_variants_is_generated() {
    let made = Command::new(env!("CARGO_BIN_EXE_turnstile"))
        .args(["models", "--markdown"])
        .output()
        .unwrap();
    assert_eq!(
        table_of(include_str!("../../../docs/models.md")),
        String::from_utf8(made.stdout).unwrap(),
        "paste the output of `turnstile models --markdown` into docs/models.md"
    );
}

#[test]
fn the_readme_lists_the_models() {
    let mut rows = String::from("| model | how it works | pick it when |\n|---|---|---|\n");
    for model in turnstile::models::ALL {
        let Variant {
            summary, pick_when, ..
        } = &model.variants[0];
        rows += &format!("| `{}` | {summary} | {pick_when} |\n", model.name);
    }
    assert_eq!(
        table_of(include_str!("../../../README.md")),
        rows,
        "the table of models in README.md is to be this one"
    );
}

fn sentence(roles: &Roles) -> String {
    format!(
        "accepts: {} · reads: {} · computes: {} · writes: {}",
        roles.accepts, roles.reads, roles.computes, roles.writes
    )
}

/// The sentences about roles in what a page says of one of its variants other than the first.
fn roles_told(page: &str, model: &Model, variant: &Variant) -> Vec<String> {
    let lines: Vec<_> = page
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .collect();
    let page = lines.join(" ");
    let (_, variants) = page.split_once("**Variants.**").unwrap_or(("", ""));
    let (variants, _) = variants.split_once("**Source.**").unwrap_or((variants, ""));
    // What is said of a variant begins with its name, and ends with another's in a list.
    let begin = |variant: &Variant| {
        let item = format!("- `{}`", variant.name);
        let name = format!("`{}`", variant.name);
        variants.find(&item).or_else(|| variants.find(&name))
    };
    let Some(from) = begin(variant) else {
        panic!(
            "{}:{}: its page says nothing of it",
            model.name, variant.name
        );
    };
    let others = model.variants[1..].iter().filter_map(begin);
    let to = others.filter(|other| *other > from).min();
    let told = variants[from..to.unwrap_or(variants.len())].split("accepts: ");
    told.skip(1)
        .map(|rest| format!("accepts: {}", rest.split(['.', ',']).next().unwrap_or("")))
        .collect()
}

/// The diagram line of each model's page ("accepts: .. · reads: ..") equals its `Roles`, and so does
/// what the page says of each variant.
#[test]
fn every_page_states_the_roles_of_its_model() {
    for model in turnstile::models::ALL {
        let page = std::fs::read_to_string(format!("../models/{}/src/lib.rs", model.name)).unwrap();
        let roles = model.variants[0].roles;
        let line = format!("//! {}\n", sentence(&roles));
        assert!(
            page.contains(&line),
            "{}: its page lacks {line:?}",
            model.name
        );
        if let Some(fronted) = model.variants[0].fronted() {
            let line = format!("//! {}\n", sentence(&fronted.roles));
            assert!(
                page.contains(&line),
                "{}: its page lacks {line:?}",
                model.name
            );
        }
        for variant in &model.variants[1..] {
            let told = roles_told(&page, model, variant);
            let theirs = sentence(&variant.roles);
            assert!(
                told.len() <= 1 && told.iter().all(|told| *told == theirs),
                "{}:{}: its page says {told:?}, its roles are {theirs:?}",
                model.name,
                variant.name
            );
            // Who says nothing is like the first.
            assert!(
                !told.is_empty() || theirs == sentence(&roles),
                "{}:{}: its page does not say {theirs:?}",
                model.name,
                variant.name
            );
        }
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
