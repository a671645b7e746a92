// MCP Inspector's command line, let in by OAuth with nothing but the URL. Arguments: URL, name.
// Each question is a run of its own; the first one signs in, the others find its token in the Inspector's store below HOME. Creates a
// contact of this name, counts it, and prints a line of JSON. For each line on its input it asks once more and prints what became of
// that. CLIENTS is where setup put the Inspector; it opens its browser by itself.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [url, name] = process.argv.slice(2);
const folder = `${process.env.CLIENTS}/inspector/node_modules/@modelcontextprotocol/inspector`;
const { version } = JSON.parse(readFileSync(`${folder}/package.json`));

// Without a terminal it opens a browser only when it is told to; without a keychain it would forget the token after each run.
const env = { ...process.env, MCP_AUTO_OPEN_ENABLED: "true", MCP_INSPECTOR_SECRET_STORE: "file" };
async function run(...args) {
  const command = [`${folder}/clients/launcher/build/index.js`, "--cli", url, "--transport", "http", "--format", "json", "--quiet", "--connect-timeout", "300000", ...args];
  const child = spawn(process.execPath, command, { env, stdio: ["ignore", "pipe", "pipe"] });
  const [out, errors] = [child.stdout, child.stderr].map(async (stream) => {
    let text = "";
    for await (const part of stream) text += part;
    return text;
  });
  const code = await new Promise((ended) => child.once("close", ended));
  return { code, out: await out, errors: await errors };
}
async function result(...args) {
  const { code, out, errors } = await run(...args);
  if (code !== 0) throw new Error(`${args.join(" ")}: ${code}: ${errors}`);
  return JSON.parse(out);
}
const call = async (tool, args) => {
  const { result: answer } = await result("--method", "tools/call", "--tool-name", tool, "--tool-args-json", JSON.stringify({ model: "res.partner", ...args }));
  if (answer.isError) throw new Error(JSON.stringify(answer));
  return answer.structuredContent;
};

const tell = (what) => console.log(JSON.stringify(what));
const { result: listed } = await result("--method", "tools/list");
const created = await call("dev_create", { values: { name } });
const count = () => call("dev_count", { domain: [["name", "=", name]] });
tell({ client: `inspector ${version}`, tools: listed.tools.map((tool) => tool.name), created: created.id, count: (await count()).count });
for await (const _ of createInterface({ input: process.stdin })) {
  try {
    tell({ count: (await count()).count });
  } catch (error) {
    if (!error.message.includes("The person refused")) throw error;
    tell({ denied: error.message });
  }
}
