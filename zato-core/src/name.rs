//! Service names: what one looks like, and how one is derived from a module path and an identifier.
//!
//! Everything here runs at compile time. Names that are written out are checked by the attribute; what this
//! file checks is what the attribute cannot know: the module path, and the name of the paired service.

/// The longest name, in bytes.
pub const MAX_NAME: usize = 128;

/// A service's name, computed at compile time.
#[derive(Clone, Copy)]
pub struct Named {
    bytes: [u8; MAX_NAME],
    len: usize,
    /// The first fault of the name. [`check`](Self::check) reports it at the service.
    pub(crate) fault: Option<Fault>,
}

/// The fault of a derived name.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// The module or the identifier has characters that are not ASCII.
    NotAscii,
    /// It is longer than [`MAX_NAME`].
    TooLong,
    /// The crate has the prefix of the built-in services as its name.
    Reserved,
    /// A callback in a function's body, where its caller cannot be looked up.
    InFunction,
    /// A callback, and nothing in scope has its caller's identifier.
    NoCaller,
    /// A callback, and the item with its caller's identifier is not a service.
    NoService,
}

/// The place in the source where a service is defined.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    ident: &'static str,
    module: &'static str,
    file: &'static str,
    line: u32,
}

impl Origin {
    #[doc(hidden)]
    pub const fn new(ident: &'static str, module: &'static str, file: &'static str, line: u32) -> Self {
        Self { ident, module, file, line }
    }

    /// The struct's or function's identifier.
    pub const fn ident(&self) -> &'static str {
        self.ident
    }

    /// The module path, as `module_path!()` gives it.
    pub const fn module(&self) -> &'static str {
        self.module
    }

    /// The source file, as `file!()` gives it.
    pub const fn file(&self) -> &'static str {
        self.file
    }

    /// The line in that file.
    pub const fn line(&self) -> u32 {
        self.line
    }
}

impl Named {
    /// A name that was written out; the attribute has checked it.
    #[doc(hidden)]
    pub const fn explicit(name: &'static str) -> Self {
        Self::EMPTY.text(name.as_bytes())
    }

    /// A name and what is added to it.
    pub(crate) const fn joined(name: &'static str, suffix: &'static str) -> Self {
        Self::EMPTY.text(name.as_bytes()).text(suffix.as_bytes())
    }

    /// Derives a name: `::` becomes `.`, `_` in module segments becomes `-`, and a `-` is put before every capital that follows
    /// a lower-case letter, or that is not the first character and comes before a lower-case letter.
    ///
    /// In module `my_module`, `MyService` is `my-module.my-service`, `XMLToJSON` is `my-module.xml-to-json` and
    /// a function `get_user` is `my-module.get-user`.
    #[doc(hidden)]
    pub const fn derived(origin: &Origin, is_function: bool) -> Self {
        let mut name = Self::EMPTY;
        let module = origin.module.as_bytes();
        let mut at = 0;
        while at < module.len() {
            name = match module[at] {
                b':' => {
                    at += 1;
                    name.byte(b'.')
                }
                b'r' if at + 1 < module.len() && module[at + 1] == b'#' => {
                    at += 1;
                    name
                }
                b'_' => name.byte(b'-'),
                other => name.byte(other.to_ascii_lowercase()),
            };
            at += 1;
        }
        name = name.byte(b'.');
        let ident = origin.ident.as_bytes();
        let mut at = 0;
        while at < ident.len() {
            let byte = ident[at];
            let after_lower = at > 0 && ident[at - 1].is_ascii_lowercase();
            let before_lower = at > 0 && at + 1 < ident.len() && ident[at + 1].is_ascii_lowercase();
            if byte.is_ascii_uppercase() && (after_lower || before_lower) {
                name = name.byte(b'-');
            }
            name = name.byte(if is_function && byte == b'_' { b'-' } else { byte.to_ascii_lowercase() });
            at += 1;
        }
        if let (None, [b'z', b'a', b't', b'o', b'.', ..]) = (name.fault, name.bytes) {
            name.fault = Some(Fault::Reserved);
        }
        name
    }

    /// Checks a derived name; the attribute checks an explicit one.
    ///
    /// # Panics
    ///
    /// At compile time, if the derived name is not valid.
    #[doc(hidden)]
    #[track_caller]
    pub const fn check(self) {
        match self.fault {
            Some(Fault::NotAscii) => panic!(
                "no name can be derived from a module or an identifier that is not ASCII: name this service with \
                 #[service(name = \"...\")]"
            ),
            Some(Fault::TooLong) => panic!(
                "the name of this service is longer than 128 bytes: give it a shorter one with \
                 #[service(name = \"...\")]"
            ),
            Some(Fault::Reserved) => panic!(
                "the name derived for this service starts with `zato.`, which is reserved for built-in services: \
                 give it another with #[service(name = \"...\")]"
            ),
            Some(Fault::InFunction | Fault::NoCaller | Fault::NoService) | None => {}
        }
    }

    /// The name as text.
    pub const fn as_str(&'static self) -> &'static str {
        let (text, _) = self.bytes.split_at(self.len);
        match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => "",
        }
    }

    const EMPTY: Self = Self { bytes: [0; MAX_NAME], len: 0, fault: None };

    const fn text(mut self, text: &[u8]) -> Self {
        let mut at = 0;
        while at < text.len() {
            self = self.byte(text[at]);
            at += 1;
        }
        self
    }

    const fn byte(mut self, byte: u8) -> Self {
        let fault = match byte {
            _ if self.len == MAX_NAME => Fault::TooLong,
            0..=0x7f => {
                self.bytes[self.len] = byte;
                self.len += 1;
                return self;
            }
            _ => Fault::NotAscii,
        };
        if self.fault.is_none() {
            self.fault = Some(fault);
        }
        self
    }
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes[..self.len]))
    }
}

/// `Vec<Order>` for `alloc::vec::Vec<shop::orders::Order>`: a type as its user writes it.
pub(crate) fn short_type_name(full: &str) -> String {
    let mut short = String::new();
    let mut word = String::new();
    for char in full.chars() {
        match char {
            ':' => word.clear(),
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            c => {
                short.push_str(&word);
                word.clear();
                short.push(c);
            }
        }
    }
    short + &word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(module: &'static str, ident: &'static str, is_function: bool) -> String {
        let named = Named::derived(&Origin::new(ident, module, file!(), line!()), is_function);
        named.check();
        format!("{named:?}")
    }

    #[test]
    fn identifiers_are_split_as_the_pattern_says() {
        for (ident, name) in [
            ("MyService", "my-service"),
            ("HTTPServer", "http-server"),
            ("XMLToJSON", "xml-to-json"),
            ("Get2Items", "get2-items"),
            ("A", "a"),
            ("AB", "ab"),
            ("Ab", "ab"),
            ("aB", "a-b"),
            ("ABc", "a-bc"),
            ("Snake_Case", "snake_-case"),
            ("V2Ping", "v2-ping"),
        ] {
            assert_eq!(derived("my_module", ident, false), format!("my-module.{name}"));
        }
        assert_eq!(derived("my_module", "get_user", true), "my-module.get-user");
    }

    #[test]
    fn types_are_shown_as_they_are_written() {
        assert_eq!(short_type_name("alloc::vec::Vec<shop::orders::Order>"), "Vec<Order>");
        assert_eq!(
            short_type_name("(u8, core::option::Option<alloc::string::String>)"),
            "(u8, Option<String>)"
        );
        assert_eq!(short_type_name("()"), "()");
    }

    #[test]
    fn module_paths_become_words() {
        assert_eq!(derived("app::billing_v2::r#type", "X", false), "app.billing-v2.type.x");
    }

    #[test]
    #[should_panic(expected = "longer than 128 bytes")]
    fn a_long_name_is_refused() {
        derived(
            "m",
            "AVeryLongIdentifierThatGoesOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOn",
            false,
        );
    }

    #[test]
    #[should_panic(expected = "reserved for built-in")]
    fn the_reserved_prefix_is_refused() {
        derived("zato", "Ping", false);
    }
}
