// SPDX-License-Identifier: MIT
//
// Compares our HTTP/1 parser with Node's (llhttp) over the h1 corpus and random
// changes of it. From the root:
//
//   node spec/fuzz/h1_diff.js build/unit/h1_outcome [SEED=n] [COUNT=n] [SECONDS=n]
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
  "\xff", "HTTP/1.1 200 OK\r\n", "HTTP/1.0 ", "HTTP/2.0 ", "HTTP/0.9 ",
  "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 204 \r\n", "HTTP/1.1 304 x\r\n", "101", "Content-Length: 5\r\n", "Content-Length: ", "content-length: 0\r\n",
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

// The last head of the input, and the heads of 1xx responses before it.
function lastHead(text) {
  for (const informational = []; ;) {
    const end = text.indexOf("\r\n\r\n");
    const head = end < 0 ? text : text.slice(0, end);
    if (end < 0 || !/^HTTP\/1\.[01] 1\d\d/.test(head)) {
      const lines = [...informational, head].map((one) => one.split("\r\n")[0]);
      return { informational, lines, text, head, body: text.slice(head.length) };
    }
    informational.push(head);
    text = text.slice(end + 4);
  }
}

// The values of a field of that name.
function values(text, name) {
  const field = new RegExp(`\r\n${name}:[ \t]*(.*?)[ \t]*(?=\r|$)`, "gi");
  return [...text.matchAll(field)].map((found) => found[1].toLowerCase());
}

// What we say of something too large, and whether it is.
const LIMITS = new Map([
  ["the status line is too long", (last) => last.lines.some((line) => line.length >= 8192)],
  ["a header line is too long", (last) => /[^\n]{65537}/.test(last.head)],
  ["too many header fields", (last) => last.head.split("\r\n").length > 5000],
  ["too many informational responses", (last) => last.informational.length >= 32],
  ["Content-Length is not a number", (last) =>
    values(last.text, "content-length").some((value) => /^\d{19,}$/.test(value))],
  ["a chunk line is too long", (last) => /[^\n]{4097}/.test(last.body)],
  ["too many chunk extensions", (last) => last.body.length > 65536],
  ["the trailers are too large", (last) => last.body.length > 16384],
]);

// docs/differences.md, row by row: what it is called, and whether it is why.
// Each takes our outcome, Node's, and the last head.
const REASONS = [
  ["a transfer coding that is not just \"chunked\" is refused", (us, them, { head }) =>
    us.detail === "Transfer-Encoding is not just chunked"
    && values(head, "transfer-encoding").join() !== "chunked"],
  ["a transfer coding in an HTTP/1.0 response is refused", (us, them, { head }) =>
    us.detail === "Transfer-Encoding in an HTTP/1.0 response" && /^HTTP\/1\.0/.test(head)],
  ["\"chunked\" with a tab behind it is chunked", (us, them, { head, body }) =>
    /\r\ntransfer-encoding:[ \t]*chunked *\t/i.test(head)
    && them.hex === (Buffer.from(body.slice(4), "latin1").toString("hex") || "-")],
  ["an empty line before the status line is refused", (us, them, { text }) =>
    us.error === "MS_EPROTO" && /^[\r\n]/.test(text)],
  ["a control character in the status line is refused", (us, them, { lines }) =>
    /^(a control character in the reason|the status is not three digits)$/.test(us.detail)
    && lines.some((line) => /[\0-\x08\x0a-\x1f\x7f]/.test(line))],
  ["versions other than 1.0 and 1.1 are refused", (us, them, { lines }) =>
    us.detail === "not an HTTP/1 status line" && /^HTTP\/(?!1\.[01])\d\.\d/.test(lines.at(-1))],
  ["a status below 100 or above 599 is refused", (us, them, { lines }) =>
    us.detail === "the status is out of range"
    && /^HTTP\/1\.[01] [06-9]\d\d/.test(lines.at(-1))],
  ["a 1xx response does not end the connection", (us, them, { informational }) =>
    us.ok && them.error === "HPE_CLOSED_CONNECTION"
    && informational.some((head) => /^HTTP\/1\.0|\r\nconnection:/i.test(head))],
  ["limits", (us, them, last) => LIMITS.get(us.detail)?.(last)],
  ["the same Content-Length twice is one", (us, them, { head }) =>
    us.ok && them.error === "HPE_UNEXPECTED_CONTENT_LENGTH"
    && values(head, "content-length").length > 1
    && new Set(values(head, "content-length").map(Number)).size === 1],
  ["a tab behind Content-Length is passed over", (us, them, { head }) =>
    us.ok && them.error === "HPE_INVALID_CONTENT_LENGTH"
    && /\r\ncontent-length:[ \t]*\d+ *\t/i.test(head)],
  ["a chunk extension without a name is passed over", (us, them, { body }) =>
    us.ok && them.error === "HPE_STRICT" && /^[0-9a-f]+[ \t]*;/im.test(body)],
  ["blanks behind a chunk size are passed over", (us, them, { body }) =>
    us.ok && them.error === "HPE_INVALID_CHUNK_SIZE" && /^[0-9a-f]+[ \t]+;/im.test(body)],
  ["a Content-Length among the trailers frames nothing", (us, them, { head, body }) =>
    us.ok && /^HPE_(INVALID|UNEXPECTED)_CONTENT_LENGTH$/.test(them.error)
    && values(head, "transfer-encoding").length === 1
    && values(body, "content-length").length > 0],
];

function parseOutcome(line) {
  const [, error, status, body, detail] = /^(\w+) (\d+) (\S+) (.*)$/.exec(line);
  return { ok: error === "MS_OK", error, status: Number(status), hex: body, detail };
}

function judge(text, line) {
  const us = parseOutcome(line), them = node(text);
  if (!us.ok && !them.ok) return "";
  if (us.ok && them.ok && us.status === them.status && us.hex === them.hex) return "";
  const last = lastHead(bytesOf(text).toString("latin1"));
  const found = REASONS.find(([, holds]) => holds(us, them, last));
  return found ? found[0] : null;
}

// Neither too short, nor with a limit of its own.
const known = fs.readdirSync(DIR).map((name) => fs.readFileSync(path.join(DIR, name), "latin1"))
  .filter((text) => text.length >= 2 && !(text.charCodeAt(0) & SMALL_LIMIT));

// In a long one, few changes would be where it matters.
const short = known.filter((text) => text.length < 512);

function make(random) {
  const from = random.pick(short);
  return from.slice(0, 2) + mutate(from.slice(2), short, TOKENS, random);
}

const ok = compare("h1", process.argv[2], process.argv.slice(3), {
  known, make, judge, encode: (text) => hex(Buffer.from(text, "latin1")),
});
process.exit(ok ? 0 : 1);
