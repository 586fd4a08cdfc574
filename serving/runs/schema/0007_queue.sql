-- A run that may start at once depends on no clock: `run_at` is a time only where somebody set one.
alter table runs alter column run_at drop not null, alter column run_at drop default;
update runs set run_at = null where status = 'pending' and run_at <= now();

-- Who is next is read off three small indexes, in order; none of them holds a run that has ended.
drop index runs_ready;
create index runs_ready on runs (priority desc, created_at, run_id) where status = 'pending' and run_at is null;
create index runs_due on runs (run_at)
    where status = 'interrupted' or (status = 'pending' and run_at is not null);

-- Whether a thread is free, however many runs of it have ended.
create index runs_live_by_thread on runs (thread_id, run_id) where status in ('pending', 'interrupted', 'running');
