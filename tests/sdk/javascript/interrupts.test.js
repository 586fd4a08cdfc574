// Where a run stops for a person, and how the next one goes on.
import assert from "node:assert/strict";
import { test } from "node:test";

import { all, APPROVE, ask, client, mail, newThread } from "./client.js";

test("a tool call waits for a person, and goes on when it is approved", async () => {
  const thread = await newThread();
  const parts = await all(client.runs.stream(thread, "chat", { input: mail("ann@example.com"), streamMode: "updates" }));
  const [interrupt] = parts.at(-1).data.__interrupt__;
  assert.deepEqual(interrupt.value.action_requests[0].args, { to: "ann@example.com" });
  assert.equal((await client.threads.get(thread)).status, "interrupted");
  const { tasks, next } = await client.threads.getState(thread);
  assert.deepEqual(next, ["tools"]);
  assert.deepEqual([tasks[0].interrupts[0].id, tasks[0].interrupts[0].value], [interrupt.id, interrupt.value]);
  const found = await client.runs.wait(thread, "chat", { command: APPROVE });
  assert.equal(found.messages.at(-1).content, "Aye: the mail to ann@example.com was sent");
  assert.equal((await client.threads.get(thread)).status, "idle");
});

test("parallel interrupts are answered by their ids", async () => {
  const thread = await newThread();
  const asked = await client.runs.wait(thread, "nested", { input: { path: [] } });
  const ids = Object.fromEntries(asked.__interrupt__.map((each) => [each.value.question, each.id]));
  const resume = { [ids["go left?"]]: "yes", [ids["go right?"]]: "no" };
  const found = await client.runs.wait(thread, "nested", { command: { resume } });
  assert.deepEqual(found.answers, ["left yes", "right no"]);
});

test("a breakpoint before a node is passed by a run without input, and a command goes elsewhere", async () => {
  const [thread, other] = [await newThread(), await newThread()];
  const stop = { input: { path: ["x"] }, interruptBefore: ["middle"] };
  assert.deepEqual((await client.runs.wait(thread, "nested", stop)).path, ["x", "begin"]);
  const found = await client.runs.wait(thread, "nested", { input: null });
  assert.ok(found.path.includes("dive"));
  await client.runs.wait(other, "nested", stop);
  const command = { update: { path: ["up"] }, goto: "end" };
  const jumped = await client.runs.wait(other, "nested", { command, interruptBefore: ["middle"] });
  assert.deepEqual(jumped.path.slice(0, 4), ["x", "begin", "up", "end"]);
});

test("a run begins at an earlier checkpoint", async () => {
  const thread = await newThread();
  await client.runs.wait(thread, "slow", { input: { steps: 3 } });
  const history = await client.threads.getHistory(thread);
  const { checkpoint } = history.find((state) => state.values.done === 1);
  const again = await all(client.runs.stream(thread, "slow", { input: null, checkpoint, streamMode: "updates" }));
  assert.equal(again.filter((part) => part.event === "updates").length, 2);
});

test("the agent's plan waits for approval, and the answer goes to the same run", async () => {
  const thread = await newThread();
  const input = ask("What is 12 * 12?");
  const parts = await all(
    client.runs.stream(thread, "trireme", { input, context: { review_plan: true }, streamMode: ["values", "updates"] }),
  );
  const [interrupt] = parts.filter((part) => part.event === "updates").at(-1).data.__interrupt__;
  assert.equal(interrupt.value.action_requests.length, 1);
  const rest = await all(client.runs.stream(thread, "trireme", { command: APPROVE, streamMode: "values" }));
  assert.equal(rest[0].data.run_id, parts[0].data.run_id);
  const { messages } = rest.at(-1).data;
  assert.deepEqual(messages.map((message) => message.type), ["human", "ai"]);
  assert.match(messages[1].content, /144/);
  await assert.rejects(client.runs.create(thread, "trireme", { command: APPROVE }), { status: 409 });
});
