// `client.assistants`, method by method.
import assert from "node:assert/strict";
import { test } from "node:test";

import { client, mark } from "./client.js";

test("an assistant is made as asked and read as made", async () => {
  const made = await client.assistants.create({
    graphId: "chat",
    name: "Mate",
    description: "Answers",
    context: { captain: "Ann" },
    metadata: { team: ["ops", { n: 1 }] },
  });
  assert.deepEqual(
    [made.graph_id, made.name, made.description, made.version, made.context, made.metadata],
    ["chat", "Mate", "Answers", 1, { captain: "Ann" }, { team: ["ops", { n: 1 }] }],
  );
  assert.deepEqual(await client.assistants.get(made.assistant_id), made);
  const again = { graphId: "chat", assistantId: made.assistant_id, ifExists: "do_nothing" };
  assert.deepEqual(await client.assistants.create(again), made);
  await assert.rejects(client.assistants.create({ ...again, ifExists: "raise" }), { status: 409 });
});

test("a hosted graph is an assistant by its own name", async () => {
  const chat = await client.assistants.get("chat");
  assert.deepEqual([chat.graph_id, chat.name, chat.version], ["chat", "chat", 1]);
  assert.deepEqual(await client.assistants.search({ graphId: "chat", metadata: { created_by: "system" } }), [chat]);
});

test("an update is a new version, and an old one can count again", async () => {
  const { assistant_id } = await client.assistants.create({ graphId: "slow", name: "one", metadata: { a: 1 } });
  const changed = await client.assistants.update(assistant_id, { name: "two", metadata: { b: 2 } });
  assert.deepEqual([changed.version, changed.name, changed.metadata], [2, "two", { a: 1, b: 2 }]);
  const versions = await client.assistants.getVersions(assistant_id);
  assert.deepEqual(versions.map((each) => [each.version, each.name]), [[2, "two"], [1, "one"]]);
  assert.deepEqual(await client.assistants.getVersions(assistant_id, { limit: 1, offset: 1 }), [versions[1]]);
  const back = await client.assistants.setLatest(assistant_id, 1);
  assert.deepEqual([back.version, back.name], [1, "one"]);
  assert.equal((await client.assistants.get(assistant_id)).name, "one");
});

test("search filters, sorts, selects and turns pages; count counts", async () => {
  const metadata = { mark: mark() };
  for (const name of ["Argo", "Paralos", "Salaminia"]) {
    await client.assistants.create({ graphId: "chat", name, metadata });
  }
  const names = async (query) => (await client.assistants.search({ metadata, ...query })).map((each) => each.name);
  assert.deepEqual(await names({}), ["Salaminia", "Paralos", "Argo"]);
  assert.deepEqual(await names({ sortBy: "name", sortOrder: "asc" }), ["Argo", "Paralos", "Salaminia"]);
  assert.deepEqual(await names({ name: "alami" }), ["Salaminia"]);
  assert.deepEqual(await names({ graphId: "slow" }), []);
  const chosen = { metadata, sortBy: "name", sortOrder: "asc", select: ["name", "version"], limit: 1 };
  assert.deepEqual(await client.assistants.search(chosen), [{ name: "Argo", version: 1 }]);
  const page = await client.assistants.search({ metadata, limit: 2, includePagination: true });
  assert.deepEqual([page.assistants.length, page.next], [2, "2"]);
  const rest = await client.assistants.search({ metadata, limit: 2, offset: 2, includePagination: true });
  assert.deepEqual([rest.assistants.length, rest.next], [1, null]);
  assert.equal(await client.assistants.count({ metadata }), 3);
  assert.equal(await client.assistants.count({ metadata, name: "argo" }), 1);
});

test("a graph is drawn, with what is inside its subgraphs when asked", async () => {
  const ids = async (options) => (await client.assistants.getGraph("nested", options)).nodes.map((node) => node.id);
  const plain = await ids();
  for (const node of ["__start__", "begin", "middle", "left", "right", "end"]) assert.ok(plain.includes(node), node);
  const inside = await ids({ xray: true });
  assert.ok(inside.includes("middle:sink") && inside.includes("middle:deep:dive"), inside.join());
  const { edges } = await client.assistants.getGraph("nested");
  assert.ok(edges.some((edge) => edge.source === "begin" && edge.target === "middle"));
});

test("schemas say what a graph takes and gives", async () => {
  const schemas = await client.assistants.getSchemas("chat");
  assert.equal(schemas.graph_id, "chat");
  assert.ok("messages" in schemas.input_schema.properties);
  assert.ok("greeting" in schemas.state_schema.properties);
  assert.ok("captain" in schemas.context_schema.properties);
});

test("subgraphs are listed by namespace", async () => {
  assert.deepEqual(Object.keys(await client.assistants.getSubgraphs("nested")), ["middle"]);
  const deep = await client.assistants.getSubgraphs("nested", { recurse: true });
  assert.deepEqual(Object.keys(deep).sort(), ["middle", "middle|deep"]);
  const one = await client.assistants.getSubgraphs("nested", { namespace: "middle" });
  assert.ok("path" in one.middle.state_schema.properties);
});

test("a deleted assistant is gone, with its threads when asked", async () => {
  const { assistant_id } = await client.assistants.create({ graphId: "slow" });
  const { thread_id } = await client.threads.create();
  await client.runs.wait(thread_id, assistant_id, { input: { steps: 1 } });
  await client.assistants.delete(assistant_id, { deleteThreads: true });
  await assert.rejects(client.assistants.get(assistant_id), { status: 404 });
  await assert.rejects(client.threads.get(thread_id), { status: 404 });
});
