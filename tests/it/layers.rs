//! The house's rules, read from the `use` lines: arrows point down, libraries stay in their rooms.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The layers of `src/lib.rs`, from the top.
const LAYERS: &[(u8, &[&str])] = &[
    (
        5,
        &["main", "app", "arguments", "settings", "signals", "runtime"],
    ),
    (4, &["http", "socket"]),
    (3, &["room", "documents"]),
    (2, &["store", "limits", "transport"]),
    (1, &["document", "auth"]),
    (
        0,
        &[
            "id",
            "error",
            "exit",
            "config",
            "metrics",
            "telemetry",
            "supervise",
        ],
    ),
];

/// Which modules may name a library.
const WALLS: &[(&str, &[&str])] = &[
    ("yrs", &["document"]),
    ("sqlx", &["store"]),
    ("hyper", &["transport"]),
    ("hyper_util", &["transport"]),
    ("axum", &["http", "app"]),
    ("rust_embed", &["http"]),
    ("jsonwebtoken", &["auth"]),
    ("std::env", &["settings"]),
    ("dotenvy", &["settings"]),
    ("clap", &["main", "arguments"]),
];

struct Source {
    path: PathBuf,
    module: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(source(&src, path));
            }
        }
    }
    assert!(found.len() > 20, "the sources were found");
    found
}

fn source(src: &Path, path: PathBuf) -> Source {
    let within = path.strip_prefix(src).expect("below src");
    let first = within.iter().next().expect("a name").to_string_lossy();
    let module = first.trim_end_matches(".rs").to_owned();
    let text = fs::read_to_string(&path).expect("a source file");
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    Source { path, module, code }
}

fn layer(module: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(_, modules)| modules.contains(&module))
        .map(|(layer, _)| *layer)
}

/// The modules of this crate that `code` names, also within a nested `use crate::{…}`.
fn named_modules(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => named.extend(top_level_names(list)),
            None => named.push(first_name(rest)),
        }
    }
    named
}

fn first_name(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn top_level_names(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(first_name(list[start..at].trim()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(first_name(list[start..at].trim()));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn arrows_between_modules_only_point_down() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.module == "lib" {
            continue;
        }
        let from = layer(&source.module);
        assert!(from.is_some(), "{} has no layer", source.module);
        for target in named_modules(&source.code) {
            let sideways = layer(&target) == from && target != source.module;
            // Plain data of the lowest layer may be shared within it.
            let upward = layer(&target) > from || (sideways && from > Some(0));
            if upward && !(source.module == "main" && target == "app") {
                wrong.push(format!("{} -> {target}", source.path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that do not point down:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (library, rooms) in WALLS {
            let names = source.code.contains(&format!("{library}::"))
                || source.code.contains(&format!("use {library};"));
            if names && !rooms.contains(&source.module.as_str()) {
                wrong.push(format!("{} names {library}", source.path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "libraries outside of their rooms:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn nested_imports_are_read() {
    let code =
        "use crate::{auth::{Claims, User}, error::Error,\n id};\nlet x = crate::room::Rooms;";
    assert_eq!(named_modules(code), ["auth", "error", "id", "room"]);
}
