-- Revoked sessions: the tokens that are refused although they are valid.

create table revocation (
    team text collate "C" not null,
    -- login: the tokens with this sid; user: the older tokens with this sub.
    kind text collate "C" not null,
    subject text collate "C" not null,
    -- Of a user: the tokens that were issued before it are refused.
    issued_before timestamptz,
    -- When every token that it refuses has expired: then the row is deleted.
    kept_until timestamptz not null,
    -- Rises in the order of the commits, so that an instance reads only what it does not know yet.
    seq bigint not null,
    revoked_by text not null,
    revoked_at timestamptz not null,
    primary key (team, kind, subject)
);
create unique index revocation_seq on revocation (seq);
create index revocation_kept_until on revocation (kept_until);

-- The newest seq, in one row, which is locked from the drawing of a seq to the commit.
create table revocation_counter (
    id bigint primary key check (id = 1),
    head_seq bigint not null
);
insert into revocation_counter (id, head_seq) values (1, 0);
