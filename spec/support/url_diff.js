// SPDX-License-Identifier: MIT
//
// Compares our URLs with those of Node: first what spec/unit/url_cases.h wants
// with what Node says, then, given our program, its outcome for the cases, the
// corpus and random changes of both. From the root:
//
//   node spec/support/url_diff.js [build/unit/url_outcome [SEED=n] [COUNT=n] [SECONDS=n]]
//
// Ends with 1 at a difference that is none of docs/differences.md.
"use strict";
const fs = require("fs");
const path = require("path");
const { compare, mutate, hex } = require("../fuzz/mutate.js");

const CORPUS = "spec/fuzz/corpus/url";
const BASES = ["http://h/", "https://u:p@h:8080/a/b/../c?q#f", "http://h/?", "http://[::1]/x/y"];
const TOKENS = ["http:", "https://", "/", "\\", "//", "..", ".", "%2e", "%2E%2e", "?", "#", "@",
  ":", "[", "]", "[::1]", "::", "%", "%41", "%zz", "%00", "^", "|", "`", "{", "'", "\"", "<", " ",
  "\t", "\n", "\r", "\0", "\x7f", "\u00fc", "\u3002", "\ufffd", "\u{1f600}", "\u00df", "\uff0e", "\u05d0", "\u0661", "\u200d", "\u00ad", "e\u0301", "xn--tda", "-", "0x7f", "0", "256",
  "4294967295", "1.2.3.4", "65535", "65536", ":80", ":443", "xn--", "A", "ftp:", ";", "=", "&"];

const EXCUSED = ["NEWER", "STRICT", "STRICTIDN", "STRICTACE"];
const REFUSED = ["BAD", "BADIDN", "ACE", "STRICT", "STRICTIDN", "STRICTACE"];
const STRING = /"(?:\\.|[^"\\])*"/g;
const PLAIN = { n: "\n", r: "\r", t: "\t" };

// C string literals, which may stand in pieces, as the bytes they mean.
function unquote(text) {
  const bytes = text.match(STRING).map((s) =>
    s.slice(1, -1).replace(/\\(u[0-9a-f]{4}|U[0-9a-f]{8}|[0-7]{1,3}|.)/g, (_, e) => {
      if (e.length >= 5) {
        return Buffer.from(String.fromCodePoint(parseInt(e.slice(1), 16))).toString("latin1");
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
  if (c.kind === "OTHER") return ["refused", "another scheme"];
  return REFUSED.includes(c.kind) ? ["refused"] : [c.want];
}

// ---- what the cases want ---------------------------------------------------

function checkCases(cases) {
  let wrong = 0;
  for (const c of cases) {
    const got = ask(c.input, c.base);
    if (expected(c).includes(got)) continue;
    const excused = EXCUSED.includes(c.kind);
    if (!excused) wrong++;
    console.log(`${excused ? "known" : "WRONG"}: ${JSON.stringify(c.input)} on ` +
      `${JSON.stringify(c.base)}: Node says ${got}, the case ${expected(c)[0]}`);
  }
  console.log(`${cases.length} cases, ${wrong} unexplained differences`);
  return cases.length > 0 && wrong === 0;
}

// ---- our program -----------------------------------------------------------

// "MS_OK HREF", "ERROR WHY" or "BASE ERROR WHY".
function parseOutcome(line) {
  const [, base, error, text] = /^(BASE )?(\w+) (.*)$/.exec(line);
  return error === "MS_OK" ? { href: text, error: "", why: "" }
    : { href: "", error, why: text, base: Boolean(base) };
}

// What Node says in those terms: a result, or the class of its error.
function node(input, base) {
  if (base) {
    const got = ask(base, "");
    if (got === "refused") return { error: "MS_EURL", base: true };
    if (got === "another scheme") return { error: "MS_ESCHEME", base: true };
  }
  const got = ask(input, base);
  if (got === "refused") return { error: "MS_EURL" };
  return got === "another scheme" ? { error: "MS_ESCHEME" } : { error: "", href: got };
}

// Node leaves '^' in a path; the query begins at the first '?'.
function escapeCaret(href) {
  return href.replace(/^[^?#]*/, (front) => front.replaceAll("^", "%5E"));
}

// Node drops the '?' of a base whose query is empty.
function withEmptyQuery(href) {
  return href.replace(/^[^?#]*/, "$&?");
}

// Node 20 leaves the dot segments of a path in which a name begins with a dot
// (ada-url/ada, issue 935): /.a/../b.
function withoutDots(href) {
  const [, front, text, behind] = /^(\w+:\/\/[^/]*)([^?#]*)(.*)$/.exec(href);
  if (!text.includes("/.")) return href;
  const names = text.slice(1).split("/"), left = [];
  names.forEach((name, i) => {
    if (name === "..") left.pop();
    if (name !== "." && name !== "..") left.push(name);
    else if (i === names.length - 1) left.push("");
  });
  return `${front}/${left.join("/")}${behind}`;
}

// What Node would say without those two.
function mended(c) {
  const base = c.base && withoutDots(new URL(c.base).href);
  return escapeCaret(withoutDots(ask(c.input, base)));
}

// Node's host where it took what we refused: the base's when that is it.
const hostname = (us, c) =>
  new URL(...us.base ? [c.base] : [c.input, c.base || undefined]).hostname;

// Without line breaks and the escapes of ASCII, as a host would be read.
const plain = (text) => text.replace(/[\t\n\r]/g, "")
  .replace(/%([2-7][0-9a-f])/gi, (_, c) => String.fromCharCode(parseInt(c, 16)));

const HYPHENS = "an international label has hyphens where it may not";
const NO_NAME = "the host is no valid international name";
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

// Node took the host, or the base's, that we refused.
const taken = (us, them) => them.error !== "MS_EURL" || (us.base && !them.base);

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// docs/differences.md, row by row: what it is called, and whether it is why.
const REASONS = [
  ["'^' in a path is escaped", (us, them) => us.href && us.href === escapeCaret(them.href || "")],
  ["dot segments behind a name that begins with a dot are removed", (us, them, c) =>
    us.href && them.href && us.href === mended(c)],
  ["the empty query of a base is kept", (us, them, c) =>
    us.href && them.href && c.base && /^[^?#]*\?(#|$)/.test(new URL(c.base).href)
    && us.href === withEmptyQuery(mended(c))],
  ["international labels with hyphens at an end or in the third and fourth place are refused",
    (us, them) => us.why === HYPHENS && taken(us, them)],
  ["punycode that no name comes to is refused", (us, them, c) =>
    us.why === NO_NAME && taken(us, them) && /xn--/i.test(plain(us.base ? c.base : c.input))],
  ["punctuation beside letters outside ASCII is refused", (us, them, c) =>
    us.why === NO_NAME && taken(us, them) && /[!"$&-,;=_`{}~]/.test(hostname(us, c))],
  ["symbols beside \u00df, \u03c2 or a joiner are refused", (us, them, c) =>
    us.why === NO_NAME && taken(us, them)
    && /[\u00df\u03c2\u1e9e\u200c\u200d]/.test(decoded(us.base ? c.base : c.input))],
  ["names in a script from right to left follow libidn2", (us, them, c) =>
    (us.href ? them.error : us.why === NO_NAME && taken(us, them))
    && RIGHT_TO_LEFT.test(decoded(us.base ? c.base : c.input))],
  ["labels above 63 bytes, hosts above 255 are refused", (us, them, c) =>
    (/longer than (63|255) bytes$/.test(us.why) || us.why === NO_NAME) && taken(us, them)
    && (hostname(us, c).length > 255 || /[^.]{64}/.test(hostname(us, c)))],
];

function judge(c, line) {
  const us = parseOutcome(line), them = node(c.input, c.base);
  const alike = us.error === them.error && us.href === (them.href || "");
  // Node may refuse what comes behind the name of another scheme.
  if (alike || (us.error === "MS_ESCHEME" && them.error)) return "";
  const found = REASONS.find(([, holds]) => holds(us, them, c));
  return found ? found[0] : null;
}

// As fuzz_url.c has it: a URL, or a base and a reference on the next line.
function readCorpus() {
  return fs.readdirSync(CORPUS).map((name) => {
    const text = fs.readFileSync(path.join(CORPUS, name)).toString("utf8");
    const at = text.indexOf("\n");
    return at < 0 ? { input: text, base: "" }
      : { input: text.slice(at + 1), base: text.slice(0, at) };
  });
}

function compareProgram(program, args, cases) {
  const known = cases.concat(readCorpus());
  const texts = known.map((c) => c.input);
  const bases = known.map((c) => c.base).filter(Boolean).concat(BASES);
  const changed = (text, random) => mutate(text, texts, TOKENS, random).toWellFormed();
  const make = (random) => {
    const base = random.below(2) ? random.pick(bases) : "";
    return {
      input: changed(random.pick(texts), random),
      base: base && random.below(4) === 0 ? changed(base, random) : base,
    };
  };
  return compare("url", program, args, {
    known, make, judge, encode: (c) => `${hex(c.input)} ${hex(c.base)}`,
  });
}

const cases = [...readCases("spec/unit/url_cases.h")];
let ok = checkCases(cases);
if (process.argv[2]) ok = compareProgram(process.argv[2], process.argv.slice(3), cases) && ok;
process.exit(ok ? 0 : 1);
