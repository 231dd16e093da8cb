//! Suggestions for a name that no service has.

use strsim::normalized_damerau_levenshtein as likeness_of;
use zato_core::MAX_NAME;

/// The likeness below which a name is not suggested; 1 is the same name.
const LEAST: f64 = 0.72;

/// The likeness that a name may lack to the best and still be suggested beside it.
const BESIDE: f64 = 0.05;

/// Returns the names most like `name`, at most `most` of them, the best first.
///
/// Names are compared as a whole, for slips of the keyboard; word by word from the end, because the words before the last
/// are the ones that are left out or guessed; and as words in any order.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    // It may come from outside, and the work grows with its length.
    if name.len() > 2 * MAX_NAME {
        return Vec::new();
    }
    let name = name.to_ascii_lowercase().replace("::", ".").replace('_', "-");
    let mut all: Vec<_> = names
        .map(|candidate| (likeness(&name, &candidate.replace('_', "-")), candidate))
        .filter(|(likeness, _)| *likeness >= LEAST)
        .collect();
    all.sort_unstable_by(|(a, a_name), (b, b_name)| b.total_cmp(a).then(a_name.cmp(b_name)));
    let best = all.first().map_or(1.0, |(best, _)| *best);
    all.into_iter()
        .take_while(|(likeness, _)| best - likeness <= BESIDE)
        .map(|(_, name)| name)
        .take(most)
        .collect()
}

fn likeness(name: &str, candidate: &str) -> f64 {
    likeness_of(name, candidate).max(from_the_end(name, candidate)).max(in_any_order(name, candidate))
}

/// Compares the segments between dots, from the last one on. Segments of `name` that `candidate` lacks count as unlike.
fn from_the_end(name: &str, candidate: &str) -> f64 {
    let segments: Vec<_> = name.rsplit('.').collect();
    let others: Vec<_> = candidate.rsplit('.').collect();
    let shared: f64 = segments.iter().zip(&others).map(|(segment, other)| likeness_of(segment, other)).sum();
    let mean = mean(shared, segments.len());
    // The last segment says what is done; where it is the same, the others decide which name is best.
    if segments.first() == others.first() { 0.8 + 0.2 * mean } else { mean }
}

/// Compares words, between dots and hyphens, whatever their order.
fn in_any_order(name: &str, candidate: &str) -> f64 {
    let words = |name| str::split(name, ['.', '-']).filter(|word: &&str| !word.is_empty());
    let count = words(name).count();
    if count < 2 {
        return 0.0;
    }
    let best = |word| words(candidate).map(|other| likeness_of(word, other)).fold(0.0, f64::max);
    0.9 * mean(words(name).map(best).sum(), count)
}

fn mean(sum: f64, count: usize) -> f64 {
    sum / f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 12] = [
        "greetings.hello",
        "greetings.welcome",
        "orders.charge",
        "orders.charge-async-callback",
        "orders.place",
        "thirty-services.billing.create",
        "thirty-services.billing.void",
        "thirty-services.users.create",
        "thirty-services.users.delete",
        "zato.helpers.echo",
        "zato.helpers.input-logger",
        "zato.ping",
    ];

    fn near(name: &str) -> Vec<&'static str> {
        nearest(name, NAMES.into_iter(), 3)
    }

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        for (given, meant) in [
            ("user.create", "thirty-services.users.create"),
            ("users.create", "thirty-services.users.create"),
            ("create-user", "thirty-services.users.create"),
            ("user.delte", "thirty-services.users.delete"),
            ("greetings.helo", "greetings.hello"),
            ("hello", "greetings.hello"),
            ("Greetings::Hello", "greetings.hello"),
            ("order.charge", "orders.charge"),
            ("orders.chagre", "orders.charge"),
            ("charge", "orders.charge"),
            ("orders_charge", "orders.charge"),
            ("zato.pong", "zato.ping"),
            ("input-logger", "zato.helpers.input-logger"),
        ] {
            assert_eq!(near(given).first(), Some(&meant), "{given}: {:?}", near(given));
        }
    }

    #[test]
    fn names_that_are_as_like_as_the_best_are_suggested_beside_it() {
        assert_eq!(
            near("accounts.create"),
            ["thirty-services.billing.create", "thirty-services.users.create"]
        );
        assert_eq!(nearest("create", NAMES.into_iter(), 1).len(), 1);
    }

    #[test]
    fn what_is_like_nothing_gets_no_suggestion() {
        for name in ["", "x", "quite.different", "nope", "x.unknown", "..", "\u{1f600}"] {
            assert_eq!(near(name), [""; 0], "{name}");
        }
    }
}
