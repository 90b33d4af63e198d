-- Titles of documents, the names of people, and the trash.

-- The names of the people whom other rows mention, from the last token with which each wrote.
create table person (
    team text not null,
    user_id text not null,
    name text not null,
    avatar_url text,
    updated_at integer not null,
    primary key (team, user_id)
) strict, without rowid;

-- Null where no title was given.
alter table document add column title text;
-- The title, or the name of the room where there is none, in lower case: lists are sorted by it.
alter table document add column title_key text not null default '';
update document set title_key = lower(room);

-- A deleted document gives up its team and its room, so that no statement finds it by its name and
-- another document can have the name: its team is empty and its room is its id. What it had is in
-- trash_team and trash_room until it is restored or deleted for good.
alter table document add column deleted_at integer;
alter table document add column deleted_by text;
alter table document add column trash_team text;
alter table document add column trash_room text;
create index document_trash on document (trash_team, deleted_at) where deleted_at is not null;
create index document_deleted on document (deleted_at) where deleted_at is not null;
