// `client.runs.stream` and `joinStream`: each mode gives what LangGraph's own server gives.
import assert from "node:assert/strict";
import { test } from "node:test";

import { all, ask, client, newThread } from "./client.js";

const ASK = ask("what is the weather in Athens");
const ANSWER = "Aye: it is sunny in Athens";

// All but the first part, which says which run it is.
async function streamed(streamMode, { graph = "chat", input = ASK, ...options } = {}) {
  const [first, ...rest] = await all(client.runs.stream(null, graph, { input, streamMode, ...options }));
  assert.equal(first.event, "metadata");
  assert.equal(typeof first.data.run_id, "string");
  return rest;
}

const data = (parts, event) => parts.filter((part) => part.event === event).map((part) => part.data);
const contents = (messages) => messages.map((message) => message.content);

test("values are the state after each step", async () => {
  const parts = await streamed("values");
  assert.deepEqual(parts.map((part) => part.data.messages.length), [1, 1, 2, 3, 4]);
  assert.equal(parts[1].data.greeting, "Ahoy, nobody");
  assert.deepEqual(contents(parts.at(-1).data.messages).slice(2), ["it is sunny in Athens", ANSWER]);
});

test("updates are what each node gave", async () => {
  const parts = await streamed("updates");
  assert.deepEqual(parts.flatMap((part) => Object.keys(part.data)), ["greet", "agent", "tools", "agent"]);
});

test("message tuples are chunks with their metadata", async () => {
  const parts = data(await streamed("messages-tuple"), "messages");
  assert.deepEqual(parts[0][0].tool_calls[0].args, { city: "Athens" });
  const last = parts.filter(([, metadata]) => metadata.langgraph_node === "agent").slice(2);
  assert.equal(contents(last.map(([chunk]) => chunk)).join(""), ANSWER);
});

test("messages are told as far as they are known", async () => {
  const known = new Map();
  const parts = await streamed("messages");
  for (const part of parts.filter((each) => /^messages\/(partial|complete)$/.test(each.event))) {
    const [message] = part.data;
    assert.ok(message.content.startsWith(known.get(message.id)?.content ?? ""));
    known.set(message.id, message);
  }
  assert.deepEqual([...known.values()].map((message) => message.type), ["ai", "tool", "ai"]);
  assert.deepEqual(data(parts, "messages/metadata").flatMap(Object.keys), [...known.keys()]);
});

test("custom is what the graph writes", async () => {
  assert.deepEqual(data(await streamed("custom"), "custom"), [{ looking_at: "Athens" }]);
});

test("tasks begin and end", async () => {
  const [begun, ended] = data(await streamed("tasks", { graph: "slow", input: { steps: 1 } }), "tasks");
  assert.deepEqual([begun.name, begun.input], ["step", { steps: 1, done: 0 }]);
  assert.deepEqual([ended.id, ended.result], [begun.id, { done: 1 }]);
});

test("checkpoints are states with their places", async () => {
  const parts = data(await streamed("checkpoints", { graph: "slow", input: { steps: 1 } }), "checkpoints");
  assert.deepEqual(parts.map((part) => part.next), [["__start__"], ["step"], []]);
  assert.deepEqual(parts.at(-1).values, { steps: 1, done: 1 });
});

test("debug is checkpoints and tasks", async () => {
  const parts = data(await streamed("debug", { graph: "slow", input: { steps: 1 } }), "debug");
  const types = parts.map((part) => part.type);
  assert.deepEqual(types, ["checkpoint", "checkpoint", "task", "task_result", "checkpoint"]);
});

test("events are those of LangChain", async () => {
  const events = data(await streamed("events"), "events");
  const tokens = events.filter((each) => each.event === "on_chat_model_stream").map((each) => each.data.chunk.content);
  assert.equal(tokens.join(""), ANSWER);
  assert.deepEqual(events.filter((each) => each.event === "on_tool_end").map((each) => each.name), ["weather"]);
});

test("a list gives each mode and no other", async () => {
  const parts = await streamed(["values", "custom", "messages-tuple", "updates"]);
  assert.deepEqual([...new Set(parts.map((part) => part.event))].sort(), ["custom", "messages", "updates", "values"]);
});

test("subgraphs are named behind the mode", async () => {
  const parts = await streamed("updates", { graph: "nested", input: { path: ["x"] }, streamSubgraphs: true });
  const places = parts.map((part) => part.event.split("|").map((name) => name.split(":")[0]).join("|"));
  const inside = ["updates|middle", "updates|middle|deep", "updates|middle"];
  assert.deepEqual(places.slice(0, 5), ["updates", ...inside, "updates"]);
});

test("context, config and an assistant's settings reach the graph", async () => {
  const said = { context: { captain: "Ann" }, config: { configurable: { rank: "mate" } } };
  const state = (await streamed("values", said)).at(-1).data;
  assert.deepEqual([state.greeting, state.rank], ["Ahoy, Ann", "mate"]);
  const { assistant_id } = await client.assistants.create({ graphId: "chat", context: { captain: "Bea" } });
  assert.equal((await streamed("values", { graph: assistant_id })).at(-1).data.greeting, "Ahoy, Bea");
});

test("a graph that fails ends the stream with its error", async () => {
  const parts = await streamed("custom", { graph: "slow", input: { steps: 2, fail_at: 2 } });
  assert.deepEqual(parts.at(-1).event, "error");
  assert.deepEqual(parts.at(-1).data, { error: "ValueError", message: "the mast broke" });
});

test("a stream is joined from its start, behind an event, or for some modes", async () => {
  const thread = await newThread();
  const run = await client.runs.create(thread, "slow", { input: { steps: 3 }, streamMode: ["custom", "updates"] });
  const whole = await all(client.runs.joinStream(thread, run.run_id, { lastEventId: "-1" }));
  assert.deepEqual(data(whole, "custom"), [{ step: 1 }, { step: 2 }, { step: 3 }]);
  const rest = await all(client.runs.joinStream(thread, run.run_id, { lastEventId: whole[3].id }));
  assert.deepEqual(rest, whole.slice(4));
  const some = await all(client.runs.joinStream(thread, run.run_id, { streamMode: "updates", lastEventId: "-1" }));
  assert.deepEqual(some.map((part) => part.event), ["metadata", "updates", "updates", "updates"]);
});

test("a reader who leaves cancels the run that he asked to be cancelled, and no other", async () => {
  const thread = await newThread();
  for (const [onDisconnect, status] of [["cancel", "interrupted"], ["continue", "success"]]) {
    const leaving = new AbortController();
    const options = { input: { steps: 8, delay: 0.1 }, streamMode: "custom", onDisconnect, signal: leaving.signal };
    let run;
    for await (const part of client.runs.stream(thread, "slow", options)) {
      run ??= part.data.run_id;
      if (part.event === "custom") leaving.abort();
    }
    await client.runs.join(thread, run);
    assert.equal((await client.runs.get(thread, run)).status, status);
  }
});
