-- When a document was last written to: the newest first in the list of documents.

-- The default is never used: SQLite adds no column without one to a table that has rows.
alter table document add column updated_at integer not null default 0;
update document set updated_at = created_at;
