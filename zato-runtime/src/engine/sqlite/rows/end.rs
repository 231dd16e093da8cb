//! Writes the end of an invocation to its row.

use rusqlite::{ToSql, params};
use zato_core::Outcome;

use super::codec;
use super::codec::State;
use super::json;
use super::row_writer::{RowWriter, once};
use crate::record::Ended;

/// What is said of everything that ends, with so many values.
macro_rules! completed {
    () => {
        "state = ?2, attempts = ?3, started_at = ?4, ended_at = ?5, outcome = ?6, response_kind = ?7, response = ?8"
    };
}

const COMPLETED: usize = 8;

impl RowWriter<'_> {
    /// What was held has ended; what became of its attempts before the last stands in `ended`, as it was recorded. Answers
    /// whether it was held and had not ended before: an invocation ends once.
    pub(crate) fn ended(&mut self, ended: &Ended) -> rusqlite::Result<bool> {
        let state = if ended.is_dead() { State::Dead } else { State::Ended };
        let end = End::of(Some(&ended.outcome))?;
        let before = ended.before.as_deref();
        // Most have nothing else to say than when they were accepted, and were started then.
        let number = self.begun.remove(&ended.invocation.cid);
        let number = number.filter(|_| before.is_none() && ended.outcome.is_completed());
        let cid = codec::cid(ended.invocation.cid);
        let row: &dyn ToSql = if let Some(number) = &number { number } else { &cid };
        let params = params![
            row,
            state.number(),
            ended.attempts,
            ended.started_at.map(codec::time),
            codec::time(ended.ended_at),
            end.outcome,
            end.response_kind,
            end.response,
            end.permanent,
            end.error,
            end.code,
            before.map(|before| before.attempts),
            before.map_or(0, |before| before.failed),
            before.and_then(|before| before.next_at).map(codec::time),
            before.map(|before| json::tried(&before.tried)).transpose()?.flatten(),
            before.map_or(0, |before| before.losses),
        ];
        let changed = if number.is_some() {
            let sql = concat!("UPDATE invocation SET ", completed!(), " WHERE accept = ?1 AND state < 3");
            once(&mut self.ends, self.connection, sql)?.execute(&params[..COMPLETED])? > 0
        } else {
            let sql = concat!(
                "UPDATE invocation SET ",
                completed!(),
                ", permanent = ?9, error = ?10, code = ?11, behind = ?12, failed = ?13, next_at = ?14, tried = ?15,
                losses = ?16
                WHERE cid = ?1 AND state < 3"
            );
            self.change(sql, params)?
        };
        if changed {
            self.has_ended(state);
        }
        Ok(changed)
    }
}

/// The columns that say how an invocation ended.
#[derive(Debug, Default)]
pub(in crate::engine::sqlite) struct End<'a> {
    pub(in crate::engine::sqlite) outcome: Option<i64>,
    pub(in crate::engine::sqlite) permanent: Option<bool>,
    pub(in crate::engine::sqlite) error: Option<&'a str>,
    pub(in crate::engine::sqlite) code: Option<&'a str>,
    pub(in crate::engine::sqlite) response_kind: Option<i64>,
    pub(in crate::engine::sqlite) response: Option<&'a [u8]>,
}

impl<'a> End<'a> {
    /// Those of an outcome; all are `NULL` while there is none.
    pub(in crate::engine::sqlite) fn of(outcome: Option<&'a Outcome>) -> rusqlite::Result<Self> {
        let Some(outcome) = outcome else { return Ok(Self::default()) };
        let (ending, response) = (outcome.ending(), outcome.payload());
        Ok(Self {
            outcome: Some(known(codec::outcome(outcome))?),
            permanent: ending.map(|ending| ending.permanent),
            error: ending.map(|ending| &*ending.error),
            code: ending.and_then(zato_core::Ending::code),
            response_kind: response.map(codec::kind),
            response: response.map(zato_core::Payload::as_bytes),
        })
    }
}

/// A word that this version of the format has a number for.
pub(in crate::engine::sqlite) fn known<T: ToSql>(number: Option<T>) -> rusqlite::Result<T> {
    number
        .ok_or_else(|| rusqlite::Error::ToSqlConversionFailure("a word that the format does not know".into()))
}
