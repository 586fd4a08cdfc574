-- A call that a process may still make is held under a lock of that process' session (serving/runs/attempts/in_flight.py). An
-- effect that became unknown meanwhile is decided by nobody who looked before the process had ended.
alter table effects add column in_flight boolean not null default false;

create function call_in_flight(key text) returns boolean language sql volatile as $$
    select not pg_try_advisory_xact_lock_shared(hashtextextended(key, 0))
$$;

create or replace function leave_effects_open() returns trigger language plpgsql as $$
begin
    update effects set state = 'unknown', reason = 'the run ended while the call was under way',
        in_flight = call_in_flight(key)
    where run_id = new.run_id and state = 'prepared';
    return null;
end $$;

create or replace function forget_effects() returns trigger language plpgsql as $$
begin
    update effects set tenant = old.tenant, state = 'unknown', reason = case state
        when 'prepared' then 'the run was deleted while the call was under way' else reason end,
        in_flight = in_flight or (state = 'prepared' and call_in_flight(key))
    where run_id = old.run_id and state in ('prepared', 'unknown');
    delete from effects where run_id = old.run_id and state <> 'unknown';
    return null;
end $$;
