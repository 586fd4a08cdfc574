-- LangGraph's checkpoints, as serving/runs/checkpoints/ keeps them. No value is written twice while it doesn't change,
-- and a list that grows is a row of new items a step. Every `sealed` begins with a MAC over the row's place and content.
create table state_checkpoints (
    tenant text collate "C" not null,
    thread_id text collate "C" not null,
    namespace text collate "C" not null,
    checkpoint_id text collate "C" not null,
    parent_id text collate "C",
    run_id text collate "C",
    at timestamptz not null default now(),
    refs text not null,
    sealed bytea not null,
    primary key (tenant, thread_id, namespace, checkpoint_id)
);

create index state_checkpoints_by_run on state_checkpoints (run_id) where run_id is not null;

-- Channel values that aren't small, one row a version.
create table state_values (
    tenant text collate "C" not null,
    thread_id text collate "C" not null,
    namespace text collate "C" not null,
    channel text collate "C" not null,
    version text collate "C" not null,
    sealed bytea not null,
    primary key (tenant, thread_id, namespace, channel, version)
);

-- Lists, append-only: `items` items from `position` on. A checkpoint refers to (epoch, length); a list that doesn't
-- extend the stored one begins a new epoch, and so does the second of two branches (the primary key sees to that).
create table state_items (
    tenant text collate "C" not null,
    thread_id text collate "C" not null,
    namespace text collate "C" not null,
    channel text collate "C" not null,
    epoch bigint not null,
    position int not null,
    items int not null,
    sealed bytea not null,
    primary key (tenant, thread_id, namespace, channel, epoch, position)
);

-- What tasks wrote on top of a checkpoint that has no child yet.
create table state_writes (
    tenant text collate "C" not null,
    thread_id text collate "C" not null,
    namespace text collate "C" not null,
    checkpoint_id text collate "C" not null,
    task_id text collate "C" not null,
    index int not null,
    channel text collate "C" not null,
    task_path text collate "C" not null,
    sealed bytea not null,
    primary key (tenant, thread_id, namespace, checkpoint_id, task_id, index)
);
