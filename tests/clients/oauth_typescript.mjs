// The TypeScript SDK, let in by OAuth with nothing but the URL. Arguments: `sdk` (1.x) or `client` (2.x), URL, name.
// Connects, creates a contact of this name, counts it, and prints a line of JSON. For each line on its input it asks once more and
// prints what became of that. CLIENTS is where setup put the SDK, BROWSER opens what it wants opened.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [line, url, name] = process.argv.slice(2);
const require = createRequire(`${process.env.CLIENTS}/typescript/`);
const sdk =
  line === "client"
    ? require("@modelcontextprotocol/client")
    : {
        ...require("@modelcontextprotocol/sdk/client/index.js"),
        ...require("@modelcontextprotocol/sdk/client/streamableHttp.js"),
        ...require("@modelcontextprotocol/sdk/client/auth.js"),
      };
const version = require(`./node_modules/@modelcontextprotocol/${line}/package.json`).version;

// Where the browser comes back to.
const answers = [];
let arrived = () => {};
const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  response.writeHead(pathname === "/callback" ? 200 : 404).end("You can close this window.");
  if (pathname === "/callback") {
    answers.push(searchParams);
    arrived();
  }
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const redirect = `http://127.0.0.1:${server.address().port}/callback`;
const answer = async () => {
  while (!answers.length) await new Promise((resolve) => (arrived = resolve));
  return answers.shift();
};

const kept = {};
const provider = {
  redirectUrl: redirect,
  clientMetadata: {
    client_name: name,
    redirect_uris: [redirect],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  state: () => (kept.state = randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  saveDiscoveryState: (found) => void (kept.found = found),
  discoveryState: () => kept.found,
  invalidateCredentials: (what) => {
    if (what === "all" || what === "tokens") kept.tokens = undefined;
    if (what === "all" || what === "client") kept.client = undefined;
    if (what === "all" || what === "discovery") kept.found = undefined;
  },
  redirectToAuthorization: (to) => void spawn(process.env.BROWSER, [to.href], { stdio: "ignore" }),
};

// What the browser brought: either lets the transport in, or says why not.
async function finish(transport) {
  const got = await answer();
  if (got.get("state") !== kept.state) throw new Error("another state came back");
  if (got.has("error")) return got.get("error");
  await transport.finishAuth(line === "client" ? got : got.get("code"));
}

async function connect() {
  for (;;) {
    const client = new sdk.Client({ name, version: "1" }, line === "client" ? { versionNegotiation: { mode: "auto" } } : {});
    const transport = new sdk.StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
    try {
      await client.connect(transport);
      return { client, transport };
    } catch (error) {
      if (!(error instanceof sdk.UnauthorizedError)) throw error;
      const denied = await finish(transport);
      if (denied) throw new Error(denied);
    }
  }
}

const tell = (what) => console.log(JSON.stringify(what));
const { client, transport } = await connect();
const call = async (tool, args) => {
  const result = await client.callTool({ name: tool, arguments: { model: "res.partner", ...args } });
  if (result.isError) throw new Error(JSON.stringify(result));
  return result.structuredContent;
};
const { tools } = await client.listTools();
const created = await call("dev_create", { values: { name } });
const count = () => call("dev_count", { domain: [["name", "=", name]] });
tell({ client: `${line} ${version}`, tools: tools.map((tool) => tool.name), created: created.id, count: (await count()).count });
for await (const _ of createInterface({ input: process.stdin })) {
  try {
    tell({ count: (await count()).count });
  } catch (error) {
    if (!(error instanceof sdk.UnauthorizedError)) throw error;
    tell({ denied: await finish(transport) });
  }
}
server.close();
await client.close();
process.exit(0);
