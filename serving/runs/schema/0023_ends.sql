-- A run's last line names the effects that nobody knows of, as they stand in the moment of its end: volatile, for a
-- stable one wouldn't see what was prepared while the statement that ends the run waited for the run's row.
create function ending_lines(run uuid, bodies json) returns json language sql volatile as $$
    select json_agg(case when open.keys is null or body ->> 'kind' <> 'run_finished' or body ->> 'status' = 'success'
        then body else (body::jsonb || jsonb_build_object('effects', open.keys))::json end order by number)
    from json_array_elements(bodies) with ordinality line (body, number), (
        select json_agg(key order by prepared_at, key) as keys
        from effects where run_id = run and state in ('prepared', 'unknown')) open
$$;

-- What became of an effect must be found out even when its run was deleted: from then on it is a row of its own, with
-- the `tenant` that the run had, until a person has spoken and retention takes it.
alter table effects drop constraint effects_run_id_fkey, add column tenant text;

create function forget_effects() returns trigger language plpgsql as $$
begin
    update effects set tenant = old.tenant, state = 'unknown', reason = case state
        when 'prepared' then 'the run was deleted while the call was under way' else reason end
    where run_id = old.run_id and state in ('prepared', 'unknown');
    delete from effects where run_id = old.run_id and state <> 'unknown';
    return null;
end $$;

create trigger runs_forget_effects after delete on runs for each row execute function forget_effects();
create index effects_left on effects (decided_at) where tenant is not null;

-- How long the same Idempotency-Key finds what it made, in days since it came; null: for ever.
alter table retention add column keys_days int default 30 check (keys_days >= 1);
