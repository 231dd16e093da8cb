//! A new row: an invocation that is accepted, or a synchronous call that is recorded when it has ended.

use rusqlite::params;
use zato_core::{Cid, Invocation, Moment};

use super::codec;
use super::codec::State;
use super::end::{End, known};
use super::json;
use super::row_writer::{RowWriter, once};
use crate::engine::state::{ends_at, key_of};
use crate::record::Ended;

/// The columns that are said of every row, and so many values.
macro_rules! plain {
    () => {
        "accept, cid, state, service, channel, caller, parent, root, depth, called_at, line_at, callbacks, on_failure,
        payload_kind, payload, attempts, started_at, rank, failed, losses, max_losses"
    };
}

macro_rules! plain_values {
    () => {
        "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21"
    };
}

const PLAIN: usize = 21;

/// How an invocation is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    /// It waits.
    Waiting,
    /// Its first attempt begins in the same step, at this time.
    Started(Moment),
    /// It waits, behind another that has its concurrency key.
    Behind,
    /// It is a group with members that have not ended.
    Open,
}

/// What is recorded with an invocation of what its call and its service said, so that no other process decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    /// Which waiting invocation of its service goes first: the higher.
    pub(crate) priority: i8,
    /// How many deaths of its process end it as `Lost`; none where this process does not know what its service says.
    pub(crate) max_losses: Option<u32>,
}

/// A priority, where nothing is known of the limit.
impl From<i8> for Limits {
    fn from(priority: i8) -> Self {
        Self { priority, max_losses: None }
    }
}

impl RowWriter<'_> {
    /// Accepts an invocation under its accept number, which is above all others. `hidden_by` is the invocation whose
    /// attempt made it, if that did so inside a synchronous call, which is its parent then.
    ///
    /// # Errors
    ///
    /// A constraint if the number or the CID is held; nothing has changed then.
    pub(crate) fn accepted(
        &mut self,
        number: u64,
        invocation: &Invocation,
        limits: impl Into<Limits>,
        accepted: As,
        hidden_by: Option<Cid>,
    ) -> rusqlite::Result<()> {
        let Limits { priority, max_losses } = limits.into();
        let (state, attempts, started_at) = match accepted {
            As::Waiting | As::Behind => (State::Waiting, 0, None),
            As::Started(at) => (State::Running, 1, Some(at)),
            As::Open => (State::Open, 0, None),
        };
        let is_behind = accepted == As::Behind;
        let stands =
            Stands { state, attempts, started_at, hidden_by, priority, max_losses, is_behind, ended: None };
        self.insert(number, invocation, &stands)?;
        if state == State::Running {
            self.begun.insert(invocation.cid, number);
        }
        Ok(())
    }

    /// Records a synchronous call, or whatever else has ended and is not held yet.
    ///
    /// # Errors
    ///
    /// A constraint if the number or the CID is held; nothing has changed then.
    pub(crate) fn inner(&mut self, number: u64, ended: &Ended) -> rusqlite::Result<()> {
        let state = if ended.is_dead() { State::Dead } else { State::Ended };
        let stands = Stands {
            state,
            attempts: ended.attempts,
            started_at: ended.started_at,
            hidden_by: None,
            priority: 0,
            max_losses: None,
            is_behind: false,
            ended: Some(ended),
        };
        self.insert(number, &ended.invocation, &stands)?;
        self.has_ended(state);
        Ok(())
    }

    fn insert(&mut self, number: u64, invocation: &Invocation, stands: &Stands<'_>) -> rusqlite::Result<()> {
        self.insert_row(number, invocation, stands, is_plain(invocation, stands))
    }

    /// Inserts all columns, or those that a plain row has: a third of the time would go into values that are `NULL`.
    fn insert_row(
        &mut self,
        number: u64,
        invocation: &Invocation,
        stands: &Stands<'_>,
        is_plain: bool,
    ) -> rusqlite::Result<()> {
        let service = self.number(&invocation.service)?;
        let caller = invocation.caller.map(|caller| self.number(&caller)).transpose()?;
        let slot = invocation.slot;
        let options = invocation.options.as_deref().map(json::options).transpose()?;
        let ended = stands.ended;
        let before = ended.and_then(|ended| ended.before.as_deref());
        let end = End::of(ended.map(|ended| &ended.outcome))?;
        let params = params![
            number,
            codec::cid(invocation.cid),
            stands.state.number(),
            service,
            known(codec::channel(invocation.channel))?,
            caller,
            invocation.parent.map(codec::cid),
            codec::cid(invocation.root),
            invocation.depth,
            codec::time(invocation.called_at),
            codec::time(invocation.due.unwrap_or(invocation.called_at)),
            json::names(&invocation.callbacks)?,
            json::names(&invocation.on_failure)?,
            codec::kind(&invocation.payload),
            invocation.payload.as_bytes(),
            stands.attempts,
            stands.started_at.map(codec::time),
            -i64::from(stands.priority),
            before.map_or(0, |before| before.failed),
            before.map_or(0, |before| before.losses),
            stands.max_losses,
            invocation.due.map(codec::time),
            invocation.deadline.map(codec::time),
            slot.map(|slot| codec::cid(slot.group)),
            slot.map(|slot| slot.index),
            options,
            json::headers(&invocation.labels)?,
            stands.hidden_by.map(codec::cid),
            before.map(|before| before.attempts),
            before.and_then(|before| before.next_at).map(codec::time),
            before.map(|before| json::tried(&before.tried)).transpose()?.flatten(),
            ended.map(|ended| codec::time(ended.ended_at)),
            end.outcome,
            end.permanent,
            end.error,
            end.code,
            end.response_kind,
            end.response,
            key_of(invocation),
            stands.is_behind.then_some(1),
            ends_at(invocation, false).map(codec::time),
        ];
        let (sql, params) = if is_plain {
            (
                concat!("INSERT INTO invocation (cancel, ", plain!(), ") VALUES (0, ", plain_values!(), ")"),
                &params[..PLAIN],
            )
        } else {
            let sql = concat!(
                "INSERT INTO invocation (cancel, ",
                plain!(),
                ", due, deadline, slot_group, slot_index, options, headers, hidden_by, behind, next_at, tried, ended_at,
                outcome, permanent, error, code, response_kind, response, lane, in_lane, ends_at) VALUES (0, ",
                plain_values!(),
                ", ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41)"
            );
            (sql, params)
        };
        if is_plain {
            once(&mut self.inserts, self.connection, sql)?.execute(params)?;
        } else {
            self.connection.prepare_cached(sql)?.execute(params)?;
        }
        Ok(())
    }
}

/// Whether a row says nothing beyond the columns that are said of every row.
fn is_plain(invocation: &Invocation, stands: &Stands<'_>) -> bool {
    let Invocation { due, deadline, slot, options, labels, .. } = invocation;
    let is_called_plainly =
        due.is_none() && deadline.is_none() && slot.is_none() && options.is_none() && labels.is_empty();
    is_called_plainly && stands.hidden_by.is_none() && !stands.is_behind && stands.ended.is_none()
}

/// Where a new row stands.
struct Stands<'a> {
    state: State,
    attempts: u32,
    started_at: Option<Moment>,
    hidden_by: Option<Cid>,
    priority: i8,
    max_losses: Option<u32>,
    /// Whether another has its concurrency key.
    is_behind: bool,
    ended: Option<&'a Ended>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::sqlite::read::queries;
    use crate::engine::sqlite::rows::columns::{Stands as Where, Stored};
    use crate::engine::sqlite::test_data::{
        Store, any_cid, any_ended, any_invocation, any_progress, any_time, at, child, completed, ended,
        hold_for, invocation, nth, whole, whole_end,
    };

    fn live(
        rows: &crate::engine::sqlite::rows::write_connection::WriteConnection,
        cid: Cid,
    ) -> crate::engine::sqlite::rows::columns::LiveRow {
        match queries::find(rows.connection(), cid).expect("the row can be read") {
            Some(Stored::Live(row)) => row,
            other => panic!("{cid} has not ended: {other:?}"),
        }
    }

    /// Every field of what is written is read again as it was.
    #[test]
    fn what_is_accepted_is_read_again() {
        let all = (any_invocation(), prop::option::of(any_cid()), any_time(), any_progress());
        hold_for((all, any_ended()), |rows, number, ((invocation, hidden_by, at, progress), mut end)| {
            let cid = invocation.cid;
            rows.changing().accepted(number, &invocation, 0, As::Waiting, hidden_by).expect("it is accepted");
            let row = live(rows, cid);
            prop_assert_eq!(whole(&row.invocation), whole(&invocation));
            prop_assert_eq!((row.number, row.stands, row.attempts), (number, Where::Waiting, 0));
            prop_assert_eq!((row.hidden_by, row.progress.is_none()), (hidden_by, true));

            prop_assert!(rows.changing().started(cid, 1, at.into()).expect("it starts"));
            let row = live(rows, cid);
            prop_assert_eq!((row.stands, row.attempts), (Where::Running(at.into()), 1));

            prop_assert!(rows.changing().again(cid, &progress).expect("it waits again"));
            let row = live(rows, cid);
            prop_assert_eq!((row.stands, row.attempts), (Where::Waiting, progress.attempts));
            prop_assert_eq!(format!("{:?}", row.progress), format!("Some({progress:?})"));

            // What ends after it was tried again says what became of it before.
            end.before.get_or_insert_with(|| std::sync::Arc::new(progress));
            end.invocation = std::sync::Arc::new(invocation);
            prop_assert!(rows.changing().ended(&end).expect("it ends"));
            prop_assert!(!rows.changing().ended(&end).expect("nothing is wrong with it"), "it ends once");
            let row = queries::ended(rows.connection(), cid).expect("it can be read").expect("it is held");
            prop_assert_eq!(whole_end(&row.ended), whole_end(&end));
            prop_assert_eq!((row.number, row.again), (number, None));
            Ok(())
        });
    }

    /// Everything that stands in a row, but for what tells it from others.
    fn row(store: &Store, number: u64) -> Vec<rusqlite::types::Value> {
        let sql = "SELECT * FROM invocation WHERE accept = ?1";
        let read = |row: &rusqlite::Row<'_>| (0..row.as_ref().column_count()).map(|at| row.get(at)).collect();
        let mut row: Vec<_> = store.rows.connection().query_row(sql, [number], read).expect("it is there");
        row.retain(|value| !matches!(value, rusqlite::types::Value::Blob(blob) if blob.len() == 16));
        row.retain(|value| *value != rusqlite::types::Value::Integer(number.try_into().expect("small")));
        row
    }

    #[test]
    fn a_plain_row_is_what_it_would_be_if_all_were_said() {
        let mut store = Store::new();
        for (number, stands) in (50..).step_by(2).zip([State::Waiting, State::Running]) {
            let (attempts, started_at) = (u32::from(stands == State::Running), Some(at(7)));
            let stands = Stands {
                state: stands,
                attempts,
                started_at: started_at.filter(|_| attempts > 0).map(Into::into),
                hidden_by: None,
                priority: 3,
                max_losses: Some(4),
                is_behind: false,
                ended: None,
            };
            let root = invocation(nth(1));
            let [plain, mut all] = [number, number + 1].map(|number| child(&root, nth(number)));
            all.called_at = plain.called_at;
            assert!(is_plain(&plain, &stands));
            store.rows.changing().insert_row(number, &plain, &stands, true).expect("it is inserted");
            store.rows.changing().insert_row(number + 1, &all, &stands, false).expect("it is inserted");
            assert_eq!(row(&store, number), row(&store, number + 1));
            assert!(row(&store, number).len() > 20);
        }
    }

    /// A synchronous call is recorded in one statement.
    #[test]
    fn what_ended_inside_an_attempt_is_read_again() {
        hold_for(any_ended(), |rows, number, end| {
            rows.changing().inner(number, &end).expect("it is recorded");
            let cid = end.invocation.cid;
            let row = queries::ended(rows.connection(), cid).expect("it can be read").expect("it is held");
            prop_assert_eq!(whole_end(&row.ended), whole_end(&end));
            prop_assert_eq!((row.number, row.again), (number, None));
            Ok(())
        });
    }

    #[test]
    fn a_cid_is_accepted_once() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        rows.changing().accepted(1, &invocation(nth(1)), 0, As::Waiting, None).expect("the first");
        let second = rows
            .changing()
            .accepted(2, &invocation(nth(1)), 0, As::Waiting, None)
            .expect_err("the same again");
        assert_eq!(second.sqlite_error_code(), Some(rusqlite::ErrorCode::ConstraintViolation));
        rows.changing()
            .accepted(1, &invocation(nth(2)), 0, As::Waiting, None)
            .expect_err("the same number again");
    }

    /// What can start at once is accepted as started: one statement less.
    #[test]
    fn a_round_is_three_statements() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        let first = invocation(nth(1));
        rows.changing().accepted(1, &first, 0, As::Started(at(1).into()), None).expect("it is accepted");
        let row = live(rows, first.cid);
        assert_eq!((row.stands, row.attempts), (Where::Running(at(1).into()), 1));
        let callback = child(&first, nth(2));
        assert!(rows.changing().ended(&ended(first, completed(), at(2))).expect("it ends"));
        rows.changing()
            .accepted(2, &callback, 0, As::Started(at(2).into()), None)
            .expect("its callback is accepted");
        assert!(rows.changing().ended(&ended(callback, completed(), at(3))).expect("it ends"));
    }
}
