//! What a module names.

use std::collections::BTreeSet;

use crate::tokens::{Token, is_name, tokens, without_tests};

/// The path of a module, or of an item: without names it is the root of the crate.
pub type Names = Vec<String>;

/// A name that a `use` brings in: its path, and what it is called here.
struct Used {
    path: Names,
    name: String,
    line: usize,
}

/// Reads the tree of a `use` from `i` on, below `prefix`; returns where it ends.
fn read_use(all: &[Token], mut i: usize, prefix: &[String], into: &mut Vec<Used>) -> usize {
    let mut path = prefix.to_vec();
    let line = all.get(i).map_or(0, |token| token.line);
    while let Some(token) = all.get(i) {
        match token.text.as_str() {
            "{" => {
                i += 1;
                while all.get(i).is_some_and(|token| token.text != "}") {
                    i = read_use(all, i, &path, into);
                    i += usize::from(all.get(i).is_some_and(|token| token.text == ","));
                }
                return i + 1;
            }
            "as" => {
                let name = all.get(i + 1).map_or(String::new(), |t| t.text.clone());
                into.push(Used { path, name, line });
                return i + 2;
            }
            "::" => i += 1,
            "self" if !path.is_empty() => i += 1,
            name if is_name(name) || name == "*" => {
                path.push(name.to_owned());
                i += 1;
            }
            _ => break,
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    into.push(Used { path, name, line });
    i
}

/// What stands in one module.
#[derive(Default)]
pub struct Module {
    /// Paths, each with its line.
    pub paths: Vec<(Names, usize)>,
    /// What it passes on: its name, its path and its line.
    pub passed: Vec<(String, Names, usize)>,
    /// Names that it uses outside of `use`.
    pub names: BTreeSet<String>,
}

/// Reads a module; its paths begin with the root of the crate. Those into other crates are left out.
pub fn read(module: &Names, source: &str, children: &BTreeSet<String>) -> Module {
    let all = without_tests(&tokens(source));
    let (mut found, mut i) = (Module::default(), 0);
    // Modules that are written here, and how deep in braces each begins.
    let (mut inner, mut depth) = (Vec::<(String, i32)>::new(), 0);
    let is = |i: usize, text: &str| all.get(i).is_some_and(|token| token.text == text);
    while i < all.len() {
        let here: Names = (module.iter().cloned())
            .chain(inner.iter().map(|(name, _)| name.clone()))
            .collect();
        let whole = |path: &[String]| whole(&here, path, children);
        match all[i].text.as_str() {
            "use" => {
                let is_passed = i > 0 && (is(i - 1, "pub") || is(i - 1, ")"));
                let mut used = Vec::new();
                i = read_use(&all, i + 1, &[], &mut used);
                for Used { path, name, line } in used {
                    match whole(&path) {
                        Some(path) if is_passed => found.passed.push((name, path, line)),
                        Some(path) => found.paths.push((path, line)),
                        None => {}
                    }
                }
            }
            "mod" => {
                if is(i + 2, "{") {
                    inner.push((all[i + 1].text.clone(), depth));
                }
                i += 2;
            }
            "{" => (depth, i) = (depth + 1, i + 1),
            "}" => {
                (depth, i) = (depth - 1, i + 1);
                inner.pop_if(|(_, from)| *from == depth);
            }
            name if is_name(name) && !(i > 0 && (is(i - 1, "::") || is(i - 1, "."))) => {
                let line = all[i].line;
                let mut path = vec![name.to_owned()];
                while is(i + 1, "::") && all.get(i + 2).is_some_and(|t| is_name(&t.text)) {
                    path.push(all[i + 2].text.clone());
                    i += 2;
                }
                i += 1;
                found.names.insert(path[0].clone());
                if let (2.., Some(path)) = (path.len(), whole(&path)) {
                    found.paths.push((path, line));
                }
            }
            _ => i += 1,
        }
    }
    found
}

/// The path from the root of the crate on; `None` for one into another crate.
fn whole(here: &[String], path: &[String], children: &BTreeSet<String>) -> Option<Names> {
    let first = path.first()?.as_str();
    let supers = path.iter().take_while(|name| *name == "super").count();
    match first {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([here, &path[1..]].concat()),
        "super" => Some([&here[..here.len().checked_sub(supers)?], &path[supers..]].concat()),
        _ if children.contains(first) => Some([here, path].concat()),
        _ => None,
    }
}
