//! The values of a statement's parameters, with their types.
//!
//! sqlx's own `Any` supports neither times nor JSON, so that columns would lose their native types
//! in Postgres. A [`Bind`] has a type also where it is null: Postgres plans a statement once, for
//! the types of its first values, and the plan is reused for the same text.

use serde::Serialize;
use serde_json::Value;
use sqlx::{Arguments, Database, Encode, Type, error::BoxDynError, types::Json};

use crate::id::{
    ActivityId, CommentId, DocumentId, EventId, MessageId, NotificationId, RoomName, Seq, StepId,
    Team, ThreadId, Timestamp, UserId,
};

/// The value of a parameter; `None` is null.
#[derive(Clone, Debug, PartialEq)]
pub enum Bind {
    /// `boolean`; in SQLite an `integer`, 0 or 1.
    Bool(Option<bool>),
    /// `bigint`; in SQLite an `integer`.
    Integer(Option<i64>),
    /// `text`. A NUL in it makes its statement fail, because Postgres cannot store it.
    Text(Option<String>),
    /// `bytea`; in SQLite a `blob`.
    Bytes(Option<Vec<u8>>),
    /// `timestamptz`; in SQLite an `integer`, in milliseconds since 1970.
    Time(Option<Timestamp>),
    /// `jsonb`; in SQLite `text`. A NUL in a string or name makes its statement fail as well.
    Json(Option<Value>),
    /// A value that cannot be encoded, with the reason; its statement fails.
    Invalid(String),
}

/// A type that can be the value of a parameter.
pub trait ToBind {
    /// The value.
    fn to_bind(&self) -> Bind;
    /// The null of the same type.
    fn null() -> Bind;
}

/// The values of a statement's parameters, `$1` first; it borrows its arguments.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        ::std::vec![$($crate::store::ToBind::to_bind(&$value)),*]
    };
}

pub use crate::args;

/// Encodes `binds` for the statement `sql`.
///
/// Their number is checked here, because SQLite would use null for a missing value and ignore a
/// surplus one.
pub(super) fn arguments<DB: Database>(
    sql: &str,
    binds: Vec<Bind>,
) -> Result<DB::Arguments, BoxDynError>
where
    DB::Arguments: Arguments<Database = DB>,
    Option<bool>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<i64>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<String>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<Vec<u8>>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<Timestamp>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<Json<Value>>: for<'q> Encode<'q, DB> + Type<DB>,
{
    let (named, given) = (parameters(sql), binds.len());
    if named != given {
        return Err(format!("the statement has {named} parameters but {given} values").into());
    }
    let mut arguments = DB::Arguments::default();
    for bind in binds {
        match bind {
            Bind::Text(Some(text)) if text.contains('\0') => return Err("a NUL in a text".into()),
            Bind::Json(Some(value)) if has_nul(&value) => return Err("a NUL in JSON".into()),
            Bind::Invalid(reason) => return Err(reason.into()),
            Bind::Bool(value) => arguments.add(value)?,
            Bind::Integer(value) => arguments.add(value)?,
            Bind::Text(value) => arguments.add(value)?,
            Bind::Bytes(value) => arguments.add(value)?,
            Bind::Time(value) => arguments.add(value)?,
            Bind::Json(value) => arguments.add(value.map(Json))?,
        }
    }
    Ok(arguments)
}

/// The highest number of a parameter in `sql`.
fn parameters(sql: &str) -> usize {
    let numbers = sql.split('$').skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit());
        rest[..end.unwrap_or(rest.len())].parse().ok()
    });
    numbers.max().unwrap_or(0)
}

/// Whether a string or a name in `value` has a NUL, which Postgres cannot store.
pub fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => {
            let mut fields = fields.iter();
            fields.any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl<T: ToBind + ?Sized> ToBind for &T {
    fn to_bind(&self) -> Bind {
        (**self).to_bind()
    }

    fn null() -> Bind {
        T::null()
    }
}

impl<T: ToBind> ToBind for Option<T> {
    fn to_bind(&self) -> Bind {
        self.as_ref().map_or_else(T::null, T::to_bind)
    }

    fn null() -> Bind {
        T::null()
    }
}

impl<T: Serialize> ToBind for Json<T> {
    fn to_bind(&self) -> Bind {
        match serde_json::to_value(&self.0) {
            Ok(value) => Bind::Json(Some(value)),
            Err(error) => Bind::Invalid(error.to_string()),
        }
    }

    fn null() -> Bind {
        Bind::Json(None)
    }
}

macro_rules! binds {
    ($($type:ty: $variant:ident, $value:ident => $bound:expr;)*) => {$(
        impl ToBind for $type {
            fn to_bind(&self) -> Bind {
                let $value = self;
                Bind::$variant(Some($bound))
            }

            fn null() -> Bind {
                Bind::$variant(None)
            }
        }
    )*};
}

binds! {
    bool: Bool, value => *value;
    i64: Integer, value => *value;
    i32: Integer, value => i64::from(*value);
    u32: Integer, value => i64::from(*value);
    Seq: Integer, value => value.0;
    EventId: Integer, value => value.0;
    str: Text, value => value.to_owned();
    String: Text, value => value.clone();
    Team: Text, value => value.as_str().to_owned();
    UserId: Text, value => value.as_str().to_owned();
    RoomName: Text, value => value.as_str().to_owned();
    DocumentId: Text, value => value.to_string();
    ActivityId: Text, value => value.to_string();
    ThreadId: Text, value => value.to_string();
    CommentId: Text, value => value.to_string();
    NotificationId: Text, value => value.to_string();
    StepId: Text, value => value.to_string();
    MessageId: Text, value => value.to_string();
    [u8]: Bytes, value => value.to_vec();
    Vec<u8>: Bytes, value => value.clone();
    bytes::Bytes: Bytes, value => value.to_vec();
    Timestamp: Time, value => *value;
    Value: Json, value => value.clone();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_counted_by_their_highest_number() {
        assert_eq!(parameters("select 1"), 0);
        assert_eq!(parameters("select $2, $1, $2 from t where a = $10"), 10);
        assert_eq!(parameters("values ($1,$2)"), 2);
    }

    #[test]
    fn nulls_keep_their_type() {
        let absent = (None::<i64>, None::<&str>, None::<Json<Vec<u8>>>);
        assert_eq!(
            args![absent.0, absent.1, absent.2],
            [Bind::Integer(None), Bind::Text(None), Bind::Json(None)]
        );
    }

    #[test]
    fn a_nul_is_found_in_every_string_and_name() {
        for nul in [json!("a\0"), json!([{ "a": ["\0"] }]), json!({ "\0": 1 })] {
            assert!(has_nul(&nul), "{nul}");
        }
        assert!(!has_nul(&json!({ "a": [r"\u0000", 1, null, true] })));
    }
}
