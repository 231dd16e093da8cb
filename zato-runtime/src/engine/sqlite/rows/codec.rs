//! Converts values to columns and back.

use std::time::SystemTime;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use uuid::Uuid;
use zato_core::{Channel, Cid, Ending, Kind, Moment, Outcome, Payload};

/// What stands in the column `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::sqlite) enum State {
    Waiting,
    Running,
    /// A group with members that have not ended.
    Open,
    Ended,
    /// Ended, and a dead letter.
    Dead,
}

impl State {
    pub(in crate::engine::sqlite) fn number(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Running => 1,
            Self::Open => 2,
            Self::Ended => 3,
            Self::Dead => 4,
        }
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Waiting),
            1 => Ok(Self::Running),
            2 => Ok(Self::Open),
            3 => Ok(Self::Ended),
            4 => Ok(Self::Dead),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// Whether what runs is to stop, as the column `cancel` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CancelNote {
    /// It is not.
    #[default]
    No,
    /// It is.
    Alone,
    /// And so is what it invokes.
    WithTree,
}

impl CancelNote {
    pub(in crate::engine::sqlite) fn number(self) -> i64 {
        match self {
            Self::No => 0,
            Self::Alone => 1,
            Self::WithTree => 2,
        }
    }
}

impl FromSql for CancelNote {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::No),
            1 => Ok(Self::Alone),
            2 => Ok(Self::WithTree),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// A CID's 16 bytes, the most significant first: their order is that of CIDs.
pub(in crate::engine::sqlite) fn cid(cid: Cid) -> [u8; 16] {
    cid.as_uuid().into_bytes()
}

/// A CID as it is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::sqlite) struct ReadCid(pub(in crate::engine::sqlite) Cid);

impl FromSql for ReadCid {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = <[u8; 16]>::column_result(value)?;
        Cid::try_from(Uuid::from_bytes(bytes)).map(Self).map_err(FromSqlError::other)
    }
}

/// 16 bytes, the most significant first.
pub(in crate::engine::sqlite) fn digest(digest: u128) -> [u8; 16] {
    digest.to_be_bytes()
}

/// A digest as it is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::sqlite) struct ReadDigest(pub(in crate::engine::sqlite) u128);

impl FromSql for ReadDigest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 16]>::column_result(value).map(u128::from_be_bytes).map(Self)
    }
}

/// Nanoseconds since 1970, to 2262; what is later is the last of them, and what is earlier the first.
pub(in crate::engine::sqlite) fn time(time: impl Into<Moment>) -> i64 {
    i64::try_from(time.into().nanos()).unwrap_or(i64::MAX)
}

/// A time as it is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::sqlite) struct ReadTime(pub(in crate::engine::sqlite) SystemTime);

impl FromSql for ReadTime {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let nanos = value.as_i64()?;
        let since = u64::try_from(nanos).map_err(|_| FromSqlError::OutOfRange(nanos))?;
        Ok(Self(SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(since)))
    }
}

/// What stands in `payload_kind` and `response_kind`.
pub(in crate::engine::sqlite) fn kind(payload: &Payload) -> i64 {
    match payload.kind() {
        Kind::Empty => 0,
        Kind::Text => 1,
        Kind::Json => 2,
        Kind::Bytes => 3,
    }
}

/// A [`Kind`] as it is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::sqlite) struct ReadKind(Kind);

impl FromSql for ReadKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self(Kind::Empty)),
            1 => Ok(Self(Kind::Text)),
            2 => Ok(Self(Kind::Json)),
            3 => Ok(Self(Kind::Bytes)),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// The payload of this kind with these bytes; `None` where no payload is like that.
pub(in crate::engine::sqlite) fn payload(kind: ReadKind, bytes: Vec<u8>) -> Option<Payload> {
    Payload::from_parts(kind.0, bytes)
}

/// What the numbers in `channel` stand for.
const CHANNELS: [Channel; 7] = [
    Channel::Invoke,
    Channel::InvokeAsync,
    Channel::InvokeAsyncCallback,
    Channel::Parallel,
    Channel::FanOut,
    Channel::Chain,
    Channel::ChainStep,
];

/// What stands in `channel`; `None` for one that this format does not know.
pub(in crate::engine::sqlite) fn channel(channel: Channel) -> Option<i64> {
    let index = CHANNELS.iter().position(|known| *known == channel)?;
    i64::try_from(index).ok()
}

/// A [`Channel`] as it is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::sqlite) struct ReadChannel(pub(in crate::engine::sqlite) Channel);

impl FromSql for ReadChannel {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        let known = usize::try_from(number).ok().and_then(|number| CHANNELS.get(number));
        known.copied().map(Self).ok_or(FromSqlError::OutOfRange(number))
    }
}

/// What stands in `outcome`; `None` for one that this format does not know.
pub(in crate::engine::sqlite) fn outcome(outcome: &Outcome) -> Option<i64> {
    match outcome {
        Outcome::Completed(_) => Some(0),
        Outcome::Failed(_) => Some(1),
        Outcome::TimedOut(_) => Some(2),
        Outcome::Expired(_) => Some(3),
        Outcome::Cancelled(_) => Some(4),
        Outcome::Undecodable(_) => Some(5),
        Outcome::Lost(_) => Some(6),
        _ => None,
    }
}

/// An outcome as it is read, but for its response or its reason.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::sqlite) enum ReadOutcome {
    Completed,
    /// In anything but success: what makes the outcome of its reason.
    Otherwise(fn(Ending) -> Outcome),
}

impl FromSql for ReadOutcome {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Completed),
            1 => Ok(Self::Otherwise(Outcome::Failed)),
            2 => Ok(Self::Otherwise(Outcome::TimedOut)),
            3 => Ok(Self::Otherwise(Outcome::Expired)),
            4 => Ok(Self::Otherwise(Outcome::Cancelled)),
            5 => Ok(Self::Otherwise(Outcome::Undecodable)),
            6 => Ok(Self::Otherwise(Outcome::Lost)),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::sqlite::test_data::{any_cid, any_time};

    proptest! {
        #[test]
        fn cids_come_back_in_their_order(one in any_cid(), other in any_cid()) {
            let bytes = cid(one);
            let read = ReadCid::column_result(ValueRef::Blob(&bytes)).expect("a CID");
            prop_assert_eq!(read.0, one);
            prop_assert_eq!(cid(one).cmp(&cid(other)), one.cmp(&other));
        }

        #[test]
        fn times_come_back_to_the_nanosecond(at in any_time()) {
            let read = ReadTime::column_result(ValueRef::Integer(time(at))).expect("a time");
            prop_assert_eq!(read.0, at);
        }

        #[test]
        fn digests_come_back(bits in any::<u128>()) {
            let read = ReadDigest::column_result(ValueRef::Blob(&digest(bits))).expect("a digest");
            prop_assert_eq!(read.0, bits);
        }
    }

    #[test]
    fn what_no_column_can_hold_is_the_nearest() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(time(epoch - Duration::from_secs(1)), 1);
        assert_eq!(time(epoch + Duration::from_hours(24 * 365 * 400)), i64::MAX);
    }

    #[test]
    fn what_is_not_of_this_format_is_an_error() {
        let integer = ValueRef::Integer(9);
        assert!(State::column_result(integer).is_err());
        assert!(CancelNote::column_result(integer).is_err());
        assert!(ReadKind::column_result(integer).is_err());
        assert!(ReadChannel::column_result(integer).is_err());
        assert!(ReadOutcome::column_result(integer).is_err());
        assert!(ReadTime::column_result(ValueRef::Integer(-1)).is_err());
        assert!(ReadCid::column_result(ValueRef::Blob(&[0; 16])).is_err(), "a UUID of no version");
        assert!(ReadCid::column_result(ValueRef::Blob(&[0; 15])).is_err());
        assert!(payload(ReadKind(Kind::Text), vec![0xff]).is_none());
        assert!(payload(ReadKind(Kind::Empty), vec![b'x']).is_none());
    }

    #[test]
    fn states_are_what_they_were_written_as() {
        for state in [State::Waiting, State::Running, State::Open, State::Ended, State::Dead] {
            assert_eq!(State::column_result(ValueRef::Integer(state.number())), Ok(state));
        }
        for note in [CancelNote::No, CancelNote::Alone, CancelNote::WithTree] {
            assert_eq!(CancelNote::column_result(ValueRef::Integer(note.number())), Ok(note));
        }
    }
}
