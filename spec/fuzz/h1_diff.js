// SPDX-License-Identifier: MIT
//
// Compares our HTTP/1 parser with Node's (llhttp) over the h1 corpus and random
// changes of it. From the root:
//
//   node spec/fuzz/h1_diff.js build/diff/h1_outcome [SEED=n] [COUNT=n] [SECONDS=n]
//
// Ends with 1 at a difference that is none of docs/differences.md. What is
// compared: accepted or refused, the final status, the body.
"use strict";
process.removeAllListeners("warning");
const fs = require("fs");
const path = require("path");
const { HTTPParser } = process.binding("http_parser");
const { compare, mutate, hex } = require("./mutate.js");

const DIR = "spec/fuzz/corpus/h1";
const HEAD = 1, CHUNKED = 2, COUNTED = 4, SMALL_LIMIT = 8;
const TOKENS = ["\r\n", "\r", "\n", "\r\n\r\n", " ", "\t", ":", ";", ",", "0", "5", "a", "\0", "\x7f",
  "\xff", "HTTP/1.1 200 OK\r\n", "HTTP/1.0 ", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 204 \r\n",
  "HTTP/1.1 304 x\r\n", "101", "Content-Length: 5\r\n", "Content-Length: ", "content-length: 0\r\n",
  "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "chunked",
  "Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: upgrade\r\nUpgrade: x\r\n",
  "0\r\n\r\n", "5\r\nhello\r\n", ";a=b", ";", "\r\n a", "a: b\r\n"];

function bytesOf(text) {
  const flags = text.charCodeAt(0);
  const before = flags & CHUNKED ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    : flags & COUNTED ? "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" : "";
  return Buffer.from(before + text.slice(2), "latin1");
}

function node(text) {
  const parser = new HTTPParser();
  const out = { ok: false, status: 0, body: [], messages: 0 };
  parser.initialize(HTTPParser.RESPONSE, {}, 1 << 20);
  parser[HTTPParser.kOnHeaders | 0] = () => {};
  parser[HTTPParser.kOnHeadersComplete | 0] = (major, minor, headers, method, url, status) => {
    if (out.messages > 0) return 1;
    out.status = status;
    out.version = `${major}.${minor}`;
    return text.charCodeAt(0) & HEAD ? 1 : 0; // 1: no body follows
  };
  parser[HTTPParser.kOnBody | 0] = (chunk) => {
    if (!out.messages) out.body.push(Buffer.from(chunk));
  };
  parser[HTTPParser.kOnMessageComplete | 0] = () => {
    if (out.status >= 200) out.messages++;
  };
  const input = bytesOf(text);
  let result = parser.execute(input, 0, input.length);
  if (!(result instanceof Error)) result = parser.finish();
  out.error = result instanceof Error ? result.code : "";
  out.ok = out.messages > 0;
  out.hex = Buffer.concat(out.body).toString("hex") || "-";
  return out;
}

// Why we differ where we do. Each takes our outcome, Node's, and the input.
const REASONS = [
];

function parseOutcome(line) {
  const [, error, status, body, detail] = /^(\w+) (\d+) (\S+) (.*)$/.exec(line);
  return { ok: error === "MS_OK", error, status: Number(status), hex: body, detail };
}

function judge(text, line) {
  const us = parseOutcome(line), them = node(text);
  if (!us.ok && !them.ok) return "";
  if (us.ok && them.ok && us.status === them.status && us.hex === them.hex) return "";
  const found = REASONS.find(([, holds]) => holds(us, them, bytesOf(text).toString("latin1")));
  return found ? found[0] : process.env.DBG ? `${us.error} ${us.detail} | ${them.error} ${them.ok} ${us.ok}` : null;
}

// Neither too short, nor with a limit of its own.
const known = fs.readdirSync(DIR).map((name) => fs.readFileSync(path.join(DIR, name), "latin1"))
  .filter((text) => text.length >= 2 && !(text.charCodeAt(0) & SMALL_LIMIT));

function make(random) {
  const from = random.pick(known);
  return from.slice(0, 2) + mutate(from.slice(2), known, TOKENS, random);
}

const ok = compare("h1", process.argv[2], process.argv.slice(3), {
  known, make, judge, encode: (text) => hex(Buffer.from(text, "latin1")),
});
process.exit(ok ? 0 : 1);
