// `client.store`, method by method.
import assert from "node:assert/strict";
import { test } from "node:test";

import { client, mark } from "./client.js";

test("an item is kept, replaced, read and deleted", async () => {
  const shelf = [mark(), "charts"];
  await client.store.putItem(shelf, "aegina", { text: "rocks", depth: 3 });
  await client.store.putItem(shelf, "aegina", { text: "sand", depth: 4 });
  const item = await client.store.getItem(shelf, "aegina");
  assert.deepEqual([item.namespace, item.key, item.value], [shelf, "aegina", { text: "sand", depth: 4 }]);
  assert.ok(Date.parse(item.createdAt) <= Date.parse(item.updatedAt));
  await client.store.deleteItem(shelf, "aegina");
  assert.equal(await client.store.getItem(shelf, "aegina"), null);
});

test("search filters, turns pages and finds by meaning", async () => {
  const shelf = [mark()];
  for (const [key, text, depth] of [["a", "aaaa", 1], ["b", "bbbb", 2], ["c", "cccc", 3]]) {
    await client.store.putItem([...shelf, "sea"], key, { text, depth });
  }
  const keys = async (options) => (await client.store.searchItems(shelf, options)).items.map((item) => item.key);
  assert.deepEqual((await keys()).sort(), ["a", "b", "c"]);
  assert.deepEqual(await keys({ filter: { depth: 2 } }), ["b"]);
  assert.deepEqual((await keys({ filter: { depth: { $gte: 2 } } })).sort(), ["b", "c"]);
  assert.equal((await keys({ limit: 2 })).length, 2);
  assert.equal((await keys({ limit: 2, offset: 2 })).length, 1);
  assert.equal((await keys({ query: "bb bb" }))[0], "b");
});

test("an item that isn't to be searched by meaning is found without it alone", async () => {
  const shelf = [mark()];
  await client.store.putItem(shelf, "seen", { text: "zzzz" });
  await client.store.putItem(shelf, "unseen", { text: "zzzz" }, { index: false, ttl: 5 });
  const { items } = await client.store.searchItems(shelf, { query: "zz" });
  assert.deepEqual([items[0].key, items[0].score > 0.9], ["seen", true]);
  assert.deepEqual((await client.store.searchItems(shelf, {})).items.map((item) => item.key).sort(), ["seen", "unseen"]);
});

test("namespaces are listed by prefix, suffix and depth", async () => {
  const root = mark();
  for (const tail of [["a", "x"], ["b", "x"], ["b", "y"]]) await client.store.putItem([root, ...tail], "k", {});
  const found = async (options) => (await client.store.listNamespaces(options)).namespaces.map((one) => one.join("/"));
  assert.deepEqual((await found({ prefix: [root] })).sort(), [`${root}/a/x`, `${root}/b/x`, `${root}/b/y`]);
  assert.deepEqual((await found({ prefix: [root], suffix: ["y"] })), [`${root}/b/y`]);
  assert.deepEqual((await found({ prefix: [root], maxDepth: 2 })).sort(), [`${root}/a`, `${root}/b`]);
});

test("what a graph keeps is read here, and a namespace with a dot is refused", async () => {
  const shelf = mark();
  await client.runs.wait(null, "notes", { input: { shelf, text: "land ahead" } });
  assert.deepEqual((await client.store.getItem([shelf], "heard")).value, { text: "land ahead" });
  await assert.rejects(client.store.putItem(["a.b"], "k", {}), /cannot contain periods/);
});
