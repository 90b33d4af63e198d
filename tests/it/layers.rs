//! The rules of the code's structure, checked in the text of the sources: imports point to
//! lower layers, and each library is used only in its modules.

mod circles;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The layers of `src/lib.rs`, from top to bottom.
const LAYERS: &[(u8, &[&str])] = &[
    (
        11,
        &["main", "app", "arguments", "settings", "signals", "runtime"],
    ),
    (10, &["front", "http", "import", "socket", "websocket"]),
    (9, &["operations"]),
    (8, &["comments"]),
    (7, &["room"]),
    (6, &["catalog", "presence", "workflow"]),
    (5, &["activity", "notifications", "webhooks", "revocations"]),
    (4, &["bus", "idempotency"]),
    (3, &["session"]),
    (2, &["store", "limits"]),
    (1, &["auth"]),
    (
        0,
        &[
            "id",
            "right",
            "error",
            "exit",
            "payload",
            "config",
            "metrics",
            "telemetry",
            "supervise",
        ],
    ),
];

/// The crates below the layers, which do not depend on one another.
const LEAVES: &[&str] = &["document", "engineio", "leveldb"];

/// Which modules, and which crates below the layers, may name a library.
const WALLS: &[(&str, &[&str])] = &[
    ("yrs", &["crates/document"]),
    (
        "document",
        &["http", "id", "import", "room", "socket", "websocket"],
    ),
    ("leveldb", &["import"]),
    ("hyper", &["front", "crates/engineio"]),
    ("hyper_util", &["front", "crates/engineio"]),
    (
        "engineio",
        &["front", "socket", "websocket", "crates/engineio"],
    ),
    ("sqlx", &["store"]),
    ("axum", &["front", "http", "app"]),
    ("rust_embed", &["http"]),
    ("jsonwebtoken", &["auth"]),
    ("std::env", &["settings"]),
    ("dotenvy", &["settings"]),
    ("clap", &["main", "arguments"]),
];

struct Source {
    path: PathBuf,
    /// The module of the server, or the crate, that it belongs to.
    module: String,
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sources of the server.
fn sources() -> Vec<Source> {
    let src = root().join("src");
    let found = sources_below(&src, |path| {
        let within = path.strip_prefix(&src).expect("below src");
        let first = within.iter().next().expect("a name").to_string_lossy();
        first.trim_end_matches(".rs").to_owned()
    });
    assert!(found.len() > 20, "the sources were found");
    found
}

/// The sources in the folder `part` of a crate below the layers.
fn leaf_sources(leaf: &str, part: &str) -> Vec<Source> {
    let name = format!("crates/{leaf}");
    sources_below(&root().join(&name).join(part), |_| name.clone())
}

fn sources_below(folder: &Path, module: impl Fn(&Path) -> String) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(source(module(&path), path));
            }
        }
    }
    found
}

fn source(module: String, path: PathBuf) -> Source {
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

/// Whether `code` uses a library, and not only a longer name that ends with the library's.
fn names(code: &str, library: &str) -> bool {
    let begins = |at: usize| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    };
    let path = format!("{library}::");
    let import = format!("use {library};");
    code.match_indices(&path).any(|(at, _)| begins(at)) || code.contains(&import)
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
            // Modules of the lowest layer may import one another.
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
fn libraries_are_used_only_in_their_modules() {
    let mut wrong = Vec::new();
    let leaves = LEAVES.iter().flat_map(|leaf| leaf_sources(leaf, "src"));
    for source in sources().into_iter().chain(leaves) {
        for (library, modules) in WALLS {
            if names(&source.code, library) && !modules.contains(&source.module.as_str()) {
                wrong.push(format!("{} names {library}", source.path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "libraries used outside of their modules:\n{}",
        wrong.join("\n")
    );
}

/// A route that is added to a router of axum directly has no description in the OpenAPI document.
#[test]
fn routes_are_added_with_their_descriptions() {
    let of_http = sources().into_iter().filter(|it| it.module == "http");
    let adds = of_http.filter(|it| it.code.contains(".route("));
    let files = adds.map(|it| {
        let name = it.path.file_name().expect("a file");
        name.to_string_lossy().into_owned()
    });
    let mut files: Vec<String> = files.collect();
    files.sort();
    // The files of the demo page are not part of the interface.
    assert_eq!(files, ["endpoint.rs", "page.rs"]);
}

#[test]
fn the_crates_below_do_not_depend_on_one_another() {
    let folders = fs::read_dir(root().join("crates")).expect("the crates");
    let mut found: Vec<_> = folders
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    found.sort();
    assert_eq!(found, LEAVES, "each crate is one of the leaves");
    let mut wrong = Vec::new();
    for leaf in LEAVES {
        let manifest = root().join("crates").join(leaf).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).expect("a manifest");
        if text.lines().any(|line| line.contains("path =")) {
            wrong.push(format!("{} depends on a neighbour", manifest.display()));
        }
        let others = LEAVES.iter().filter(|other| *other != leaf);
        let foreign: Vec<_> = others.chain(&["realtime_server"]).collect();
        for source in leaf_sources(leaf, "") {
            let named = foreign.iter().filter(|it| names(&source.code, it));
            wrong.extend(named.map(|it| format!("{} names {it}", source.path.display())));
        }
    }
    assert!(
        wrong.is_empty(),
        "crates that depend on one another or on the server:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn nested_imports_are_read() {
    let code =
        "use crate::{auth::{Claims, User}, error::Error,\n id};\nlet x = crate::room::Rooms;";
    assert_eq!(named_modules(code), ["auth", "error", "id", "room"]);
}
