// SPDX-License-Identifier: MIT
//
// Node's HTTP/2 server without TLS, for what it takes a program to do. Prints
// its port. The path says what happens:
//   /bytes/N       N bytes       /echo           the request's body
//   /trailers      body and trailers             /hints          a 103 first
//   /rst/CODE      reset before the head         /slow/MS        after MS ms
//   /early         before the body came
//   /headers       what came in, one a line      /goaway         graceful GOAWAY
//   /settings/N    MAX_CONCURRENT_STREAMS is N from now on
//   /status/N      that status    /abort/CODE     GOAWAY with an error, and the end
//   /cut           reset in the body                /destroy        the end, without a word
//   /redirect/NNN/REST  that status, Location: /REST; with a body
//   /busy/N        503 until it was asked N times
//   /flaky/N       refused until it was asked N times
"use strict";
const http2 = require("http2");
const most = Number(process.argv[2] || 100);
const server = http2.createServer({ settings: { maxConcurrentStreams: most } });
const sockets = new Map(); // by the client's port: a session does not let go of its own
let asked = 0;
const BLOCK = Buffer.alloc(65536, "x");

function bytes(stream, left) {
  stream.respond({ ":status": 200, "content-length": left });
  function more() {
    while (left > 0) {
      const n = Math.min(left, BLOCK.length);
      left -= n;
      if (!stream.write(BLOCK.subarray(0, n))) { stream.once("drain", more); return; }
    }
    stream.end();
  }
  more();
}

const actions = {
  bytes: (stream, headers, n) => bytes(stream, Number(n)),
  echo: (stream, headers) => {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  },
  trailers: (stream) => {
    stream.respond({ ":status": 200, trailer: "x-sum" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42" }));
    stream.end("body");
  },
  hints: (stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</a.css>" });
    stream.respond({ ":status": 200 });
    stream.end("hinted");
  },
  rst: (stream, headers, code) => stream.close(Number(code)),
  cut: (stream) => {
    stream.respond({ ":status": 200 });
    stream.write("part", () => stream.destroy(new Error("on demand")));
  },
  status: (stream, headers, status) => {
    stream.respond({ ":status": Number(status) });
    stream.end(status);
  },
  abort: (stream, headers, code) => {
    const socket = sockets.get(stream.session.socket.remotePort);
    stream.session.goaway(Number(code), stream.id);
    setTimeout(() => socket.destroy(), 5);
  },
  destroy: (stream) => sockets.get(stream.session.socket.remotePort).destroy(),
  redirect: (stream, headers, status) => {
    stream.respond({ ":status": Number(status),
      location: "/" + headers[":path"].split("/").slice(3).join("/") });
    stream.end("gone");
  },
  busy: (stream, headers, n) => {
    asked += 1;
    const late = asked >= Number(n);
    if (late) asked = 0;
    stream.respond({ ":status": late ? 200 : 503 });
    stream.end(late ? "at last" : "busy");
  },
  flaky: (stream, headers, n) => {
    asked += 1;
    if (asked < Number(n)) { stream.close(7); return; }
    asked = 0;
    stream.respond({ ":status": 200 });
    stream.end("at last");
  },
  slow: (stream, headers, ms) => setTimeout(() => {
    if (!stream.destroyed) { stream.respond({ ":status": 200 }); stream.end("slow"); }
  }, Number(ms)),
  early: (stream) => {
    stream.respond({ ":status": 413 });
    stream.end("too much");
  },
  headers: (stream, headers) => {
    stream.respond({ ":status": 200 });
    stream.end(Object.keys(headers).map((k) => `${k}: ${headers[k]}\n`).join(""));
  },
  goaway: (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("last");
    stream.session.close();
  },
  settings: (stream, headers, n) => {
    stream.session.settings({ maxConcurrentStreams: Number(n) }, () => {
      stream.respond({ ":status": 200 });
      stream.end("set");
    });
  },
};

server.on("connection", (socket) => {
  sockets.set(socket.remotePort, socket);
  socket.on("close", () => sockets.delete(socket.remotePort));
});
server.on("sessionError", () => {});
server.on("stream", (stream, headers) => {
  const [, name, argument] = headers[":path"].split("/");
  stream.on("error", () => {});
  (actions[name] || actions.headers)(stream, headers, argument);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
