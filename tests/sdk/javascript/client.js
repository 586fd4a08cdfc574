// The server that pytest started, and what its clients need: SDK names the version of the package.
import { randomUUID } from "node:crypto";

const { Client } = await import(process.env.SDK ?? "@langchain/langgraph-sdk");

export const apiUrl = process.env.TRIREME_URL;
export const client = new Client({ apiUrl, apiKey: null });
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
