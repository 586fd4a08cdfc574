// React's `useStream`: what a chat page sees while it talks to the server.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { apiUrl, ask, client, mail, newThread } from "./client.js";
import { closeWindow, page as pageOf } from "./page.js";

const { useStream } = await import(`${process.env.SDK ?? "@langchain/langgraph-sdk"}/react`);

after(closeWindow);

const look = (now) => ({ messages: now.messages.map(({ type, content }) => ({ type, content })) });
const page = (options) => pageOf(() => useStream({ apiUrl, apiKey: null, messagesKey: "messages", ...options }), look);
const contents = (now) => now.messages.map((message) => message.content);
const settled = (now) => !now.isLoading && !now.isThreadLoading;

test("a chat shows its words as they come, and its steps, and whose thread it is", async () => {
  const told = { threads: [], created: [], updates: [], customs: [], finished: [] };
  const chat = page({
    assistantId: "chat",
    fetchStateHistory: true,
    onThreadId: (id) => told.threads.push(id),
    onCreated: (run) => told.created.push(run),
    onUpdateEvent: (data) => told.updates.push(...Object.keys(data)),
    onCustomEvent: (data) => told.customs.push(data),
    onFinish: (state) => told.finished.push(state.values.greeting),
  });
  await chat.until((now) => now, "mounted");
  await chat.now.submit(ask("what is the weather in Athens"), { context: { captain: "Ann" } });
  const now = await chat.until((each) => settled(each) && each.history.length > 0, "answered");
  const answer = "Aye: it is sunny in Athens";
  assert.deepEqual(contents(now), ["what is the weather in Athens", "", "it is sunny in Athens", answer]);
  assert.deepEqual(told.updates, ["greet", "agent", "tools", "agent"]);
  assert.deepEqual([told.customs, told.finished], [[{ looking_at: "Athens" }], ["Ahoy, Ann"]]);
  assert.equal(told.created[0].thread_id, told.threads[0]);
  const partial = chat.seen.map((each) => each.messages[3]?.content).filter((text) => text && text !== answer);
  assert.ok(partial.length > 0 && partial.every((text) => answer.startsWith(text)), JSON.stringify(partial));
  const { firstSeenState } = now.getMessagesMetadata(now.messages[3]);
  assert.equal(firstSeenState.checkpoint.thread_id, told.threads[0]);
  chat.close();
});

test("a page that opens a thread shows what was said on it", async () => {
  const threadId = await newThread();
  await client.runs.wait(threadId, "chat", { input: ask("ahoy") });
  for (const fetchStateHistory of [true, false]) {
    const chat = page({ assistantId: "chat", threadId, fetchStateHistory });
    await chat.until((now) => now.messages.length === 2, "said before");
    assert.deepEqual(contents(chat.now), ["ahoy", "You said: ahoy"]);
    chat.close();
  }
});

test("an approval is shown, and what a person decides goes on", async () => {
  const threadId = await newThread();
  const chat = page({ assistantId: "chat", threadId, fetchStateHistory: true });
  await chat.until((now) => now, "mounted");
  await chat.now.submit(mail("ann@example.com"));
  await chat.until((now) => now.interrupt && settled(now), "asked");
  assert.equal(chat.now.interrupt.value.action_requests[0].name, "send_mail");
  chat.close();
  const other = page({ assistantId: "chat", threadId, fetchStateHistory: true });
  await other.until((now) => now.interrupt && settled(now), "asked on another page");
  await other.now.submit(undefined, { command: { resume: { decisions: [{ type: "reject" }] } } });
  await other.until((now) => settled(now) && now.messages.length === 4, "answered");
  assert.equal(contents(other.now).at(-1), "Aye: the mail to ann@example.com was not sent");
  assert.equal(other.now.interrupt, undefined);
  other.close();
});

test("the agent shows its plan for approval, then its answer, and none of what its parts say to each other", async () => {
  const threadId = await newThread();
  const chat = page({ assistantId: "trireme", threadId, fetchStateHistory: true });
  await chat.until((now) => now, "mounted");
  await chat.now.submit(ask("What is 12 * 12?"), { context: { review_plan: true } });
  await chat.until((now) => now.interrupt && settled(now), "asked");
  assert.equal(chat.now.interrupt.value.action_requests.length, 1);
  await chat.now.submit(undefined, { command: { resume: { decisions: [{ type: "approve" }] } } });
  await chat.until((now) => settled(now) && now.messages.length === 2, "answered");
  assert.match(contents(chat.now)[1], /144/);
  assert.equal(chat.now.interrupt, undefined);
  const types = new Set(chat.seen.map((each) => each.messages.map((message) => message.type).join()));
  assert.deepEqual([...types].sort(), ["", "human", "human,ai"]);
  chat.close();
});

test("a page that is closed and opened again joins the run that goes on", async () => {
  const threadId = await newThread();
  const saved = new Map();
  const storage = { getItem: (key) => saved.get(key) ?? null, setItem: (key, value) => saved.set(key, value) };
  storage.removeItem = (key) => saved.delete(key);
  const options = { assistantId: "slow", threadId, reconnectOnMount: () => storage };
  const first = page(options);
  await first.until((now) => now, "mounted");
  void first.now.submit({ steps: 10, delay: 0.1 }, { streamMode: ["values", "custom"] });
  await first.until((now) => now.values.done >= 1, "begun");
  first.close();
  const customs = [];
  const second = page({ ...options, onCustomEvent: (data) => customs.push(data.step) });
  await second.until((now) => now.values.done === 10 && settled(now), "ended");
  assert.equal(customs.at(-1), 10);
  assert.deepEqual((await client.runs.list(threadId)).map((run) => run.status), ["success"]);
  second.close();
});

test("stop ends the run", async () => {
  const threadId = await newThread();
  const chat = page({ assistantId: "slow", threadId });
  await chat.until((now) => now, "mounted");
  void chat.now.submit({ steps: 200, delay: 0.05 });
  await chat.until((now) => now.values.done >= 1, "begun");
  await chat.now.stop();
  await chat.until(settled, "stopped");
  const [run] = await client.runs.list(threadId);
  await client.runs.join(threadId, run.run_id);
  assert.equal((await client.runs.get(threadId, run.run_id)).status, "interrupted");
  chat.close();
});

test("a message that is said again differently makes a branch", async () => {
  const threadId = await newThread();
  const chat = page({ assistantId: "chat", threadId, fetchStateHistory: true });
  await chat.until((now) => now, "mounted");
  await chat.now.submit(ask("one"));
  await chat.until((now) => settled(now) && now.messages.length === 2 && now.history.length > 0, "answered");
  const { firstSeenState } = chat.now.getMessagesMetadata(chat.now.messages[0]);
  await chat.now.submit(ask("two"), { checkpoint: firstSeenState.parent_checkpoint });
  await chat.until((now) => settled(now) && contents(now).at(-1) === "You said: two", "answered again");
  assert.deepEqual(contents(chat.now), ["two", "You said: two"]);
  const { branchOptions } = chat.now.getMessagesMetadata(chat.now.messages[0]);
  assert.equal(branchOptions.length, 2);
  chat.now.setBranch(branchOptions.find((branch) => branch !== chat.now.branch));
  await chat.until((now) => contents(now).at(-1) === "You said: one", "the first branch");
  chat.close();
});

test("a graph that fails says so on the page", async () => {
  const errors = [];
  const chat = page({ assistantId: "slow", onError: (error) => errors.push(error.message) });
  await chat.until((now) => now, "mounted");
  await chat.now.submit({ steps: 2, fail_at: 1 });
  await chat.until((now) => now.error && settled(now), "failed");
  assert.match(chat.now.error.message, /the mast broke/);
  assert.equal(errors.length, 1);
  chat.close();
});
