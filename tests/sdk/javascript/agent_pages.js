// Both of `useStream` while the agent writes, beside a model that takes its time. Run by test_agent_tokens.py.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { useStream as protocolStream } from "@langchain/react";

import { apiUrl, ask } from "./client.js";
import { closeWindow, page as pageOf } from "./page.js";

const { useStream } = await import("@langchain/langgraph-sdk/react");

after(closeWindow);

const shown = (now) => now.messages.map(({ content, text, tool_calls }) => [text ?? content, tool_calls ?? []]);

async function answered(hook, goal) {
  const chat = pageOf(() => hook({ apiUrl, apiKey: null, assistantId: "trireme", messagesKey: "messages" }), shown);
  await chat.until((now) => now, "mounted");
  await chat.now.submit(ask(goal));
  await chat.until((now) => !now.isLoading && now.messages.length === 2, "answered");
  const now = shown(chat.now);
  chat.close();
  return { answer: now[1][0], seen: chat.seen };
}

// What stood there while it was written.
function grown(seen, answer) {
  const texts = new Set(seen.map((each) => each.at(-1)?.[0]).filter((text) => text && answer.startsWith(text)));
  assert.ok(texts.size > 3, JSON.stringify([...texts]));
}

test("a page shows what the agent's tools are asked and its answer as they are written, and then the answer alone", async () => {
  const { answer, seen } = await answered(useStream, process.env.GOAL);
  grown(seen, answer);
  const asked = seen.flatMap((each) => each.flatMap(([, calls]) => calls)).filter((call) => call.name === "calculate");
  const sums = [...new Set(asked.map((call) => call.args.expression ?? ""))];
  assert.ok(sums.length > 2 && sums.every((sum) => sums.at(-1).startsWith(sum)), JSON.stringify(sums));
});

test("a page of the protocol of threads shows the answer as it is written, and nothing else", async () => {
  const { answer, seen } = await answered(protocolStream, process.env.OTHER_GOAL);
  grown(seen, answer);
  assert.ok(seen.every((each) => each.length <= 2));
});
