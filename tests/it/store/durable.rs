//! What Postgres is told of each commit. What SQLite is told is asked by `src/store/database/tests.rs`.

use bytes::Bytes;
use realtime_server::id::Seq;

use super::{Home, append, close, create};

/// By default commits of this database are not on disk when they return, and each row that is
/// written notes what its own connection has been told.
const LISTEN: &str = "
    do $$ begin
        execute format('alter database %I set synchronous_commit = off', current_database());
    end $$;
    create table heard (row_of text, synchronous_commit text);
    create function hear() returns trigger language plpgsql as $$ begin
        insert into heard values (tg_table_name, current_setting('synchronous_commit'));
        return new;
    end $$;
    create trigger hear after insert on document for each row execute function hear();
    create trigger hear after insert on update_log for each row execute function hear();
    create trigger hear after insert on snapshot for each row execute function hear();";

#[tokio::test]
async fn postgres_has_on_disk_what_it_commits_whatever_its_default() {
    let home = Home::postgres().await;
    close(home.open().await).await;
    home.run(LISTEN).await;
    let store = home.open().await;
    let document = create(&store, "a").await;
    append(&store, document, &[b"one"]).await.unwrap().unwrap();
    store
        .put_snapshot(document, Seq(1), Bytes::from_static(b"s1"))
        .await
        .unwrap();
    close(store).await;
    for table in ["document", "update_log", "snapshot"] {
        let heard = |what: &str| {
            format!(
                "select count(*) from heard where row_of = '{table}' and synchronous_commit {what}"
            )
        };
        let on = home.number(&heard("= 'on'")).await;
        let other = home.number(&heard("<> 'on'")).await;
        assert_eq!((on, other), (1, 0), "{table}");
    }
}
