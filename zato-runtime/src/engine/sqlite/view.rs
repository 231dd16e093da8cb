//! The view `readable`: the invocations in words, for whoever opens the file with `sqlite3`.

/// A CID in its hyphenated text form; `NULL` stays `NULL`.
macro_rules! cid {
    ($column:literal) => {
        concat!(
            "lower(substr(hex(",
            $column,
            "), 1, 8) || '-' || substr(hex(",
            $column,
            "), 9, 4) || '-' || ",
            "substr(hex(",
            $column,
            "), 13, 4) || '-' || substr(hex(",
            $column,
            "), 17, 4) || '-' || ",
            "nullif(substr(hex(",
            $column,
            "), 21), ''))"
        )
    };
}

/// A time by RFC 3339, in UTC and to the nanosecond; `NULL` stays `NULL`.
macro_rules! time {
    ($column:literal) => {
        concat!(
            "strftime('%Y-%m-%dT%H:%M:%S', ",
            $column,
            " / 1000000000, 'unixepoch') || ",
            "printf('.%09dZ', ",
            $column,
            " % 1000000000)"
        )
    };
}

/// A payload as text; raw bytes in hexadecimal.
macro_rules! payload {
    ($kind:literal, $bytes:literal) => {
        concat!("CASE WHEN ", $kind, " = 3 THEN hex(", $bytes, ") ELSE CAST(", $bytes, " AS TEXT) END")
    };
}

/// The word for a number.
macro_rules! word {
    ($column:literal, $($number:literal $word:literal),+) => {
        concat!("CASE ", $column, $(" WHEN ", $number, " THEN '", $word, "'",)+ " END")
    };
}

/// Makes the view, or makes it anew.
pub(super) const READABLE: &str = concat!(
    "DROP VIEW IF EXISTS readable;\n",
    "CREATE VIEW readable AS SELECT\n",
    "    i.accept AS accept,\n",
    "    ",
    cid!("i.cid"),
    " AS cid,\n",
    "    (SELECT name FROM service WHERE id = i.service) AS service,\n",
    "    ",
    word!("i.state", 0 "waiting", 1 "running", 2 "open", 3 "ended", 4 "dead"),
    " AS state,\n",
    "    ",
    word!("i.outcome", 0 "Completed", 1 "Failed", 2 "TimedOut", 3 "Expired", 4 "Cancelled",
        5 "Undecodable", 6 "Lost"),
    " AS outcome,\n",
    "    i.error AS error,\n",
    "    i.permanent AS permanent,\n",
    "    i.attempts AS attempts,\n",
    "    i.failed AS failed,\n",
    "    i.losses AS losses,\n",
    "    ",
    word!("i.channel", 0 "invoke", 1 "invoke-async", 2 "invoke-async-callback", 3 "parallel", 4 "fan-out",
        5 "chain", 6 "chain-step"),
    " AS channel,\n",
    "    (SELECT name FROM service WHERE id = i.caller) AS caller,\n",
    "    ",
    cid!("i.parent"),
    " AS parent,\n",
    "    ",
    cid!("i.root"),
    " AS root,\n",
    "    i.depth AS depth,\n",
    "    ",
    time!("i.called_at"),
    " AS called_at,\n",
    "    ",
    time!("i.due"),
    " AS due,\n",
    "    ",
    time!("i.deadline"),
    " AS deadline,\n",
    "    ",
    time!("i.next_at"),
    " AS next_at,\n",
    "    ",
    time!("i.started_at"),
    " AS started_at,\n",
    "    ",
    time!("i.ended_at"),
    " AS ended_at,\n",
    "    ",
    word!("i.cancel", 1 "alone", 2 "with tree"),
    " AS cancel,\n",
    "    ",
    cid!("i.slot_group"),
    " AS slot_group,\n",
    "    i.slot_index AS slot_index,\n",
    "    ",
    cid!("i.hidden_by"),
    " AS hidden_by,\n",
    "    ",
    cid!("i.again"),
    " AS again,\n",
    "    i.callbacks AS callbacks,\n",
    "    i.on_failure AS on_failure,\n",
    "    i.options AS options,\n",
    "    i.tried AS tried,\n",
    "    ",
    word!("i.payload_kind", 0 "empty", 1 "text", 2 "json", 3 "bytes"),
    " AS payload_kind,\n",
    "    ",
    payload!("i.payload_kind", "i.payload"),
    " AS payload,\n",
    "    ",
    word!("i.response_kind", 0 "empty", 1 "text", 2 "json", 3 "bytes"),
    " AS response_kind,\n",
    "    ",
    payload!("i.response_kind", "i.response"),
    " AS response\n",
    "FROM invocation AS i;\n",
);
