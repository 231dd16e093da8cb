//! The package's `Cargo.toml`, read for one question: by which name `zato-core` can be found.
//!
//! A macro cannot ask whether a path resolves, and the compiler's message about one that does not names no cure. Where the
//! manifest cannot be read, or names the crate in a way that is not understood, the path is left to the compiler.

use std::path::Path;

/// The name by which the package depends on `zato-core`, where that is not `zato-core`.
#[derive(Debug, PartialEq)]
pub(crate) enum Dependency {
    /// The crate has another name.
    Renamed(String),
    /// The package does not depend on it.
    Missing,
}

impl Dependency {
    /// The fault, and the cure.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Renamed(name) => {
                let name = name.replace('-', "_");
                format!("this package calls the crate `zato-core` `{name}`: write #[service(crate = {name})]")
            }
            Self::Missing => {
                "this package does not depend on `zato-core` itself: name the crate that re-exports it with \
                              #[service(crate = that_crate)], or run `cargo add zato-core`"
                    .to_owned()
            }
        }
    }
}

/// Reads the manifest of the package that is compiled.
pub(crate) fn dependency() -> Option<Dependency> {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR")?;
    let mut manifests =
        Path::new(&folder).ancestors().map(|folder| std::fs::read_to_string(folder.join("Cargo.toml")));
    let package = manifests.next()?.ok()?;
    within(&package, manifests.filter_map(Result::ok))
}

/// The answer for a package below these manifests. `bus.workspace = true` says in one of them what `bus` is.
fn within(package: &str, above: impl IntoIterator<Item = String>) -> Option<Dependency> {
    let dependency = of(package)?;
    let renamed = above.into_iter().find_map(|manifest| match of(&manifest) {
        Some(Dependency::Renamed(name)) if package.contains(&name) => Some(Dependency::Renamed(name)),
        _ => None,
    });
    Some(if dependency == Dependency::Missing { renamed.unwrap_or(dependency) } else { dependency })
}

fn of(manifest: &str) -> Option<Dependency> {
    let (mut renamed, mut header) = (None, "");
    for line in manifest.lines() {
        // A `#` inside a text cuts off what no dependency has behind it.
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[') {
            header = name.trim_end_matches(']').trim();
        }
        for (at, found) in line.match_indices("zato-core").chain(line.match_indices("zato_core")) {
            let before = line[..at].trim_end_matches(['"', '\'']).trim_end();
            let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/');
            let is_whole = !before.ends_with(is_part) && !line[at + found.len()..].starts_with(is_part);
            let is_package = before.strip_suffix('=').is_some_and(|key| key.trim_end().ends_with("package"));
            if is_package {
                // Either `bus = { package = "zato-core" }`, or a line below `[dependencies.bus]`.
                let key = line.split('=').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
                let key = key.strip_suffix(".package").unwrap_or(key);
                let name = if key == "package" { header.rsplit('.').next().unwrap_or_default() } else { key };
                renamed = Some(name.trim_matches(['"', '\'']).to_owned());
            } else if is_whole {
                return None;
            }
        }
    }
    Some(renamed.map_or(Dependency::Missing, Dependency::Renamed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_dependency_is_found() {
        for own in [
            "[dependencies]\nzato-core = \"0.1\"",
            "[dependencies]\nzato-core.workspace = true",
            "[dependencies]\n\"zato-core\" = { version = \"0.1\" }",
            "[dependencies]\nzato_core = { package = \"zato-core\", version = \"0.1\" }",
            "[dev-dependencies.zato-core]\nversion = \"0.1\"",
            "[target.'cfg(unix)'.dependencies.zato-core]\npath = \"..\"",
            "dependencies = { zato-core = \"0.1\" }",
            "[package]\nname = \"zato-core\"",
        ] {
            assert_eq!(of(own), None, "{own}");
        }
        for renamed in [
            "[dependencies]\nbus = { package = \"zato-core\", version = \"0.1\" }",
            "[dependencies]\nbus = { path = \"../zato-core\", package = \"zato-core\" }",
            "[dependencies.bus]\nversion = \"0.1\"\npackage = \"zato-core\"",
            "[dependencies]\nbus.package = 'zato-core'",
        ] {
            assert_eq!(of(renamed), Some(Dependency::Renamed("bus".to_owned())), "{renamed}");
        }
        for missing in [
            "",
            "[dependencies]\nbus = \"0.1\"",
            "[dependencies]\nmy-zato-core = \"0.1\"\nzato-core-x = { path = \"../zato-core\" }",
            "[dependencies]\nbus = \"1\" # re-exports zato-core",
            "[package]\nname = \"orders\"",
        ] {
            assert_eq!(of(missing), Some(Dependency::Missing), "{missing}");
        }
    }

    #[test]
    fn a_workspace_may_rename_the_dependency() {
        let workspace = "[workspace.dependencies]\nbus = { package = \"zato-core\", version = \"0.1\" }";
        let within = |package| within(package, [workspace.to_owned()]);
        let renamed = Some(Dependency::Renamed("bus".to_owned()));
        assert_eq!(within("[dependencies]\nbus.workspace = true"), renamed);
        assert_eq!(within("[dependencies.bus]\nworkspace = true"), renamed);
        assert_eq!(within("[dependencies]\nserde = \"1\""), Some(Dependency::Missing));
        assert_eq!(within("[dependencies]\nzato-core = \"0.1\""), None);
    }
}
