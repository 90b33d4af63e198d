//! Tests that need more than one module: the shape of the code, the store, its rooms and its list on both databases.

#![expect(clippy::disallowed_methods, reason = "a test owns its tasks")]

mod catalog;
mod comments;
mod events;
mod layers;
mod postgres;
mod retention;
mod revocations;
mod rooms;
mod server;
mod store;
mod supervision;
mod toy_door;
mod toy_feature;
mod tripwire;
mod workflow;
