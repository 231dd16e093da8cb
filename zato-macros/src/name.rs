//! The rule of names that are written out, and a name that would do for one that breaks it.

/// The longest name, in bytes; the same as `zato_core::MAX_NAME`.
const MAX_NAME: usize = 128;

const RULE: &str = "a name is words of `a-z`, `0-9`, `-`, `_` joined by `.`";

/// The use of a name, which decides whether it may be that of a built-in service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The name of a service of the user.
    Own,
    /// A reference to a service, which may be a built-in one.
    Reference,
}

/// Returns the reason why the text is not a valid name, with a valid suggestion; `None` for a valid name.
pub(crate) fn fault(text: &str, used: Use) -> Option<(String, String)> {
    let why = if text.is_empty() {
        format!("the name is empty: {RULE}")
    } else if let Some(other) = text.chars().find(|&c| !is_allowed(c)) {
        let what = match other {
            ' ' => "a space".to_owned(),
            'A'..='Z' => format!("the upper case `{other}`"),
            _ => format!("`{}`", other.escape_debug()),
        };
        format!("`{text}` is not a service name: it contains {what}, but {RULE}")
    } else if text.split('.').any(str::is_empty) {
        format!(
            "`{text}` is not a service name: there is no word {} a `.`, but {RULE}",
            side_without_word(text)
        )
    } else if text.len() > MAX_NAME {
        format!("this name is {} bytes long: {MAX_NAME} is the limit", text.len())
    } else if used == Use::Own && is_reserved(text) {
        format!("`{text}` is reserved: `zato` and what starts with `zato.` are names of built-in services")
    } else {
        return None;
    };
    Some((why, nearest(text)))
}

fn is_allowed(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.')
}

fn is_reserved(text: &str) -> bool {
    text == "zato" || text.starts_with("zato.")
}

fn side_without_word(text: &str) -> &'static str {
    if text.starts_with('.') {
        "before"
    } else if text.ends_with('.') {
        "after"
    } else {
        "behind"
    }
}

/// The text with what breaks the rule replaced.
pub(crate) fn nearest(text: &str) -> String {
    // What is left of a word without its other letters would not do.
    if text.chars().any(|c| !c.is_ascii() && c.is_alphanumeric()) {
        return "orders.charge".to_owned();
    }
    let text = text.replace("::", ".").replace(['/', '\\', ':'], ".");
    let words = text.split('.').map(word).filter(|word| !word.is_empty());
    let mut words: Vec<String> = words.skip_while(|word| word == "zato").collect();
    // The last words say most about the service, so a long name loses its first ones.
    while words.len() > 1 && words.join(".").len() > MAX_NAME {
        words.remove(0);
    }
    let mut name = words.join(".");
    name.truncate(MAX_NAME);
    let name = name.trim_end_matches(['-', '.']);
    if name.is_empty() { "orders.charge".to_owned() } else { name.to_owned() }
}

/// A word as the rule wants it: `OrderPaid now!` is `order-paid-now`. What comes out is ASCII.
fn word(text: &str) -> String {
    let mut word = String::new();
    let mut after_lower = false;
    for c in text.trim().chars() {
        if c.is_ascii_uppercase() && after_lower {
            word.push('-');
        }
        after_lower = c.is_ascii_lowercase();
        let c = c.to_ascii_lowercase();
        if is_allowed(c) {
            word.push(c);
        } else if !word.is_empty() && !word.ends_with('-') {
            word.push('-');
        }
    }
    word.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_do_is_a_name() {
        for (bad, good) in [
            ("", "orders.charge"),
            ("Orders.Charge", "orders.charge"),
            ("OrdersCharge", "orders-charge"),
            ("orders charge", "orders-charge"),
            (".orders..charge.", "orders.charge"),
            ("zato.orders", "orders"),
            ("zato", "orders.charge"),
            ("orders::charge", "orders.charge"),
            ("café", "orders.charge"),
            ("日本", "orders.charge"),
        ] {
            assert_eq!(fault(bad, Use::Own).map(|(_, would_do)| would_do).as_deref(), Some(good), "{bad}");
            assert!(fault(good, Use::Own).is_none(), "{good}");
        }
        let long = format!("orders.{}", "x".repeat(200));
        assert!(fault(&long, Use::Own).is_some_and(|(_, would_do)| fault(&would_do, Use::Own).is_none()));
    }

    #[test]
    fn names_that_follow_the_rule_are_names() {
        for good in ["a", "orders.charge", "a-b_c.0", "zatopek.run", "-", &"x".repeat(128)] {
            assert!(fault(good, Use::Own).is_none(), "{good}");
        }
        assert!(fault("zato.ping", Use::Reference).is_none());
    }
}
