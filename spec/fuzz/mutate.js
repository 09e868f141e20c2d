// SPDX-License-Identifier: MIT
//
// What the comparisons with Node share: random inputs from a seed, our
// program's outcome for each, and the count of what came of it.
//
//   node X_diff.js PROGRAM [SEED=n] [COUNT=n] [SECONDS=n]
//
// COUNT mutated inputs (20000), or as many as SECONDS allow. The seed is
// printed: with it and the COUNT come the same inputs again.
"use strict";
const { execFileSync } = require("child_process");

const BATCH = 2000; // inputs per run of our program
const DEFAULT_COUNT = 20000;
const SHOWN = 10; // differences without a reason; the others are only counted

function options(args) {
  const given = Object.fromEntries(args.map((arg) => arg.split("=")));
  const seconds = Number(given.SECONDS || 0);
  return {
    seed: given.SEED ? Number(given.SEED) >>> 0 : Date.now() >>> 0,
    count: Number(given.COUNT || (seconds ? Infinity : DEFAULT_COUNT)),
    until: seconds ? Date.now() + seconds * 1000 : Infinity,
  };
}

// mulberry32: 32 bits of state, the same numbers everywhere.
function generator(seed) {
  const next = () => {
    seed = (seed + 0x6d2b79f5) >>> 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const below = (n) => next() % n;
  return { below, pick: (list) => list[below(list.length)] };
}

// One to four edits: a piece goes, comes twice, or gives way to a token, to a
// piece of another text or to its neighbour in the table of characters.
function mutate(text, others, tokens, random) {
  for (let edits = 1 + random.below(4); edits > 0; edits--) {
    const from = random.below(text.length + 1);
    const to = Math.min(text.length, from + random.below(8));
    const piece = text.slice(from, to), other = random.pick(others);
    const start = random.below(other.length + 1);
    const put = [
      () => "", () => piece + piece, () => random.pick(tokens),
      () => random.pick(tokens) + piece,
      () => other.slice(start, start + 1 + random.below(12)),
      () => piece && String.fromCharCode(piece.charCodeAt(0) ^ (1 << random.below(7)))
        + piece.slice(1),
    ];
    text = text.slice(0, from) + random.pick(put)() + text.slice(to);
  }
  return text;
}

const hex = (bytes) => Buffer.from(bytes).toString("hex");

function outcomes(program, lines) {
  if (!lines.length) return [];
  const input = lines.join("\n") + "\n";
  return execFileSync(program, { input, maxBuffer: 1 << 28 }).toString("latin1")
    .replace(/\n$/, "").split("\n");
}

// Asks our program about the `known` inputs, then about random ones.
//   known: inputs; make(random): another; encode(input): a line for the program
//   judge(input, line): "" alike, a reason, or null where nothing explains it
// Returns whether all is explained.
function compare(name, program, args, { known, make, encode, judge }) {
  const { seed, count, until } = options(args);
  const random = generator(seed), reasons = new Map();
  let alike = 0, unexplained = 0, made = 0;
  const look = (inputs) => outcomes(program, inputs.map(encode)).forEach((line, i) => {
    const reason = judge(inputs[i], line);
    if (reason === "") alike++;
    else if (reason) reasons.set(reason, (reasons.get(reason) || 0) + 1);
    else if (unexplained++ < SHOWN) console.log("UNEXPLAINED", JSON.stringify(inputs[i]), line);
  });
  console.log(`${name}: SEED=${seed}`);
  look(known);
  while (made < count && Date.now() < until) {
    const inputs = Array.from({ length: Math.min(BATCH, count - made) }, () => make(random));
    made += inputs.length;
    look(inputs);
  }
  console.log(`${name}: ${known.length} known and ${made} random inputs, ${alike} alike`);
  for (const [reason, n] of [...reasons].sort()) console.log(`  ${n} differ: ${reason}`);
  console.log(`  ${unexplained} unexplained`);
  return unexplained === 0 && known.length > 0;
}

module.exports = { compare, mutate, hex };
