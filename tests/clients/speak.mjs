// A client of the TypeScript SDK does what clients do: list, call, progress, read, cancel.
// usage: node speak.mjs v1|v2 COMMAND ARGUMENT...|URL      (packages in FORUM_TEST_CLIENTS; the token in FORUM_TOKEN)
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";

const [version, command, ...args] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${process.env.FORUM_TEST_CLIENTS}/`));
const load = (name) => import(pathToFileURL(require.resolve(name)));

const names =
  version === "v1"
    ? ["index", "stdio", "streamableHttp"].map((part) => `@modelcontextprotocol/sdk/client/${part}.js`)
    : ["@modelcontextprotocol/client", "@modelcontextprotocol/client/stdio"];
const { Client, StdioClientTransport, StreamableHTTPClientTransport } = Object.assign(
  {}, ...(await Promise.all(names.map(load))),
);
const headers = { authorization: `Bearer ${process.env.FORUM_TOKEN}` };
const transport = command.startsWith("http:")
  ? new StreamableHTTPClientTransport(new URL(command), { requestInit: { headers } })
  : new StdioClientTransport({ command, args, env: process.env, stderr: "ignore" });
const options = version === "v1" ? {} : { versionNegotiation: { mode: "auto" } };
const client = new Client({ name: `ts-${version}`, version: "1" }, options);
await client.connect(transport);

const call = (name, given, more = {}) =>
  version === "v1" ? client.callTool({ name, arguments: given }, undefined, more) : client.callTool({ name, arguments: given }, more);

const tools = (await client.listTools()).tools;
assert.equal(tools.length, 10);
const route = await call("route", { request: "build the database schema" });
assert.ok(route.structuredContent.chosen);

const lines = [];
const run = await call("submit", { request: "write a poem", single: true }, { onprogress: (told) => lines.push(told.message) });
assert.equal(run.structuredContent.state, "succeeded");
assert.ok(lines.some((line) => / tasks? done/.test(line)), JSON.stringify(lines));

const uri = `forum://runs/${run.structuredContent.run_id}`;
assert.equal(JSON.parse((await client.readResource({ uri })).contents[0].text).answer, run.structuredContent.answer);
assert.ok((await client.listPrompts()).prompts.length >= 4);
await assert.rejects(client.readResource({ uri: "forum://nope" }));
assert.equal((await call("run", { run_id: "zz" })).isError, true);

const waiting = await call("submit", { request: "wait for me", single: true, wait_s: 0 });
const given = new AbortController();
const aborted = call("run", { run_id: waiting.structuredContent.run_id, wait_s: 60 }, { signal: given.signal });
setTimeout(() => given.abort(), 100);
await assert.rejects(aborted);
const after = await call("run_control", { run_id: waiting.structuredContent.run_id, action: "cancel" });
assert.equal(after.structuredContent.state, "cancelled");
const verified = await call("ledger_verify", { level: 4, checkpoint: run.structuredContent.checkpoint });
assert.equal(verified.structuredContent.clean, true);
await client.close();
console.log(`${version}: listed, called, told of progress (${lines.length}), read, cancelled, verified`);
