//! What must not compile and what the compiler says then; what must compile in other crates than this one.

/// Each case is named by its fault; `TRYBUILD=overwrite` writes the messages anew.
#[test]
fn faults_are_reported_with_their_cure() {
    trybuild::TestCases::new().compile_fail("compile-fail/*.rs");
}

#[test]
fn services_compile_under_strict_lints_and_without_a_prelude() {
    let cases = trybuild::TestCases::new();
    cases.pass("macros/hygiene/no_prelude.rs");
    cases.pass("macros/hygiene/shadowed.rs");
    cases.pass("macros/hygiene/named.rs");
    cases.pass("macros/hygiene/lints.rs");
}
