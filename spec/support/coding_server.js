// SPDX-License-Identifier: MIT
//
// Answers with a text in the codings that the path names, /gzip+br, in the order
// they are done (/bomb/N is N MiB of zeros, /bomb/N/twice the same coded twice,
// /plain the text): gzip, x-gzip, deflate, bare-deflate, br, zstd, identity. Prints
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

// ---- bombs: zeros, N MiB of them, gzipped as small as they get -----------------

const MIB = 1 << 20;

// What 1 MiB of zeros does to a CRC-32, as a matrix: zeros make it a linear map.
// That of one byte, squared twenty times.
function apply(columns, state) {
  return columns.reduce((sum, c, bit) => (state >>> bit) & 1 ? sum ^ c : sum, 0) >>> 0;
}

function crcOfZeros() {
  let columns = [];
  for (let bit = 0; bit < 32; bit++) {
    let state = (1 << bit) >>> 0;
    for (let i = 0; i < 8; i++) state = (state >>> 1) ^ (state & 1 ? 0xedb88320 : 0);
    columns.push(state >>> 0);
  }
  for (let n = 1; n < MIB; n *= 2) columns = columns.map((c) => apply(columns, c));
  return columns;
}

// Made once: a spec may ask for hundreds.
const made = {};
function once(name, make) { return made[name] ??= make(); }

function bomb(response, mebibytes) {
  const block = once("block", () => zlib.deflateRawSync(Buffer.alloc(MIB),
    { level: 9, finishFlush: zlib.constants.Z_FULL_FLUSH }));
  const over = crcOfZeros();
  const end = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  let crc = 0xffffffff;
  for (let i = 0; i < mebibytes; i++) crc = apply(over, crc);
  end.writeUInt32LE((crc ^ 0xffffffff) >>> 0, 2);
  end.writeUInt32LE((mebibytes * MIB) % 2 ** 32, 6);
  response.writeHead(200, { "content-encoding": "gzip" });
  response.write(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]));
  for (let i = 0; i < mebibytes; i++) response.write(block);
  response.end(end);
}

function twice(response, mebibytes) {
  const names = ["gzip", "gzip"];
  response.writeHead(200, { "content-encoding": names.join(", ") });
  response.end(once(mebibytes, () => encode(names, Buffer.alloc(mebibytes * MIB))));
}

// 40 MiB at a hundred to one: 99 of 100 bytes are zeros.
function large(response) {
  const data = Buffer.alloc(40 * MIB);
  let seed = 1;
  for (let i = 0; i < data.length; i += 100) {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    data[i] = seed >>> 16;
  }
  response.writeHead(200, { "content-encoding": "gzip" });
  response.end(zlib.gzipSync(data, { level: 1 }));
}

function answer(request, response) {
  if (request.url === "/plain") return response.end(TEXT);
  if (request.url === "/large") return large(response);
  const size = request.url.match(/^\/bomb\/(\d+)(\/twice)?$/);
  if (size && size[2]) return twice(response, Number(size[1]));
  if (size) return bomb(response, Number(size[1]));
  const names = request.url.slice(1).split("+");
  response.writeHead(200, {
    "content-encoding": names.map((name) => name.replace("bare-", "")).join(", "),
  });
  response.end(encode(names, TEXT));
}

function serve() {
  const h1 = http.createServer(answer);
  // What waits for a window is kept; the default is 10 MB.
  const h2 = http2.createServer({ maxSessionMemory: 1000 }, answer);
  h1.listen(0, "127.0.0.1", () => h2.listen(0, "127.0.0.1", () =>
    console.log(h1.address().port + " " + h2.address().port)));
}

if (process.argv[2] === "encode") {
  process.stdout.write(encode(process.argv[3].split("+"), fs.readFileSync(0)));
} else {
  serve();
}
