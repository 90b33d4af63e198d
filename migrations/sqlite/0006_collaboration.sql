-- Activity, comments, notifications and workflow; what a repeated request answers; messages to the
-- main service.
--
-- Ids of rows are UUIDs of version 7 as text: they rise with the time of their creation.

-- Whom an event is for, so that those who ask what they have missed find it by an index. Events of
-- an older version are for their team.
alter table event add column to_team integer not null default 1;
alter table event add column to_room text;
alter table event add column to_user text;
create index event_to_team on event (team, event_id) where to_team;
create index event_to_room on event (team, to_room, event_id) where to_room is not null;
create index event_to_user on event (team, to_user, event_id) where to_user is not null;

-- What happened that matters to a colleague.
create table activity (
    activity_id text primary key,
    team text not null,
    -- Null for what a service told of no document, or of none of ours.
    document_id text references document on delete cascade,
    room text,
    verb text not null,
    actor_id text not null,
    subject text,
    at integer not null,
    -- The last edit of a sitting; otherwise the same as at.
    last_at integer not null
) strict;
create index activity_of_team on activity (team, activity_id);
create index activity_last_at on activity (last_at);
create index activity_of_document on activity (document_id, activity_id);
create index activity_of_actor on activity (team, actor_id, activity_id);
create index activity_sitting on activity (document_id, actor_id, last_at) where verb = 'edited';

-- Where a document stands in its workflow; null while it is where the workflow begins.
alter table document add column status text;
alter table document add column status_since integer;
alter table document add column status_by text;

create table workflow_step (
    step_id text primary key,
    document_id text not null references document on delete cascade,
    from_status text not null,
    to_status text not null,
    by_user text not null,
    note text,
    at integer not null
) strict;
create index workflow_step_of_document on workflow_step (document_id, step_id);

create table thread (
    thread_id text primary key,
    document_id text not null references document on delete cascade,
    resolved integer not null default 0,
    -- Yjs relative positions, as the client encoded them.
    anchor_start blob,
    anchor_end blob,
    quote text,
    created_by text not null,
    created_at integer not null,
    resolved_by text,
    resolved_at integer,
    -- The number of its comments, deleted ones included, and the size of their texts, mentions and
    -- reactions, in bytes.
    comments integer not null,
    body_bytes integer not null
) strict;
create index thread_of_document on thread (document_id, thread_id);
create index thread_by_status on thread (document_id, resolved, thread_id);

create table comment (
    comment_id text primary key,
    thread_id text not null references thread on delete cascade,
    author_id text not null,
    -- Empty once it is deleted.
    body text not null,
    -- A list of user ids.
    mentions text not null,
    created_at integer not null,
    edited_at integer,
    deleted_at integer
) strict;
create index comment_of_thread on comment (thread_id, comment_id);

create table reaction (
    comment_id text not null references comment on delete cascade,
    emoji text not null,
    user_id text not null,
    at integer not null,
    primary key (comment_id, emoji, user_id)
) strict;

-- A person's inbox: locked by whatever changes the person's notifications, so that the number of
-- unread ones is right.
create table inbox (
    team text not null,
    user_id text not null,
    unread integer not null default 0,
    -- The kinds of which the person wants no notifications.
    muted text not null default '[]',
    primary key (team, user_id)
) strict;

create table notification (
    notification_id text primary key,
    team text not null,
    user_id text not null,
    kind text not null,
    -- What it is about: unread notifications of one kind and subject are one.
    subject text not null,
    title text not null,
    body text,
    room text,
    thread_id text,
    actor_id text,
    url text,
    count integer not null default 1,
    -- When the last of them happened.
    created_at integer not null,
    read_at integer
) strict;
create unique index notification_unread on notification (team, user_id, kind, subject)
    where read_at is null;
create index notification_of_user on notification (team, user_id, created_at, notification_id);
create index notification_created on notification (created_at);

-- The answers to requests that may be repeated, for 24 hours.
create table answered_request (
    team text not null,
    user_id text not null,
    -- Which function of the server it asked for.
    request text not null,
    -- The key that the client gave it.
    key text not null,
    -- A hash of the request's content: the same key with another content is refused.
    content text not null,
    -- Null until the transaction that carries it out commits.
    answer text,
    at integer not null,
    primary key (team, user_id, request, key)
) strict;
create index answered_request_at on answered_request (at);

-- Messages to the main service. Those of one document are sent in order.
create table webhook_message (
    message_id text primary key,
    team text not null,
    document_id text not null,
    kind text not null,
    payload text not null,
    created_at integer not null,
    attempts integer not null default 0,
    next_attempt_at integer not null,
    last_error text,
    -- Set once no further attempt is made.
    failed_at integer
) strict;
create index webhook_message_due on webhook_message (next_attempt_at) where failed_at is null;
create index webhook_message_of_document on webhook_message (document_id, message_id)
    where failed_at is null;
