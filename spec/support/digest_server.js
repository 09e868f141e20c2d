// SPDX-License-Identifier: MIT
//
// A server that asks for Digest in all its varieties and checks the answers
// with a program of its own (RFC 7616; RFC 2069 without qop). Prints its ports:
// HTTP/1.1, then HTTP/2 by prior knowledge.
//
//   /ALGORITHM/QOP[/WORD...]    QOP: auth, auth-int, both, none
//   WORD: userhash, utf8, opaque, next (Authentication-Info), both (and the nonce
//   before it stays good), close (the 401
//   ends the connection), stale (each nonce is good for one request), big (the
//   401 has a body of 1 MB), proof (rspauth), lie (a wrong one), trailer (what
//   Authentication-Info says comes behind the body), gzip (the body is coded),
//   moved (302 to /open, which asks nobody)
// 200 has a body of JSON: { user, nc, cnonce, body, seen = requests so far }.
// Users are anna:secret and "Jäsøn Doe":geheim.
"use strict";
const crypto = require("crypto");
const http = require("http");
const http2 = require("http2");
const zlib = require("zlib");

const REALM = 'the "spec"';
const USERS = { "anna": "secret", "Jäsøn Doe": "geheim" };
const HASHES = { "MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512-256" };
const nonces = new Map(); // by nonce: the highest count
let seen = 0;

function newNonce() {
  const nonce = crypto.randomBytes(12).toString("base64");
  nonces.set(nonce, 0);
  return nonce;
}

function kindOf(url) {
  const [, algorithm, qop, ...words] = url.split("?")[0].split("/");
  const session = algorithm.endsWith("-sess");
  return { algorithm, qop, session, words: new Set(words),
    hash: HASHES[session ? algorithm.slice(0, -5) : algorithm] };
}

function challenge(kind, stale) {
  const parts = [`realm="${REALM.replace(/"/g, '\\"')}"`, `nonce="${newNonce()}"`];
  if (kind.qop !== "none")
    parts.push(`qop="${kind.qop === "both" ? "auth-int, auth" : kind.qop}"`);
  if (kind.algorithm !== "MD5") parts.push(`algorithm=${kind.algorithm}`);
  if (kind.words.has("opaque")) parts.push('opaque="a \\"b\\\\"');
  if (kind.words.has("userhash")) parts.push("userhash=true");
  if (kind.words.has("utf8")) parts.push("charset=UTF-8");
  if (stale) parts.push("stale=true");
  return `Digest ${parts.join(", ")}`;
}

// Strict, and not the way the client reads.
function parse(header) {
  const got = {};
  if (!header || !header.startsWith("Digest ")) return null;
  let rest = header.slice(7);
  while (rest) {
    const m = /^([a-z]+\*?)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))(?:, |$)/s.exec(rest);
    if (!m || got[m[1]] !== undefined) return null;
    got[m[1]] = m[2] !== undefined ? m[2].replace(/\\(.)/gs, "$1") : m[3];
    rest = rest.slice(m[0].length);
  }
  return got;
}

function hashOf(kind, ...parts) {
  const h = crypto.createHash(kind.hash);
  h.update(Buffer.concat(parts.map((p, i) => Buffer.concat(
    [Buffer.from(i ? ":" : ""), Buffer.isBuffer(p) ? p : Buffer.from(p, "utf8")]))));
  return h.digest("hex");
}

function userOf(kind, got) {
  if (got["username*"] !== undefined) {
    if (!kind.words.has("utf8") || !got["username*"].startsWith("UTF-8''")) return undefined;
    return decodeURIComponent(got["username*"].slice(7));
  }
  if (kind.words.has("userhash"))
    return got.userhash === "true" &&
      Object.keys(USERS).find((u) => hashOf(kind, u, REALM) === got.username);
  return Buffer.from(got.username || "", "latin1").toString("utf8");
}

function isRight(kind, got, user, req, body) {
  let secret = hashOf(kind, user, REALM, USERS[user]);
  if (kind.session) secret = hashOf(kind, secret, got.nonce, got.cnonce);
  const about = got.qop === "auth-int"
    ? hashOf(kind, req.method, req.url, hashOf(kind, body))
    : hashOf(kind, req.method, req.url);
  if (kind.qop === "none")
    return got.qop === undefined && got.nc === undefined &&
      got.response === hashOf(kind, secret, got.nonce, about);
  return got.qop === (kind.qop === "both" ? "auth" : kind.qop) && /^[0-9a-f]{8}$/.test(got.nc) &&
    got.response === hashOf(kind, secret, got.nonce, got.nc, got.cnonce, got.qop, about);
}

// "ok", "stale" or "bad".
function judge(kind, got, req, body) {
  const user = got && userOf(kind, got);
  if (!user || USERS[user] === undefined || got.realm !== REALM || got.uri !== req.url)
    return "bad";
  if ((got.algorithm || "MD5") !== kind.algorithm) return "bad";
  if (kind.words.has("opaque") !== (got.opaque === 'a "b\\')) return "bad";
  if (!isRight(kind, got, user, req, body)) return "bad";
  if (!nonces.has(got.nonce)) return "stale";
  if (kind.qop !== "none") {
    const nc = parseInt(got.nc, 16);
    if (nc <= nonces.get(got.nonce)) return "bad"; // a replay
    nonces.set(got.nonce, nc);
  }
  if (kind.words.has("stale")) nonces.delete(got.nonce);
  return "ok";
}

function refuse(kind, res, stale) {
  const headers = { "www-authenticate": challenge(kind, stale) };
  if (kind.words.has("close")) headers.connection = "close";
  res.writeHead(401, headers);
  res.end(kind.words.has("big") ? Buffer.alloc(1000000, "x") : "who are you?\n");
}

// What the server proves: as isRight(), but for the method, about its own body.
function proofOf(kind, got, user, req, body) {
  let secret = hashOf(kind, user, REALM, kind.words.has("lie") ? "wrong" : USERS[user]);
  if (kind.session) secret = hashOf(kind, secret, got.nonce, got.cnonce);
  const about = got.qop === "auth-int" ? hashOf(kind, "", req.url, hashOf(kind, body))
    : hashOf(kind, "", req.url);
  return got.qop === undefined ? hashOf(kind, secret, got.nonce, about)
    : hashOf(kind, secret, got.nonce, got.nc, got.cnonce, got.qop, about);
}

// Authentication-Info, "" for none.
function infoOf(kind, got, user, req, body) {
  const parts = [];
  if (kind.words.has("next")) {
    if (!kind.words.has("both")) nonces.delete(got.nonce);
    parts.push(`nextnonce="${newNonce()}"`);
  }
  if (kind.words.has("proof") || kind.words.has("lie"))
    parts.push(`rspauth="${proofOf(kind, got, user, req, body)}"`, `cnonce="${got.cnonce}"`);
  return parts.join(", ");
}

function accept(kind, got, req, res, text) {
  const user = userOf(kind, got);
  let body = Buffer.from(JSON.stringify({ user, nc: got.nc, cnonce: got.cnonce,
    body: text.toString("latin1"), seen }));
  if (kind.words.has("gzip")) {
    res.setHeader("Content-Encoding", "gzip");
    body = zlib.gzipSync(body);
  }
  if (kind.words.has("moved")) {
    res.statusCode = 302;
    res.setHeader("Location", "/open");
  }
  const sent = req.method === "HEAD" ? Buffer.alloc(0) : body;
  const info = infoOf(kind, got, user, req, sent);
  const trailer = kind.words.has("trailer") && req.method !== "HEAD";
  if (info && !trailer) res.setHeader("Authentication-Info", info);
  if (info && trailer) {
    res.setHeader("Trailer", "Authentication-Info");
    res.write(body.subarray(0, 1));
    res.addTrailers({ "Authentication-Info": info });
    body = body.subarray(1);
  }
  res.end(body);
}

function answer(req, res, body) {
  if (req.url === "/open") return res.end("open");
  const kind = kindOf(req.url), got = parse(req.headers.authorization);
  const verdict = judge(kind, got, req, body);
  seen++;
  if (verdict !== "ok") return refuse(kind, res, verdict === "stale");
  accept(kind, got, req, res, body);
}

function onRequest(req, res) {
  const pieces = [];
  req.on("data", (d) => pieces.push(d));
  req.on("end", () => answer(req, res, Buffer.concat(pieces)));
}

const one = http.createServer(onRequest), two = http2.createServer(onRequest);
one.listen(0, "127.0.0.1", () => two.listen(0, "127.0.0.1", () => {
  console.log(`${one.address().port} ${two.address().port}`);
}));
