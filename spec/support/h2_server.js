// SPDX-License-Identifier: MIT
//
// Node's HTTP/2 server, for what it takes a program to do:
//
//   node h2_server.js [STREAMS [KEY CERT]]
//
// With a key it speaks TLS, and HTTP/1.1 with who wants that: "1.1 PATH" is the
// answer then, after MS ms for /slow/MS. Prints its port. The path says what
// happens:
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
//   /push          whether it may push; it does if it may
//   /ping          pings 20 ms after the response; /pinged says how often the
//                  client answered
"use strict";
const fs = require("fs");
const http2 = require("http2");
const [, , most, key, cert] = process.argv;
const settings = { maxConcurrentStreams: Number(most || 100) };
const server = !key ? http2.createServer({ settings }) : http2.createSecureServer(
  { settings, allowHTTP1: true, key: fs.readFileSync(key), cert: fs.readFileSync(cert) });
const sockets = new Map(); // by the client's port: a session does not let go of its own
let asked = 0, answered = 0;
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
  push: (stream) => {
    const may = stream.session.remoteSettings.enablePush && stream.pushAllowed;
    if (may) stream.pushStream({ ":path": "/pushed" }, (err, pushed) => pushed.end("pushed"));
    stream.respond({ ":status": 200 });
    stream.end(may ? "may" : "may not");
  },
  ping: (stream) => {
    const session = stream.session;
    stream.respond({ ":status": 200 });
    stream.end("soon");
    setTimeout(() => session.ping((err) => { answered += err ? 0 : 1; }), 20);
  },
  pinged: (stream) => {
    stream.respond({ ":status": 200 });
    stream.end(String(answered));
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
server.on("request", (request, response) => {
  const [, name, argument] = request.url.split("/");
  setTimeout(() => response.end("1.1 " + request.url), name === "slow" ? Number(argument) : 0);
});
server.removeAllListeners("stream"); // requests of HTTP/2 come as streams, and only so
server.on("stream", (stream, headers) => {
  const [, name, argument] = headers[":path"].split("/");
  stream.on("error", () => {});
  (actions[name] || actions.headers)(stream, headers, argument);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
