// A page of React's without a browser, and a hook on it.
import assert from "node:assert/strict";

import { Window } from "happy-dom";

const window = new Window();
for (const name of ["window", "document", "navigator"]) {
  Object.defineProperty(globalThis, name, { value: window[name], configurable: true });
}
const { createElement, useEffect } = await import("react");
const { createRoot } = await import("react-dom/client");

const open = new Set();

// A test that failed leaves its page, which would listen for ever.
export const closeWindow = () => {
  for (const root of open) root.unmount();
  window.close();
};

// What the hook gives is `now`, once its own effects have come to an end: until then, what is sent may be cut off by
// them. `seen` is what it has given before, as `look` sees it.
export function page(hook, look) {
  const shown = { seen: [] };
  const root = createRoot(document.createElement("div"));
  function Chat() {
    const now = hook();
    shown.seen.push(look(now));
    useEffect(() => {
      shown.now = now;
    });
    return null;
  }
  open.add(root);
  root.render(createElement(Chat));
  shown.close = () => open.delete(root) && root.unmount();
  shown.until = async (holds, what) => {
    for (let tries = 0; tries < 3_000; tries++) {
      if (shown.now && holds(shown.now)) return shown.now;
      await new Promise((later) => setTimeout(later, 20));
    }
    assert.fail(`${what}: ${JSON.stringify([shown.seen.at(-1), String(shown.now?.error)])}`);
  };
  return shown;
}
