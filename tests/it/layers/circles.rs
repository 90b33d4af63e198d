//! Files import one another without circles.
//!
//! An arrow goes from a file to each file that it names with a path: in a `use`
//! declaration, or with `crate::`, `super::` or `self::` elsewhere. A name that a
//! module re-exports from a file below it counts as that file. Two kinds of arrows
//! do not count: from a module to the files below it, since a parent has to
//! declare its children, and those of tests, which nothing imports.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::{LEAVES, Source, leaf_sources, root, sources};

/// Files by their modules: the path of names from the root of the crate, which has none.
type Modules = BTreeMap<Vec<String>, File>;

/// From each file to those that it imports, by their paths below the root of the repository.
type Arrows = BTreeMap<String, BTreeSet<String>>;

struct File {
    path: String,
    imports: Vec<Vec<String>>,
}

/// The modules of one crate, from the sources below its folder `src`.
fn modules(src: &str, sources: Vec<Source>) -> Modules {
    let mut modules = Modules::new();
    for Source { path, code, .. } in sources {
        let path = path.strip_prefix(root()).expect("below the root");
        let within = path
            .strip_prefix(src)
            .expect("below src")
            .with_extension("");
        let mut module: Vec<_> = within
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        // The binary has a crate of its own.
        if module == ["main"] || module.iter().any(|name| name == "tests") {
            continue;
        }
        if module == ["lib"] || module.last().is_some_and(|name| name == "mod") {
            module.pop();
        }
        let file = File {
            path: path.to_string_lossy().into_owned(),
            imports: imports(&code),
        };
        modules.insert(module, file);
    }
    modules
}

/// The paths in `code`, up to its unit tests, that lead to other files of the crate.
fn imports(code: &str) -> Vec<Vec<String>> {
    let code = code
        .split_once("#[cfg(test)]\nmod tests {")
        .map_or(code, |(before, _)| before);
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            let within = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
            if !within {
                expand(&code[at..], Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Adds the paths that the tree at the start of `text` stands for, each behind
/// `prefix`; returns the text behind the tree.
fn expand<'a>(text: &'a str, prefix: Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut list) = text.strip_prefix('{') {
        loop {
            list = list.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if let Some(behind) = list.strip_prefix('}') {
                return behind;
            }
            let behind = expand(list, prefix.clone(), found);
            // What stands before the next entry is an alias: `as Name`.
            let end = behind.find([',', '}']).expect("the list ends");
            list = &behind[end..];
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let (name, behind) = text.split_at(end.unwrap_or(text.len()));
    let mut path = prefix;
    // `*` has no name, and neither has the end of a path before generic arguments.
    if !name.is_empty() {
        path.push(name.to_owned());
    }
    match behind.strip_prefix("::") {
        Some(rest) if !name.is_empty() => expand(rest, path, found),
        _ => {
            found.push(path);
            behind
        }
    }
}

/// The module whose file defines what `path` names in the file of `from`.
fn target(modules: &Modules, from: &[String], path: &[String]) -> Vec<String> {
    let mut module = from.to_vec();
    for (at, name) in path.iter().enumerate() {
        match name.as_str() {
            "crate" => module.clear(),
            "super" => drop(module.pop()),
            "self" => {}
            name => {
                module.push(name.to_owned());
                if modules.contains_key(&module) {
                    continue;
                }
                module.pop();
                let behind = &path[at + 1..];
                return re_exported(modules, &module, name, behind).unwrap_or(module);
            }
        }
    }
    module
}

/// The module below `module` from which it imports `name`.
fn re_exported(
    modules: &Modules,
    module: &[String],
    name: &str,
    behind: &[String],
) -> Option<Vec<String>> {
    let imports = modules.get(module)?.imports.iter();
    // `self::name` alone is the module's own.
    let named = imports.filter(|path| {
        path.len() > 2 && path[0] == "self" && path.last().is_some_and(|it| it == name)
    });
    let mut targets = named.map(|path| target(modules, module, &[path, behind].concat()));
    targets.find(|found| is_below(found, module))
}

fn is_below(module: &[String], other: &[String]) -> bool {
    module.len() > other.len() && module.starts_with(other)
}

fn arrows(modules: &Modules) -> Arrows {
    let mut arrows = Arrows::new();
    for (module, file) in modules {
        let targets = file
            .imports
            .iter()
            .map(|path| target(modules, module, path));
        let counted = targets.filter(|it| it != module && !is_below(it, module));
        let paths = counted.map(|it| modules[&it].path.clone());
        arrows.insert(file.path.clone(), paths.collect());
    }
    arrows
}

/// The shortest way along `arrows` from one file to another, without the first.
fn way(arrows: &Arrows, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = HashMap::from([(from, Vec::new())]);
    let mut files = VecDeque::from([from]);
    while let Some(file) = files.pop_front() {
        for next in arrows.get(file)? {
            let mut way = ways[file].clone();
            way.push(next.clone());
            if next == to {
                return Some(way);
            }
            if !ways.contains_key(next.as_str()) {
                ways.insert(next, way);
                files.push_back(next);
            }
        }
    }
    None
}

/// The arrows of all crates.
fn all_arrows() -> Arrows {
    let mut all = arrows(&modules("src", sources()));
    for leaf in LEAVES {
        let src = format!("crates/{leaf}/src");
        all.extend(arrows(&modules(&src, leaf_sources(leaf, "src"))));
    }
    all
}

/// One circle through each file that is part of any, the short ones first.
fn circles(arrows: &Arrows) -> Vec<String> {
    let ways = arrows
        .keys()
        .filter_map(|file| Some((file, way(arrows, file, file)?)));
    let mut circles: Vec<_> = ways.collect();
    circles.sort_by_key(|(_, way)| way.len());
    circles
        .into_iter()
        .map(|(file, way)| format!("{file} -> {}", way.join(" -> ")))
        .collect()
}

#[test]
fn files_of_a_folder_import_one_another_without_circles() {
    let circles = circles(&all_arrows());
    assert!(
        circles.is_empty(),
        "circles of files:\n{}",
        circles.join("\n")
    );
}

#[test]
fn a_circle_is_found_also_through_re_exports_and_nested_imports() {
    let sources = [
        ("lib.rs", "mod a;\npub mod b;\npub use self::b::Low;"),
        (
            "a.rs",
            "use crate::{Low, b::{self, deep::{Deep as Other, *}}};",
        ),
        (
            "b/mod.rs",
            "mod deep;\nmod low;\npub use self::low::Low;\npub struct Own;",
        ),
        (
            "b/low.rs",
            "use super::Own;\nfn f() { crate::a::g::<u8>() }",
        ),
        (
            "b/deep.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}",
        ),
    ];
    let source = |(path, code): (&str, &str)| Source {
        path: root().join("src").join(path),
        module: String::new(),
        code: code.to_owned(),
    };
    let arrows = arrows(&modules("src", sources.map(source).into()));
    let from = |file: &str| {
        let targets = arrows[&format!("src/{file}")].iter();
        targets.map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!(from("lib.rs"), [""; 0], "what is below does not count");
    let all = ["src/b/deep.rs", "src/b/low.rs", "src/b/mod.rs"];
    assert_eq!(from("a.rs"), all, "`Low` is that of b/low.rs");
    assert_eq!(from("b/low.rs"), ["src/a.rs", "src/b/mod.rs"]);
    assert_eq!(from("b/deep.rs"), [""; 0], "tests do not count");
    assert_eq!(
        circles(&arrows),
        [
            "src/a.rs -> src/b/low.rs -> src/a.rs",
            "src/b/low.rs -> src/a.rs -> src/b/low.rs"
        ]
    );
}
