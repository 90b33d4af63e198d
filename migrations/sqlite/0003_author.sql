-- Who owns which Yjs client id, and what became of rows that cannot be loaded.

-- One row for each client id of a document, written in the group commit that brings the first
-- update of it. The first one stays.
create table author (
    document_id text not null references document on delete cascade,
    -- A Yjs client id: up to 2^53 - 1.
    client_id integer not null,
    user_id text not null,
    -- The first clock that came from this person.
    first_clock integer not null,
    since integer not null,
    primary key (document_id, client_id)
) strict, without rowid;

-- checksum: the row was not as it had been written. refused: it was, but the document could not
-- take it in. missing: there was no such row; the payload is empty.
alter table damaged_row add column reason text not null default 'checksum'
    check (reason in ('checksum', 'refused', 'missing'));
-- Where several rows in a row are missing: the seq of the last of them.
alter table damaged_row add column last_seq integer;
-- Set by whoever repaired the row or has given it up, see docs/operations.md.
alter table damaged_row add column repaired_at integer;
create unique index damaged_row_missing on damaged_row (document_id, kind, seq)
    where reason = 'missing';
create index damaged_row_open on damaged_row (document_id) where repaired_at is null;
