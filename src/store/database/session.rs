//! A transaction of Postgres, whose statements are prepared by name only where its session is not shared.
//!
//! A statement with a name belongs to a session. Behind a pooler the next transaction has another session, in which that name is unknown
//! or means another client's statement.

use futures_util::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    Either, Execute, Executor, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

use super::Sessions;

/// A transaction that has begun. It is rolled back where it is dropped.
#[derive(Debug)]
pub(in crate::store) struct PgTransaction<'t> {
    transaction: sqlx::Transaction<'t, Postgres>,
    sessions: Sessions,
}

impl<'t> PgTransaction<'t> {
    /// `transaction`, on a connection to `sessions`.
    pub(in crate::store) fn new(
        transaction: sqlx::Transaction<'t, Postgres>,
        sessions: Sessions,
    ) -> Self {
        Self {
            transaction,
            sessions,
        }
    }

    pub(in crate::store) async fn commit(self) -> sqlx::Result<()> {
        self.transaction.commit().await
    }

    pub(in crate::store) async fn roll_back(self) -> sqlx::Result<()> {
        self.transaction.rollback().await
    }
}

impl<'c> Executor<'c> for &'c mut PgTransaction<'_> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.sessions {
            Sessions::Kept => self.transaction.fetch_many(query),
            Sessions::Shared => self.transaction.fetch_many(Unnamed(query)),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.sessions {
            Sessions::Kept => self.transaction.fetch_optional(query),
            Sessions::Shared => self.transaction.fetch_optional(Unnamed(query)),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.transaction.prepare_with(sql, parameters)
    }
}

/// A query whose statement gets no name.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}
