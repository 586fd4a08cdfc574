// agent-chat-ui, the real one: chats, streams, asks for approval and goes on, with hosted graphs and with the agent.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { opened, post } from "./chat.js";

let chromium;
before(async () => { chromium = await opened(); });
after(() => chromium.close());

async function withChat(name, use) {
  const chat = await chromium.newChat();
  try {
    await use(chat);
  } finally {
    await chat.picture(name);
  }
  await chat.close();
}

async function reviewed() {
  return (await post("/assistants", { graph_id: "trireme", context: { review_plan: true } })).assistant_id;
}

test("a hosted graph chats: its tool calls and words are shown, also after a reload", () =>
  withChat("hosted", async (chat) => {
    await chat.connect("chat");
    await chat.say("what is the weather in Athens");
    await chat.shows("Aye: it is sunny in Athens");
    await chat.idle();
    const [asked, ...shown] = await chat.lines();
    const called = ["weathercall-Athens", "city\tAthens", "Tool Result: weather", "call-Athens", "it is sunny in Athens"];
    assert.deepEqual([asked, shown], ["what is the weather in Athens", [...called, "Aye: it is sunny in Athens"]]);
    await chat.say("hello there");
    await chat.shows("You said: hello there");
    await chat.idle();
    const before = await chat.lines();
    await chat.page.reload();
    await chat.shows("You said: hello there");
    assert.deepEqual(await chat.lines(), before);
    await chat.page.goto(`${chat.page.url()}&chatHistoryOpen=true`);
    await chat.page.getByRole("button", { name: "what is the weather in Athens" }).first().waitFor();
  }));

test("an answer is asked for again, and both can be looked at", () =>
  withChat("branches", async (chat) => {
    await chat.open("chat");
    await chat.say("one");
    await chat.shows("You said: one");
    await chat.idle();
    await chat.page.getByText("You said: one", { exact: true }).hover();
    await chat.page.getByRole("button", { name: "Refresh" }).last().click();
    await chat.shows("2 / 2");
    await chat.idle();
    assert.deepEqual((await chat.lines()).filter((line) => line.startsWith("You said")), ["You said: one"]);
  }));

test("a hosted graph asks in Agent Inbox's shape: accepted, edited, answered, ignored", () =>
  withChat("inbox", async (chat) => {
    const asked = async (to) => {
      await chat.open("inbox");
      await chat.say(`a mail to ${to}`);
      await chat.shows("send_mail");
      await chat.idle();
    };
    await asked("ann@example.com");
    await chat.click("Accept");
    await chat.shows("Sent to ann@example.com");
    await asked("bea@example.com");
    await chat.page.getByRole("textbox").filter({ hasText: "bea@example.com" }).fill("cleo@example.com");
    await chat.click("Submit");
    await chat.shows("Sent to cleo@example.com");
    await asked("dora@example.com");
    await chat.page.getByPlaceholder("Your response here...").fill("not today");
    await chat.click("Send Response");
    await chat.shows("Not sent: not today");
    await asked("eva@example.com");
    await chat.click("Ignore");
    await chat.shows("Not sent");
    await chat.idle();
  }));

test("the agent answers, and what planner and critic say to each other isn't shown", () =>
  withChat("agent", async (chat) => {
    await chat.open("trireme");
    await chat.say("What is 12 * 12?");
    await chat.shows("12 * 12 = 144");
    await chat.idle();
    await chat.say("What is 3 + 4?");
    await chat.shows("3 + 4 = 7");
    await chat.idle();
    assert.deepEqual(await chat.lines(), ["What is 12 * 12?", "12 * 12 = 144", "What is 3 + 4?", "3 + 4 = 7"]);
    await chat.page.goto(`${chat.page.url()}&chatHistoryOpen=true`);
    await chat.page.getByRole("button", { name: "What is 12 * 12?" }).first().waitFor();
  }));

test("the agent's answer is asked for again, and a message edited, each on a branch of its own", () =>
  withChat("agent-branches", async (chat) => {
    await chat.open("trireme");
    await chat.say("What is 12 * 12?");
    await chat.shows("12 * 12 = 144");
    await chat.idle();
    await chat.say("What is 3 + 4?");
    await chat.shows("3 + 4 = 7");
    await chat.idle();
    await chat.page.getByText("3 + 4 = 7", { exact: true }).hover();
    await chat.page.getByRole("button", { name: "Refresh" }).last().click();
    await chat.shows("2 / 2");
    await chat.idle();
    const talk = ["What is 12 * 12?", "12 * 12 = 144", "What is 3 + 4?", "3 + 4 = 7"];
    assert.deepEqual((await chat.lines()).filter((line) => !line.includes(" / ")), talk);
    await chat.edit("What is 3 + 4?", "What is 5 * 5?");
    await chat.shows("5 * 5 = 25");
    await chat.idle();
    assert.deepEqual((await chat.lines()).filter((line) => !line.includes(" / ")), [
      ...talk.slice(0, 2), "What is 5 * 5?", "5 * 5 = 25",
    ]);
    await chat.page.getByText("What is 5 * 5?", { exact: true }).hover();
    await chat.shows("3 / 3");
    await chat.page.reload();
    await chat.shows("5 * 5 = 25");
  }));

test("the agent's plan waits for a person, who finds it again after a reload and accepts it", () =>
  withChat("plan-accepted", async (chat) => {
    await chat.open(await reviewed());
    await chat.say("What is 12 * 12?");
    await chat.shows("execute_plan");
    await chat.idle();
    await chat.page.reload();
    await chat.shows("execute_plan");
    await chat.picture("plan");
    await chat.click("Accept");
    await chat.shows("12 * 12 = 144");
    await chat.idle();
    assert.deepEqual(await chat.lines(), ["What is 12 * 12?", "12 * 12 = 144"]);
  }));

test("a person edits the agent's plan on the page", () =>
  withChat("plan-edited", async (chat) => {
    await chat.open(await reviewed());
    await chat.say("What is 12 * 12?");
    await chat.shows("execute_plan");
    await chat.idle();
    const steps = chat.page.getByRole("textbox").filter({ hasText: "depends_on" });
    await steps.fill((await steps.inputValue()).replace("What is 12 * 12?", "What is 5 * 5?"));
    await chat.click("Submit");
    await chat.shows("5 * 5 = 25");
    await chat.idle();
  }));

test("a person leaves the agent's plan unanswered", () =>
  withChat("plan-given-up", async (chat) => {
    await chat.open(await reviewed());
    await chat.say("What is 12 * 12?");
    await chat.shows("execute_plan");
    await chat.idle();
    await chat.click("Mark as Resolved");
    await chat.page.getByText("execute_plan").waitFor({ state: "detached" });
    await chat.idle();
    await chat.page.reload();
    await chat.shows("What is 12 * 12?");
    await chat.idle();
    assert.deepEqual(await chat.lines(), ["What is 12 * 12?"]);
  }));
