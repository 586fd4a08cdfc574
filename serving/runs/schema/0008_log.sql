-- The log as a chain: every line carries a hash over the one before it, the run row the last one.
-- `body` becomes the very text that was written: jsonb's own text may change with the server, and a hash may not.
-- `size` is its bytes, so that a reader's page can be bounded without fetching the bodies.
alter table runs add column log_head bytea not null default '';
alter table run_events add column hash bytea;
alter table run_events disable trigger run_events_append_only;
alter table run_events alter column body type json using body::text::json;
alter table run_events add column size int not null generated always as (octet_length(body::text)) stored;

-- sha256 over: hash of the line before (empty for the first), then run id, seq, microseconds since 1970, kind and the
-- body's text, with a line feed between them, as UTF-8. serving/runs/audit.py does the same on its own.
create function event_hash(head bytea, run uuid, seq bigint, at timestamptz, kind text, body json) returns bytea
    language sql stable return sha256(head || convert_to(
        run::text || e'\n' || seq || e'\n' || (extract(epoch from at) * 1000000)::bigint || e'\n' || kind || e'\n'
        || body::text, 'UTF8'));

-- The one way to write lines: takes the run's row, so `seq` follows commit order; returns no row, and writes nothing,
-- when `attempt` (a fence; null for those who are no attempt) doesn't own the run any more.
create function append_events(run uuid, attempt bigint, bodies json)
    returns table (seq bigint, at timestamptz, body json) language plpgsql as $$
declare
    head bytea;
begin
    select last_seq, log_head into seq, head from runs
    where run_id = run and (attempt is null or (fence = attempt and status = 'running')) for no key update;
    if not found then
        return;
    end if;
    for body in select value from json_array_elements(bodies) loop
        seq := seq + 1;
        at := clock_timestamp();
        head := event_hash(head, run, seq, at, body ->> 'kind', body);
        insert into run_events (run_id, seq, kind, body, at, hash)
        values (run, append_events.seq, append_events.body ->> 'kind', append_events.body, append_events.at, head);
        return next;
    end loop;
    update runs set last_seq = append_events.seq, log_head = head where run_id = run;
end $$;

-- Lines from before the chain are attested as they stand.
do $$
declare
    line record;
    run uuid;
    head bytea;
begin
    for line in select * from run_events order by run_id, seq loop
        if run is distinct from line.run_id then
            run := line.run_id;
            head := '';
        end if;
        head := event_hash(head, run, line.seq, line.at, line.kind, line.body);
        update run_events set hash = head where run_id = run and seq = line.seq;
        update runs set log_head = head where run_id = run and last_seq = line.seq;
    end loop;
end $$;

alter table run_events alter column hash set not null;
alter table run_events enable trigger run_events_append_only;
