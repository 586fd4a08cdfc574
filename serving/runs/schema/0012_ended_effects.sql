-- A run that ends around a call leaves an effect that nobody knows of: it is unknown from then on, for a person to see.
create function leave_effects_open() returns trigger language plpgsql as $$
begin
    update effects set state = 'unknown', reason = 'the run ended while the call was under way'
    where run_id = new.run_id and state = 'prepared';
    return null;
end $$;

create trigger runs_end after update of status on runs for each row
    when (old.status not in ('success', 'error', 'timeout', 'cancelled')
        and new.status in ('success', 'error', 'timeout', 'cancelled'))
    execute function leave_effects_open();
