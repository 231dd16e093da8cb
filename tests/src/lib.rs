//! What no crate of the workspace can test alone; the tests stand in the folders beside this one.
