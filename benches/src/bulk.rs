//! Fills the server's database with many rows at once, where requests would take hours.
//!
//! The statements are the same for both databases, except for a few expressions. Ids of rows rise with
//! their number, as those that the server makes rise with time.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// The team of all clients of the benchmark.
const TEAM: &str = "bench";

/// The tables with the rows.
const TABLES: [&str; 5] = ["thread", "comment", "notification", "activity", "person"];

/// The comments of each thread.
const COMMENTS: usize = 2;

/// A position at the end of the text `text`, as Yjs encodes it, in hexadecimal.
const ANCHOR: &str = "01047465787400";

/// How many rows are made.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The threads of the document.
    pub threads: usize,
    /// The notifications of the person, of which every second one is unread.
    pub notifications: usize,
    /// The entries of the team's activity, of which every second one is about the document.
    pub activities: usize,
    /// The people of the team whose names the lists show.
    pub people: usize,
}

/// Writes rows into the server's database.
pub struct Bulk {
    connection: Connected,
    /// When it connected, in milliseconds since 1970.
    now_ms: u64,
}

/// A connection to the database.
enum Connected {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Bulk {
    /// Connects to the database at `url`, whose tables the server has made.
    pub async fn connect(url: &str) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Self {
            connection: match url.starts_with("postgres") {
                true => Connected::Postgres(PgConnection::connect(url).await?),
                false => Connected::Sqlite(SqliteConnection::connect(url).await?),
            },
            now_ms: u64::try_from(now.as_millis())?,
        })
    }

    /// Makes the threads of the document in `room` and as many of the document in `other_room`, the
    /// notifications of `user` and as many of other people, and the people and the activity of the
    /// team. The database has no statistics of the new rows until [`tidy`](Self::tidy).
    pub async fn fill(
        &mut self,
        room: &str,
        other_room: &str,
        user: &str,
        sizes: Sizes,
    ) -> Result<()> {
        self.forgo_statistics().await?;
        let document = self.document(room).await?;
        let other = self.document(other_room).await?;
        // The documents take turns, so that the rows of each are spread over the table.
        self.threads(&[&document, &other], sizes.threads).await?;
        self.notifications(user, room, sizes.notifications).await?;
        self.activities(&document, room, sizes.activities).await?;
        self.people(sizes.people).await
    }

    /// Whether the database plans its statements by statistics, which it collects some time after rows
    /// were written.
    pub fn has_statistics(&self) -> bool {
        matches!(self.connection, Connected::Postgres(_))
    }

    /// Does what the databases do by themselves some time after so many rows were written.
    pub async fn tidy(&mut self) -> Result<()> {
        if let Connected::Sqlite(_) = self.connection {
            return self.run("pragma wal_checkpoint(truncate)".to_owned()).await;
        }
        for table in TABLES {
            self.run(format!("alter table {table} reset (autovacuum_enabled)"))
                .await?;
        }
        self.run("vacuum analyze".to_owned()).await
    }

    /// Keeps Postgres from collecting statistics before [`tidy`](Self::tidy).
    async fn forgo_statistics(&mut self) -> Result<()> {
        if !self.has_statistics() {
            return Ok(());
        }
        for table in TABLES {
            self.run(format!(
                "alter table {table} set (autovacuum_enabled = off)"
            ))
            .await?;
        }
        Ok(())
    }

    async fn document(&mut self, room: &str) -> Result<String> {
        let sql = "select document_id from document where team = $1 and room = $2";
        let found: Option<String> = match &mut self.connection {
            Connected::Sqlite(connection) => {
                let query = sqlx::query_scalar(sql).bind(TEAM).bind(room);
                query.fetch_optional(connection).await?
            }
            Connected::Postgres(connection) => {
                let query = sqlx::query_scalar(sql).bind(TEAM).bind(room);
                query.fetch_optional(connection).await?
            }
        };
        found.with_context(|| format!("{room} has no document"))
    }

    async fn threads(&mut self, documents: &[&str], each: usize) -> Result<()> {
        let (now, anchor, open) = (self.time("0"), self.bytes(ANCHOR), "0 = 1");
        let (thread, count) = (self.id("n.i"), each * documents.len());
        let document = documents.iter().enumerate();
        let document: String = document
            .map(|(turn, id)| format!("when {turn} then '{id}' "))
            .collect();
        let turns = documents.len();
        self.run(format!(
            "{numbers}
             insert into thread (thread_id, document_id, resolved, anchor_start, anchor_end, quote,
                                 created_by, created_at, comments, body_bytes)
             select {thread}, case n.i % {turns} {document} end, {open}, {anchor}, {anchor},
                    'the quoted text', 'u' || (n.i % 100), {now}, {COMMENTS}, 200
             from n",
            numbers = numbers(count),
        ))
        .await?;
        let mentions = self.json("'[]'");
        let (thread, comment) = (
            self.id(&format!("1 + (n.i - 1) / {COMMENTS}")),
            self.id("n.i"),
        );
        self.run(format!(
            "{numbers}
             insert into comment (comment_id, thread_id, author_id, body, mentions, created_at)
             select {comment}, {thread}, 'u' || (n.i % 100),
                    'A comment of about a hundred letters, as people write them beside a text: ' || n.i,
                    {mentions}, {now}
             from n",
            numbers = numbers(count * COMMENTS),
        ))
        .await
    }

    async fn notifications(&mut self, user: &str, room: &str, each: usize) -> Result<()> {
        let (at, now, mention) = (self.time("n.i"), self.time("0"), self.id("n.i"));
        self.run(format!(
            "{numbers}
             insert into notification (notification_id, team, user_id, kind, subject, title, room,
                                       actor_id, created_at, read_at)
             select {mention}, '{TEAM}',
                    case n.i % 2 when 0 then '{user}' else '{user}-' || (n.i % 100) end,
                    'mention', 'subject-' || n.i, 'Ana Li mentioned you in a comment', '{room}',
                    'u' || (n.i % 100), {at}, case n.i % 4 when 0 then {now} end
             from n",
            numbers = numbers(each * 2),
        ))
        .await?;
        let unread = each - each / 2;
        self.run(format!(
            "insert into inbox (team, user_id, unread) values ('{TEAM}', '{user}', {unread})
             on conflict (team, user_id) do update set unread = excluded.unread"
        ))
        .await
    }

    async fn activities(&mut self, document: &str, room: &str, count: usize) -> Result<()> {
        let (at, entry) = (self.time("n.i"), self.id("n.i"));
        self.run(format!(
            "{numbers}
             insert into activity (activity_id, team, document_id, room, verb, actor_id, at, last_at)
             select {entry}, '{TEAM}', case n.i % 2 when 0 then '{document}' end,
                    case n.i % 2 when 0 then '{room}' end, 'commented', 'u' || (n.i % 100), {at}, {at}
             from n",
            numbers = numbers(count),
        ))
        .await
    }

    async fn people(&mut self, count: usize) -> Result<()> {
        let now = self.time("0");
        self.run(format!(
            "{numbers}
             insert into person (team, user_id, name, updated_at)
             select '{TEAM}', 'u' || n.i, 'Person ' || n.i, {now} from n
             where true on conflict do nothing",
            numbers = numbers(count),
        ))
        .await
    }

    async fn run(&mut self, sql: String) -> Result<()> {
        // All values in it are names that this program has made.
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match &mut self.connection {
            Connected::Sqlite(connection) => sql.execute(connection).await.map(drop)?,
            Connected::Postgres(connection) => sql.execute(connection).await.map(drop)?,
        }
        Ok(())
    }

    /// The time `later` milliseconds after an hour ago.
    fn time(&self, later: &str) -> String {
        let ms = self.now_ms - 3_600_000;
        match &self.connection {
            Connected::Sqlite(_) => format!("({ms} + {later})"),
            Connected::Postgres(_) => format!("to_timestamp(({ms} + {later}) / 1000.0)"),
        }
    }

    /// A UUID of version 7 for the row with this number: of now, with the number at its end.
    fn id(&self, number: &str) -> String {
        let ms = self.now_ms & 0xffff_ffff_ffff;
        let (high, low) = (ms >> 16, ms & 0xffff);
        let number = format!("substr(cast(1000000000000 + {number} as text), 2)");
        format!("'{high:08x}-{low:04x}-7000-8000-' || {number}")
    }

    fn bytes(&self, hexadecimal: &str) -> String {
        match &self.connection {
            Connected::Sqlite(_) => format!("x'{hexadecimal}'"),
            Connected::Postgres(_) => format!("'\\x{hexadecimal}'::bytea"),
        }
    }

    fn json(&self, text: &str) -> String {
        match &self.connection {
            Connected::Sqlite(_) => text.to_owned(),
            Connected::Postgres(_) => format!("{text}::jsonb"),
        }
    }
}

/// The table `n` of the numbers from 1 to `count`, in its column `i`.
fn numbers(count: usize) -> String {
    format!(
        "with recursive n(i) as (
             select cast(1 as bigint) union all select i + 1 from n where i < {count}
         )"
    )
}
