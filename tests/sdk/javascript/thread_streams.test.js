// The thread-centric protocol, as `client.threads.stream` speaks it: over server-sent events and WebSockets.
import assert from "node:assert/strict";
import { test } from "node:test";

import WebSocket from "ws";

import { all, ask, client, mail, newThread } from "./client.js";

const ANSWER = "Aye: it is sunny in Athens";
const webSocketFactory = (address) => new WebSocket(address);

// Listens before anything is started: who comes later to a run this short may be told its end first.
async function streaming(assistantId, transport, use) {
  const thread = client.threads.stream(await newThread(), { assistantId, transport, webSocketFactory });
  try {
    await thread.subscribe(["values", "messages", "tools", "lifecycle", "input"]);
    await use(thread);
  } finally {
    await thread.close();
  }
}

const text = (message) => (typeof message.content === "string" ? message.content : message.content[0].text);

for (const transport of ["sse", "websocket"]) {
  test(`${transport}: a run's values, words and tool calls are told`, () =>
    streaming("chat", transport, async (thread) => {
      const messages = all(thread.messages);
      const calls = all(thread.toolCalls);
      const { run_id } = await thread.run.start({ input: ask("what is the weather in Athens") });
      const output = await thread.output;
      assert.equal(text(output.messages.at(-1)), ANSWER);
      assert.equal(await (await messages).at(-1).text, ANSWER);
      const [call] = await calls;
      assert.deepEqual([call.name, call.input], ["weather", { city: "Athens" }]);
      assert.equal(await call.output, "it is sunny in Athens");
      assert.equal((await client.runs.get(thread.threadId, run_id)).status, "success");
    }));

  test(`${transport}: an approval is asked and answered on the same thread`, () =>
    streaming("chat", transport, async (thread) => {
      await thread.run.start({ input: mail("ann@example.com") });
      await thread.output;
      assert.ok(thread.interrupted);
      const [{ interruptId, payload }] = thread.interrupts;
      assert.equal(payload.action_requests[0].name, "send_mail");
      await thread.input.respond({
        interrupt_id: interruptId,
        namespace: [],
        response: { decisions: [{ type: "approve" }] },
      });
      const [resumed] = await client.runs.list(thread.threadId, { limit: 1 });
      const values = await client.runs.join(thread.threadId, resumed.run_id);
      assert.equal(text(values.messages.at(-1)), "Aye: the mail to ann@example.com was sent");
    }));

  test(`${transport}: channels are subscribed to by name`, () =>
    streaming("slow", transport, async (thread) => {
      const updates = await thread.subscribe(["updates", "lifecycle"]);
      await thread.run.start({ input: { steps: 2 } });
      const seen = [];
      for await (const event of updates) {
        seen.push(event.method);
        if (event.method === "lifecycle" && event.params.data.event === "completed") break;
      }
      assert.deepEqual(seen, ["lifecycle", "updates", "updates", "lifecycle"]);
    }));

  test(`${transport}: the agent answers`, () =>
    streaming("trireme", transport, async (thread) => {
      await thread.run.start({ input: ask("What is 12 * 12?") });
      const { messages } = await thread.output;
      assert.deepEqual(messages.map(text), ["What is 12 * 12?", "12 * 12 = 144"]);
    }));
}

test("the thread's own stream tells of its runs as they come", async () => {
  const thread = await newThread();
  const leaving = new AbortController();
  const seen = [];
  const reading = (async () => {
    for await (const part of client.threads.joinStream(thread, { streamMode: "run_modes", signal: leaving.signal })) {
      seen.push(part);
      if (part.event === "values" && part.data.done >= 2) leaving.abort();
    }
  })();
  while (!leaving.signal.aborted) {
    await new Promise((later) => setTimeout(later, 500)); // a busy machine may miss the first run
    await client.runs.wait(thread, "slow", { input: { steps: 2 } });
  }
  await reading;
  assert.ok(seen.filter((part) => part.event === "values").at(-1).data.done >= 2);
});
