// SPDX-License-Identifier: MIT
//
// Compares our HTTP/1 parser with Node's (llhttp) over the h1 corpus:
//
//   node spec/fuzz/h1_diff.js build/coverage/h1_outcome
//
// Prints every difference with the reason that explains it, and ends with 1
// when one has none. What is compared: accepted or refused, the final status,
// the body.
"use strict";
process.removeAllListeners("warning");
const { execFileSync } = require("child_process");
const fs = require("fs");
const path = require("path");
const { HTTPParser } = process.binding("http_parser");

const DIR = "spec/fuzz/corpus/h1";
const HEAD = 1, CHUNKED = 2, COUNTED = 4, SMALL_LIMIT = 8;

function node_outcome(data) {
  const flags = data[0];
  const before = flags & CHUNKED ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    : flags & COUNTED ? "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" : "";
  const parser = new HTTPParser();
  const out = { ok: false, status: 0, body: [], messages: 0 };
  parser.initialize(HTTPParser.RESPONSE, {}, 1 << 20);
  parser[HTTPParser.kOnHeaders | 0] = () => {};
  parser[HTTPParser.kOnHeadersComplete | 0] = (major, minor, headers, method, url, status) => {
    if (out.messages > 0) return 1;
    out.status = status;
    out.version = `${major}.${minor}`;
    return flags & HEAD ? 1 : 0; // 1: no body follows
  };
  parser[HTTPParser.kOnBody | 0] = (chunk) => { if (!out.messages) out.body.push(Buffer.from(chunk)); };
  parser[HTTPParser.kOnMessageComplete | 0] = () => {
    if (out.status >= 200) out.messages++;
  };
  const input = Buffer.concat([Buffer.from(before), data.subarray(2)]);
  let result = parser.execute(input, 0, input.length);
  if (!(result instanceof Error)) result = parser.finish();
  out.error = result instanceof Error ? result.code : "";
  out.ok = out.messages > 0;
  out.hex = Buffer.concat(out.body).toString("hex") || "-";
  return out;
}

// Why we differ where we do. Each takes our outcome, Node's, and the input.
const REASONS = [
  ["a transfer coding that is not just \"chunked\" is refused; llhttp reads on to the end",
    (us, them, text) => us.error === "MS_EPROTO" && us.status === 0
      && /\r\ntransfer-encoding:/i.test(text)],
  ["one length said twice is one (RFC 9112, 6.3 allows both)",
    (us, them) => us.error === "MS_OK" && them.error === "HPE_UNEXPECTED_CONTENT_LENGTH"],
  ["a chunk extension without a name is passed over",
    (us, them) => us.error === "MS_OK" && them.error === "HPE_STRICT"],
  ["a Content-Length among the trailers is a trailer like any other: it frames nothing",
    (us, them) => us.error === "MS_OK" && them.error === "HPE_INVALID_CONTENT_LENGTH"],
];

function main() {
  const files = fs.readdirSync(DIR).sort().map((name) => path.join(DIR, name));
  const ours = execFileSync(process.argv[2], { input: files.join("\n") + "\n", maxBuffer: 1 << 28 })
    .toString().trim().split("\n").map((line) => {
      const [error, status, hex] = line.split(" ");
      return { error, status: Number(status), hex };
    });
  const counts = new Map();
  let same = 0, unexplained = 0;
  files.forEach((file, i) => {
    const data = fs.readFileSync(file), us = ours[i];
    if (us.error === "SHORT" || data[0] & SMALL_LIMIT) return;
    const them = node_outcome(data);
    const both_refuse = us.error !== "MS_OK" && !them.ok;
    const both_accept = us.error === "MS_OK" && them.ok && us.status === them.status
      && us.hex === them.hex;
    if (both_refuse || both_accept) { same++; return; }
    const found = REASONS.find(([, holds]) => holds(us, them, data.toString("latin1")));
    if (found) { counts.set(found[0], (counts.get(found[0]) || 0) + 1); return; }
    unexplained++;
    console.log("UNEXPLAINED", file, JSON.stringify(data.toString("latin1")), us, them);
  });
  console.log(`${same} alike`);
  for (const [reason, n] of counts) console.log(`${n} differ: ${reason}`);
  console.log(`${unexplained} unexplained`);
  process.exit(unexplained ? 1 : 0);
}

main();
