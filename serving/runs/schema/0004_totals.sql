-- Totals that a metrics scrape reads instead of the log: counted when a line is written, in its own transaction.
-- One row per writing connection (its pid modulo 32), so that workers don't wait for each other; a reader adds them up.
create table model_totals (
    model text not null,
    shard int not null,
    calls bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    cached_tokens bigint not null,
    cost_usd numeric not null,
    seconds double precision not null,
    primary key (model, shard)
);

create table run_totals (
    status text not null,
    shard int not null,
    runs bigint not null,
    primary key (status, shard)
);

create function count_model_call() returns trigger language plpgsql as $$
begin
    insert into model_totals as totals
        (model, shard, calls, input_tokens, output_tokens, cached_tokens, cost_usd, seconds)
    values (
        coalesce(new.body->>'model', 'unknown'),
        pg_backend_pid() % 32,
        1,
        coalesce((new.body->>'input_tokens')::bigint, 0),
        coalesce((new.body->>'output_tokens')::bigint, 0),
        coalesce((new.body->>'cached_tokens')::bigint, 0),
        coalesce((new.body->>'cost_usd')::numeric, 0),
        coalesce((new.body->>'duration_ms')::double precision, 0) / 1000
    )
    on conflict (model, shard) do update set
        calls = totals.calls + 1,
        input_tokens = totals.input_tokens + excluded.input_tokens,
        output_tokens = totals.output_tokens + excluded.output_tokens,
        cached_tokens = totals.cached_tokens + excluded.cached_tokens,
        cost_usd = totals.cost_usd + excluded.cost_usd,
        seconds = totals.seconds + excluded.seconds;
    return null;
end $$;

create function count_run() returns trigger language plpgsql as $$
begin
    insert into run_totals as totals (status, shard, runs)
    values (coalesce(new.body->>'status', 'unknown'), pg_backend_pid() % 32, 1)
    on conflict (status, shard) do update set runs = totals.runs + 1;
    return null;
end $$;

create trigger run_events_model_totals after insert on run_events
    for each row when (new.kind = 'model_called') execute function count_model_call();
create trigger run_events_run_totals after insert on run_events
    for each row when (new.kind = 'run_finished') execute function count_run();

-- What waits for a person; the other live states have their partial index already.
create index runs_interrupted on runs (run_id) where status = 'interrupted';
create index approvals_open on approvals (expires_at) where decided_at is null;
