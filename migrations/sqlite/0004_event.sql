-- What happened in each team, for those who ask what they have missed.

create table event_counter (
    team text primary key,
    -- The id of the newest event, drawn in the transaction that publishes it, so that a team's ids
    -- have no gaps and rise in the order of the commits.
    head_event_id integer not null
) strict, without rowid;

create table event (
    team text not null,
    event_id integer not null,
    -- JSON.
    payload text not null,
    at integer not null,
    primary key (team, event_id)
) strict, without rowid;
