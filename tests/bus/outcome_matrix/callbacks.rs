//! Which callbacks a call of the table asks for, and which it is to have.

use zato_core::target::AnyResponse;
use zato_core::{Chain, InvokeAsync};

/// Which callbacks a call asks for, and who makes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Callbacks {
    pub(super) name: &'static str,
    /// Who makes the call; it comes from outside where nobody does.
    pub(super) caller: Option<&'static str>,
    callback: &'static [&'static str],
    on_failure: &'static [&'static str],
    no_callback: bool,
    /// Who is to receive the response.
    pub(super) replies: &'static [&'static str],
    /// Who is to be told of anything else.
    pub(super) reports: &'static [&'static str],
}

const ALONE: Option<&str> = Some("table.alone");
const PAIRED: Option<&str> = Some("table.paired");

/// Nothing is asked for, and nothing expected.
const NOTHING: Callbacks = Callbacks {
    name: "nothing, from outside",
    caller: None,
    callback: &[],
    on_failure: &[],
    no_callback: false,
    replies: &[],
    reports: &[],
};

pub(super) const ALL: [Callbacks; 12] = [
    NOTHING,
    Callbacks { name: "nothing, by a caller without a convention", caller: ALONE, ..NOTHING },
    Callbacks { name: "a callback alone", callback: &["table.reply"], replies: &["table.reply"], ..NOTHING },
    Callbacks {
        name: "a failure callback alone",
        caller: ALONE,
        on_failure: &["table.report"],
        reports: &["table.report"],
        ..NOTHING
    },
    Callbacks {
        name: "both",
        callback: &["table.reply"],
        on_failure: &["table.report"],
        replies: &["table.reply"],
        reports: &["table.report"],
        ..NOTHING
    },
    Callbacks {
        name: "several of each, one of them twice",
        caller: ALONE,
        callback: &["table.reply", "table.other-reply", "table.reply"],
        on_failure: &["table.other-report", "table.report", "table.report"],
        replies: &["table.other-reply", "table.reply", "table.reply"],
        reports: &["table.other-report", "table.report", "table.report"],
        ..NOTHING
    },
    Callbacks {
        name: "by convention",
        caller: PAIRED,
        replies: &["table.paired-async-callback"],
        reports: &["table.paired-async-failure"],
        ..NOTHING
    },
    Callbacks { name: "none beside a convention", caller: PAIRED, no_callback: true, ..NOTHING },
    Callbacks {
        name: "a callback beside a convention",
        caller: PAIRED,
        callback: &["table.reply"],
        replies: &["table.reply"],
        reports: &["table.paired-async-failure"],
        ..NOTHING
    },
    Callbacks {
        name: "a failure callback beside a convention",
        caller: PAIRED,
        on_failure: &["table.report"],
        replies: &["table.paired-async-callback"],
        reports: &["table.report"],
        ..NOTHING
    },
    Callbacks {
        name: "a callback, and none by convention",
        caller: PAIRED,
        callback: &["table.reply"],
        no_callback: true,
        replies: &["table.reply"],
        ..NOTHING
    },
    Callbacks {
        name: "a failure callback, and none by convention",
        caller: PAIRED,
        on_failure: &["table.report"],
        no_callback: true,
        reports: &["table.report"],
        ..NOTHING
    },
];

impl Callbacks {
    pub(super) fn of_call<'a>(&self, mut call: InvokeAsync<'a, AnyResponse>) -> InvokeAsync<'a, AnyResponse> {
        for name in self.callback {
            call = call.callback(*name);
        }
        if self.no_callback {
            call = call.no_callback();
        }
        for name in self.on_failure {
            call = call.on_failure(*name);
        }
        call
    }

    pub(super) fn of_chain<'a>(&self, mut chain: Chain<'a, AnyResponse>) -> Chain<'a, AnyResponse> {
        for name in self.callback {
            chain = chain.callback(*name);
        }
        if self.no_callback {
            chain = chain.no_callback();
        }
        for name in self.on_failure {
            chain = chain.on_failure(*name);
        }
        chain
    }
}
