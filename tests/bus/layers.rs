//! The layers of every crate: a module uses only what stands above its `mod` line.

use std::fs;
use std::path::Path;

/// The names in the `mod` lines of a file, in order.
fn modules(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let lines = text.lines().map(|line| line.trim_start_matches("pub ").trim_start_matches("pub(crate) "));
    lines.filter_map(|line| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())).collect()
}

/// Every file of a module: `name.rs`, or all below `name/`.
fn files(folder: &Path, module: &str, found: &mut Vec<std::path::PathBuf>) {
    let file = folder.join(format!("{module}.rs"));
    if file.is_file() {
        return found.push(file);
    }
    let mut below = vec![folder.join(module)];
    while let Some(folder) = below.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() { below.push(path) } else { found.push(path) }
        }
    }
}

/// The modules of the crate that a file uses by `crate::name`.
fn used(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split("crate::").skip(1)).map(|rest| {
        rest.split(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap_or_default()
    })
}

#[test]
fn every_use_points_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut checked = 0;
    let mut wrong = Vec::new();
    for name in ["zato-core", "zato-macros", "zato-runtime"] {
        let source = root.join(name).join("src");
        let layers = modules(&source.join("lib.rs"));
        assert!(!layers.is_empty(), "{name} has modules");
        for (layer, module) in layers.iter().enumerate() {
            let mut found = Vec::new();
            files(&source, module, &mut found);
            for file in found {
                checked += 1;
                let text = fs::read_to_string(&file).expect("a source file is text");
                for used in used(&text) {
                    if layers.iter().position(|other| other == used).is_some_and(|other| other > layer) {
                        wrong.push(format!("{} uses `crate::{used}`, which stands above it", file.display()));
                    }
                }
            }
        }
    }
    assert!(checked > 30, "{checked} files were looked at");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each outside crate is known in one room.
#[test]
fn outside_crates_stay_in_their_rooms() {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("zato-runtime/src");
    let mut wrong = Vec::new();
    for module in modules(&source.join("lib.rs")) {
        let mut found = Vec::new();
        files(&source, &module, &mut found);
        for file in found {
            let text = fs::read_to_string(&file).expect("a source file is text");
            for (outside, room) in
                [("clap", "cli"), ("indicatif", "cli"), ("tracing_subscriber", "cli"), ("strsim", "registry")]
            {
                if module != room && text.contains(&format!("{outside}::")) {
                    wrong.push(format!("{} names {outside}, which only `{room}` does", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
