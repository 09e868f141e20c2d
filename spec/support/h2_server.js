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
"use strict";
const http2 = require("http2");
const most = Number(process.argv[2] || 100);
const server = http2.createServer({ settings: { maxConcurrentStreams: most } });
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

server.on("stream", (stream, headers) => {
  const [, name, argument] = headers[":path"].split("/");
  stream.on("error", () => {});
  (actions[name] || actions.headers)(stream, headers, argument);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
