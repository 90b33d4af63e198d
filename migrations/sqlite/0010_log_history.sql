-- Who wrote the rows of the log, and when; and the tail, to which SQLite appends the rows of all documents.

-- When the row was accepted. Null in rows of earlier versions.
alter table update_log add column at integer;
-- Who wrote all of the row. Null where it was merged of several people's insertions: their client ids tell whose they are, see
-- the table author. Null also in rows of earlier versions.
alter table update_log add column user_id text;

-- The newest rows of the log, of all documents in the order in which they were committed. A commit writes them to the end of this
-- table; in update_log each document's rows are on other pages. They are moved there about once a second. A document's head_seq
-- and updated_at do not count the rows that are still here.
create table log_tail (
    position integer primary key,
    document_id text not null,
    seq integer not null,
    payload blob not null,
    checksum integer not null,
    at integer not null,
    user_id text
) strict;

-- The whole log.
create view document_log as
    select document_id, seq, payload, checksum, at, user_id from update_log
    union all
    select document_id, seq, payload, checksum, at, user_id from log_tail;
