//! The setting of Postgres that makes each commit durable. The settings of SQLite are tested by
//! `src/store/database/sqlite/tests.rs`.

use bytes::Bytes;
use realtime_server::id::Seq;

use super::{Home, append, close, create};

/// Makes commits of this database asynchronous by default, and records the setting of the
/// connection that writes each row.
const RECORD: &str = "
    do $$ begin
        execute format('alter database %I set synchronous_commit = off', current_database());
    end $$;
    create table recorded (row_of text, synchronous_commit text);
    create function note_setting() returns trigger language plpgsql as $$ begin
        insert into recorded values (tg_table_name, current_setting('synchronous_commit'));
        return new;
    end $$;
    create trigger note_setting after insert on document for each row execute function note_setting();
    create trigger note_setting after insert on update_log for each row execute function note_setting();
    create trigger note_setting after insert on snapshot for each row execute function note_setting();";

#[tokio::test]
async fn commits_of_postgres_are_on_disk_whatever_its_default() {
    let home = Home::postgres().await;
    close(home.open().await).await;
    home.run(RECORD).await;
    let store = home.open().await;
    let document = create(&store, "a").await;
    append(&store, document, &[b"one"]).await.unwrap().unwrap();
    store
        .put_snapshot(document, Seq(1), Bytes::from_static(b"s1"))
        .await
        .unwrap();
    close(store).await;
    for table in ["document", "update_log", "snapshot"] {
        let recorded = |what: &str| {
            format!(
                "select count(*) from recorded where row_of = '{table}' and synchronous_commit {what}"
            )
        };
        let on = home.number(&recorded("= 'on'")).await;
        let other = home.number(&recorded("<> 'on'")).await;
        assert_eq!((on, other), (1, 0), "{table}");
    }
}
