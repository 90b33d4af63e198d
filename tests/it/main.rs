//! Tests that need more than one module: the shape of the code, the store, its rooms and its list on both databases.

mod documents;
mod layers;
mod postgres;
mod rooms;
mod store;
mod toy_feature;
