//! While a new version is rolled out, the previous one uses the same database: every statement
//! that was ever released has to work on the newest schema.
//!
//! The statements are copied from the versions that had them and are never changed. A version
//! with new or changed statements adds them here.

use bytes::Bytes;
use realtime_server::{
    id::{DocumentId, Seq, Timestamp},
    store::migrate,
};

use super::{Home, append, close, key, on_both};

on_both!(
    statements_of_the_first_schema_work_on_the_newest,
    statements_of_the_second_schema_work_on_the_newest,
    statements_of_the_ninth_schema_work_on_the_newest,
    a_version_without_the_newest_migration_starts,
);

const INSERT_DOCUMENT_1: &str =
    "insert into document (document_id, team, room, created_by, created_at)
     values ($1, $2, $3, $4, $5)
     on conflict (team, room) do update set team = excluded.team
     returning document_id, head_seq, created_at";

const INSERT_DOCUMENT_2: &str =
    "insert into document (document_id, team, room, created_by, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $5)
     on conflict (team, room) do update set team = excluded.team
     returning document_id, head_seq, created_at";

/// Two rows, `payload` and `payload`, of one document.
const BATCH_POSTGRES_1: &str = "with share as (
         select * from unnest($1::text[], $2::bigint[]) with ordinality
         as share (document_id, row_count, place)
     ), locked as (
         select document_id, row_count, place
         from document join share using (document_id)
         order by document_id for no key update of document
     ), raised as (
         update document set head_seq = head_seq + row_count from locked
         where document.document_id = locked.document_id
         returning document.document_id, head_seq, place
     ), written as (
         insert into update_log (document_id, seq, payload, checksum)
         select document_id, head_seq - behind, payload, checksum
         from unnest($3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[])
         as given (place, behind, payload, checksum) join raised using (place)
     )
     select document_id, head_seq from raised";

const BATCH_POSTGRES_2: &str = "with share as (
         select * from unnest($1::text[], $2::bigint[]) with ordinality
         as share (document_id, row_count, place)
     ), locked as (
         select document_id, row_count, place
         from document join share using (document_id)
         order by document_id for no key update of document
     ), raised as (
         update document set head_seq = head_seq + row_count, updated_at = $7 from locked
         where document.document_id = locked.document_id
         returning document.document_id, head_seq, place
     ), written as (
         insert into update_log (document_id, seq, payload, checksum)
         select document_id, head_seq - behind, payload, checksum
         from unnest($3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[])
         as given (place, behind, payload, checksum) join raised using (place)
     )
     select document_id, head_seq from raised";

const BATCH_SQLITE_1: [&str; 2] = [
    "update document set head_seq = head_seq + column2 from (values ($1, $2))
     where document_id = column1 returning document_id, head_seq",
    "insert into update_log (document_id, seq, payload, checksum)
     values ($1, 1, $3, $4), ($1, 2, $3, $4)",
];

const BATCH_SQLITE_2: &str = "begin immediate;
     update document set head_seq = head_seq + (share.value ->> 1), updated_at = ?1
     from json_each(?2) as share where document_id = share.value ->> 0
     returning document_id, head_seq;
     insert into update_log (document_id, seq, payload, checksum)
     select document_id, head_seq - (given.value ->> 1),
            substr(?4, given.value ->> 2, given.value ->> 3), given.value ->> 4
     from json_each(?3) as given cross join document on document_id = given.value ->> 0;
     commit";

const BATCH_POSTGRES_9: &str = "with share as (
         select * from unnest($1::text[], $2::bigint[]) with ordinality
         as share (document_id, row_count, place)
     ), locked as (
         select document_id, row_count, place
         from document join share using (document_id)
         where document.deleted_at is null
         order by document_id for no key update of document
     ), raised as (
         update document set head_seq = head_seq + row_count, updated_at = $7 from locked
         where document.document_id = locked.document_id
         returning document.document_id, head_seq, place
     ), written as (
         insert into update_log (document_id, seq, payload, checksum)
         select document_id, head_seq - behind, payload, checksum
         from unnest($3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[])
         as given (place, behind, payload, checksum) join raised using (place)
     ), signed as (
         insert into author (document_id, client_id, user_id, first_clock, since)
         select document_id, client_id, user_id, first_clock, since
         from unnest('{1}'::bigint[], '{7}'::bigint[], '{ana}'::text[], '{0}'::bigint[],
                     array[$7]::timestamptz[])
         as given (place, client_id, user_id, first_clock, since)
         join raised using (place) on conflict do nothing
     )
     select document_id, head_seq from raised";

const BATCH_SQLITE_9: &str = "begin immediate;
     update document set head_seq = head_seq + (share.value ->> 1), updated_at = ?1
     from json_each(?2) as share
     where document_id = share.value ->> 0 and deleted_at is null
     returning document_id, head_seq;
     insert into update_log (document_id, seq, payload, checksum)
     select document_id, head_seq - (given.value ->> 1),
            substr(?4, given.value ->> 2, given.value ->> 3), given.value ->> 4
     from json_each(?3) as given
     cross join document on document_id = given.value ->> 0 and deleted_at is null;
     insert into author (document_id, client_id, user_id, first_clock, since)
     select document_id, 7, 'ana', 0, ?1
     from json_each(?2) as given
     cross join document on document_id = given.value ->> 0 and deleted_at is null
     where true on conflict do nothing;
     commit";

/// Reading on, and the owners of client ids: `$1` is the document.
const READ_9: [&str; 2] = [
    "select document.head_seq, update_log.seq, update_log.payload, update_log.checksum
     from document
     left join update_log on update_log.document_id = document.document_id
          and update_log.seq > 0
     where document.document_id = $1 and document.deleted_at is null
     order by update_log.seq",
    "select client_id, user_id from author where document_id = $1 order by client_id",
];

/// Further statements of both versions: `$1` is the document.
const READ: [&str; 7] = [
    "select 1",
    "select document_id, head_seq, created_at from document where team = $2 and room = $3",
    "select head_seq from document where document_id = $1",
    "select seq, state, checksum from snapshot
     where document_id = $1 and seq < 9 order by seq desc limit 1",
    "select seq, payload, checksum from update_log
     where document_id = $1 and seq > 0 order by seq",
    "select seq from snapshot where document_id = $1 order by seq desc limit 1 offset 1",
    "delete from snapshot where document_id = $1 and seq < null",
];

const TRIM: &str = "delete from update_log where document_id = $1 and seq <= coalesce((
         select seq from update_log where document_id = $1 and seq <= $2
         order by seq limit 1 offset $3
     ), $2)";

const INSERT_SNAPSHOT: &str = "insert into snapshot (document_id, seq, state, checksum, created_at)
     values ($1, $2, $3, $4, $5) on conflict (document_id, seq) do nothing";

const TAKE_UPDATE: &str = "delete from update_log where document_id = $1 and seq = $2
     returning payload, checksum";

const TAKE_SNAPSHOT: &str = "delete from snapshot where document_id = $1 and seq = $2
     returning state, checksum";

const INSERT_DAMAGED: &str =
    "insert into damaged_row (document_id, kind, seq, payload, checksum, found_at)
     values ($1, $2, $3, $4, $5, $6)";

const LIST_2: &str = "select document_id, room, created_at, updated_at from document
     where team = $1 and ($2 is null or (updated_at, document_id) < ($2, $3))
     order by updated_at desc, document_id desc limit $4";

/// An instance of an earlier version, which serves one document.
struct Earlier<'a> {
    home: &'a Home,
    id: String,
    now: String,
}

impl<'a> Earlier<'a> {
    fn new(home: &'a Home) -> Self {
        Self {
            home,
            id: format!("'{}'", DocumentId::generate()),
            now: home.time(Timestamp(1_700_000_000_007)),
        }
    }

    /// Runs `sql` with its parameters replaced by `values`, which are literals.
    async fn run(&self, sql: &str, values: &[&str]) {
        let mut sql = sql.to_owned();
        for (index, value) in values.iter().enumerate().rev() {
            for sign in ["$", "?"] {
                sql = sql.replace(&format!("{sign}{}", index + 1), value);
            }
        }
        self.home.run(&sql).await;
    }

    async fn create(&self, insert: &str) {
        let values = [&self.id, "'acme'", "'old'", "'ana'", &self.now];
        self.run(insert, &values).await;
    }

    async fn write_postgres(&self, batch: &str) {
        let (id, payload) = (format!("array[{}]", self.id), self.home.garbage());
        let payloads = format!("array[{payload}, {payload}]");
        let values = [
            id.as_str(),
            "'{2}'",
            "'{1,1}'",
            "'{1,0}'",
            &payloads,
            "'{7,7}'",
            &self.now,
        ];
        self.run(batch, &values).await;
    }

    async fn write_sqlite(&self, batch: &str) {
        let id = self.id.trim_matches('\'');
        let shares = format!("'[[\"{id}\",2]]'");
        let rows = format!("'[[\"{id}\",1,1,3,7],[\"{id}\",0,1,3,7]]'");
        let values = [&self.now, shares.as_str(), &rows, self.home.garbage()];
        self.run(batch, &values).await;
    }

    /// Runs the other statements on a document with two rows.
    async fn serve(&self) {
        let (id, payload) = (self.id.as_str(), self.home.garbage());
        let now = self.now.as_str();
        self.run(INSERT_SNAPSHOT, &[id, "1", payload, "7", now])
            .await;
        for sql in READ {
            self.run(sql, &[id, "'acme'", "'old'"]).await;
        }
        self.run(TRIM, &[id, "1", "9999"]).await;
        for (take, kind, seq) in [
            (TAKE_UPDATE, "update", "2"),
            (TAKE_SNAPSHOT, "snapshot", "1"),
        ] {
            self.run(take, &[id, seq]).await;
            let kind = format!("'{kind}'");
            self.run(INSERT_DAMAGED, &[id, &kind, seq, payload, "7", now])
                .await;
        }
    }
}

/// Continues with the document of the earlier version in the version under test.
async fn take_over(home: &Home) {
    let store = home.open().await;
    let document = store.find_document(&key("old")).await.unwrap().unwrap();
    assert_eq!(document.head_seq, Seq(2));
    let loaded = store.load(document.id()).await.unwrap();
    assert!(loaded.is_damaged());
    assert_eq!(
        loaded.damaged.len(),
        1,
        "row 1 was trimmed after a snapshot"
    );
    assert_eq!(document.metadata.title, None);
    assert_eq!(
        document.metadata.created_by.name,
        document.metadata.created_by.id.as_str(),
        "the earlier version noted no names"
    );
    let written = append(&store, document.id(), &[b"new"]).await;
    assert_eq!(written.unwrap(), Ok(Seq(3)));
    let state = Bytes::from_static(b"state");
    let put = store.put_snapshot(document.id(), Seq(3), state).await;
    assert_eq!(put, Ok(()));
}

async fn statements_of_the_first_schema_work_on_the_newest(home: Home) {
    migrate(&home.url).await.unwrap();
    let earlier = Earlier::new(&home);
    earlier.create(INSERT_DOCUMENT_1).await;
    earlier.create(INSERT_DOCUMENT_1).await;
    if home.is_sqlite() {
        let [raise, insert] = BATCH_SQLITE_1;
        let values = [earlier.id.as_str(), "2", home.garbage(), "7"];
        earlier.run(raise, &values).await;
        earlier.run(insert, &values).await;
    } else {
        earlier.write_postgres(BATCH_POSTGRES_1).await;
    }
    earlier.serve().await;
    take_over(&home).await;
}

async fn statements_of_the_second_schema_work_on_the_newest(home: Home) {
    migrate(&home.url).await.unwrap();
    let earlier = Earlier::new(&home);
    earlier.create(INSERT_DOCUMENT_2).await;
    earlier.create(INSERT_DOCUMENT_2).await;
    if home.is_sqlite() {
        earlier.write_sqlite(BATCH_SQLITE_2).await;
    } else {
        earlier.write_postgres(BATCH_POSTGRES_2).await;
    }
    earlier.serve().await;
    for after in ["null", earlier.now.as_str()] {
        let values = ["'acme'", after, earlier.id.as_str(), "9"];
        earlier.run(LIST_2, &values).await;
    }
    take_over(&home).await;
}

async fn statements_of_the_ninth_schema_work_on_the_newest(home: Home) {
    migrate(&home.url).await.unwrap();
    let earlier = Earlier::new(&home);
    earlier.create(INSERT_DOCUMENT_2).await;
    if home.is_sqlite() {
        earlier.write_sqlite(BATCH_SQLITE_9).await;
    } else {
        earlier.write_postgres(BATCH_POSTGRES_9).await;
    }
    for sql in READ_9 {
        earlier.run(sql, &[&earlier.id]).await;
    }
    earlier.serve().await;
    take_over(&home).await;
    let owned = "select count(*) from author where client_id = 7 and user_id = 'ana'";
    assert_eq!(home.number(owned).await, 1);
}

/// A version that is started again, or rolled back to, after a newer one has migrated.
async fn a_version_without_the_newest_migration_starts(home: Home) {
    let store = home.open().await;
    close(store).await;
    let (checksum, now) = if home.is_sqlite() {
        ("x'00'", "current_timestamp")
    } else {
        (r"'\x00'::bytea", "now()")
    };
    home.run(&format!(
        "insert into _sqlx_migrations
             (version, description, installed_on, success, checksum, execution_time)
         values (9999, 'of a later version', {now}, true, {checksum}, 1)"
    ))
    .await;
    migrate(&home.url).await.unwrap();
    home.open().await.ping().await.unwrap();
}
