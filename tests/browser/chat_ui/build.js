// agent-chat-ui out of its npm package, as it is, in app/.
import { spawnSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const template = join(here, "node_modules", "create-agent-chat-app", "templates", "nextjs");
const app = join(here, "app");

rmSync(app, { recursive: true, force: true });
cpSync(template, app, { recursive: true });
const settings = { NEXT_TELEMETRY_DISABLED: "1", NEXT_FONT_GOOGLE_MOCKED_RESPONSES: join(here, "fonts.cjs") };
const built = spawnSync(process.execPath, [require.resolve("next/dist/bin/next"), "build", "--no-lint"], {
  cwd: app,
  env: { ...process.env, ...settings },
  stdio: "inherit",
});
process.exit(built.status ?? 1);
