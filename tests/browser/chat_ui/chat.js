// agent-chat-ui in Chromium: what a person does on the page, and what the page then shows.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const { TRIREME_URL, CHAT_URL, CHROMIUM, SCREENSHOTS } = process.env;
const QUIET = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"];

export async function opened() {
  const profile = mkdtempSync(join(tmpdir(), "chat-ui-"));
  const args = ["--no-sandbox", "--disable-gpu", "--disable-sync", ...QUIET];
  const viewport = { width: 1280, height: 1000 };
  const options = { executablePath: CHROMIUM, headless: true, viewport, reducedMotion: "reduce", args };
  const browser = await chromium.launchPersistentContext(profile, options);
  const close = async () => {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { newChat: async () => new Chat(await browser.newPage()), close };
}

export async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(TRIREME_URL + path, { method: "POST", headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, await answer.clone().text());
  return answer.json();
}

class Chat {
  // Whatever goes wrong on the page or between it and the server.
  wrong = [];

  constructor(page) {
    this.page = page;
    page.setDefaultTimeout(60_000);
    page.on("pageerror", (error) => this.wrong.push(error.message));
    page.on("requestfailed", (request) => this.#note(request, request.failure()?.errorText));
    page.on("response", (response) => response.ok() || this.#note(response.request(), response.status()));
  }

  // What a page that is left or closed breaks off is not wrong.
  #note(request, what) {
    const ours = request.url().startsWith(TRIREME_URL) && what !== "net::ERR_ABORTED";
    if (ours) this.wrong.push(`${request.method()} ${request.url()}: ${what}`);
  }

  // As its form asks for it.
  async connect(assistant) {
    await this.page.goto(CHAT_URL);
    await this.page.getByLabel("Deployment URL").fill(TRIREME_URL);
    await this.page.getByLabel("Assistant / Graph ID").fill(assistant);
    await this.click("Continue");
  }

  // As a link to it says.
  async open(assistant) {
    await this.page.goto(`${CHAT_URL}/?${new URLSearchParams({ apiUrl: TRIREME_URL, assistantId: assistant })}`);
  }

  async say(text) {
    await this.page.getByPlaceholder("Type your message...").fill(text);
    await this.page.keyboard.press("Enter");
  }

  async edit(before, after) {
    await this.page.getByText(before, { exact: true }).hover();
    await this.page.getByRole("button", { name: "Edit" }).last().click();
    await this.page.getByText(before, { exact: true }).fill(after);
    await this.page.getByRole("button", { name: "Submit" }).last().click();
  }

  click(name) {
    return this.page.getByRole("button", { name, exact: true }).click();
  }

  shows(text) {
    return this.page.getByText(text, { exact: true }).first().waitFor();
  }

  // When nothing is under way: the page then offers to send again.
  idle() {
    return this.page.getByRole("button", { name: "Send", exact: true }).waitFor();
  }

  // What stands between the two bars, line by line, without the names of buttons.
  async lines() {
    const text = await this.page.locator(".max-w-3xl.flex-col").first().innerText();
    return text.split("\n").map((line) => line.trim()).filter((line) => line && !BUTTONS.has(line));
  }

  async picture(name) {
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }

  async close() {
    await this.page.close();
    assert.deepEqual(this.wrong, []);
  }
}

const BUTTONS = new Set(["Copy content", "Edit", "Refresh", "Cancel", "Send", "Submit"]);
