-- What its thread is left with by a run whose end is told: until the message is made, the next run may have changed it.
alter table webhook_deliveries add column left_values jsonb;

update webhook_deliveries delivery set left_values = threads.values
from runs join threads on threads.thread_id = runs.thread_id
where runs.run_id = delivery.run_id and delivery.status = 'pending' and delivery.sealed is null;

create or replace function announce_end() returns trigger language plpgsql as $$
begin
    insert into webhook_deliveries (tenant, run_id, url, left_values) values (
        new.tenant, new.run_id, new.webhook, (select threads.values from threads where thread_id = new.thread_id));
    return null;
end $$;

-- A message that wasn't made before its run was deleted can't be made any more; what it was to hold goes with the run.
create or replace function forget_messages() returns trigger language plpgsql as $$
begin
    delete from webhook_deliveries where run_id = old.run_id and status <> 'pending';
    if tg_op = 'DELETE' then
        update webhook_deliveries set left_values = null where run_id = old.run_id;
    end if;
    return null;
end $$;
