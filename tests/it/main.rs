//! Tests that need more than one module: the shape of the code, the store and its rooms on both databases.

mod fixtures;
mod layers;
mod postgres;
mod rooms;
mod store;
