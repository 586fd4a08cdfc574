-- Where a run's end is told. The message is put down by whatever ends the run, in the same transaction; workers bring it.
alter table runs add column webhook text;

-- `due_at`: when the next attempt may begin; one under way has moved it to the end of its lease. The message is sealed,
-- since it holds what callers see and the rest of the database doesn't; every attempt brings the same bytes. It outlives
-- a run of no thread's own, which is forgotten soon after its end.
create table webhook_deliveries (
    delivery_id uuid primary key default gen_random_uuid(),
    tenant text not null,
    run_id uuid not null,
    url text not null,
    status text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
    due_at timestamptz not null default now(),
    attempts int not null default 0,
    most_attempts int not null default 9,
    sealed bytea,
    answer int,
    error text not null default '',
    created_at timestamptz not null default now(),
    tried_at timestamptz,
    ended_at timestamptz
);

create index webhook_deliveries_due on webhook_deliveries (due_at) where status = 'pending';
create index webhook_deliveries_newest on webhook_deliveries (tenant, created_at desc, delivery_id desc);
create index webhook_deliveries_by_run on webhook_deliveries (run_id);

-- A hosted run that waits for an answer has ended, too: another run brings the answer.
create function announce_end() returns trigger language plpgsql as $$
begin
    insert into webhook_deliveries (tenant, run_id, url) values (new.tenant, new.run_id, new.webhook);
    return null;
end $$;

create trigger runs_announce after update of finished_at on runs for each row
    when (new.webhook is not null and old.finished_at is null and new.finished_at is not null and not new.rollback)
    execute function announce_end();

-- What retention takes from a run's log it takes from its messages, and so does whoever deletes a run; what is still
-- to be brought is brought.
create function forget_messages() returns trigger language plpgsql as $$
begin
    delete from webhook_deliveries where run_id = old.run_id and status <> 'pending';
    return null;
end $$;

create trigger runs_pruned after update of pruned_at on runs for each row
    when (new.webhook is not null and new.pruned_at is not null) execute function forget_messages();
create trigger runs_deleted after delete on runs for each row
    when (old.webhook is not null) execute function forget_messages();

-- What a tenant's messages are signed with. For a day after a change they are signed with the old one as well.
create table webhook_secrets (
    tenant text primary key,
    sealed bytea not null,
    previous bytea,
    changed_at timestamptz not null default now()
);

-- What a claimed key makes has this id.
alter table idempotency_keys add column id uuid not null;
