//! Tests that need more than one module: the shape of the code, and the store on both databases.

mod layers;
mod postgres;
mod store;
