//! Services in the surroundings that a user's crate may have. The files below are compiled on their own as well,
//! as crates that set the lints for themselves; here clippy sees them.

#[path = "hygiene/no_prelude.rs"]
mod no_prelude;
#[path = "hygiene/lints.rs"]
mod lints;
#[path = "hygiene/named.rs"]
mod named;
#[path = "hygiene/shadowed.rs"]
mod shadowed;

#[test]
fn they_are_registered() {
    for name in
        ["hygiene.unit", "hygiene.braced", "hygiene.price", "hygiene.shadowed.braced", "hygiene.in-function"]
    {
        assert!(zato_core::Registration::linked().any(|service| service.name() == name), "{name}");
    }
}
