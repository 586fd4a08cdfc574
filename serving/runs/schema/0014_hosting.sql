-- Runs of hosted graphs, and what LangGraph's clients say of any run. `launch` is what a caller asks for, as its own
-- text: order and numbers stay. A run without a `graph` is planner, worker and critic's. Where `rollback` is set, a run
-- is forgotten when it ends.
alter table runs
    add column graph text,
    add column assistant_id uuid,
    add column metadata jsonb not null default '{}',
    add column launch json,
    add column rollback boolean not null default false;

-- The way in which a running process forgets runs: whole, with log and checkpoints. What they shared with others goes
-- with the thread. Returns those that were there.
create function forget_runs(of_tenant text, ids uuid[]) returns setof uuid
    language plpgsql security definer set search_path from current as $$
begin
    perform from runs where runs.run_id = any(ids) and runs.tenant = of_tenant order by runs.run_id for update;
    with gone as (
        delete from state_checkpoints where tenant = of_tenant and run_id = any(ids::text[])
        returning tenant, thread_id, namespace, checkpoint_id
    )
    delete from state_writes using gone
    where (state_writes.tenant, state_writes.thread_id, state_writes.namespace, state_writes.checkpoint_id)
        = (gone.tenant, gone.thread_id, gone.namespace, gone.checkpoint_id);
    return query delete from runs where runs.run_id = any(ids) and runs.tenant = of_tenant returning runs.run_id;
end $$;

revoke execute on function forget_runs from public;
