-- Who wrote the rows of the log, and when.

-- When the row was accepted. Null in rows of earlier versions.
alter table update_log add column at timestamptz;
-- Who wrote all of the row. Null where it was merged of several people's insertions: their client ids tell whose they are, see
-- the table author. Null also in rows of earlier versions.
alter table update_log add column user_id text;

-- The whole log. In SQLite it has two tables.
create view document_log as
    select document_id, seq, payload, checksum, at, user_id from update_log;
