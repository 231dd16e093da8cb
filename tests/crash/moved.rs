//! A process that changes its working directory: its receipts stay in the file that it began with.

use std::fs;

use crate::place::Place;
use crate::receipts::{Bus, missing};
use crate::shim::{EIO, Fault, Kind, Shim};

#[test]
fn receipts_stay_in_the_first_file_when_the_working_directory_changes() {
    for kind in [Kind::Lock, Kind::Sync] {
        let (place, shim) = (Place::new(), Shim::new());
        let elsewhere = tempfile::tempdir().expect("a temporary directory");
        let mut command = Bus::command(&place.file(), &place.said());
        place.watch(&shim, &mut command);
        let mut bus = Bus::start(command).expect("it starts");
        assert_eq!(bus.calls(20), None);
        assert_eq!(bus.does(&format!("chdir {}", elsewhere.path().display())), "done");
        let first = bus.receipts[0];
        assert_eq!(bus.does(&format!("look {first}")), "found 1 20");
        // One call of the file system fails, and the file is opened again.
        shim.fail(Fault { kind, first: shim.count(kind) + 1, calls: 1, error: EIO, is_torn: false });
        while shim.hits() == 0 {
            bus.calls(4);
        }
        bus.calls_until_taken();
        assert_eq!(bus.calls(20), None);
        let found = bus.does(&format!("look {first}"));
        assert!(found.starts_with("found 1 "), "{found}");
        let (receipts, status) = bus.stop();
        assert!(status.success(), "{status}: {}", place.errors());
        assert!(receipts.len() > 40);
        assert_eq!(missing(&place.file(), &receipts), [], "{kind:?}");
        let others = fs::read_dir(elsewhere.path()).expect("it can be listed").count();
        assert_eq!(others, 0, "{kind:?}: nothing is made in the new directory");
    }
}
