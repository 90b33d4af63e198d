//! Rows that statements return, read by the names or the order of their columns.

use sqlx::{
    ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow,
};

use crate::{error::Result, store::failure::report};

/// A row of either database.
pub struct Row(pub(super) NativeRow);

/// A row as its database returned it.
pub(super) enum NativeRow {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

/// A type that a column of both databases can be read as: `bool`, `i64`, `String`, `Vec<u8>`,
/// `Timestamp`, the ids, [`Json`](super::Json), and `Option` of these.
///
/// In Postgres neither an `integer` column nor the `sum` of a `bigint` column can be read as `i64`.
pub trait Column:
    for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>
{
}

/// A type that a row can be read as: tuples of up to ten columns, and types of features, which
/// call [`get`](Row::get).
pub trait FromRow: Sized {
    /// Reads `row`.
    ///
    /// # Errors
    /// As [`Row::get`].
    fn from_row(row: &Row) -> Result<Self>;
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self(NativeRow::Postgres(row))
    }
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self(NativeRow::Sqlite(row))
    }
}

impl Row {
    /// Reads the column `name`.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) where there is no such column, or where
    /// its value is not a `T`; the cause is logged.
    pub fn get<T: Column>(&self, name: &str) -> Result<T> {
        self.read(name)
    }

    fn read<T: Column, I>(&self, column: I) -> Result<T>
    where
        I: ColumnIndex<PgRow> + ColumnIndex<SqliteRow>,
    {
        let read = match &self.0 {
            NativeRow::Postgres(row) => row.try_get(column),
            NativeRow::Sqlite(row) => row.try_get(column),
        };
        read.map_err(|error| {
            // The statement or the data is wrong; the connection works.
            report("reading a row", None, sqlx::Error::Decode(error.into()))
        })
    }
}

macro_rules! tuples {
    ($(($($type:ident $index:literal),+);)*) => {$(
        impl<$($type: Column),+> FromRow for ($($type,)+) {
            fn from_row(row: &Row) -> Result<Self> {
                Ok(($(row.read::<$type, usize>($index)?,)+))
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
