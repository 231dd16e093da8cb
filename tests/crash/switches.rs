//! Services that are paused and resumed, and what a shutdown has recorded.

use zato_core::CallError;
use zato_runtime::Runtime;

use crate::child::Life;
use crate::door::Door;
use crate::journal::{Journal, Line};
use crate::maker::{self, index_of};
use crate::script::{Call, LINE, Options, Replies, Switch};
use crate::services::wait;
use crate::turns::UNLIMITED;

/// Pauses or resumes a service. The journal has a line before the call, and one after it if the store confirms it.
async fn switch(runtime: &Runtime, journal: &Journal, service: &str, pauses: bool) -> Result<(), CallError> {
    journal.write(&Line::Switches { service: service.to_owned(), pauses });
    if pauses {
        runtime.pause(service).await?;
    } else {
        runtime.resume(service).await?;
    }
    journal.write(&Line::Switched { service: service.to_owned(), pauses });
    Ok(())
}

/// Does so one after the other: an answer then always belongs to the last line before it.
pub(crate) async fn switch_all(runtime: &Runtime, journal: &Journal, switches: Vec<Switch>) {
    for Switch { service, pauses, after } in switches {
        wait(after).await;
        // A service that this program does not host is refused, and so is any once the bus is closed.
        let _ = switch(runtime, journal, service, pauses).await;
    }
}

/// Writes a line when it is on the disk that a shutdown has begun. A call from outside is refused once it has; what the bus
/// confirms after that was committed after it.
pub(crate) async fn note_drain(runtime: &Runtime, life: Life, journal: &Journal) {
    let outside = Door::Outside(runtime);
    let mut calls = 0;
    loop {
        let work = maker::idle(format!("{}-before-drain-{calls}", life.number));
        // What may be the cause of a death would not run in order.
        let options = Options { losses: Some(UNLIMITED), ..Options::default() };
        let replies = Replies::None;
        let call = Call { worker: index_of(LINE), work, replies, options };
        if let Err(CallError::ShuttingDown) = outside.call(journal, &call, None).await {
            break;
        }
        calls += 1;
    }
    if switch(runtime, journal, LINE, true).await.is_ok() {
        journal.write(&Line::Drains { life: life.number });
        // If the bus is closed in between, the last life resumes it.
        let _ = switch(runtime, journal, LINE, false).await;
    }
}
