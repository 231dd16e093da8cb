//! The path of synchronous calls to the one that failed, as one short line of an error.
//!
//! Each handler that passes on the error of a synchronous call adds its own call. The path of the calls comes before the error,
//! once: `` `a` (CID ..) -> `b` -> ... -> `c` (CID ..) (64 deep)
//! ended as Failed: why ``.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The most calls of a path that are all shown; of a longer one the first two and the last.
const SHOWN: usize = 4;

const ARROW: &str = " -> ";
const ENDED_AS: &str = " ended as ";
const ELIDED: &str = "...";

/// A path of calls as it was written, and why the last of them failed.
struct Path<'a> {
    /// The calls, each a name in back-ticks; the first and the last with their CIDs.
    calls: Vec<Cow<'a, str>>,
    depth: usize,
    outcome: &'a str,
    cause: &'a str,
}

/// Writes that `service` ended so, because of what its own calls ended as.
pub(crate) fn describe(service: &str, cid: crate::Cid, outcome: &str, error: &str) -> String {
    let call = format!("`{service}` (CID {cid})");
    let Some(mut path) = Path::parse(error).filter(|path| path.outcome == outcome) else {
        return format!("{call}{ENDED_AS}{outcome}: {error}");
    };
    if path.calls.len() > 1 {
        path.calls[0] = Cow::Owned(without_cid(&path.calls[0]).to_owned());
    }
    path.calls.insert(0, Cow::Owned(call));
    path.depth += 1;
    path.write()
}

impl<'a> Path<'a> {
    fn parse(error: &'a str) -> Option<Self> {
        let (path, rest) = error.split_once(ENDED_AS)?;
        let (outcome, cause) = rest.split_once(": ")?;
        let (path, depth) = match path.strip_suffix(" deep)").and_then(|path| path.rsplit_once(" (")) {
            Some((path, depth)) => (path, Some(depth.parse().ok()?)),
            None => (path, None),
        };
        let calls: Vec<_> = path.split(ARROW).map(Cow::Borrowed).collect();
        let is_call =
            |call: &str| call.starts_with('`') && without_cid(call).ends_with('`') || call == ELIDED;
        let has_cid = |call: &str| without_cid(call) != call;
        let is_path =
            calls.iter().all(|call| is_call(call)) && has_cid(calls.first()?) && has_cid(calls.last()?);
        is_path.then_some(Self { depth: depth.unwrap_or(calls.len()), calls, outcome, cause })
    }

    fn write(mut self) -> String {
        let is_long = self.depth > SHOWN;
        if is_long && let Some(last) = self.calls.pop() {
            self.calls.truncate(2);
            self.calls.extend([Cow::Borrowed(ELIDED), last]);
        }
        let mut text = self.calls.join(ARROW);
        if is_long {
            // To write into a string cannot fail.
            let _ = write!(text, " ({} deep)", self.depth);
        }
        text + ENDED_AS + self.outcome + ": " + self.cause
    }
}

/// The name of a call, without the CID after it.
fn without_cid(call: &str) -> &str {
    let cid = call.strip_suffix(')').and_then(|call| call.rsplit_once(" (CID "));
    cid.filter(|(_, cid)| cid.parse::<crate::Cid>().is_ok()).map_or(call, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cid(number: u32) -> crate::Cid {
        format!("0197f3c2-8a41-7c3e-9b1d-{number:012}").parse().expect("a CID")
    }

    /// The error of so many calls inside one another.
    fn nested(depth: u32, cause: &str) -> String {
        (1..=depth).rev().fold(cause.to_owned(), |error, number| {
            describe(if number % 2 == 1 { "a" } else { "b" }, cid(number), "Failed", &error)
        })
    }

    #[test]
    fn a_cause_is_written_once_behind_the_path_to_it() {
        let why = "it broke: in the middle";
        let [one, two, three, four] = [1, 2, 3, 4].map(cid);
        assert_eq!(nested(1, why), format!("`a` (CID {one}) ended as Failed: {why}"));
        assert_eq!(nested(2, why), format!("`a` (CID {one}) -> `b` (CID {two}) ended as Failed: {why}"));
        assert_eq!(
            nested(3, why),
            format!("`a` (CID {one}) -> `b` -> `a` (CID {three}) ended as Failed: {why}")
        );
        assert_eq!(
            nested(4, why),
            format!("`a` (CID {one}) -> `b` -> `a` -> `b` (CID {four}) ended as Failed: {why}")
        );
        for depth in [5, 6, 64, 1_000] {
            let (last, name) = (cid(depth), if depth % 2 == 1 { "a" } else { "b" });
            let path = format!("`a` (CID {one}) -> `b` -> ... -> `{name}` (CID {last}) ({depth} deep)");
            assert_eq!(nested(depth, why), format!("{path} ended as Failed: {why}"));
        }
    }

    #[test]
    fn what_another_wrote_stays_as_it_is() {
        let one = cid(1);
        let inner = format!("`b` (CID {one}) ended as TimedOut: late");
        for error in [
            "the job ended as planned: no",
            "`b` ended as Failed: no CID",
            "`b` (CID 7) ended as Failed: no such CID",
            "x -> y ended as Failed: z",
            &inner,
            "",
        ] {
            let text = describe("a", one, "Failed", error);
            assert_eq!(text, format!("`a` (CID {one}) ended as Failed: {error}"));
        }
    }
}
