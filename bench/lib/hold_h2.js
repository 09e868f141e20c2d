// SPDX-License-Identifier: MIT
//
// An HTTP/2 server without TLS for the benchmark: /hold is answered with one byte and then nothing,
// everything else with six. Takes as many streams as come. Prints its port.
"use strict";
const http2 = require("http2");
const server = http2.createServer({
  settings: { maxConcurrentStreams: 0xffffffff },
  maxSessionMemory: 1000,
});

server.on("stream", (stream, headers) => {
  stream.on("error", () => {});
  stream.respond({ ":status": 200 });
  if (headers[":path"] === "/hold") stream.write("x");
  else stream.end("hello\n");
});
server.on("sessionError", () => {});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 },
  () => console.log(`port ${server.address().port}`));
