// SPDX-License-Identifier: MIT
//
// Runs spec/unit/url_cases.h through Node's URL and lists where the two
// disagree: `node spec/support/url_diff.js`, from the root. Exits with 1 when
// they do, unless the case says so itself (NEWER, STRICT, LAX).
//
// Those differences have five reasons:
//   NEWER   Node 20 leaves '^' in a path alone; the standard's path
//           percent-encode set has had it since 2025.
//   NEWER   Node 20 drops the "?" of a base whose query is empty, though an
//           empty query is not the same as none.
//   STRICT  International names: we want punycode, Node has IDNA.
//   LAX     Names in punycode: we do not look whether it means anything.
//   STRICT  Labels above 63 and hosts above 255 bytes: no name of DNS.
"use strict";
const fs = require("fs");

const STRING = /"(?:\\.|[^"\\])*"/g;
const PLAIN = { n: "\n", r: "\r", t: "\t" };

// C string literals, which may stand in pieces, as the bytes they mean.
function unquote(text) {
  const bytes = text.match(STRING).map((s) =>
    s.slice(1, -1).replace(/\\(u[0-9a-f]{4}|[0-7]{1,3}|.)/g, (_, e) => {
      if (e.length === 5) {
        return Buffer.from(String.fromCharCode(parseInt(e.slice(1), 16))).toString("latin1");
      }
      if (/^[0-7]/.test(e)) return String.fromCharCode(parseInt(e, 8));
      return PLAIN[e] || e;
    }));
  return Buffer.from(bytes.join(""), "latin1").toString("utf8");
}

function* readCases(file) {
  for (const line of fs.readFileSync(file, "latin1").split("\n")) {
    const found = /^([A-Z]+)\((.*)\)$/.exec(line);
    if (!found) continue;
    const args = found[2].match(/(?:"(?:\\.|[^"\\])*"\s*)+/g).map(unquote);
    yield { kind: found[1], input: args[0], base: args[1], want: args[2] };
  }
}

function ask(input, base) {
  try {
    const url = base ? new URL(input, base) : new URL(input);
    return /^https?:$/.test(url.protocol) ? url.href : "another scheme";
  } catch {
    return "refused";
  }
}

function expected(c) {
  if (c.kind === "BAD") return ["refused"];
  if (c.kind === "OTHER") return ["refused", "another scheme"];
  return c.kind === "STRICT" ? ["refused"] : [c.want];
}

let count = 0, wrong = 0;
for (const c of readCases("spec/unit/url_cases.h")) {
  const got = ask(c.input, c.base);
  count++;
  if (expected(c).includes(got)) continue;
  const excused = ["NEWER", "STRICT", "LAX"].includes(c.kind);
  if (!excused) wrong++;
  console.log(`${excused ? "known" : "WRONG"}: ${JSON.stringify(c.input)} on ` +
    `${JSON.stringify(c.base)}: Node says ${got}, the case ${expected(c)[0]}`);
}
console.log(`${count} cases, ${wrong} unexplained differences`);
process.exit(wrong || !count ? 1 : 0);
