-- When a document was last written to: the newest first in the list of documents.

alter table document add column updated_at timestamptz;
update document set updated_at = created_at;
-- Without an index on purpose: every batch sets it, in place as long as no index knows it.
alter table document alter column updated_at set not null;
