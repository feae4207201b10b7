// A plain app for the tests: it reports what it received, streams, consumes, delays, and echoes
// short WebSocket messages. Longer messages are sent by clients/ws.py.

import { createHash } from "node:crypto";
import http from "node:http";

const MEGABYTE = Buffer.alloc(1 << 20, "x");
const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));
const places = {
  /** Sends `mib` mebibytes, as fast as the reader reads. */
  async download(request, response, query) {
    const count = Number(query.get("mib") ?? 1);
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": count * MEGABYTE.length });
    for (let n = 0; n < count; n++) {
      if (!response.write(MEGABYTE)) await new Promise(done => response.once("drain", done));
    }
    response.end();
  },
  /** Counts the bytes of the body. */
  async upload(request, response) {
    let bytes = 0;
    for await (const chunk of request) bytes += chunk.length;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ bytes, chunked: request.headers["transfer-encoding"] === "chunked" }));
  },
  /** Sends an event every `every` milliseconds; the last one reports how many there were. */
  async events(request, response, query) {
    const count = Number(query.get("count") ?? 5);
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    for (let n = 1; n <= count; n++) {
      response.write(`id: ${n}\ndata: ${JSON.stringify({ n, sent: Date.now() })}\n\n`);
      await pause(Number(query.get("every") ?? 200));
    }
    response.end();
  },
  /** Sends a line every 200 ms, to be in progress when the gate is asked to stop. */
  async slow(request, response, query) {
    const lines = Number(query.get("lines") ?? 10);
    response.writeHead(200, { "content-type": "text/plain" });
    for (let n = 1; n <= lines; n++) {
      response.write(`line ${n}\n`);
      await pause(200);
    }
    response.end("the end\n");
  },
  /** Responds after a moment. */
  async later(request, response) {
    await pause(50);
    response.writeHead(200, { "content-type": "text/plain", "content-length": 6 });
    response.end("later\n");
  },
  /** The number of connections so far. */
  async connections(request, response) {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ connections }));
  },
  /** Sends a response that claims to be cacheable by everybody. */
  async public(request, response) {
    response.writeHead(200, { "content-type": "application/json", "cache-control": "public, max-age=60" });
    response.end("{}");
  },
  /** Closes the connection instead of responding. */
  async broken(request) {
    request.socket.destroy();
  },
};

let connections = 0;
const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, "http://app");
  const place = places[url.pathname.slice(1)];
  // A client that disconnects must not stop the server.
  if (place) return place(request, response, url.searchParams).catch(() => response.destroy());
  if (request.headers.accept?.includes("text/html")) {
    const name = request.headers["x-forwarded-preferred-username"] ?? "stranger";
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    return response.end(`<!doctype html><html lang=en><title>App</title><h1>Hello, ${name}</h1><p id=path>${url.pathname}</p>
<form method=post action=/form><input name=note value=kept><button>Send</button></form>`);
  }
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({
    method: request.method, url: request.url, version: request.httpVersion, headers: request.headers,
    // Names and repetitions as received.
    raw: request.rawHeaders,
  }));
});
// A WebSocket (RFC 6455) for single frames of up to 125 bytes: greets, then echoes.
server.on("upgrade", (request, socket) => {
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    + `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  const say = text => socket.write(Buffer.concat([Buffer.from([0x81, Buffer.byteLength(text)]), Buffer.from(text)]));
  say(`hello ${request.headers["x-forwarded-preferred-username"] ?? "stranger"}`);
  socket.on("error", () => {});
  socket.on("data", frame => {
    if ((frame[0] & 0x0f) === 8) return socket.end(Buffer.from([0x88, 0]));
    const length = frame[1] & 0x7f;
    const mask = frame.subarray(2, 6);
    say(Buffer.from(frame.subarray(6, 6 + length).map((byte, index) => byte ^ mask[index % 4])).toString());
  });
});

/** `Expect: 100-continue`: responds with the `status` of the query, or sends 100. */
server.on("checkContinue", (request, response) => {
  const status = Number(new URL(request.url, "http://app").searchParams.get("refuse") ?? 0);
  if (!status) {
    response.writeContinue();
    return server.emit("request", request, response);
  }
  response.writeHead(status, { "content-type": "text/plain", connection: "close" });
  response.end("not that\n");
});

server.on("connection", () => connections++);
server.listen(0, "127.0.0.1", () => console.log(`echo listens at http://127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => process.exit(0));
