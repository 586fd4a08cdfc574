-- Threads, runs (the queue), the log. Postgres is the system of record.
create table threads (
    thread_id uuid primary key,
    tenant text not null default 'default',
    metadata jsonb not null default '{}',
    bundle jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table runs (
    run_id uuid primary key,
    thread_id uuid not null references threads on delete cascade,
    tenant text not null default 'default',
    status text not null default 'pending'
        check (status in ('pending', 'running', 'interrupted', 'success', 'error', 'timeout', 'cancelled')),
    request jsonb not null,
    request_digest text not null,
    idempotency_key text,
    priority int not null default 0,
    run_at timestamptz not null default now(),
    worker text,
    lease_until timestamptz,
    fence bigint not null default 0,
    attempts int not null default 0,
    last_seq bigint not null default 0,
    cancel_requested boolean not null default false,
    woken boolean not null default false,
    exported boolean not null default false,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    unique (tenant, idempotency_key)
);

create index runs_ready on runs (priority desc, run_at, run_id) where status in ('pending', 'interrupted');
create index runs_leased on runs (lease_until) where status = 'running';
create unique index runs_one_running_per_thread on runs (thread_id) where status = 'running';
create index runs_by_thread on runs (thread_id, created_at);
create index runs_to_export on runs (finished_at) where not exported and finished_at is not null;

create table run_events (
    run_id uuid not null references runs on delete cascade,
    seq bigint not null,
    kind text not null,
    body jsonb not null,
    at timestamptz not null default clock_timestamp(),
    primary key (run_id, seq)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and pg_trigger_depth() > 1 then
        return old;
    end if;
    raise exception 'the run log is append-only';
end $$;

create trigger run_events_append_only before update or delete on run_events
    for each row execute function refuse_change();

-- What a person is asked; single use, bound to a digest of tool, version and exact arguments.
create table approvals (
    approval_id text not null,
    run_id uuid not null references runs on delete cascade,
    kind text not null check (kind in ('plan', 'tool')),
    request jsonb not null,
    digest text not null,
    decision jsonb,
    decided_by text,
    decided_at timestamptz,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    primary key (run_id, approval_id)
);

-- The effect ledger: `prepared` is committed before the call goes out.
create table effects (
    run_id uuid not null references runs on delete cascade,
    key text not null,
    tool text not null,
    arguments_digest text not null,
    state text not null check (state in ('proposed', 'approved', 'prepared', 'done', 'failed', 'unknown')),
    result jsonb,
    fence bigint not null,
    created_at timestamptz not null default now(),
    settled_at timestamptz,
    primary key (run_id, key)
);

create table artifacts (
    run_id uuid not null references runs on delete cascade,
    name text not null,
    media_type text not null,
    content text not null,
    created_at timestamptz not null default now(),
    primary key (run_id, name)
);
