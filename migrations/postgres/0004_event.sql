-- What happened in each team, for those who ask what they have missed.

create table event_counter (
    team text collate "C" primary key,
    -- The id of the newest event; drawn under this row's lock, the last one that a transaction
    -- takes, so that a team's ids have no gaps and rise in the order of the commits.
    head_event_id bigint not null
) with (fillfactor = 70); -- Every transaction that publishes updates it: leaves room to do so in place.

create table event (
    team text collate "C" not null,
    event_id bigint not null,
    payload jsonb not null,
    at timestamptz not null,
    primary key (team, event_id)
);
