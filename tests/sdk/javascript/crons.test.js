// `client.crons`, method by method, and the runs that they make.
import assert from "node:assert/strict";
import { test } from "node:test";

import { client, mark, newThread } from "./client.js";

const NEVER_YET = "0 9 1 1 *"; // on New Year's morning
const EVERY_SECOND = "* * * * * *";

test("a cron on a thread makes its runs there", async () => {
  const thread = await newThread();
  const given = { schedule: EVERY_SECOND, input: { steps: 1 }, metadata: { trip: "Poros" } };
  const cron = await client.crons.createForThread(thread, "slow", given);
  assert.deepEqual([cron.thread_id, cron.schedule, cron.metadata], [thread, EVERY_SECOND, { trip: "Poros" }]);
  let runs = [];
  for (let tries = 0; tries < 600 && runs.length === 0; tries++) {
    await new Promise((later) => setTimeout(later, 100));
    runs = await client.runs.list(thread, { status: "success" });
  }
  await client.crons.delete(cron.cron_id);
  assert.deepEqual([runs[0].metadata.cron_id, runs[0].metadata.trip], [cron.cron_id, "Poros"]);
  assert.equal(await client.crons.count({ threadId: thread }), 0);
});

test("a cron without a thread is told in its time zone, changed, put to rest and deleted", async () => {
  const metadata = { mark: mark() };
  const given = { schedule: NEVER_YET, timezone: "Asia/Tokyo", onRunCompleted: "keep", endTime: "2100-01-01T00:00:00Z" };
  const cron = await client.crons.create("slow", { ...given, input: { steps: 1 }, metadata });
  assert.deepEqual([cron.thread_id, cron.timezone, cron.on_run_completed], [null, "Asia/Tokyo", "keep"]);
  assert.equal(new Date(cron.next_run_date).getUTCHours(), 0);
  assert.equal(Date.parse(cron.end_time), Date.parse(given.endTime));
  const changed = await client.crons.update(cron.cron_id, { schedule: "30 6 * * *", timezone: "UTC", enabled: false });
  assert.deepEqual([changed.schedule, changed.timezone, changed.enabled], ["30 6 * * *", "UTC", false]);
  assert.deepEqual(changed.payload.input, { steps: 1 });
  assert.deepEqual(await client.crons.search({ metadata, enabled: false }), [changed]);
  assert.deepEqual(await client.crons.search({ metadata, enabled: true }), []);
  await client.crons.delete(cron.cron_id);
  assert.deepEqual(await client.crons.search({ metadata }), []);
});

test("crons are searched, sorted, selected and counted", async () => {
  const metadata = { mark: mark() };
  const schedules = ["0 1 1 1 *", "0 2 1 1 *", "0 3 1 1 *"];
  const made = [];
  for (const schedule of schedules) made.push(await client.crons.create("chat", { schedule, metadata }));
  const found = async (query) => (await client.crons.search({ metadata, ...query })).map((each) => each.schedule);
  assert.deepEqual(await found({ sortBy: "created_at", sortOrder: "asc" }), schedules);
  assert.deepEqual(await found({ sortBy: "created_at", sortOrder: "desc", limit: 1, offset: 1 }), [schedules[1]]);
  const selected = await client.crons.search({ metadata, select: ["schedule"], limit: 1, sortBy: "created_at" });
  assert.deepEqual(Object.keys(selected[0]), ["schedule"]);
  assert.equal(await client.crons.count({ metadata, assistantId: made[0].assistant_id }), 3);
  for (const { cron_id } of made) await client.crons.delete(cron_id);
});

test("what is no schedule is refused", async () => {
  await assert.rejects(client.crons.create("slow", { schedule: "every tea time" }), { status: 422 });
  await assert.rejects(client.crons.delete(mark()), { status: 404 });
});
