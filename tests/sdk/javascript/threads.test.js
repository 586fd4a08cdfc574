// `client.threads`, method by method.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, client, mark, newThread } from "./client.js";

test("a thread is made as asked and read as made", async () => {
  const threadId = mark();
  const made = await client.threads.create({ threadId, metadata: { user: { id: 7 } }, graphId: "chat" });
  assert.deepEqual([made.thread_id, made.status, made.values], [threadId, "idle", null]);
  assert.deepEqual(made.metadata, { user: { id: 7 }, graph_id: "chat" });
  assert.deepEqual(await client.threads.get(threadId), made);
  assert.deepEqual(await client.threads.create({ threadId, ifExists: "do_nothing" }), made);
  await assert.rejects(client.threads.create({ threadId }), { status: 409 });
});

test("an update merges the metadata, and answers nothing when asked for nothing", async () => {
  const { thread_id } = await client.threads.create({ metadata: { a: 1 } });
  const changed = await client.threads.update(thread_id, { metadata: { b: 2 } });
  assert.deepEqual(changed.metadata, { a: 1, b: 2 });
  await client.threads.update(thread_id, { metadata: { c: 3 }, returnMinimal: true });
  assert.deepEqual((await client.threads.get(thread_id)).metadata, { a: 1, b: 2, c: 3 });
});

test("a patch of the state merges the thread's metadata, and leaves the state as it is", async () => {
  const { thread_id } = await client.threads.create({ metadata: { a: 1 } });
  await client.runs.wait(thread_id, "slow", { input: { steps: 1 } });
  const before = await client.threads.getState(thread_id);
  await client.threads.patchState(thread_id, { b: 2 });
  await client.threads.patchState({ configurable: { thread_id } }, { c: 3 });
  const { metadata } = await client.threads.get(thread_id);
  assert.deepEqual([metadata.a, metadata.b, metadata.c], [1, 2, 3]);
  assert.deepEqual(await client.threads.getState(thread_id), before);
  await assert.rejects(client.threads.patchState(mark(), { b: 2 }), { status: 404 });
});

test("a time to live is kept and told", async () => {
  const { thread_id } = await client.threads.create({ ttl: 60 });
  const { ttl } = await client.threads.get(thread_id, { include: ["ttl"] });
  assert.deepEqual([ttl.strategy, ttl.ttl_minutes], ["delete", 60]);
});

test("search filters, sorts, selects and extracts; count counts", async () => {
  const metadata = { mark: mark() };
  const ids = [];
  for (const steps of [1, 2]) {
    const { thread_id } = await client.threads.create({ metadata: { ...metadata, steps } });
    ids.push(thread_id);
    await client.runs.wait(thread_id, "slow", { input: { steps } });
  }
  const found = async (query) => (await client.threads.search({ metadata, ...query })).map((each) => each.thread_id);
  assert.deepEqual(await found({ sortBy: "created_at", sortOrder: "asc" }), ids);
  assert.deepEqual(await found({ sortBy: "created_at", limit: 1, offset: 1 }), [ids[0]]);
  assert.deepEqual(await found({ status: "idle", values: { done: 2 } }), [ids[1]]);
  assert.deepEqual(await found({ ids: [ids[0], mark()] }), [ids[0]]);
  assert.deepEqual(await found({ status: "interrupted" }), []);
  const query = { metadata, sortBy: "created_at", sortOrder: "asc" };
  assert.deepEqual(await client.threads.search({ ...query, select: ["values"] }), [
    { values: { steps: 1, done: 1 } },
    { values: { steps: 2, done: 2 } },
  ]);
  const extracted = await client.threads.search({ ...query, select: ["thread_id"], extract: { done: "values.done" } });
  assert.deepEqual(extracted.map((each) => each.extracted), [{ done: 1 }, { done: 2 }]);
  assert.equal(await client.threads.count({ metadata }), 2);
  assert.equal(await client.threads.count({ metadata: { ...metadata, steps: 1 }, status: "idle" }), 1);
});

test("the state is the graph's, at the latest checkpoint or another", async () => {
  const thread = await newThread();
  await client.runs.wait(thread, "slow", { input: { steps: 2 } });
  const state = await client.threads.getState(thread);
  assert.deepEqual([state.values, state.next, state.tasks], [{ steps: 2, done: 2 }, [], []]);
  assert.equal(state.checkpoint.thread_id, thread);
  const history = await client.threads.getHistory(thread);
  assert.deepEqual(history.map((each) => each.values.done), [2, 1, 0, 0]);
  assert.deepEqual(history[0], state);
  assert.deepEqual(history[0].parent_checkpoint, history[1].checkpoint);
  assert.deepEqual(await client.threads.getState(thread, history[1].checkpoint), history[1]);
  assert.deepEqual(await client.threads.getState(thread, history[1].checkpoint.checkpoint_id), history[1]);
  const before = await client.threads.getHistory(thread, { before: history[1], limit: 1 });
  assert.deepEqual(before, [history[2]]);
  const inputs = await client.threads.getHistory(thread, { metadata: { source: "input" } });
  assert.deepEqual(inputs, [history[3]]);
});

test("an update of the state is merged by the graph's reducers", async () => {
  const thread = await newThread();
  await client.runs.wait(thread, "chat", { input: ask("ahoy") });
  const before = await client.threads.getState(thread);
  const values = { messages: [{ type: "ai", content: "and goodbye", id: "bye" }], rank: "mate" };
  const { checkpoint } = await client.threads.updateState(thread, { values, asNode: "agent" });
  const after = await client.threads.getState(thread);
  assert.equal(after.checkpoint.checkpoint_id, checkpoint.checkpoint_id);
  assert.deepEqual(after.values.messages.slice(0, -1), before.values.messages);
  assert.deepEqual([after.values.messages.at(-1).content, after.values.rank], ["and goodbye", "mate"]);
  const branch = await client.threads.updateState(thread, {
    values: { rank: "cook" },
    asNode: "agent",
    checkpoint: before.checkpoint,
  });
  const branched = await client.threads.getState(thread, branch.checkpoint);
  assert.deepEqual([branched.values.messages.length, branched.values.rank], [before.values.messages.length, "cook"]);
});

test("a thread begins with the history of another, by supersteps or as a copy", async () => {
  const updates = (done) => ({ updates: [{ values: { steps: 9, done }, asNode: "step" }] });
  const { thread_id } = await client.threads.create({ graphId: "slow", supersteps: [updates(3), updates(4)] });
  assert.equal((await client.threads.getState(thread_id)).values.done, 7);
  const copy = await client.threads.copy(thread_id);
  assert.notEqual(copy.thread_id, thread_id);
  const history = await client.threads.getHistory(copy.thread_id);
  assert.deepEqual(history.map((each) => each.values.done), [7, 3]);
});

test("pruned threads keep their latest state, or nothing", async () => {
  const [kept, gone] = [await newThread(), await newThread()];
  for (const thread of [kept, gone]) await client.runs.wait(thread, "slow", { input: { steps: 2 } });
  assert.deepEqual(await client.threads.prune([kept], { strategy: "keep_latest" }), { pruned_count: 1 });
  assert.deepEqual((await client.threads.getHistory(kept)).map((each) => each.values.done), [2]);
  assert.deepEqual(await client.threads.prune([gone]), { pruned_count: 1 });
  await assert.rejects(client.threads.get(gone), { status: 404 });
});

test("a deleted thread is gone; one that never was is not found", async () => {
  const thread = await newThread();
  await client.threads.delete(thread);
  await assert.rejects(client.threads.get(thread), { status: 404 });
  await assert.rejects(client.threads.getState(mark()), { status: 404 });
});
