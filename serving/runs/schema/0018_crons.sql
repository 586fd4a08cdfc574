-- Runs on a schedule, as the LangGraph SDK knows them. `payload` is what a caller asked for, as it came (of the agent's,
-- redacted); each run is made from it. `next_run_date` is null behind the last one. On a thread, or each run on one of
-- its own, which is deleted behind it or kept (`on_run_completed`).
create table crons (
    cron_id uuid primary key,
    tenant text not null,
    assistant_id uuid not null,
    thread_id uuid,
    schedule text not null,
    timezone text,
    end_time timestamptz,
    on_run_completed text check (on_run_completed in ('delete', 'keep')),
    enabled boolean not null,
    payload json not null,
    metadata jsonb not null,
    next_run_date timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (tenant, assistant_id) references assistants on delete cascade,
    foreign key (thread_id, tenant) references threads (thread_id, tenant) on delete cascade
);

create index crons_due on crons (next_run_date) where enabled and next_run_date is not null;
create index crons_newest on crons (tenant, created_at desc, cron_id desc);
create index crons_by_assistant on crons (tenant, assistant_id);
create index crons_by_thread on crons (thread_id) where thread_id is not null;
