// SPDX-License-Identifier: MIT
//
// Answers with a text in the codings that the path names, /gzip+br, in the order
// they are done: gzip, x-gzip, deflate, bare-deflate, br, zstd, identity. Prints
// its ports, of HTTP/1.1 and of HTTP/2. With the arguments `encode gzip+br` it
// codes what comes in on stdin instead.
"use strict";
const { spawnSync } = require("child_process");
const fs = require("fs");
const http = require("http");
const http2 = require("http2");
const zlib = require("zlib");

const TEXT = "what a server says is worth compressing\n".repeat(2500);

// Node 20 has no zstd: the program makes it.
function zstd(data) {
  return spawnSync("zstd", ["-q", "-c"], { input: data, maxBuffer: 1 << 30 }).stdout;
}

const coders = {
  "gzip": zlib.gzipSync,
  "x-gzip": zlib.gzipSync,
  "deflate": zlib.deflateSync,
  "bare-deflate": zlib.deflateRawSync,
  "br": zlib.brotliCompressSync,
  "zstd": zstd,
  "identity": (data) => data,
};

function encode(names, data) {
  return names.reduce((coded, name) => coders[name](coded), Buffer.from(data));
}

function answer(request, response) {
  const names = request.url.slice(1).split("+");
  response.writeHead(200, {
    "content-encoding": names.map((name) => name.replace("bare-", "")).join(", "),
  });
  response.end(encode(names, TEXT));
}

function serve() {
  const h1 = http.createServer(answer);
  const h2 = http2.createServer(answer);
  h1.listen(0, "127.0.0.1", () => h2.listen(0, "127.0.0.1", () =>
    console.log(h1.address().port + " " + h2.address().port)));
}

if (process.argv[2] === "encode") {
  process.stdout.write(encode(process.argv[3].split("+"), fs.readFileSync(0)));
} else {
  serve();
}
