//! The faults of linked services, with their texts.

use std::fmt;

use zato_core::Origin;

/// Something wrong with what is linked or provided. Found when a runtime starts, and by `check`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// No service of the user's is linked.
    NothingLinked,
    /// Two services have one name.
    Duplicate {
        /// The name.
        name: &'static str,
        /// The place of the first in the source.
        first: Origin,
        /// The place of the second in the source.
        second: Origin,
    },
    /// A caller has two different callbacks by convention.
    TwoCallbacks {
        /// `callback` or `failure callback`.
        role: &'static str,
        /// The caller's name.
        caller: &'static str,
        /// The one callback, where it was written, and why it is one.
        first: (&'static str, Origin, &'static str),
        /// The other callback, where it was written, and why it is one.
        second: (&'static str, Origin, &'static str),
    },
    /// An attribute names a callback that no service is.
    NoSuchCallback {
        /// `callback` or `on_failure`.
        key: &'static str,
        /// The service whose attribute it is.
        service: &'static str,
        /// The place of that service in the source.
        origin: Origin,
        /// The name that no service has.
        name: &'static str,
        /// The name most like it.
        nearest: Option<&'static str>,
    },
    /// Services ask for a resource that no one provided.
    MissingResource {
        /// The resource's type, as its user writes it.
        type_name: String,
        /// The services that need it: each with its place in the source, and its field or parameter.
        wanted_by: Vec<(&'static str, Origin, &'static str)>,
    },
    /// Two resources of one type were provided.
    DoubledResource {
        /// The resources' type, as its user writes it.
        type_name: String,
    },
    /// A former name of one service is the name, or a former name, of another.
    FormerNameTaken {
        /// The former name.
        name: &'static str,
        /// The service that claims it.
        service: &'static str,
        /// The service that has it.
        owner: &'static str,
    },
}

/// All faults of the linked services.
#[derive(Clone)]
pub struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// The faults, of which there is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

/// The most services that are named for one missing resource.
const SHOWN: usize = 3;

struct Place<'a>(&'a Origin);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}::{}` ({}:{})", self.0.module(), self.0.ident(), self.0.file(), self.0.line())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingLinked => f.write_str(
                "none of your services is linked into this program: annotate a struct or a function with `#[service]`; a \
                 crate of services is linked only if the program names it: `use the_crate as _;`",
            ),
            Self::Duplicate { name, first, second } => write!(
                f,
                "two services are named `{name}`: {} and {}; rename one with #[service(name = \"...\")], or name it \
                 once in `.services([..])`",
                Place(first),
                Place(second)
            ),
            Self::TwoCallbacks { role, caller, first, second } => write!(
                f,
                "`{caller}` has two {role}s: `{}`, {}, {}; and `{}`, {}, {}; rename one of them, or remove the key",
                first.0,
                Place(&first.1),
                first.2,
                second.0,
                Place(&second.1),
                second.2
            ),
            Self::NoSuchCallback { key, service, origin, name, nearest } => {
                write!(f, "`{key} = \"{name}\"` of `{service}`, {}, names no linked service", Place(origin))?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
                    None => f.write_str(
                        "; name one that is linked (and that `.services([..])` names, if it is used), or remove the \
                         key",
                    ),
                }
            }
            Self::MissingResource { type_name, wanted_by } => {
                write!(f, "no `{type_name}` was provided:")?;
                for (service, origin, field) in wanted_by.iter().take(SHOWN) {
                    write!(f, "\n    `{service}` needs one for `{field}`: {}", Place(origin))?;
                }
                if wanted_by.len() > SHOWN {
                    write!(f, "\n    and {} more services need one", wanted_by.len() - SHOWN)?;
                }
                f.write_str(
                    "\n    provide it with `App::new().provide(..)` or `Runtime::builder().provide(..)`; if it is the request of \
                     a function,\n    take it by value, right after the context",
                )
            }
            Self::DoubledResource { type_name } => write!(
                f,
                "two resources of the type `{type_name}` were provided, and resources are found by their type: give each a \
                 type of its own (`#[derive(Clone)] struct First({type_name})`), or use `.replace(..)` for the second if it \
                 is meant to take the place of the first, as in a test"
            ),
            Self::FormerNameTaken { name, service, owner } => write!(
                f,
                "`{service}` was formerly `{name}`, but that name belongs to `{owner}`: remove it from `formerly`"
            ),
        }
    }
}

/// Writes one fault as its text, and several as a list.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [fault] = &*self.0 {
            return write!(f, "{fault}");
        }
        write!(f, "{} faults in the services:", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  - {fault}"))
    }
}

impl std::error::Error for Faults {}

/// Shows the text with its cure, not the fields, because `main` and `unwrap` print it.
impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
