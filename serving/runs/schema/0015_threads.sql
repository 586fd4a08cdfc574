-- What the LangGraph SDK asks of a thread. `status` is how it rests; while a run of it waits or runs it is busy, which
-- no column says. `values` and `interrupts` are those of its latest state, as JSON. With `ttl_minutes` it is swept so
-- long after its last change: deleted, or left with its latest checkpoint only, at `swept_at`.
alter table threads
    add column status text not null default 'idle' check (status in ('idle', 'interrupted', 'error')),
    add column config jsonb not null default '{}',
    add column values jsonb,
    add column interrupts jsonb not null default '{}',
    add column error jsonb,
    add column state_updated_at timestamptz not null default now(),
    add column ttl_minutes double precision check (ttl_minutes > 0),
    add column ttl_strategy text not null default 'delete' check (ttl_strategy in ('delete', 'keep_latest')),
    add column swept_at timestamptz;

create index threads_by_creation on threads (tenant, created_at desc, thread_id desc);
create index threads_newest on threads (tenant, updated_at desc, thread_id desc);
create index threads_by_metadata on threads using gin (metadata jsonb_path_ops) where metadata <> '{}';
create index threads_to_sweep on threads (thread_id) where ttl_minutes is not null;

-- How a run leaves its thread, unless the statement that ended it has said so itself. A run that never began changes
-- nothing of it.
create function rest_thread() returns trigger language plpgsql as $$
begin
    update threads set updated_at = now(), status = case
        when new.status in ('success', 'cancelled') then 'idle'
        when new.status = 'interrupted' then 'interrupted'
        else 'error' end
    where thread_id = new.thread_id and updated_at <> now();
    return null;
end $$;

create trigger runs_rest after update of status on runs for each row
    when (old.status <> new.status and new.status not in ('pending', 'running')
        and not (old.status = 'pending' and new.status = 'cancelled'))
    execute function rest_thread();

-- The one way in which a running process forgets a thread: whole, with its runs, their logs and its checkpoints, never
-- a part of them. Runs are locked before their thread, as wherever both are. Returns those that were there.
create function delete_threads(of_tenant text, ids uuid[]) returns setof uuid
    language plpgsql security definer set search_path from current as $$
begin
    perform from runs where runs.thread_id = any(ids) and runs.tenant = of_tenant order by runs.run_id for update;
    return query delete from threads where threads.thread_id = any(ids) and threads.tenant = of_tenant
        returning threads.thread_id;
    delete from state_checkpoints where tenant = of_tenant and thread_id = any(ids::text[]);
    delete from state_values where tenant = of_tenant and thread_id = any(ids::text[]);
    delete from state_items where tenant = of_tenant and thread_id = any(ids::text[]);
    delete from state_writes where tenant = of_tenant and thread_id = any(ids::text[]);
end $$;

revoke execute on function delete_threads from public;

-- An assistant is a graph with settings, in numbered versions; `version` is the one that counts. Every hosted graph
-- has one of its own, whose id follows from the graph's.
create table assistants (
    tenant text not null default 'default',
    assistant_id uuid not null,
    version int not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant, assistant_id)
);

create table assistant_versions (
    tenant text not null,
    assistant_id uuid not null,
    version int not null,
    graph_id text not null,
    name text not null,
    description text,
    config jsonb not null,
    context jsonb not null,
    metadata jsonb not null,
    created_at timestamptz not null default now(),
    primary key (tenant, assistant_id, version),
    foreign key (tenant, assistant_id) references assistants on delete cascade
);

create index assistant_versions_by_metadata on assistant_versions using gin (metadata jsonb_path_ops);
