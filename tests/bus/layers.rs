//! The layers of every crate: a module uses only what stands above its `mod` line, also inside folders.
//!
//! The sources are parsed. A name that a `lib.rs` or a `mod.rs` re-exports counts as the module that it comes from, so
//! that `use crate::Context` is seen as a use of `context`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Breaches that are known and not mended yet. A breach that is gone must be taken off this list.
const KNOWN: &str = include_str!("layers/known.txt");

/// The crates that one room alone may name.
const ROOMS: [(&str, &str); 8] = [
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("indicatif", "cli"),
    ("tracing_subscriber", "cli"),
    ("strsim", "registry"),
    ("quanta", "base::wall_clock"),
    ("rusqlite", "engine::sqlite"),
    ("rustix", "engine::sqlite"),
];

/// The path of a module inside its crate: `["engine", "state", "table"]`.
type Module = Vec<String>;

/// A file of a crate.
struct Source {
    module: Module,
    /// Paths that the file names, with `crate`, `self` and `super` replaced by modules.
    inside: Vec<Module>,
    /// The first segments of all other paths.
    outside: Vec<String>,
    /// The types of which the file has an inherent `impl`.
    implemented: Vec<String>,
    /// The types that the file defines.
    defined: Vec<String>,
    /// The names that the file imports, and where from.
    imported: BTreeMap<String, Module>,
    /// The modules that the file declares, in order.
    declared: Vec<String>,
}

impl Source {
    fn parse(file: &Path, module: Module) -> Self {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut source = Self {
            module,
            inside: Vec::new(),
            outside: Vec::new(),
            implemented: Vec::new(),
            defined: Vec::new(),
            imported: BTreeMap::new(),
            declared: Vec::new(),
        };
        source.visit_file(&parsed);
        source
    }

    /// Notes a path; one that begins with `crate`, `self` or `super` leads to a module of this crate.
    fn note(&mut self, segments: &[String]) {
        let Some(first) = segments.first() else { return };
        match self.resolved(segments) {
            Some(path) => self.inside.push(path),
            None => self.outside.push(first.clone()),
        }
    }

    fn resolved(&self, segments: &[String]) -> Option<Module> {
        let (first, rest) = segments.split_first()?;
        let mut path = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module.split_last().map(|(_, above)| above.to_vec())?,
            _ => return None,
        };
        for segment in rest {
            if segment == "super" {
                path.pop();
            } else {
                path.push(segment.clone());
            }
        }
        Some(path)
    }

    fn note_use(&mut self, before: &[String], tree: &syn::UseTree) {
        let mut path = before.to_vec();
        match tree {
            syn::UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                self.note_use(&path, &inner.tree);
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_use(before, tree)),
            syn::UseTree::Glob(_) => self.note(&path),
            syn::UseTree::Name(_) | syn::UseTree::Rename(_) => {
                let (last, name) = match tree {
                    syn::UseTree::Rename(rename) => (rename.ident.to_string(), rename.rename.to_string()),
                    syn::UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
                    _ => return,
                };
                if last != "self" {
                    path.push(last);
                }
                // A `use` without a keyword in a `mod.rs` may name a module that it declares.
                let is_declared = path.first().is_some_and(|first| self.declared.contains(first));
                let from = if is_declared {
                    Some(self.module.iter().cloned().chain(path.iter().cloned()).collect())
                } else {
                    self.resolved(&path)
                };
                if let Some(from) = from {
                    self.inside.push(Module::clone(&from));
                    self.imported.insert(name, from);
                } else {
                    self.note(&path);
                }
            }
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_test(&item.attrs) {
            return;
        }
        match item.content {
            None => self.declared.push(item.ident.to_string()),
            // What a module inside a file uses, the file uses. `spi` and such re-export what stands below.
            Some(_) if self.module.is_empty() => {}
            Some(_) => syn::visit::visit_item_mod(self, item),
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.note_use(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.note(&segments);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let (None, syn::Type::Path(of)) = (&item.trait_, &*item.self_ty)
            && let Some(name) = of.path.get_ident().or(of.path.segments.last().map(|last| &last.ident))
        {
            self.implemented.push(name.to_string());
        }
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.defined.push(item.ident.to_string());
        syn::visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.defined.push(item.ident.to_string());
        syn::visit::visit_item_enum(self, item);
    }
}

/// A crate, parsed.
struct Parsed {
    name: &'static str,
    sources: BTreeMap<Module, Source>,
}

impl Parsed {
    fn new(name: &'static str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let mut parsed = Self { name, sources: BTreeMap::new() };
        parsed.add(&root.join(name).join("src"), "lib.rs", &Vec::new());
        parsed
    }

    /// Parses a file, and those of the modules that it declares.
    fn add(&mut self, folder: &Path, file: &str, module: &Module) {
        let source = Source::parse(&folder.join(file), module.clone());
        let declared = source.declared.clone();
        self.sources.insert(module.clone(), source);
        let below = match file {
            "lib.rs" | "mod.rs" => folder.to_owned(),
            _ => folder.join(file.trim_end_matches(".rs")),
        };
        for name in declared {
            let path: Module = module.iter().chain([&name]).cloned().collect();
            let inside: PathBuf = below.join(&name);
            if inside.join("mod.rs").is_file() {
                self.add(&inside, "mod.rs", &path);
            } else {
                self.add(&below, &format!("{name}.rs"), &path);
            }
        }
    }

    /// The module that a path leads to, through re-exports.
    fn module_of(&self, path: &[String]) -> Module {
        let mut module = Module::new();
        let mut rest = path.to_vec();
        for _ in 0..16 {
            let Some(next) = rest.first().cloned() else { break };
            let source = &self.sources[&module];
            if source.declared.contains(&next) {
                module.push(rest.remove(0));
                continue;
            }
            // A file's own item, unless it is a re-export.
            match source.imported.get(&next) {
                Some(from)
                    if source.declared.iter().any(|declared| from.get(module.len()) == Some(declared)) =>
                {
                    rest = from.iter().cloned().chain(rest.into_iter().skip(1)).collect();
                    module = Module::new();
                }
                _ => break,
            }
        }
        module
    }

    /// The uses that point to a module whose `mod` line stands below that of the user, in the folder where the two part.
    fn upward(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for source in self.sources.values().filter(|source| !source.module.is_empty()) {
            for path in &source.inside {
                let used = self.module_of(path);
                let common = source.module.iter().zip(&used).take_while(|(user, used)| user == used).count();
                let (Some(from), Some(to)) = (source.module.get(common), used.get(common)) else { continue };
                let order = &self.sources[&source.module[..common]].declared;
                let place = |name| order.iter().position(|other| other == name);
                if place(to) > place(from) {
                    wrong.push(format!(
                        "{}: {} uses {}",
                        self.name,
                        source.module.join("::"),
                        used.join("::")
                    ));
                }
            }
        }
        wrong
    }

    /// Inherent methods outside of the folder of their type: through one, a lower room is called back by a higher one.
    fn scattered(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for source in self.sources.values() {
            for name in source.implemented.iter().filter(|name| !source.defined.contains(*name)) {
                let Some(from) = source.imported.get(name) else { continue };
                let home = self.module_of(from);
                if home.first() != source.module.first() {
                    let (room, home) = (source.module.join("::"), home.join("::"));
                    wrong.push(format!("{}: {room} has methods of {home}::{name}", self.name));
                }
            }
        }
        wrong
    }

    /// Outside crates that are named outside of their room.
    fn strangers(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for source in self.sources.values() {
            let module = source.module.join("::");
            for (outside, room) in ROOMS {
                let is_inside = module == room || module.starts_with(&format!("{room}::"));
                if !is_inside && source.outside.iter().any(|first| first == outside) {
                    wrong.push(format!("{}: {module} names {outside}, which only {room} may", self.name));
                }
            }
        }
        wrong
    }
}

#[test]
fn every_use_points_down() {
    let crates = ["zato-core", "zato-macros", "zato-runtime"].map(Parsed::new);
    let files: usize = crates.iter().map(|parsed| parsed.sources.len()).sum();
    assert!(files > 100, "{files} files were looked at");
    // The rules see what they are for.
    let runtime = &crates[2];
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Module>();
    assert_eq!(runtime.module_of(&path("Runtime")), path("runtime::handle"), "a name that lib.rs re-exports");
    assert_eq!(runtime.module_of(&path("engine::Engine")), path("engine::contract"), "one of a folder");

    let mut found: Vec<_> = crates
        .iter()
        .flat_map(|parsed| [parsed.upward(), parsed.scattered(), parsed.strangers()])
        .flatten()
        .collect();
    found.sort_unstable();
    found.dedup();
    let known: Vec<_> = KNOWN.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let new: Vec<_> = found.iter().filter(|breach| !known.contains(&breach.as_str())).collect();
    let gone: Vec<_> = known.iter().filter(|breach| !found.iter().any(|found| found == *breach)).collect();
    assert!(new.is_empty(), "new breaches of the layers: {new:#?}");
    assert!(gone.is_empty(), "these are mended; take them off tests/bus/layers/known.txt: {gone:#?}");
}
