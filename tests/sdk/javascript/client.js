// The server that pytest started, and what its clients need: SDK names the version of the package.
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";

const { Client } = await import(process.env.SDK ?? "@langchain/langgraph-sdk");

export const apiUrl = process.env.TRIREME_URL;
export const client = new Client({ apiUrl, apiKey: null });
if (process.env.SDK_CALLS) record(process.env.SDK_CALLS);
export const APPROVE = { resume: { decisions: [{ type: "approve" }] } };
export const mail = (to) => ask(`send a mail to ${to}`);

export const mark = () => randomUUID();

export function ask(content) {
  return { messages: [{ type: "human", content }] };
}

export async function newThread() {
  return (await client.threads.create()).thread_id;
}

export async function all(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

// Every method of the client, and every call of one with the names of its options: a line of JSON each.
function record(file) {
  const tell = (line) => appendFileSync(file, `${JSON.stringify(line)}\n`);
  for (const part of ["assistants", "threads", "runs", "crons", "store"]) {
    const { constructor, ...methods } = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(client[part]));
    for (const [name, { value }] of Object.entries(methods)) {
      const method = `${part}.${name}`;
      tell({ method });
      client[part][name] = function (...given) {
        const last = given.at(-1);
        tell({ method, options: typeof last === "object" && !Array.isArray(last) ? Object.keys(last ?? {}) : [] });
        return value.apply(this, given);
      };
    }
  }
}
