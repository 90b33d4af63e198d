-- Documents, and what makes them durable: the log of their updates and snapshots of their state.
--
-- Names are ids, not words: they are compared as bytes (collate "C"), so that an upgrade of the
-- system's locales cannot reorder an index.

create table document (
    -- A UUID of version 7 as text. A document made anew under the same name gets another one.
    document_id text collate "C" primary key,
    team text collate "C" not null,
    room text collate "C" not null,
    -- The seq of the newest row ever written to update_log; drawn under this row's lock, so that
    -- the seqs of a document have no gaps whoever writes.
    head_seq bigint not null default 0,
    created_by text not null,
    created_at timestamptz not null,
    unique (team, room)
) with (fillfactor = 70); -- Every batch updates head_seq: leaves room to do so in place.

create table update_log (
    document_id text collate "C" not null references document on delete cascade,
    seq bigint not null,
    -- A Yjs update, v1 encoding, as its client sent it.
    payload bytea not null,
    -- CRC-32 of the document's id and the payload. The seq is not in it: it is drawn here.
    checksum bigint not null,
    primary key (document_id, seq)
);

create table snapshot (
    document_id text collate "C" not null references document on delete cascade,
    -- The state holds every update up to and including this seq.
    seq bigint not null,
    -- The whole document as one Yjs update, v1 encoding.
    state bytea not null,
    -- CRC-32 of the document's id, the seq and the state.
    checksum bigint not null,
    created_at timestamptz not null,
    primary key (document_id, seq)
);

-- Rows whose checksum did not match when they were read: set aside for repair by hand, never read
-- by the server again.
create table damaged_row (
    document_id text collate "C" not null references document on delete cascade,
    kind text not null check (kind in ('update', 'snapshot')),
    seq bigint not null,
    payload bytea not null,
    checksum bigint not null,
    found_at timestamptz not null,
    -- A seq may be damaged twice: a snapshot can be written anew where a damaged one stood.
    primary key (document_id, kind, seq, found_at)
);
