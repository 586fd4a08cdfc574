"""The saver's SQL. What is written comes as one JSON text of rows; `body` is a row's place in the array of bytes."""

from typing import LiteralString

_ENTRIES: LiteralString = """
with entry as materialized (
    select * from jsonb_to_recordset(%(rows)s::jsonb -> 'entries') as e(number int, run_id uuid, fence bigint)
), owned as materialized (
    select run_id, fence, last_seq from runs
    where run_id = any(array(select run_id from entry)) and status = 'running'
    order by run_id for share
"""
_WRITES: LiteralString = """
), allowed as materialized (
    select entry.number, owned.last_seq from entry left join owned on owned.run_id = entry.run_id
    where entry.run_id is null or owned.fence = entry.fence
), checkpoint as (
    insert into state_checkpoints
        (tenant, thread_id, namespace, checkpoint_id, parent_id, run_id, log_seq, refs, sealed)
    select tenant, thread_id, namespace, checkpoint_id, parent_id, run_id, coalesce(log_seq, last_seq), refs,
        (%(bodies)b::bytea[])[body]
    from jsonb_to_recordset(%(rows)s::jsonb -> 'checkpoints') as r(number int, tenant text, thread_id text,
        namespace text, checkpoint_id text, parent_id text, run_id text, log_seq bigint, refs text, body int)
        join allowed using (number)
    on conflict (tenant, thread_id, namespace, checkpoint_id) do update
        set parent_id = excluded.parent_id, run_id = excluded.run_id, log_seq = excluded.log_seq, refs = excluded.refs,
            sealed = excluded.sealed
), value as (
    insert into state_values (tenant, thread_id, namespace, channel, version, sealed)
    select tenant, thread_id, namespace, channel, version, (%(bodies)b::bytea[])[body]
    from jsonb_to_recordset(%(rows)s::jsonb -> 'values') as r(number int, tenant text, thread_id text,
        namespace text, channel text, version text, body int) join allowed using (number)
    on conflict do nothing
), item as (
    insert into state_items (tenant, thread_id, namespace, channel, epoch, position, items, sealed)
    select tenant, thread_id, namespace, channel, epoch, position, items, (%(bodies)b::bytea[])[body]
    from jsonb_to_recordset(%(rows)s::jsonb -> 'items') as r(number int, tenant text, thread_id text, namespace text,
        channel text, epoch bigint, position int, items int, body int) join allowed using (number)
), task_write as (
    insert into state_writes
        (tenant, thread_id, namespace, checkpoint_id, task_id, index, channel, task_path, sealed)
    select tenant, thread_id, namespace, checkpoint_id, task_id, index, channel, task_path, (%(bodies)b::bytea[])[body]
    from jsonb_to_recordset(%(rows)s::jsonb -> 'writes') as r(number int, tenant text, thread_id text,
        namespace text, checkpoint_id text, task_id text, index int, channel text, task_path text, body int)
        join allowed using (number)
    on conflict (tenant, thread_id, namespace, checkpoint_id, task_id, index) do update
        set channel = excluded.channel, task_path = excluded.task_path, sealed = excluded.sealed
        where excluded.index < 0
)
select number from allowed
"""
WRITE_GROUP: LiteralString = _ENTRIES + "skip locked" + _WRITES
WRITE_ALONE: LiteralString = _ENTRIES + _WRITES

_CHECKPOINT: LiteralString = """
select checkpoint.thread_id, checkpoint.namespace, checkpoint.checkpoint_id, checkpoint.parent_id, checkpoint.run_id,
    checkpoint.refs, checkpoint.sealed, """
_PARTS: LiteralString = """value.*, item.*, task_write.*
from state_checkpoints checkpoint, lateral (
    select array_agg(v.channel) as value_channel, array_agg(v.version) as value_version,
        array_agg(v.sealed) as value_sealed
    from jsonb_each_text(checkpoint.refs::jsonb -> 'values') ref(channel, version) join state_values v on
        (v.tenant, v.thread_id, v.namespace, v.channel, v.version)
        = (checkpoint.tenant, checkpoint.thread_id, checkpoint.namespace, ref.channel, ref.version)
) value, lateral (
    select array_agg(i.channel order by i.channel, i.position) as item_channel,
        array_agg(i.epoch order by i.channel, i.position) as item_epoch,
        array_agg(i.position order by i.channel, i.position) as item_position,
        array_agg(i.items order by i.channel, i.position) as item_items,
        array_agg(i.sealed order by i.channel, i.position) as item_sealed
    from jsonb_each(checkpoint.refs::jsonb -> 'items') ref(channel, place) join state_items i on
        (i.tenant, i.thread_id, i.namespace, i.channel, i.epoch)
        = (checkpoint.tenant, checkpoint.thread_id, checkpoint.namespace, ref.channel, (ref.place ->> 0)::bigint)
        and i.position < (ref.place ->> 1)::int
) item, """
_TASKS: LiteralString = """lateral (
    select array_agg(w.task_id order by w.task_path, w.task_id, w.index) as write_task_id,
        array_agg(w.index order by w.task_path, w.task_id, w.index) as write_index,
        array_agg(w.channel order by w.task_path, w.task_id, w.index) as write_channel,
        array_agg(w.task_path order by w.task_path, w.task_id, w.index) as write_task_path,
        array_agg(w.sealed order by w.task_path, w.task_id, w.index) as write_sealed
    from state_writes w
    where (w.tenant, w.thread_id, w.namespace, w.checkpoint_id)
        = (checkpoint.tenant, checkpoint.thread_id, checkpoint.namespace, checkpoint.checkpoint_id)
) task_write
where checkpoint.tenant = %(tenant)s
"""
# Alone: a checkpoint with all that it refers to. Beside others: what they share is read once, by the two below.
READ: LiteralString = _CHECKPOINT + _PARTS + _TASKS
READ_BESIDE: LiteralString = _CHECKPOINT + "task_write.* from state_checkpoints checkpoint, " + _TASKS
READ_VALUES: LiteralString = """
select v.thread_id, v.namespace, v.channel, v.version, v.sealed
from unnest(%(thread)s::text[], %(namespace)s::text[], %(channel)s::text[], %(version)s::text[])
    wanted(thread_id, namespace, channel, version) join state_values v using (thread_id, namespace, channel, version)
where v.tenant = %(tenant)s
"""
READ_ITEMS: LiteralString = """
select i.thread_id, i.namespace, i.channel, i.epoch, i.position, i.items, i.sealed
from unnest(%(thread)s::text[], %(namespace)s::text[], %(channel)s::text[], %(epoch)s::bigint[], %(length)s::int[])
    wanted(thread_id, namespace, channel, epoch, length) join state_items i using (thread_id, namespace, channel, epoch)
where i.tenant = %(tenant)s and i.position < wanted.length
order by i.thread_id, i.namespace, i.channel, i.epoch, i.position
"""
