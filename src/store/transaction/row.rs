//! What statements return, read by the columns' names or in their order.

use sqlx::{
    ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow,
};

use crate::{error::Result, store::failure::report};

/// A row of either database.
pub struct Row(pub(super) Native);

/// A row as its database gave it.
pub(super) enum Native {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

/// What a column can be read as, from both databases: `bool`, `i64`, `String`, `Vec<u8>`,
/// `Timestamp`, the ids, [`Json`](super::Json), and `Option` of these.
///
/// In Postgres an `integer` column is no `i64`, and the `sum` of a `bigint` is none either.
pub trait Column:
    for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>
{
}

/// What a row can be read as: tuples of up to ten columns, and what a feature makes of
/// [`get`](Row::get).
pub trait FromRow: Sized {
    /// Reads `row`.
    ///
    /// # Errors
    /// As [`Row::get`].
    fn from_row(row: &Row) -> Result<Self>;
}

impl Row {
    /// Reads the column `name`.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) where there is no such column, or where
    /// it holds what a `T` cannot be; the cause is logged.
    pub fn get<T: Column>(&self, name: &str) -> Result<T> {
        self.read(name)
    }

    fn read<T: Column, I>(&self, column: I) -> Result<T>
    where
        I: ColumnIndex<PgRow> + ColumnIndex<SqliteRow>,
    {
        let read = match &self.0 {
            Native::Postgres(row) => row.try_get(column),
            Native::Sqlite(row) => row.try_get(column),
        };
        read.map_err(|error| {
            // A fault of the statement's author or of the data, never of the connection.
            report("reading a row", None, sqlx::Error::Decode(error.into()))
        })
    }
}

macro_rules! tuples {
    ($(($($type:ident $place:literal),+);)*) => {$(
        impl<$($type: Column),+> FromRow for ($($type,)+) {
            fn from_row(row: &Row) -> Result<Self> {
                Ok(($(row.read::<$type, usize>($place)?,)+))
            }
        }
    )*};
}

tuples! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
}
