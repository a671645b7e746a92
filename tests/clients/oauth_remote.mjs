// mcp-remote, the bridge for clients that know stdio alone, let in by OAuth with nothing but the URL. Arguments: URL, name.
// Speaks to the bridge as such a client does: creates a contact of this name, counts it, and prints a line of JSON. For each line on its
// input it asks once more and prints what became of that. CLIENTS is where setup put the bridge; it opens its browser by itself.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [url, name] = process.argv.slice(2);
const folder = `${process.env.CLIENTS}/remote/node_modules/mcp-remote`;
const { version } = JSON.parse(readFileSync(`${folder}/package.json`));
// Thirty seconds are the default for the person; a busy machine's Chromium may take longer.
const bridge = spawn(process.execPath, [`${folder}/dist/proxy.js`, url, "--auth-timeout", "300"], { stdio: ["pipe", "pipe", "inherit"] });
const gone = new Promise((_, fail) => bridge.once("exit", (code) => fail(new Error(`the bridge ended with ${code}`))));
gone.catch(() => {});

const waiting = new Map();
createInterface({ input: bridge.stdout }).on("line", (text) => {
  const message = JSON.parse(text);
  if (message.id !== undefined && message.method === undefined) waiting.get(message.id)?.(message);
});
let last = 0;
const send = (message) => bridge.stdin.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
async function ask(method, params) {
  const id = ++last;
  const answer = new Promise((resolve) => waiting.set(id, resolve));
  send({ id, method, params });
  return await Promise.race([answer, gone]);
}
async function result(method, params) {
  const { result, error } = await ask(method, params);
  if (error) throw new Error(JSON.stringify(error));
  return result;
}
async function call(tool, args) {
  const answer = await result("tools/call", { name: tool, arguments: { model: "res.partner", ...args } });
  if (answer.isError) throw new Error(JSON.stringify(answer));
  return answer.structuredContent;
}

const tell = (what) => console.log(JSON.stringify(what));
// It answers once the person has decided.
await result("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name, version: "1" } });
send({ method: "notifications/initialized" });
const { tools } = await result("tools/list", {});
const created = await call("dev_create", { values: { name } });
const count = () => call("dev_count", { domain: [["name", "=", name]] });
tell({ client: `mcp-remote ${version}`, tools: tools.map((tool) => tool.name), created: created.id, count: (await count()).count });
for await (const _ of createInterface({ input: process.stdin })) {
  try {
    tell({ count: (await count()).count });
  } catch (error) {
    if (!error.message.includes("access_denied")) throw error;
    tell({ denied: error.message });
  }
}
bridge.kill();
process.exit(0);
