// The `useStream` of @langchain/react, which speaks the thread-centric protocol.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { useStream } from "@langchain/react";

import { apiUrl, ask, client, mail, newThread } from "./client.js";
import { closeWindow, page as pageOf } from "./page.js";

after(closeWindow);

const said = (now) => now.messages.map((message) => `${message.getType()}: ${message.text}`);
const page = (options) => pageOf(() => useStream({ apiUrl, apiKey: null, ...options }), said);
const APPROVED = { decisions: [{ type: "approve" }] };

async function opened(options) {
  const chat = page(options);
  await chat.until((now) => now, "mounted");
  return chat;
}

test("a chat shows what is said, once, and the tools that are called", async () => {
  const chat = await opened({ assistantId: "chat" });
  await chat.now.submit(ask("what is the weather in Athens"));
  const answers = ["ai: ", "tool: it is sunny in Athens", "ai: Aye: it is sunny in Athens"];
  await chat.until((now) => !now.isLoading && said(now).at(-1) === answers.at(-1), "answered");
  assert.deepEqual(said(chat.now), ["human: what is the weather in Athens", ...answers]);
  assert.deepEqual(chat.now.toolCalls.map((call) => [call.name, call.status]), [["weather", "finished"]]);
  chat.close();
});

test("the agent's answer is shown behind the goal, and nothing else", async () => {
  const chat = await opened({ assistantId: "trireme" });
  await chat.now.submit(ask("What is 12 * 12?"));
  await chat.until((now) => !now.isLoading && said(now).at(-1) === "ai: 12 * 12 = 144", "answered");
  assert.deepEqual(said(chat.now), ["human: What is 12 * 12?", "ai: 12 * 12 = 144"]);
  chat.close();
});

for (const [assistantId, input, options, answer] of [
  ["chat", mail("ann@example.com"), {}, "Aye: the mail to ann@example.com was sent"],
  ["trireme", ask("What is 12 * 12?"), { config: { configurable: { review_plan: true } } }, "12 * 12 = 144"],
]) {
  test(`${assistantId}: an approval is shown, and what a person decides goes on`, async () => {
    const chat = await opened({ assistantId });
    await chat.now.submit(input, options);
    await chat.until((now) => now.interrupts.length === 1 && !now.isLoading, "asked");
    assert.equal(chat.now.interrupts[0].value.action_requests.length, 1);
    await chat.now.respond(APPROVED);
    await chat.until((now) => !now.isLoading && now.messages.at(-1).text === answer, "answered");
    assert.deepEqual(chat.now.interrupts, []);
    chat.close();
  });
}

test("a page that is opened again hears the question at once, and answers it", async () => {
  const before = await opened({ assistantId: "chat" });
  await before.now.submit(mail("ann@example.com"));
  await before.until((now) => now.interrupts.length === 1 && !now.isLoading, "asked");
  const { threadId } = before.now;
  before.close();
  let chat, behind;
  for (let tries = 0; tries < 4 && !(behind < 400); tries++) {
    chat?.close(); // other work on the machine may have held it up
    chat = await opened({ assistantId: "chat", threadId });
    await chat.until((now) => now.interrupts.length === 1, "shown again");
    const shown = Date.now();
    await chat.until((now) => now.getThread()?.interrupts.length === 1, "heard");
    behind = Date.now() - shown;
  }
  assert.ok(behind < 400, `heard ${behind} ms behind`);
  await chat.now.respond(APPROVED);
  await chat.until((now) => !now.isLoading && now.messages.at(-1).text.endsWith("was sent"), "answered");
  chat.close();
});

test("a page that opens a thread shows what was said on it", async () => {
  for (const [assistantId, goal, answer] of [
    ["chat", "ahoy", "You said: ahoy"],
    ["trireme", "What is 12 * 12?", "12 * 12 = 144"],
  ]) {
    const threadId = await newThread();
    await client.runs.wait(threadId, assistantId, { input: ask(goal) });
    const chat = await opened({ assistantId, threadId });
    await chat.until((now) => now.messages.length === 2, "said before");
    assert.deepEqual(said(chat.now), [`human: ${goal}`, `ai: ${answer}`]);
    chat.close();
  }
});
