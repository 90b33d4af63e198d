//! The column types of our types: native types in Postgres, the nearest ones in SQLite.

use sqlx::{
    Database, Decode, Encode, Postgres, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef},
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};
use time::OffsetDateTime;

use crate::id::{
    ActivityId, CommentId, DocumentId, EventId, MessageId, NotificationId, RoomName, Seq, StepId,
    Team, ThreadId, Timestamp, UserId,
};

/// Stores `$ours` with the column type of `$theirs` in both databases, and reads it by `$parse`.
macro_rules! stored_as {
    ($ours:ty, $theirs:ty) => {
        impl<DB: Database> Type<DB> for $ours
        where
            $theirs: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <$theirs>::type_info()
            }

            fn compatible(given: &DB::TypeInfo) -> bool {
                <$theirs>::compatible(given)
            }
        }
    };
    ($ours:ty, $theirs:ty, $parse:expr) => {
        stored_as!($ours, $theirs);

        impl<'r, DB: Database> Decode<'r, DB> for $ours
        where
            $theirs: Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
                $parse(<$theirs>::decode(value)?)
            }
        }
    };
}

stored_as!(Team, String, |text: String| {
    Team::parse(&text).ok_or_else(|| BoxDynError::from("not a valid team"))
});
stored_as!(UserId, String, |text: String| {
    UserId::parse(&text).ok_or_else(|| BoxDynError::from("not a valid user id"))
});
stored_as!(RoomName, String, |text: String| {
    RoomName::parse(&text).map_err(BoxDynError::from)
});
stored_as!(Seq, i64, |number| Ok(Seq(number)));
stored_as!(EventId, i64, |number| Ok(EventId(number)));

/// Stores ids of rows as text.
macro_rules! row_ids {
    ($($id:ident)*) => {$(
        stored_as!($id, String, |text: String| {
            $id::parse(&text).ok_or_else(|| BoxDynError::from("an id is not a UUID"))
        });

        impl<'q, DB: Database> Encode<'q, DB> for $id
        where
            String: Encode<'q, DB>,
        {
            fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
                self.to_string().encode(buffer)
            }
        }
    )*};
}

row_ids! { DocumentId ActivityId ThreadId CommentId NotificationId StepId MessageId }

// A time is a timestamptz in Postgres.
impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        <OffsetDateTime as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for Timestamp {
    fn array_type_info() -> PgTypeInfo {
        OffsetDateTime::array_type_info()
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let nanoseconds = i128::from(self.0) * 1_000_000;
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)?;
        <OffsetDateTime as Encode<'_, Postgres>>::encode(time, buffer)
    }
}

impl Decode<'_, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let time = <OffsetDateTime as Decode<'_, Postgres>>::decode(value)?;
        let milliseconds = time.unix_timestamp_nanos().div_euclid(1_000_000);
        Ok(Self(i64::try_from(milliseconds)?))
    }
}

// SQLite has no type for times; they are stored in milliseconds since 1970.
impl Type<Sqlite> for Timestamp {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(given: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(given)
    }
}

impl Encode<'_, Sqlite> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<'_, Sqlite>>::encode(self.0, buffer)
    }
}

impl Decode<'_, Sqlite> for Timestamp {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        <i64 as Decode<'_, Sqlite>>::decode(value).map(Self)
    }
}
