//! Revocations: the main service ends login sessions, or all sessions that a user has had so far.
//!
//! A revocation is a row in the database, so that it survives a restart, and holds within the team of
//! the service that made it. Every instance has a copy of all rows in memory
//! ([`RevocationList`]), by which its verifier refuses tokens and its sessions end. An instance reads
//! the rows of others by their rising numbers, twice a second; the numbers rise in the order of the
//! commits, because a counter is locked from the drawing of a number to the commit. So a
//! revocation takes effect within two seconds everywhere, unless the database is unavailable.
//!
//! A row is deleted when every token that it refuses has expired: no token lives for longer than
//! `JWT_LIFETIME_MAX_MS`.

mod read;
mod request;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::sleep;
use utoipa::ToSchema;

pub use self::request::Request;
use crate::{
    auth::{Claims, Revocation, RevocationList, Revoked, Right},
    error::{Error, Result},
    id::{Timestamp, UserId},
    idempotency::{RequestKey, once},
    metrics::Metrics,
    store::{Store, args},
    supervise::{Supervisor, Task},
};

/// How often the rows of other instances are read.
const READ_INTERVAL: Duration = Duration::from_millis(500);
/// The longest wait after reads that failed.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// How much longer than the longest life of a token a row is kept: clocks may differ.
const MARGIN_MS: i64 = 60_000;
/// The most revocations that are in force at once: they take about 200 bytes of memory each.
const REVOCATIONS_MAX: usize = 1_000_000;
/// The most rows that one statement deletes: in SQLite the log's writer waits for it.
const TRIMMED_MAX: i64 = 200;

/// The revocations of all teams. Cheap to clone.
#[derive(Clone)]
pub struct Revocations {
    store: Store,
    list: RevocationList,
    metrics: Metrics,
    lifetime_max_ms: i64,
    /// The number up to which all rows are in the list.
    head: Arc<AtomicI64>,
}

impl Revocations {
    /// The revocations in `store`, none of which is read yet. Those in force are kept in `list`; no
    /// token lives for longer than `lifetime_max_ms`.
    pub fn new(store: Store, list: RevocationList, lifetime_max_ms: u64, metrics: Metrics) -> Self {
        Self {
            store,
            list,
            metrics,
            lifetime_max_ms: i64::try_from(lifetime_max_ms).unwrap_or(i64::MAX / 4),
            head: Arc::default(),
        }
    }

    /// Reads the rows that this instance does not know yet. Before the first client is admitted it
    /// has to succeed once.
    ///
    /// # Errors
    /// As [`Store::view`].
    pub async fn catch_up(&self) -> Result<()> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let rows = read::after(&self.store, head).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            head = last.seq;
            let is_end = rows.len() < read::ROWS_MAX;
            self.list.add(rows.into_iter().map(|row| row.revocation));
            self.head.fetch_max(head, Ordering::Relaxed);
            if is_end {
                return Ok(());
            }
        }
    }

    /// Spawns the task that reads the rows of other instances, and never ends.
    pub fn watch(&self, supervisor: &Supervisor) {
        let (revocations, caught) = (self.clone(), supervisor.clone());
        supervisor.spawn(Task::Revocations, async move {
            let mut wait = READ_INTERVAL;
            loop {
                sleep(wait).await;
                let read = AssertUnwindSafe(revocations.catch_up()).catch_unwind();
                wait = match read.await {
                    Ok(Ok(())) => READ_INTERVAL,
                    // It is logged.
                    Ok(Err(_)) => BACKOFF_MAX.min(wait * 2),
                    Err(panic) => {
                        caught.panicked(Task::Revocations, panic);
                        BACKOFF_MAX
                    }
                };
            }
        });
    }

    /// Revokes the sessions that `request` names, in the team of the service with these `claims`.
    /// Returns the fields of the answer once the revocation is durable and in force on this instance:
    /// its sessions end within half a second. A request with the key of an earlier one returns that
    /// one's answer.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to publish, [`Error::Overloaded`] while a million
    /// revocations are in force; otherwise as [`Store::transact`].
    pub async fn revoke(
        &self,
        claims: &Claims,
        request: &Request,
        key: Option<RequestKey>,
        now: Timestamp,
    ) -> Result<Value> {
        claims.rights().require(Right::Publish)?;
        if self.list.len() >= REVOCATIONS_MAX {
            tracing::error!(
                REVOCATIONS_MAX,
                "no further session can be revoked: lower JWT_LIFETIME_MAX_MS"
            );
            return Err(Error::Overloaded);
        }
        let revoked = request.at(now);
        let kept_ms = self.lifetime_max_ms.saturating_add(MARGIN_MS);
        let revocation = Revocation {
            team: claims.team.clone(),
            revoked_at: now,
            kept_until: Timestamp(now.0.saturating_add(kept_ms)),
            revoked,
        };
        let written = self.store.transact(async |tx| {
            let write = async || {
                write(&tx, claims, &revocation, now).await?;
                Ok(json!({ "revocation": Shown::new(&revocation, now) }))
            };
            once(&tx, claims, "session_revoke", key.as_ref(), now, write).await
        });
        let answer = written.await?;
        self.metrics.revocation_made();
        let team = revocation.team.as_str();
        tracing::info!(team, by = claims.user.id.as_str(), "sessions were revoked");
        // Also for a repeated request: the row is the same, or one that refuses less.
        self.list.add([revocation]);
        Ok(answer)
    }

    /// Deletes the rows that refuse no token any more at `now`, at most 200; returns how many.
    ///
    /// # Errors
    /// As [`Store::transact`].
    pub async fn trim(&self, now: Timestamp) -> Result<u64> {
        self.list.trim(now);
        let trimmed = self.store.transact(async |tx| {
            tx.execute(
                "delete from revocation where (team, kind, subject) in (
                     select team, kind, subject from revocation where kept_until < $1 limit $2
                 )",
                args![now, TRIMMED_MAX],
            )
            .await
        });
        trimmed.await
    }
}

/// Writes the row of a revocation. Of two revocations of one user the later time counts.
async fn write(
    tx: &crate::store::Transaction,
    claims: &Claims,
    revocation: &Revocation,
    now: Timestamp,
) -> Result<()> {
    let (kind, subject, issued_before) = match &revocation.revoked {
        Revoked::Login(login) => (read::LOGIN, login.as_str(), None),
        Revoked::User { id, issued_before } => (read::USER, id.as_str(), Some(*issued_before)),
    };
    // The row stays locked until the commit, so that the numbers rise in the order of the commits.
    let raised: Option<(i64,)> = tx
        .find(
            "update revocation_counter set head_seq = head_seq + 1 where id = 1 returning head_seq",
            args![],
        )
        .await?;
    let (seq,) = raised.ok_or_else(|| {
        tracing::error!("the table revocation_counter has no row: insert (1, 0)");
        Error::Internal
    })?;
    tx.execute(
        "insert into revocation
             (team, kind, subject, issued_before, kept_until, seq, revoked_by, revoked_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (team, kind, subject) do update set
             issued_before = case when excluded.issued_before > revocation.issued_before
                 then excluded.issued_before else revocation.issued_before end,
             kept_until = case when excluded.kept_until > revocation.kept_until
                 then excluded.kept_until else revocation.kept_until end,
             seq = excluded.seq,
             revoked_by = excluded.revoked_by,
             revoked_at = excluded.revoked_at",
        args![
            revocation.team,
            kind,
            subject,
            issued_before,
            revocation.kept_until,
            seq,
            claims.user.id,
            now
        ],
    )
    .await?;
    Ok(())
}

/// A revocation as its service sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionRevocation)]
pub struct Shown {
    /// The login session whose tokens are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// The user whose tokens are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    /// Tokens of the user that were issued before this time are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_before: Option<Timestamp>,
    /// When it took effect.
    revoked_at: Timestamp,
    /// Until when it is kept: then every token that it refuses has expired.
    kept_until: Timestamp,
}

impl Shown {
    fn new(revocation: &Revocation, revoked_at: Timestamp) -> Self {
        let (sid, user, issued_before) = match &revocation.revoked {
            Revoked::Login(sid) => (Some(sid.clone()), None, None),
            Revoked::User { id, issued_before } => (None, Some(id.clone()), Some(*issued_before)),
        };
        Self {
            sid,
            user,
            issued_before,
            revoked_at,
            kept_until: revocation.kept_until,
        }
    }
}
