//! Cargo asks for a build script beside the `links` key, which keeps a second `zato-core` out of a program.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
