//! Labels: names with values that a caller attaches to an invocation, and that the tree below it inherits.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, Serializer};

/// The names and values that callers attached to an invocation with `.label(name, value)`, in the order of the names.
///
/// An invocation inherits the labels of the one whose handler made it, and adds its own. There are at most
/// [`MAX_COUNT`](Self::MAX_COUNT) of them.
///
/// ```
/// use zato_core::{Context, Result, service};
///
/// #[service(name = "docs.labels.charge")]
/// async fn charge(ctx: &Context, _cents: u64) -> Result<()> {
///     let customer = ctx.labels().get("customer").unwrap_or("nobody");
///     println!("charging {customer}");
///     for (name, value) in ctx.labels() {
///         println!("{name} is {value}");
///     }
///     // The labels of this invocation, and one more.
///     ctx.invoke_async("zato.ping", ()).label("step", "ping").await?;
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(Option<Arc<Held>>);

type Held = BTreeMap<Box<str>, Box<str>>;

impl Labels {
    /// The largest number of labels of one invocation, those that it inherits included.
    pub const MAX_COUNT: usize = 16;

    /// The longest name in bytes.
    pub const MAX_NAME: usize = 64;

    /// The longest value in bytes.
    pub const MAX_VALUE: usize = 256;

    /// The value of the label with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name).map(|value| &**value)
    }

    /// The number of labels.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |held| held.len())
    }

    /// Whether there are no labels.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All names with their values, in the order of the names.
    pub fn iter(&self) -> LabelsIter<'_> {
        LabelsIter(self.0.as_ref().map(|held| held.iter()))
    }

    /// Adds a label, or replaces the one of the same name.
    ///
    /// # Errors
    ///
    /// [`LabelError::Name`] if the name is empty, longer than 64 bytes, or has a character that is not an ASCII
    /// letter, a digit, `.`, `_`, `-` or `/`; [`LabelError::Value`] if the value is longer than 256 bytes or has
    /// a control character.
    pub fn set(&mut self, name: &str, value: String) -> Result<(), LabelError> {
        let is_allowed = |c: u8| c.is_ascii_alphanumeric() || b"._-/".contains(&c);
        let starts_well = name.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if !starts_well || name.len() > Self::MAX_NAME || !name.bytes().all(is_allowed) {
            return Err(LabelError::Name(shown(name)));
        }
        if value.len() > Self::MAX_VALUE || value.chars().any(char::is_control) {
            return Err(LabelError::Value { name: name.into(), bytes: value.len() });
        }
        let held = Arc::make_mut(self.0.get_or_insert_default());
        held.insert(name.into(), value.into_boxed_str());
        Ok(())
    }

    /// These labels with `own` added, which replace those of the same name.
    ///
    /// # Errors
    ///
    /// [`LabelError::TooMany`] if that makes more than 16.
    pub fn and(&self, own: &Self) -> Result<Self, LabelError> {
        let all = match (&self.0, &own.0) {
            (_, None) => self.clone(),
            (None, Some(_)) => own.clone(),
            (Some(inherited), Some(own)) => {
                let mut all = (**inherited).clone();
                all.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
                Self(Some(Arc::new(all)))
            }
        };
        match all.len() {
            0..=Self::MAX_COUNT => Ok(all),
            count => Err(LabelError::TooMany { count, inherited: self.len() }),
        }
    }
}

/// A label that an invocation cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A name that is not allowed: here is its start.
    #[error(
        "`{0}` is not a label name: a name is 1 to {max} bytes of ASCII letters, digits, `.`, `_`, `-` and `/`, and \
         begins with a letter or a digit; put the rest into the value",
        max = Labels::MAX_NAME
    )]
    Name(String),
    /// A value that is not allowed.
    #[error(
        "the value of the label `{name}` is {bytes} bytes long or has a control character: a value has at most {max} \
         bytes and no control characters; put what is longer into the payload",
        max = Labels::MAX_VALUE
    )]
    Value {
        /// The label's name.
        name: String,
        /// The value's length in bytes.
        bytes: usize,
    },
    /// More labels than an invocation may have.
    #[error(
        "the call has {count} labels, {inherited} of them inherited from its caller, and {max} are allowed: leave some \
         out, or make one label of several",
        max = Labels::MAX_COUNT
    )]
    TooMany {
        /// How many the invocation would have.
        count: usize,
        /// How many labels its caller has.
        inherited: usize,
    },
}

/// The start of a name that is refused.
fn shown(name: &str) -> String {
    name.chars().take(Labels::MAX_NAME).flat_map(char::escape_debug).collect()
}

/// Labels that an engine has kept: they were checked when the call was made.
impl FromIterator<(Box<str>, Box<str>)> for Labels {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Box<str>)>>(labels: I) -> Self {
        let held: Held = labels.into_iter().collect();
        Self((!held.is_empty()).then(|| Arc::new(held)))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelsIter<'a>;

    fn into_iter(self) -> LabelsIter<'a> {
        self.iter()
    }
}

/// The iterator of [`Labels::iter`].
#[derive(Debug, Clone)]
pub struct LabelsIter<'a>(Option<btree_map::Iter<'a, Box<str>, Box<str>>>);

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next().map(|(name, value)| (&**name, &**value))
    }
}

/// A JSON object: each name with its value.
impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: &[(&str, &str)]) -> Labels {
        let mut labels = Labels::default();
        for (name, value) in all {
            labels.set(name, (*value).to_owned()).expect("it is allowed");
        }
        labels
    }

    #[test]
    fn a_name_is_a_word_and_a_value_is_printable() {
        for name in ["customer", "app.kubernetes.io/name", "9", "order_id", "a-b", &"x".repeat(64)] {
            assert_eq!(Labels::default().set(name, "v".to_owned()), Ok(()), "{name}");
        }
        for name in ["", " ", "a b", "a:b", "a\n", ".a", "-a", "\u{e9}t\u{e9}", &"x".repeat(65)] {
            let refused = Labels::default().set(name, "v".to_owned()).expect_err(name).to_string();
            assert!(refused.contains("label name") && refused.contains("ASCII letters"), "{refused}");
            assert!(!refused.contains('\n'), "{refused}");
        }
        for value in ["", "42", "a b: c", "\u{fc}\u{1f980}", &"x".repeat(256)] {
            assert_eq!(Labels::default().set("a", value.to_owned()), Ok(()), "{value}");
        }
        for value in ["a\nb", "\0", "\u{7f}", "\u{85}", &"x".repeat(257)] {
            let refused = Labels::default().set("order", value.to_owned()).expect_err(value).to_string();
            assert!(refused.contains("`order`") && refused.contains("256"), "{refused}");
        }
    }

    #[test]
    fn the_same_name_again_replaces_its_value() {
        let all = labels(&[("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(all.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
        assert_eq!((all.get("b"), all.get("c"), all.len()), (Some("3"), None, 2));
    }

    #[test]
    fn own_labels_are_added_to_those_that_are_inherited() {
        let (inherited, own) = (labels(&[("a", "1"), ("b", "1")]), labels(&[("b", "2"), ("c", "2")]));
        let all = inherited.and(&own).expect("three");
        assert_eq!(all, labels(&[("a", "1"), ("b", "2"), ("c", "2")]));
        assert_eq!(inherited, labels(&[("a", "1"), ("b", "1")]), "the caller's are as they were");
        assert!(Labels::default().and(&Labels::default()).expect("none").is_empty());
        let many = |names: std::ops::Range<u32>| -> Labels {
            names.map(|n| (n.to_string().into(), "".into())).collect()
        };
        assert_eq!(many(0..10).and(&many(4..16)).expect("16").len(), 16);
        let refused = many(0..10).and(&many(4..17)).expect_err("17");
        assert_eq!(refused, LabelError::TooMany { count: 17, inherited: 10 });
        assert_eq!(
            refused.to_string(),
            "the call has 17 labels, 10 of them inherited from its caller, and 16 are allowed: leave some out, or make \
             one label of several"
        );
        assert!(Labels::default().and(&many(0..17)).is_err());
    }
}
