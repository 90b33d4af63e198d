-- Indexes of lists that would otherwise pass over every row of a person or of a document.

-- The unread notifications of a person, in the order of the list: of a person who has read many.
create index notification_unread_of_user
    on notification (team, user_id, created_at, notification_id) where read_at is null;
-- How many are unread in each document, for those who may not view every document.
create index notification_unread_by_room on notification (team, user_id, room)
    where read_at is null;
-- What one person did in one document.
create index activity_of_document_actor on activity (document_id, actor_id, activity_id);
