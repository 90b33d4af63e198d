-- The people whom rows of a list mention, for columns with the collation "C": the index of the primary
-- key has another one.
create index person_of_team on person (team collate "C", user_id collate "C");
