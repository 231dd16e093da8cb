//! The canonical form of a JSON document, which is the same for equal documents.
//!
//! Two documents are equal if their objects have the same members, in whatever order, their arrays the same elements in
//! the same order, their strings the same characters however they are escaped, and their numbers the same digits: `1`,
//! `1.0` and `1e0` are three. Of members of one name the order counts, since readers differ in which of them they take.
//!
//! One pass, without recursion, however deep the document is. An object becomes the digest of its members when it ends,
//! so each byte is sorted and hashed once, and not once for each object around it.

use std::borrow::Cow;
use std::ops::Range;

use super::hash::Sum;

/// The form that all equal documents have; `None` for what is not JSON.
pub(super) fn canonical(json: &[u8], sum: &dyn Fn() -> Box<dyn Sum>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len() + 16);
    let mut around: Vec<Around<'_>> = Vec::new();
    let mut rest = Rest(json);
    'value: loop {
        match rest.peek()? {
            b'{' => {
                rest.next();
                let start = out.len();
                if rest.takes(b'}') {
                    close(&mut out, start, Vec::new(), sum);
                } else {
                    let name = rest.name()?;
                    around.push(Around::Object { start, members: Vec::new(), name, value: start });
                    continue 'value;
                }
            }
            b'[' => {
                rest.next();
                out.push(b'[');
                if rest.takes(b']') {
                    out.push(b']');
                } else {
                    around.push(Around::Array);
                    continue 'value;
                }
            }
            b'"' => put(&mut out, b'"', &rest.string()?),
            _ => put(&mut out, b'0', rest.word()?),
        }
        // A value has ended, and with it perhaps what is around it.
        loop {
            match around.last_mut() {
                None => return rest.is_empty().then_some(out),
                Some(Around::Array) => match rest.next()? {
                    b',' => continue 'value,
                    b']' => out.push(b']'),
                    _ => return None,
                },
                Some(Around::Object { start, members, name, value }) => {
                    members.push((std::mem::take(name), *value..out.len()));
                    match rest.next()? {
                        b',' => {
                            (*name, *value) = (rest.name()?, out.len());
                            continue 'value;
                        }
                        b'}' => close(&mut out, *start, std::mem::take(members), sum),
                        _ => return None,
                    }
                }
            }
            around.pop();
        }
    }
}

/// What is around the value that is being read.
enum Around<'j> {
    Array,
    Object {
        /// Where the object begins.
        start: usize,
        /// The names of its members and where their values are.
        members: Vec<Member<'j>>,
        /// The name of the member that is being read, and where its value begins.
        name: Cow<'j, [u8]>,
        value: usize,
    },
}

type Member<'j> = (Cow<'j, [u8]>, Range<usize>);

/// Replaces the values of an object by the digest of its members.
fn close(out: &mut Vec<u8>, start: usize, mut members: Vec<Member<'_>>, sum: &dyn Fn() -> Box<dyn Sum>) {
    // Stable: those of one name stay in their order.
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut sum = sum();
    for (name, value) in members {
        let value = &out[value];
        for part in [&*name, value] {
            sum.write(&(part.len() as u64).to_be_bytes());
            sum.write(part);
        }
    }
    out.truncate(start);
    out.push(b'{');
    out.extend(sum.finish().to_be_bytes());
}

fn put(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend((bytes.len() as u64).to_be_bytes());
    out.extend(bytes);
}

/// What has not been read.
struct Rest<'j>(&'j [u8]);

impl<'j> Rest<'j> {
    /// The next byte that is not white space.
    fn next(&mut self) -> Option<u8> {
        self.skip_space();
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The same, which is not read by that.
    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.0.first().copied()
    }

    /// Whether the next byte is this one, which has been read then.
    fn takes(&mut self, byte: u8) -> bool {
        let takes = self.peek() == Some(byte);
        if takes {
            self.0 = &self.0[1..];
        }
        takes
    }

    /// Whether nothing is left.
    fn is_empty(&mut self) -> bool {
        self.skip_space();
        self.0.is_empty()
    }

    fn skip_space(&mut self) {
        let space = self.0.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.0 = &self.0[space..];
    }

    /// A member's name, with the colon behind it.
    fn name(&mut self) -> Option<Cow<'j, [u8]>> {
        let name = self.string()?;
        self.takes(b':').then_some(name)
    }

    /// The characters of a string.
    fn string(&mut self) -> Option<Cow<'j, [u8]>> {
        if !self.takes(b'"') {
            return None;
        }
        let (mut end, mut is_escaped) = (0, false);
        loop {
            match self.0.get(end)? {
                b'"' => break,
                b'\\' => {
                    is_escaped = true;
                    end += 2;
                }
                _ => end += 1,
            }
        }
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        if !is_escaped {
            return Some(Cow::Borrowed(text));
        }
        let quoted = [b"\"", text, b"\""].concat();
        serde_json::from_slice::<String>(&quoted).ok().map(|text| Cow::Owned(text.into_bytes()))
    }

    /// A number, `true`, `false` or `null`, as it is written.
    fn word(&mut self) -> Option<&'j [u8]> {
        let is_of_one = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let (word, rest) = self.0.split_at(self.0.iter().take_while(|byte| is_of_one(byte)).count());
        let is_number = word.first().is_some_and(|first| first.is_ascii_digit() || *first == b'-');
        self.0 = rest;
        (is_number || matches!(word, b"true" | b"false" | b"null")).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use zato_core::{Channel, Invocation, Payload, ServiceName};

    use super::*;
    use crate::record::Algorithm;

    /// The digest of a call with this document, and whether it is one.
    fn of(json: &str) -> u128 {
        let payload = Payload::json_document(json.to_owned());
        let cid = crate::base::cid::mint(None);
        let service = ServiceName::linked("a.b");
        Algorithm::InProcess.content(&Invocation::root(cid, service, payload, Channel::InvokeAsync))
    }

    #[test]
    fn members_are_the_same_in_every_order_however_deep() {
        for (one, other) in [
            (
                r#"{"a":1,"b":[{"c":2,"d":{"e":3,"f":null}}]}"#,
                r#"{"b":[{"d":{"f":null,"e":3},"c":2}],"a":1}"#,
            ),
            (r#"{"a":1}"#, " {\n\t\"a\" : 1\r} "),
            ("[1, 2]", "[1,2]"),
            (r#"{"\u0061\/":"\u00e9\n"}"#, r#"{"a/":"\u00E9\u000a"}"#),
            (r#"{"\u00e9":1}"#, "{\"\u{e9}\":1}"),
            ("[{},[]]", "[ { } , [ ] ]"),
        ] {
            assert_eq!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn what_a_reader_can_tell_apart_is_not_the_same() {
        let all = [
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"{"a":"1","b":2}"#,
            r#"{"a":1.0,"b":2}"#,
            r#"{"a":1e0,"b":2}"#,
            r#"{"a":1,"b":2,"c":null}"#,
            r#"{"a":1,"b":[2]}"#,
            r#"{"a":1,"b":{}}"#,
            r#"{"a":1,"b":[]}"#,
            r#"{"a":{"b":2}}"#,
            // Readers differ in which of two members of one name they take.
            r#"{"a":1,"a":2}"#,
            r#"{"a":2,"a":1}"#,
            r#"{"a":2}"#,
            // An array has an order, and so has what was a set.
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "[1,[2]]",
            "[12]",
            "1",
            "-0",
            "0",
            "18446744073709551616",
            "18446744073709551617",
            "true",
            "null",
            r#""null""#,
            // These are no documents, and are compared byte for byte.
            "",
            "{",
            "[1,]",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            "1 2",
            "nul",
            r#"["\ud800"]"#,
            r#"["\uD800"]"#,
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[..at] {
                assert_ne!(of(one), of(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn what_is_no_document_is_compared_byte_for_byte() {
        let sum = || -> Box<dyn Sum> { panic!("it has no object") };
        for json in ["", "[", "]", "[1,]", "[1 2]", "1 2", "nul", "\"", "[\"\\", r#"["\ud800"]"#] {
            assert_eq!(canonical(json.as_bytes(), &sum), None, "{json}");
        }
    }

    /// Nothing is done once for each object around something: twice as deep takes about twice as long.
    #[test]
    fn a_deep_document_takes_no_stack_and_time_by_its_size() {
        let deep = |levels: usize| {
            let json = format!("{}1{}", r#"{"b":1,"a":"#.repeat(levels), "}".repeat(levels));
            let began = Instant::now();
            assert_ne!(of(&json), of(&json.replacen("\"b\":1", "\"b\":2", 1)));
            began.elapsed()
        };
        deep(1_000);
        // Copied at each level it would be 400 GB.
        deep(400_000);
        let arrays = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        assert_ne!(of(&arrays), of(&format!("[{arrays}]")));
    }
}
