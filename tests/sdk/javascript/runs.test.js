// `client.runs`: create, wait, list, get, join, cancel, delete, batch.
import assert from "node:assert/strict";
import { test } from "node:test";

import { client, mark, newThread } from "./client.js";

const LONG = { steps: 400, delay: 0.05 };

async function underWay(thread, options) {
  const run = await client.runs.create(thread, "slow", { input: LONG, ...options });
  for await (const part of client.runs.joinStream(thread, run.run_id, { lastEventId: "-1" })) if (part.event === "values") break;
  return run;
}

test("a created run waits, runs and is joined", async () => {
  const thread = await newThread();
  const told = [];
  const run = await client.runs.create(thread, "slow", {
    input: { steps: 2 },
    metadata: { trip: "Poros" },
    onRunCreated: (where) => told.push({ ...where }),
  });
  assert.deepEqual([run.status, run.thread_id, run.metadata.trip], ["pending", thread, "Poros"]);
  assert.deepEqual(told, [{ run_id: run.run_id, thread_id: thread }]);
  assert.deepEqual(await client.runs.join(thread, run.run_id), { steps: 2, done: 2 });
  assert.equal((await client.runs.get(thread, run.run_id)).status, "success");
});

test("wait answers with the values, also of a run without a thread, and raises what the graph raised", async () => {
  const thread = await newThread();
  assert.deepEqual(await client.runs.wait(thread, "slow", { input: { steps: 2 } }), { steps: 2, done: 2 });
  assert.deepEqual(await client.runs.wait(null, "slow", { input: { steps: 1 } }), { steps: 1, done: 1 });
  const failing = { input: { steps: 1, fail_at: 1 } };
  await assert.rejects(client.runs.wait(null, "slow", failing), /ValueError: the mast broke/);
  const { __error__ } = await client.runs.wait(null, "slow", { ...failing, raiseError: false });
  assert.deepEqual(__error__, { error: "ValueError", message: "the mast broke" });
});

test("a thread is made for a run that asks for it", async () => {
  const thread = mark();
  await assert.rejects(client.runs.wait(thread, "slow", { input: { steps: 1 } }), { status: 404 });
  const found = await client.runs.wait(thread, "slow", { input: { steps: 1 }, ifNotExists: "create" });
  assert.deepEqual(found, { steps: 1, done: 1 });
});

test("the runs of a thread are listed by pages and status, and deleted", async () => {
  const thread = await newThread();
  for (const steps of [1, 2, 3]) await client.runs.wait(thread, "slow", { input: { steps } });
  const runs = await client.runs.list(thread);
  assert.deepEqual(runs.map((run) => run.status), ["success", "success", "success"]);
  assert.deepEqual(await client.runs.list(thread, { limit: 1, offset: 2 }), [runs[2]]);
  assert.deepEqual(await client.runs.list(thread, { status: "error" }), []);
  assert.deepEqual(await client.runs.list(thread, { select: ["status"], limit: 1 }), [{ status: "success" }]);
  await client.runs.delete(thread, runs[0].run_id);
  assert.deepEqual(await client.runs.list(thread), runs.slice(1));
  await assert.rejects(client.runs.get(thread, runs[0].run_id), { status: 404 });
});

test("a batch of runs without threads is queued at once", async () => {
  const runs = await client.runs.createBatch([1, 2].map((steps) => ({ assistantId: "slow", input: { steps } })));
  assert.deepEqual(runs.map((run) => run.status), ["pending", "pending"]);
  assert.equal(new Set(runs.map((run) => run.run_id)).size, 2);
});

test("a cancelled run is interrupted; one that is rolled back leaves nothing", async () => {
  const thread = await newThread();
  const stopped = await underWay(thread);
  await client.runs.cancel(thread, stopped.run_id, true);
  assert.equal((await client.runs.get(thread, stopped.run_id)).status, "interrupted");
  const before = await client.threads.getState(thread);
  const undone = await underWay(thread);
  await client.runs.cancel(thread, undone.run_id, true, "rollback");
  await assert.rejects(client.runs.get(thread, undone.run_id), { status: 404 });
  assert.deepEqual((await client.threads.getState(thread)).values, before.values);
});

test("many are cancelled in one go", async () => {
  const threads = [await newThread(), await newThread()];
  const runs = await Promise.all(threads.map((thread) => underWay(thread)));
  await client.runs.cancelMany({ runIds: runs.map((run) => run.run_id) });
  for (const [at, thread] of threads.entries()) {
    await client.runs.join(thread, runs[at].run_id);
    assert.equal((await client.runs.get(thread, runs[at].run_id)).status, "interrupted");
  }
});

test("a second run of a thread is refused, queued, or takes the place of the first", async () => {
  const thread = await newThread();
  const first = await underWay(thread);
  const short = { input: { steps: 1 } };
  await assert.rejects(client.runs.create(thread, "slow", { ...short, multitaskStrategy: "reject" }), { status: 409 });
  const queued = await client.runs.create(thread, "slow", { ...short, multitaskStrategy: "enqueue" });
  assert.equal((await client.runs.get(thread, queued.run_id)).status, "pending");
  await client.runs.wait(thread, "slow", { ...short, multitaskStrategy: "interrupt" });
  assert.equal((await client.runs.get(thread, first.run_id)).status, "interrupted");
  const other = await underWay(thread);
  await client.runs.wait(thread, "slow", { ...short, multitaskStrategy: "rollback" });
  await assert.rejects(client.runs.get(thread, other.run_id), { status: 404 });
});

test("a run that is to begin later is pending till then", async () => {
  const thread = await newThread();
  const run = await client.runs.create(thread, "slow", { input: { steps: 1 }, afterSeconds: 60 });
  assert.equal((await client.runs.get(thread, run.run_id)).status, "pending");
  await client.runs.cancel(thread, run.run_id, true);
  assert.equal((await client.runs.get(thread, run.run_id)).status, "interrupted");
});

test("what can't be run is refused with a message that says how to mend it", async () => {
  const thread = await newThread();
  await assert.rejects(client.runs.create(thread, "no-such-graph", {}), (error) => {
    assert.equal(error.status, 422);
    assert.match(error.message, /no-such-graph/);
    return true;
  });
  await assert.rejects(client.runs.create(thread, "slow", { streamMode: "tea" }), { status: 422 });
});
