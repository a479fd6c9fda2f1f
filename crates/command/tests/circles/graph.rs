//! The imports between the modules of a crate, and the circles in them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::module::{Module, Names, read};

/// The sources of a crate, by module.
pub type Sources = BTreeMap<Names, String>;

/// The imports of a crate: of which module by which, in which line, and as what.
pub type Imports = BTreeMap<Names, BTreeMap<Names, (usize, String)>>;

/// The module that defines what `path` names, through what modules pass on.
fn defined_in(mut path: Names, passed: &BTreeMap<Names, Names>, sources: &Sources) -> Names {
    for _ in 0..8 {
        let hit = (1..=path.len()).rev().find_map(|end| {
            let to = passed.get(&path[..end])?;
            (*to != path[..end]).then(|| [to, &path[end..]].concat())
        });
        match hit {
            Some(next) => path = next,
            None => break,
        }
    }
    let is_module = |end: &usize| sources.contains_key(&path[..*end]);
    let end = (0..=path.len()).rev().find(is_module).unwrap_or(0);
    path.truncate(end);
    path
}

/// The imports between the modules of a crate, the root apart.
pub fn imports(sources: &Sources) -> Imports {
    let children_of = |module: &Names| {
        let below = |it: &&Names| it.len() == module.len() + 1 && it.starts_with(module);
        let names = sources.keys().filter(below).filter_map(|it| it.last());
        names.cloned().collect()
    };
    let read = |(module, source): (&Names, &String)| {
        (module.clone(), read(module, source, &children_of(module)))
    };
    let modules: BTreeMap<Names, Module> = sources.iter().map(read).collect();
    let mut passed = BTreeMap::new();
    for (module, found) in &modules {
        for (name, path, _) in &found.passed {
            passed.insert(
                [module.as_slice(), std::slice::from_ref(name)].concat(),
                path.clone(),
            );
        }
    }
    let mut all = Imports::new();
    for (module, found) in modules.iter().filter(|(module, _)| !module.is_empty()) {
        let own = found.passed.iter().filter(|it| found.names.contains(&it.0));
        let own = own.map(|(_, path, line)| (path.clone(), *line));
        for (path, line) in found.paths.iter().cloned().chain(own) {
            let text = path.join("::");
            let to = defined_in(path, &passed, sources);
            if !to.is_empty() && to != *module {
                let of = all.entry(module.clone()).or_default();
                of.entry(to).or_insert((line, text));
            }
        }
    }
    all
}

/// A shortest circle through `from`: its modules in order, without the end.
pub fn circle(imports: &Imports, from: &Names) -> Option<Vec<Names>> {
    let mut came_from = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(at) = next.pop_front() {
        for to in imports.get(at).into_iter().flat_map(BTreeMap::keys) {
            if to == from {
                let mut way = vec![at.clone()];
                while way.last() != Some(from) {
                    way.push(
                        came_from
                            .get(way.last()?)
                            .map(|it: &&Names| (*it).clone())?,
                    );
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(to) {
                came_from.insert(to, at);
                next.push_back(to);
            }
        }
    }
    None
}

/// Every circle that shares no module with another one that is told, in words.
pub fn circles(imports: &Imports) -> Vec<String> {
    let (mut told, mut seen) = (Vec::new(), BTreeSet::new());
    for from in imports.keys() {
        let Some(way) = circle(imports, from).filter(|_| !seen.contains(from)) else {
            continue;
        };
        let mut text = String::new();
        for (at, module) in way.iter().enumerate() {
            let to = &way[(at + 1) % way.len()];
            let (line, path) = &imports[module][to];
            let (module, to) = (module.join("/"), to.join("/"));
            text += &format!("\n    {module} line {line} imports {path} from {to}");
        }
        seen.extend(way);
        told.push(text);
    }
    told
}
