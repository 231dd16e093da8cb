//! Ten thousand services: how long their check at start takes, and what a round costs beside ten of them.
//!
//! `cargo bench -p zato-runtime --bench bar -- services` runs it; compiling it takes a minute, since each service is a type.

#![allow(
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot run says so, and rounds"
)]

use std::time::Instant;

use zato_core::__private::Named;
use zato_core::{Context, MissingResource, Origin, Registered, Registration, Resources, Result, Service};
use zato_runtime::Runtime;

const REPEATS: usize = 15;

const ROUNDS: u32 = 20_000;

/// One of ten thousand.
struct Numbered<const HUNDREDS: usize, const ONES: usize>;

/// A number's word, for modules and identifiers.
#[rustfmt::skip]
const WORDS: [&str; 100] = [
    "n00", "n01", "n02", "n03", "n04", "n05", "n06", "n07", "n08", "n09",
    "n10", "n11", "n12", "n13", "n14", "n15", "n16", "n17", "n18", "n19",
    "n20", "n21", "n22", "n23", "n24", "n25", "n26", "n27", "n28", "n29",
    "n30", "n31", "n32", "n33", "n34", "n35", "n36", "n37", "n38", "n39",
    "n40", "n41", "n42", "n43", "n44", "n45", "n46", "n47", "n48", "n49",
    "n50", "n51", "n52", "n53", "n54", "n55", "n56", "n57", "n58", "n59",
    "n60", "n61", "n62", "n63", "n64", "n65", "n66", "n67", "n68", "n69",
    "n70", "n71", "n72", "n73", "n74", "n75", "n76", "n77", "n78", "n79",
    "n80", "n81", "n82", "n83", "n84", "n85", "n86", "n87", "n88", "n89",
    "n90", "n91", "n92", "n93", "n94", "n95", "n96", "n97", "n98", "n99",
];

impl<const HUNDREDS: usize, const ONES: usize> Registered for Numbered<HUNDREDS, ONES> {
    const ORIGIN: Origin = Origin::new(WORDS[ONES], WORDS[HUNDREDS], file!(), line!());
    const NAMED: Named = Named::derived(&Self::ORIGIN, false);

    fn build(_: &Resources) -> Result<Self, MissingResource> {
        Ok(Self)
    }
}

impl<const HUNDREDS: usize, const ONES: usize> Service for Numbered<HUNDREDS, ONES> {
    type Request = ();
    type Response = ();

    async fn handle(&self, _: &Context, (): ()) -> Result<()> {
        Ok(())
    }
}

/// Every index of [`WORDS`], as tokens.
#[rustfmt::skip]
macro_rules! for_every_number {
    ($call:ident) => {
        $call! {
            0 1 2 3 4 5 6 7 8 9
            10 11 12 13 14 15 16 17 18 19
            20 21 22 23 24 25 26 27 28 29
            30 31 32 33 34 35 36 37 38 39
            40 41 42 43 44 45 46 47 48 49
            50 51 52 53 54 55 56 57 58 59
            60 61 62 63 64 65 66 67 68 69
            70 71 72 73 74 75 76 77 78 79
            80 81 82 83 84 85 86 87 88 89
            90 91 92 93 94 95 96 97 98 99
        }
    };
}

fn hundred<const HUNDREDS: usize>() -> Vec<Registration> {
    macro_rules! registrations {
        ($($ones:literal)*) => { vec![$(Registration::of::<Numbered<HUNDREDS, $ones>>()),*] };
    }
    for_every_number!(registrations)
}

fn all() -> Vec<Registration> {
    macro_rules! hundreds {
        ($($hundreds:literal)*) => { [$(hundred::<$hundreds>()),*].concat() };
    }
    for_every_number!(hundreds)
}

/// A run of rounds with so many services, in nanoseconds of each.
async fn rounds(services: &[Registration]) -> f64 {
    let runtime = Runtime::builder().services(services.iter().copied()).start().await.expect("it starts");
    let began = Instant::now();
    for _ in 0..ROUNDS {
        // The last of each, so that it does not stand where a search would begin.
        let name = services[services.len() - 1].name();
        let call = runtime.invoke_async(name, ()).callback("zato.helpers.input-logger");
        call.await.expect("it is accepted");
        tokio::task::yield_now().await;
    }
    let took = began.elapsed();
    runtime.shutdown().await.expect("it ends");
    took.as_nanos() as f64 / f64::from(ROUNDS)
}

fn main() {
    let services = all();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio starts");
    let (mut checks, mut few, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let builder = Runtime::builder().services(services.iter().copied());
        let began = Instant::now();
        builder.check().expect("there is no fault");
        checks.push(began.elapsed().as_secs_f64() * 1_000.0);
        few.push(tokio.block_on(rounds(&services[..10])));
        many.push(tokio.block_on(rounds(&services)));
    }
    println!("{}", serde_json::json!({ "check": checks, "few": few, "many": many }));
}
