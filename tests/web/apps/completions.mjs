// A server with OpenAI's API, like vLLM: chat completions, streamed or not.
//
// A streamed response sends one word and then waits for `POST /release`, so that a test can
// detect buffering on the way.

import http from "node:http";
import { once } from "node:events";
import { EventEmitter } from "node:events";

const released = new EventEmitter();

/** The content: who is asking, and what the server sees of their credential. */
const words = ({ headers }) => [
  "hello", " ", headers["x-forwarded-preferred-username"] ?? "stranger",
  ", authorization: ", headers.authorization ?? "none",
];

const completion = (object, choice) => ({
  id: "chatcmpl-1", object, created: 1_790_000_000, model: "small",
  choices: [{ index: 0, finish_reason: null, ...choice }],
});

async function stream(request, response) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const say = data => response.write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);
  const chunk = choice => say(completion("chat.completion.chunk", choice));
  const [first, ...rest] = words(request);
  chunk({ delta: { role: "assistant", content: first } });
  await once(released, "now");
  for (const content of rest) chunk({ delta: { content } });
  chunk({ delta: {}, finish_reason: "stop" });
  say("[DONE]");
  response.end();
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString() || "{}");
}

const server = http.createServer(async (request, response) => {
  const json = (document, status = 200) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(document));
  };
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/release") {
    released.emit("now");
    return json({});
  }
  if (pathname === "/v1/models") return json({ object: "list", data: [{ id: "small", object: "model", created: 1, owned_by: "acme" }] });
  if (pathname !== "/v1/chat/completions") return json({ error: { message: "no such model", type: "invalid_request_error", param: null, code: "404" } }, 404);
  const asked = await body(request);
  if (asked.stream) return stream(request, response);
  const message = { role: "assistant", content: words(request).join("") };
  json({ ...completion("chat.completion", { message, finish_reason: "stop" }), usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } });
});

server.listen(0, "127.0.0.1", () => console.log(`completions listen at http://127.0.0.1:${server.address().port}`));
process.once("SIGTERM", () => {
  server.close();
  server.closeAllConnections();
});
