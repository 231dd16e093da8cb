//! The ways in which other errors become a [`Failure`]: by `?`, by [`OrFail`], by [`fail!`](macro@crate::fail), and as
//! the error of a service function.

use std::error::Error;
use std::fmt;
use std::iter;

use crate::{CallError, Failure, Result};

/// An error that becomes a [`Failure`] by `?`: every `std::error::Error + Send + Sync + 'static`, and nothing else.
///
/// The trait exists for the compiler's message about the others. In the error about `.into()` the compiler shows nothing
/// but its name, which therefore names the cure.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not become a `zato_core::Failure` by `?`",
    label = "not a `std::error::Error`: implement that, or make it a failure with `use zato_core::OrFail;` and \
             `.or_retry()?` or `.or_permanent()?`",
    note = "`zato_core::fail!(\"..\")` returns a text as a failure at once"
)]
pub trait StdErrorElseUseOrFail: Error + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Error + Send + Sync + 'static> StdErrorElseUseOrFail for E {}

/// Any error asks for another attempt, except a [`CallError`], which knows whether one can help.
impl<E: StdErrorElseUseOrFail> From<E> for Failure {
    fn from(error: E) -> Self {
        of(Box::new(error))
    }
}

/// The failure of an error: retryable, except that a [`CallError`], or an error that a [`CallError`] has caused, keeps what
/// that says of itself, its code included.
fn of(error: Box<dyn Error + Send + Sync>) -> Failure {
    let said = Said::by(&*error);
    said.of(Failure::new(error))
}

/// The properties of a failure that come from a [`CallError`] in the error's chain of sources.
struct Said {
    is_permanent: bool,
    code: Option<String>,
}

impl Said {
    /// By the first [`CallError`] in the chain of causes, if there is one.
    fn by(error: &(dyn Error + 'static)) -> Self {
        let mut chain = iter::successors(Some(error), |&error| error.source());
        let call = chain.find_map(|error| error.downcast_ref::<CallError>());
        let code = call.and_then(CallError::code).map(str::to_owned);
        Self { is_permanent: call.is_some_and(CallError::is_permanent), code }
    }

    fn of(self, failure: Failure) -> Failure {
        let failure = if self.is_permanent { failure.never_again() } else { failure };
        match self.code {
            Some(code) => failure.code(code),
            None => failure,
        }
    }
}

/// An error that can be made a [`Failure`]. `Kind` tells the implementations apart and is always inferred.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made a `zato_core::Failure`",
    label = "neither a `std::error::Error` nor a text",
    note = "implement `std::error::Error` for `{Self}`, which `thiserror` derives, or describe it: \
            `.map_err(|error| Failure::new(format!(..)))`"
)]
pub trait Reason<Kind> {
    fn into_failure(self) -> Failure;
}

/// The kinds of [`Reason`].
#[doc(hidden)]
pub(crate) mod kind {
    /// A type that converts into `Box<dyn Error + Send + Sync>`.
    pub struct Convertible;
    /// A boxed error that other threads may not share.
    pub struct Unshared;
    /// A failure.
    pub struct Failure;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Box<dyn Error + Send + Sync>>> Reason<kind::Convertible> for E {
    fn into_failure(self) -> Failure {
        of(self.into())
    }
}

#[diagnostic::do_not_recommend]
impl Reason<kind::Failure> for Failure {
    fn into_failure(self) -> Failure {
        self
    }
}

#[diagnostic::do_not_recommend]
impl Reason<kind::Unshared> for Box<dyn Error> {
    fn into_failure(self) -> Failure {
        match self.downcast::<CallError>() {
            Ok(error) => Failure::from(*error),
            Err(error) => Said::by(&*error).of(Failure::new(described(&*error))),
        }
    }
}

#[diagnostic::do_not_recommend]
impl Reason<kind::Unshared> for Box<dyn Error + Send> {
    fn into_failure(self) -> Failure {
        Reason::into_failure(self as Box<dyn Error>)
    }
}

/// The text of an error and of its causes, each as an error of its own.
fn described(error: &dyn Error) -> Described {
    Described { text: error.to_string(), source: error.source().map(|source| Box::new(described(source))) }
}

/// An error of which only the text is kept, because other threads may not share it.
#[derive(Debug)]
struct Described {
    text: String,
    source: Option<Box<Self>>,
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Described {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Makes errors that are not a [`std::error::Error`] a [`Failure`], and says whether another attempt may help.
///
/// Implemented for a `Result` whose error converts into `Box<dyn Error + Send + Sync>`, such as `anyhow::Error`,
/// `Box<dyn Error + Send + Sync>`, `String`, `&str` and every [`std::error::Error`]; for `Box<dyn Error>`, of which the
/// text and those of its causes are kept; and for [`Failure`] itself. For an `Option`, say first what is missing:
/// `.ok_or("no such order").or_permanent()?`.
///
/// ```
/// use zato_core::{OrFail, Result};
///
/// fn parse(text: &str) -> std::result::Result<u16, String> {
///     text.parse().map_err(|error| format!("`{text}` is not a port: {error}"))
/// }
///
/// fn open(text: &str) -> Result<u16> {
///     let port = parse(text).or_permanent()?; // no other attempt can help
///     if port < 1024 { Err("the port is taken").or_retry()? }
///     Ok(port)
/// }
/// assert!(open("x").unwrap_err().is_permanent());
/// assert!(!open("80").unwrap_err().is_permanent());
/// ```
pub trait OrFail<T, E> {
    /// The value, or a failure after which another attempt may succeed.
    ///
    /// This also holds for a [`CallError`] and for a permanent [`Failure`]: the caller says what it means here. A time
    /// that [`Failure::retry_after`] has set is kept.
    ///
    /// # Errors
    ///
    /// The error of the `Result`, as a retryable failure.
    fn or_retry<Kind>(self) -> Result<T>
    where
        E: Reason<Kind>;

    /// The value, or a failure that no other attempt can mend: the invocation ends as `Failed` at once.
    ///
    /// # Errors
    ///
    /// The error of the `Result`, as a permanent failure.
    fn or_permanent<Kind>(self) -> Result<T>
    where
        E: Reason<Kind>;
}

impl<T, E> OrFail<T, E> for Result<T, E> {
    fn or_retry<Kind>(self) -> Result<T>
    where
        E: Reason<Kind>,
    {
        self.map_err(|error| error.into_failure().retryable())
    }

    fn or_permanent<Kind>(self) -> Result<T>
    where
        E: Reason<Kind>,
    {
        self.map_err(|error| error.into_failure().never_again())
    }
}

/// Returns from the function with a [`Failure`]: `return Err(Failure::new(format!(..)))`.
///
/// Takes a format string with its arguments, or an error. Another attempt may succeed; `fail!(permanent, ..)` forbids one.
///
/// ```
/// use zato_core::{Result, fail};
///
/// fn discount(percent: u8) -> Result<u8> {
///     if percent > 100 {
///         fail!(permanent, "{percent} % is more than everything");
///     }
///     if percent == 100 {
///         fail!("the campaign has not begun");
///     }
///     Ok(percent)
/// }
/// assert!(discount(101).unwrap_err().is_permanent());
/// assert_eq!(discount(100).unwrap_err().to_string(), "the campaign has not begun");
/// ```
#[macro_export]
macro_rules! fail {
    (permanent, $text:literal $(, $($argument:tt)*)?) => {
        return $crate::__private::permanent($crate::__private::text(::core::format_args!($text $(, $($argument)*)?)))
    };
    (permanent, $error:expr $(,)?) => {
        return $crate::__private::permanent($error)
    };
    ($text:literal $(, $($argument:tt)*)?) => {
        return $crate::__private::retryable($crate::__private::text(::core::format_args!($text $(, $($argument)*)?)))
    };
    ($error:expr $(,)?) => {{
        #[allow(unused_imports)]
        use $crate::__private::EndedOtherwise as _;
        return $crate::__private::Ended::failed($error).handled();
    }};
}

/// `fail!("..")`.
///
/// # Errors
///
/// Always.
#[doc(hidden)]
pub fn retryable<T>(text: String) -> Result<T> {
    Err(Failure::new(text))
}

/// `fail!(permanent, ..)`.
///
/// # Errors
///
/// Always.
#[doc(hidden)]
pub fn permanent<T, E: Reason<Kind>, Kind>(error: E) -> Result<T> {
    Err(error.into_failure().never_again())
}

/// The text of a `fail!`.
#[doc(hidden)]
pub fn text(arguments: fmt::Arguments<'_>) -> String {
    fmt::format(arguments)
}

/// The return type of a service function: a `Result` with any error.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a service function returns a `Result`, not `{Self}`",
    label = "not a `Result`",
    note = "return `zato_core::Result<T>`, or a `Result<T, E>` with any error, such as `anyhow::Result<T>`"
)]
pub trait Returned {
    type Response;
    type Error;

    fn into_result(self) -> Result<Self::Response, Self::Error>;
}

impl<T, E> Returned for Result<T, E> {
    type Response = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}

/// The return value of a service function, or the error of a `fail!`, before it becomes the handler's result.
///
/// An error with a `From` for [`Failure`] goes that way: the inherent method is found before the trait's. The others go
/// through [`Reason`]. Of those, an error that shows the error it wraps (`AsRef<dyn Error + Send + Sync>`, as `anyhow::Error`
/// does) is looked into before: converted, it hides what it wraps. Its implementation is found before that of the others,
/// because a method is looked for by value before it is by reference.
#[doc(hidden)]
pub struct Ended<T, E>(Option<Result<T, E>>);

impl<T, E> Ended<T, E> {
    pub fn of(returned: impl Returned<Response = T, Error = E>) -> Self {
        Self(Some(returned.into_result()))
    }

    pub fn failed(error: E) -> Self {
        Self(Some(Err(error)))
    }

    fn result(&mut self, failure: impl FnOnce(E) -> Failure) -> Result<T> {
        match self.0.take() {
            Some(result) => result.map_err(failure),
            None => Err(Failure::new("the result of a service function was asked for twice")),
        }
    }
}

impl<T, E: Into<Failure>> Ended<T, E> {
    /// The handler's result.
    ///
    /// # Errors
    ///
    /// The function's own.
    pub fn handled(mut self) -> Result<T> {
        self.result(Into::into)
    }
}

/// The way of errors that have no `From` for [`Failure`].
#[doc(hidden)]
pub trait EndedOtherwise<T, E> {
    /// The handler's result.
    ///
    /// # Errors
    ///
    /// The function's own.
    fn handled<Kind>(self) -> Result<T>
    where
        E: Reason<Kind>;
}

impl<T, E: AsRef<dyn Error + Send + Sync>> EndedOtherwise<T, E> for Ended<T, E> {
    fn handled<Kind>(mut self) -> Result<T>
    where
        E: Reason<Kind>,
    {
        self.result(|error| {
            let said = Said::by(error.as_ref());
            said.of(error.into_failure())
        })
    }
}

impl<T, E> EndedOtherwise<T, E> for &mut Ended<T, E> {
    fn handled<Kind>(self) -> Result<T>
    where
        E: Reason<Kind>,
    {
        self.result(Reason::into_failure)
    }
}
