-- The run's last log line when the checkpoint was committed: a fork at a line begins with the newest one up to it.
alter table state_checkpoints add column log_seq bigint;
-- What LangGraph's own saver kept, before ours.
drop table if exists checkpoint_migrations, checkpoints, checkpoint_blobs, checkpoint_writes;

-- Prompts that threads are pinned to (threads.bundle), by their content hash: a run finishes on those it began with.
create table prompt_texts (
    digest text primary key,
    content text not null
);

-- One row: a mark of the key that vault and checkpoints are sealed with, so that a process with another one says so.
create table deployment (
    one boolean primary key default true check (one),
    key_mark bytea not null
);
