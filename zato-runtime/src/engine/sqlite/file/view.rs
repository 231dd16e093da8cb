//! The view `readable`: invocations in words, for a person who opens the file with `sqlite3`.

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
pub(in crate::engine::sqlite) const READABLE: &str = concat!(
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
    "    i.code AS code,\n",
    "    i.permanent AS permanent,\n",
    "    i.attempts AS attempts,\n",
    "    i.failed AS failed,\n",
    "    i.losses AS losses,\n",
    "    i.max_losses AS max_losses,\n",
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
    "    i.headers AS headers,\n",
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

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;

    use crate::engine::sqlite::rows::insert::As;
    use crate::engine::sqlite::test_data::{Store, at, child, completed, ended, failed, invocation, nth};

    /// One column of the n-th invocation, as text.
    fn shown(store: &Store, n: u64, column: &str) -> String {
        let sql = format!("SELECT {column} FROM readable WHERE accept = ?1");
        let value = store.rows.connection().query_row(&sql, [n], |row| row.get(0)).expect("a row");
        match value {
            Value::Null => "NULL".to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text,
            other => panic!("{column} is {other:?}"),
        }
    }

    #[test]
    fn rows_are_shown_in_words() {
        let mut store = Store::new();
        let first = invocation(nth(1));
        store
            .rows
            .changing()
            .accepted(1, &first, 0, As::Started(at(1).into()), None)
            .expect("it is accepted");
        let second = child(&first, nth(2));
        store.rows.changing().accepted(2, &second, 0, As::Waiting, None).expect("it is accepted");
        assert!(store.rows.changing().cancel(nth(2), true).expect("it is noted"));
        let shown_of = |store: &Store, n, columns: &[&str]| -> Vec<String> {
            columns.iter().map(|column| shown(store, n, column)).collect()
        };
        let columns =
            ["cid", "service", "state", "channel", "caller", "parent", "root", "payload_kind", "payload"];
        let (one, two) = (nth(1).to_string(), nth(2).to_string());
        let outside =
            [&one, "orders.price", "running", "invoke-async", "NULL", "NULL", &one, "text", "a request"];
        assert_eq!(shown_of(&store, 1, &columns), outside);
        let made =
            [&two, "orders.charge", "waiting", "invoke-async", "orders.price", &one, &one, "empty", ""];
        assert_eq!(shown_of(&store, 2, &columns), made);
        assert_eq!(shown(&store, 1, "started_at"), "2023-11-14T22:13:21.000000000Z");
        assert_eq!(shown_of(&store, 1, &["due", "outcome", "response", "again"]), ["NULL"; 4]);
        assert_eq!(shown(&store, 2, "cancel"), "with tree");

        assert!(store.rows.changing().ended(&ended(first, completed(), at(2))).expect("it ends"));
        assert!(store.rows.changing().ended(&ended(second, failed(), at(2))).expect("it ends"));
        let columns = ["state", "outcome", "response", "error", "permanent"];
        assert_eq!(shown_of(&store, 1, &columns), ["ended", "Completed", "a response", "NULL", "NULL"]);
        assert_eq!(shown_of(&store, 2, &columns), ["dead", "Failed", "NULL", "no such order", "1"]);
    }

    /// The words of the view are those that the program uses.
    #[test]
    fn every_outcome_and_channel_has_its_word() {
        use zato_core::{Channel, Ending, Outcome};

        let ending = || Ending::new("", false);
        let outcomes = [
            completed(),
            Outcome::Failed(ending()),
            Outcome::TimedOut(ending()),
            Outcome::Expired(ending()),
            Outcome::Cancelled(ending()),
            Outcome::Undecodable(ending()),
            Outcome::Lost(ending()),
        ];
        let channels = [
            Channel::Invoke,
            Channel::InvokeAsync,
            Channel::InvokeAsyncCallback,
            Channel::Parallel,
            Channel::FanOut,
            Channel::Chain,
            Channel::ChainStep,
        ];
        let mut store = Store::new();
        for (number, (outcome, channel)) in (1..).zip(outcomes.into_iter().zip(channels)) {
            let mut invocation = invocation(nth(number));
            invocation.channel = channel;
            let name = outcome.name();
            store.rows.changing().inner(number, &ended(invocation, outcome, at(1))).expect("it is recorded");
            assert_eq!(shown(&store, number, "outcome"), name);
            assert_eq!(shown(&store, number, "channel"), channel.as_str());
        }
    }
}
