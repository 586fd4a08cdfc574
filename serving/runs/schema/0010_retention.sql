-- How many days an ended run's log, checkpoints and files are kept; null: for ever. '*' holds for tenants without a row.
create table retention (
    tenant text primary key,
    events_days int check (events_days >= 0),
    checkpoints_days int check (checkpoints_days >= 0),
    artifacts_days int check (artifacts_days >= 0)
);

insert into retention (tenant) values ('*');

-- A pruned run has no log any more, so it can never be queued again.
alter table runs add pruned_at timestamptz,
    add constraint runs_pruned_have_ended
        check (pruned_at is null or status in ('success', 'error', 'timeout', 'cancelled'));

create index runs_to_prune on runs (finished_at) where pruned_at is null and finished_at is not null;

-- Until when an ended run's log, checkpoints and files are kept by its tenant's terms; null: for ever.
create view ended_runs as
select run.run_id, run.thread_id, run.tenant, run.finished_at, run.pruned_at,
    run.finished_at + term.events_days * interval '1 day' as events_until,
    run.finished_at + term.checkpoints_days * interval '1 day' as checkpoints_until,
    run.finished_at + term.artifacts_days * interval '1 day' as artifacts_until
from runs run, lateral (
    select * from retention where retention.tenant in (run.tenant, '*') order by retention.tenant = '*' limit 1
) term
where run.status in ('success', 'error', 'timeout', 'cancelled');

-- A pruned file keeps its name, so that whoever asks is told when it went.
alter table artifacts alter content drop not null, add pruned_at timestamptz,
    add check (content is not null or pruned_at is not null);

-- The log's one door: the lines of a run go once it is marked as pruned, which only an ended run can be.
create function refuse_log_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and (pg_trigger_depth() > 1
        or exists (select from runs where run_id = old.run_id and pruned_at is not null)) then
        return old;
    end if;
    raise exception 'the run log is append-only';
end $$;

drop trigger run_events_append_only on run_events;
create trigger run_events_append_only before update or delete on run_events
    for each row execute function refuse_log_change();
