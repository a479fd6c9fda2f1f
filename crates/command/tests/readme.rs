//! What the documents say of the models is what the models say.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use turnstile::{Calls, Count, Model, Roles, Variant};

/// What `scripts/models` sets: then what is derived from the models is written, and not compared.
const WRITE: &str = "TURNSTILE_WRITE_MODELS";

fn path(file: &str) -> String {
    format!("{}/../../{file}", env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap()
}

/// Holds `file` to `derived`, from below the line that begins with `from` to the line that begins with `to`.
fn holds(file: &str, from: &str, to: &str, derived: &str) {
    // A command that writes one part of a file must not lose another.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let whole = read(file);
    let begin = whole.find(&format!("\n{from}")).unwrap() + 1;
    let begin = begin + whole[begin..].find('\n').unwrap() + 1;
    let end = begin + whole[begin - 1..].find(&format!("\n{to}")).unwrap();
    if std::env::var_os(WRITE).is_some() {
        let written = [&whole[..begin], derived, &whole[end..]].concat();
        std::fs::write(path(file), written).unwrap();
    } else {
        assert_eq!(
            &whole[begin..end],
            derived,
            "{file} does not say what the models say: run scripts/models"
        );
    }
}

/// Each model of the list is a feature of the library, and a dependency of that name.
#[test]
fn the_manifest_has_a_feature_for_each_model() {
    let library = read("crates/turnstile/src/lib.rs");
    let (_, list) = library.split_once("    models! {\n").unwrap();
    let (list, _) = list.split_once("    }\n").unwrap();
    let names: Vec<_> = list.split('"').skip(1).step_by(2).collect();
    let lines =
        |line: &dyn Fn(&str) -> String| -> String { names.iter().copied().map(line).collect() };
    let manifest = "crates/turnstile/Cargo.toml";
    let features = lines(&|name| format!("    \"{name}\",\n"));
    holds(manifest, "default = [", "    \"front\",", &features);
    let dependencies = lines(&|name| {
        format!(
            "{name} = {{ version = \"0.1.0\", path = \"../models/{name}\", optional = true, default-features = false }}\n"
        )
    });
    holds(
        manifest,
        "# Each is a feature",
        "\n# For the examples",
        &dependencies,
    );
    let fronts: Vec<_> = names
        .iter()
        .filter(|name| read(&format!("crates/models/{name}/Cargo.toml")).contains("\nfront = "))
        .map(|name| format!("\"{name}?/front\""))
        .collect();
    let front = format!("front = [{}]\n", fronts.join(", "));
    holds(
        manifest,
        "# Models whose workers hold",
        "# A service that sends",
        &front,
    );
}

#[test]
fn the_table_of_all_variants_is_generated() {
    let made = Command::new(env!("CARGO_BIN_EXE_turnstile"))
        .args(["models", "--markdown"])
        .output()
        .unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    holds("docs/models.md", "<!-- models", "<!-- /models -->", &made);
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
    holds("README.md", "<!-- models", "<!-- /models -->", &rows);
}

/// The models that can be gateways are named by the server that refuses to be one, and by the page.
#[test]
fn the_models_that_can_be_gateways_are_named() {
    let mut can = Vec::new();
    for model in turnstile::models::ALL {
        let may_wait = |variant: &Variant| variant.workers.may_wait();
        let is_alike = |variant| may_wait(variant) == may_wait(&model.variants[0]);
        assert!(
            model.variants.iter().all(is_alike),
            "{}: a list of models is not true of all its variants",
            model.name
        );
        if may_wait(&model.variants[0]) {
            can.push(model.name);
        }
    }
    let refused = Command::new(env!("CARGO_BIN_EXE_turnstile"))
        .args([
            "serve",
            "--model",
            "reactor-pool",
            "--listen",
            "127.0.0.1:0",
        ])
        .args(["--proxy", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    let line = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{line}");
    let named = format!("models that can: {}\n", can.join(", "));
    assert!(line.ends_with(&named), "{line:?}, not {named:?}");
    let page = read("docs/gateways.md").replace('\n', " ");
    let named = format!("`{}`", can.join("`, `"));
    assert!(
        page.contains(&named),
        "docs/gateways.md does not say {named}"
    );
}

/// The models that a refusal names as alternatives: `server` cannot ask those that are not linked.
#[test]
fn the_server_names_the_models_that_can() {
    let mut may_wait = Vec::new();
    let mut one_process = Vec::new();
    for model in turnstile::models::ALL {
        let mut variants = model.variants.iter().enumerate();
        match variants.find(|(_, variant)| variant.workers.calls != Calls::Loop) {
            Some((0, _)) => may_wait.push(model.name.to_owned()),
            Some((_, variant)) => may_wait.push(format!("{}:{}", model.name, variant.name)),
            None => {}
        }
        let workers = model.variants[0].workers;
        if !workers.processes || workers.count == Count::One {
            one_process.push(model.name.to_owned());
        }
    }
    for (name, names) in [("MAY_WAIT", may_wait), ("ONE_PROCESS", one_process)] {
        let line = format!("pub const {name}: &str = \"{}\";\n", names.join(", "));
        let file = "crates/server/src/alternatives.rs";
        holds(file, &format!("// {name}"), &format!("// /{name}"), &line);
    }
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
