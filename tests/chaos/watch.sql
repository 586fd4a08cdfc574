-- The oracle's own eyes in the database: which process wrote a row of a run that wasn't its own.
create table if not exists chaos_strangers (at timestamptz default clock_timestamp(), application text, place text, row text, owner text);

create or replace function chaos_watch() returns trigger language plpgsql security definer as $$
declare
    application text := current_setting('application_name');
    owner text;
begin
    -- A cron's run, too, begins as nobody's.
    if application not like 'chaos-worker-%' or to_jsonb(new) ->> 'kind' = 'run_created' then
        return null;
    end if;
    if tg_argv[0] = 'run' then
        select worker into owner from runs where run_id = new.run_id;
    else
        select worker into owner from runs where thread_id::text = new.thread_id and status = 'running';
    end if;
    if owner is null or owner not like '%-' || split_part(application, '-', 3) || '-%' then
        insert into chaos_strangers (application, place, row, owner) values (application, tg_table_name, new::text, owner);
    end if;
    return null;
end $$;

-- Of a run that kept its fence: whether its lease was prolonged when it had ended, by the clock that says who may.
create or replace function chaos_watch_lease() returns trigger language plpgsql security definer as $$
begin
    insert into chaos_strangers (application, place, row, owner)
    values (current_setting('application_name'), 'a lease', new::text, 'nobody any more');
    return null;
end $$;

create or replace trigger chaos_watch_lease after update of lease_until on runs for each row
    when (current_setting('application_name') like 'chaos-worker-%' and new.fence = old.fence
        and old.lease_until <= now() and new.lease_until > now())
    execute function chaos_watch_lease();

do $$
declare
    place text;
begin
    foreach place in array array['run_events', 'effects', 'approvals', 'artifacts'] loop
        execute format('create or replace trigger chaos_watch after insert or update on %I
            for each row execute function chaos_watch(''run'')', place);
    end loop;
    foreach place in array array['checkpoints', 'checkpoint_writes', 'state_checkpoints', 'state_writes'] loop
        if to_regclass(place) is not null then
            execute format('create or replace trigger chaos_watch after insert or update on %I
                for each row execute function chaos_watch(''thread'')', place);
        end if;
    end loop;
end $$;
