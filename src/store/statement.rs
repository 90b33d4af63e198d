//! Statements that are written once for both databases: their parameters, their rows, and the
//! transactions that run them.

mod bind;
mod native;
mod row;

pub use sqlx::types::Json;

pub use self::{
    bind::{Bind, ToBind, args, has_nul},
    row::{Column, FromRow, Row},
};

pub(super) use self::native::{ConnectionState, NativeTransaction, RowLock, Statement};
