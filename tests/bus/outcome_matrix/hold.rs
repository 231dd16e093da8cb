//! What keeps an invocation from starting: set up before the call is made, and again after it.

use serde_json::json;
use zato_core::InvokeAsync;
use zato_core::target::AnyResponse;
use zato_runtime::{Error, Runtime, WaitReason};

use super::services::Do;
use super::ways::seconds;

/// What keeps an invocation from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    Nothing,
    /// As many of its service run as may.
    Concurrency,
    /// As many run in the process as may.
    Running,
    /// Another one has its concurrency key.
    Key,
    /// Its service is paused.
    Pause,
    /// Its service's rate is used up.
    Rate,
    /// It is not due.
    Delay,
    /// It has become due while its service is paused.
    DelayThenPause,
    /// Its next attempt is not due.
    Retry,
    /// Its next attempt has become due while its service is paused.
    RetryThenPause,
}

/// How many run at once in the table's runtimes.
pub(super) const MAX_RUNNING: usize = 2;

impl Hold {
    pub(super) const ALL: [Self; 9] = [
        Self::Concurrency,
        Self::Running,
        Self::Key,
        Self::Pause,
        Self::Rate,
        Self::Delay,
        Self::DelayThenPause,
        Self::Retry,
        Self::RetryThenPause,
    ];

    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Concurrency => "table.narrow",
            Self::Rate => "table.rare",
            _ => "table.target",
        }
    }

    pub(super) fn script(self) -> &'static [Do] {
        match self {
            Self::Retry => &[Do::Retry(60), Do::Succeed],
            Self::RetryThenPause => &[Do::Retry(1), Do::Succeed],
            _ => &[Do::Succeed],
        }
    }

    /// How many attempts have been made when it is held up.
    pub(super) fn attempts(self) -> u32 {
        u32::from(matches!(self, Self::Retry | Self::RetryThenPause))
    }

    pub(super) fn ask(self, call: InvokeAsync<'_, AnyResponse>) -> InvokeAsync<'_, AnyResponse> {
        match self {
            Self::Key => call.concurrency_key("one"),
            Self::Running | Self::DelayThenPause => call.delay(seconds(1)),
            Self::Delay => call.delay(seconds(60)),
            Self::Retry | Self::RetryThenPause => call.max_attempts(2),
            _ => call,
        }
    }

    /// Sets it up before the call is made.
    pub(super) async fn before(self, runtime: &Runtime) -> Result<(), Error> {
        match self {
            Self::Concurrency | Self::Key => {
                self.ask(runtime.invoke_async(self.target(), json!([Do::Hold]))).await?;
            }
            Self::Rate => drop(runtime.invoke(self.target(), json!([Do::Succeed])).await?),
            Self::Pause => runtime.pause(self.target()).await?,
            _ => return Ok(()),
        }
        // Whoever is to hold something has it now.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Sets up what can be set up only when the call has been made.
    pub(super) async fn after(self, runtime: &Runtime) -> Result<(), Error> {
        match self {
            Self::Running => {
                for _ in 0..MAX_RUNNING {
                    runtime.invoke_async(self.target(), json!([Do::Hold])).await?;
                }
            }
            Self::DelayThenPause | Self::RetryThenPause => {
                // The first attempt has been made then.
                tokio::time::sleep(seconds(1) / 2).await;
                runtime.pause(self.target()).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether an invocation that stands so is held up by this.
    pub(super) fn is(self, waits: &WaitReason) -> bool {
        match self {
            Self::Nothing => false,
            Self::Concurrency => matches!(waits, WaitReason::Concurrency(1)),
            Self::Running => *waits == WaitReason::Running(MAX_RUNNING),
            Self::Key => matches!(waits, WaitReason::Key { key, .. } if &**key == "one"),
            Self::Pause | Self::DelayThenPause | Self::RetryThenPause => *waits == WaitReason::Resume,
            Self::Rate => matches!(waits, WaitReason::Rate(rate) if rate.starts == 1),
            Self::Delay | Self::Retry => matches!(waits, WaitReason::Until(_)),
        }
    }
}
