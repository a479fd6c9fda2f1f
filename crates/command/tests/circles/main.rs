//! No circle between the modules of a crate: what two modules share is in a third one, which both import.
//!
//! Read are the sources. An import is a path that begins with `crate`, `super`, `self` or the name of a module in
//! the own folder, in a `use` as in an expression; it leads to the module that defines the name, through
//! re-exports. A re-export is an import where its own module uses the name, too. What only tests see does not
//! count, and the root of a crate does not: it is the face, which names all.

mod graph;
mod module;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

use graph::{Sources, circles, imports};
use module::Names;

/// The sources below `src`; those of tests are left out.
fn sources(src: &Path) -> Sources {
    let (mut all, mut folders) = (Sources::new(), vec![src.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let stem = stem.expect("a name").to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !stem.ends_with("tests") {
                let below = folder.strip_prefix(src).expect("below src");
                let mut names: Names = (below.iter())
                    .map(|name| name.to_string_lossy().into_owned())
                    .collect();
                if stem != "mod" && !(names.is_empty() && (stem == "lib" || stem == "main")) {
                    names.push(stem);
                }
                all.insert(names, fs::read_to_string(&path).expect("a source"));
            }
        }
    }
    all
}

/// The crates of the project, by their folders.
fn crates() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = [all.clone(), all.join("models")];
    let entries = folders
        .iter()
        .flat_map(|it| fs::read_dir(it).expect("crates"));
    let mut crates: Vec<_> = entries.map(|it| it.expect("an entry").path()).collect();
    crates.retain(|it| it.join("src").is_dir());
    crates.sort();
    crates
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let crates = crates();
    assert!(crates.len() > 20, "{crates:?}");
    let mut found = Vec::new();
    for folder in &crates {
        let name = folder.file_name().expect("a name").to_string_lossy();
        let all = imports(&sources(&folder.join("src")));
        found.extend(
            circles(&all)
                .iter()
                .map(|circle| format!("{name}:{circle}")),
        );
    }
    assert!(
        found.is_empty(),
        "circles between modules:\n{}",
        found.join("\n")
    );
}

fn made_of(files: &[(&str, &str)]) -> Vec<String> {
    let names = |path: &str| {
        path.split('/')
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let all = files
        .iter()
        .map(|(path, text)| (names(path), (*text).to_owned()));
    circles(&imports(&all.collect()))
}

#[test]
fn a_circle_is_found_in_every_way_in_which_modules_name_each_other() {
    let root = ("", "mod a; mod b; pub use b::Inner;");
    let cases = [
        ("use crate::b::Inner;", "use crate::a::Outer;"),
        ("use crate::Inner;", "fn f(_: super::a::Outer) {}"),
        (
            "use super::b;",
            "pub use crate::a::Outer as Other; type It = Other;",
        ),
        (
            "use crate::{b::{self, Inner}, x};",
            "mod own { fn f() { super::super::a::g() } }",
        ),
        (
            "fn f<'a>(_: &'a str) -> char { crate::b::g(); '\"' }",
            "use crate::a::*;",
        ),
    ];
    for (a, b) in cases {
        let found = made_of(&[root, ("a", a), ("b", b)]);
        assert_eq!(found.len(), 1, "{a} | {b}: {found:?}");
        assert!(found[0].contains("\n    a line 1 imports "), "{found:?}");
    }
    let parent = made_of(&[
        ("", "mod a;"),
        ("a", "mod b;\nuse b::B;"),
        ("a/b", "\nuse super::A;"),
    ]);
    let told = "\n    a line 2 imports a::b::B from a/b\n    a/b line 2 imports a::A from a";
    assert_eq!(parent, [told]);
}

#[test]
fn what_is_no_import_makes_no_circle() {
    let a = "use crate::b::Inner;";
    for b in [
        "// use crate::a::Outer;\n/* crate::a::f() */ fn f() { g(\"crate::a::Outer\", r#\"crate::a::f()\"#) }",
        "#[cfg(test)]\nmod tests { use crate::a::Outer; fn f() {} }",
        "#[cfg(test)]\nuse crate::a::Outer;",
        "pub use crate::a::Outer;",
        "use std::a::Outer; use crate::c::Own; fn f() { x.a::<u8>() }",
    ] {
        let root = ("", "mod a; mod b; mod c;");
        let found = made_of(&[root, ("a", a), ("b", b), ("c", "pub struct Own;")]);
        assert!(found.is_empty(), "{b}: {found:?}");
    }
}
