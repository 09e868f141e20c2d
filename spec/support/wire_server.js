// SPDX-License-Identifier: MIT
//
// One set of answers by node's http and http2, so that a spec can ask for the
// same over both. Prints its ports: HTTP/1.1, HTTP/2, both without TLS; given a
// key and a certificate, both again with it.
//
//   node wire_server.js [KEY CERT]
//
//   /inspect             what came: { method, url, version, headers, body }, as
//                        JSON; headers is a list of [name, value]
//   /redirect/NNN/REST   that status, Location: /REST
//   /loop/NNN            that status, Location: itself
//   /to/NNN?URL          that status, Location: URL
//   /cookies/REST        the field X-Set goes back as Set-Cookie, as often as
//                        it is there; the body is the Cookie that came
//   /busy/NNN/N/AFTER/ID that status, Retry-After: AFTER, the first N times for
//                        that ID; then "at last" and how often it was asked
//   /early/NNN           that status before a body came
//   /expect/NNN          to Expect: 100-continue: that status at once; 100 asks
//                        for the body and tells of it as /inspect
//   /silent              the same, without a word before the body is there
//   /events/N            N server-sent events, one by one; the first says the
//                        Last-Event-ID that came; without N it goes on
//   /coded-events/CODING the same without N, in gzip, deflate or br
//   /trickle             a byte of body every 20 ms
//   /cut                 less body than it said, and the end
//   /cut/N/ID            so the first N times for that ID, then "at last"
//   /flood[/N]           body without an end, or of N MiB; /flooded says how
//                        much went out
//   /bytes/N             N bytes
//   /hold/MS/ID          an answer after MS ms; /most/ID: how many of them were
//                        held at a time, at most
//   /text?TYPE           "\xe4\xf6\xfc" as that Content-Type
"use strict";
const http = require("http");
const http2 = require("http2");
const https = require("https");
const fs = require("fs");
const zlib = require("zlib");
const [, , key, cert] = process.argv;
const BLOCK = Buffer.alloc(65536, "x");
const asked = new Map(), held = new Map(), most = new Map();
let flooded = 0;

function count(map, key, by) {
  map.set(key, (map.get(key) || 0) + by);
  return map.get(key);
}

function read(req, then) {
  const pieces = [];
  req.on("data", (d) => pieces.push(d));
  req.on("end", () => then(Buffer.concat(pieces)));
}

function end(res, status, headers, body) {
  res.writeHead(status, headers);
  res.end(body || "");
}

// HTTP/2 has its method and path among the headers.
function inspect(req, res) {
  read(req, (body) => {
    const headers = [];
    for (let i = 0; i < req.rawHeaders.length; i += 2)
      if (!req.rawHeaders[i].startsWith(":"))
        headers.push([req.rawHeaders[i].toLowerCase(), req.rawHeaders[i + 1]]);
    end(res, 200, { "content-type": "application/json" }, JSON.stringify({ method: req.method,
      url: req.url, version: req.httpVersion, headers, body: body.toString("latin1") }));
  });
}

function point(req, res, status, location) {
  read(req, () => end(res, Number(status), { location }, "gone\n"));
}

function busy(req, res, [status, n, after, id]) {
  const times = count(asked, id, 1);
  if (times > Number(n)) return end(res, 200, {}, "at last " + times);
  end(res, Number(status), after === "-" ? {} : { "retry-after": decodeURIComponent(after) },
    "busy\n");
}

function events(req, res, n) {
  let i = 0;
  res.writeHead(200, { "content-type": "text/event-stream" });
  res.write(`retry: 50\ndata: ${req.headers["last-event-id"] || "none"}\n\n`);
  const timer = setInterval(() => {
    if (n !== undefined && i === Number(n)) { clearInterval(timer); return res.end(": end\n"); }
    i++;
    res.write(`event: tick\nid: ${i}\ndata: ${i}\r\ndata: \u20ac\n\n`);
  }, 2);
  res.on("close", () => clearInterval(timer));
}

function codedEvents(res, coding) {
  const coder = { gzip: zlib.createGzip, deflate: zlib.createDeflate,
    br: zlib.createBrotliCompress }[coding]();
  let i = 0;
  res.writeHead(200, { "content-type": "text/event-stream", "content-encoding": coding });
  coder.pipe(res);
  const timer = setInterval(() => { coder.write(`data: ${++i}\n\n`); coder.flush(); }, 2);
  res.on("close", () => { clearInterval(timer); coder.destroy(); });
}

function trickle(res) {
  res.writeHead(200, {});
  const timer = setInterval(() => res.write("."), 20);
  res.on("close", () => clearInterval(timer));
}

function flood(res, mebibytes) {
  let left = mebibytes === undefined ? Infinity : Number(mebibytes) << 20;
  res.writeHead(200, {});
  res.on("close", () => { left = 0; });
  function more() {
    while (left > 0) {
      flooded += BLOCK.length;
      left -= BLOCK.length;
      if (!res.write(BLOCK)) { res.once("drain", more); return; }
    }
    res.end();
  }
  more();
}

function hold(res, [ms, id]) {
  most.set(id, Math.max(most.get(id) || 0, count(held, id, 1)));
  setTimeout(() => { count(held, id, -1); end(res, 200, {}, "held"); }, Number(ms));
}

function cookies(req, res) {
  read(req, () => {
    const lines = req.headers["x-set"];
    end(res, 200, lines ? { "set-cookie": lines.split("|") } : {}, req.headers.cookie || "");
  });
}

function cut(res, [n, id]) {
  if (n !== undefined && count(asked, id, 1) > Number(n)) return end(res, 200, {}, "at last");
  res.writeHead(200, { "content-length": 100 });
  res.write("data: part\n\n", () => (res.stream ? res.stream.close(2) : res.destroy()));
}

function answer(req, res) {
  const [path, query] = req.url.split("?");
  const [, name, ...rest] = path.split("/");
  const actions = {
    redirect: () => point(req, res, rest[0], "/" + rest.slice(1).join("/")),
    loop: () => point(req, res, rest[0], path),
    to: () => (query ? point(req, res, rest[0], unescape(query)) // bytes, not UTF-8
      : inspect(req, res)),
    cookies: () => cookies(req, res),
    busy: () => read(req, () => busy(req, res, rest)),
    early: () => end(res, Number(rest[0]), {}, "no\n"),
    silent: () => inspect(req, res),
    events: () => events(req, res, rest[0]),
    "coded-events": () => codedEvents(res, rest[0]),
    trickle: () => trickle(res),
    cut: () => cut(res, rest),
    flood: () => flood(res, rest[0]),
    flooded: () => end(res, 200, {}, String(flooded)),
    bytes: () => end(res, 200, {}, Buffer.alloc(Number(rest[0]), "x")),
    hold: () => hold(res, rest),
    most: () => end(res, 200, {}, String(most.get(rest[0]))),
    text: () => end(res, 200, { "content-type": decodeURIComponent(query) },
      Buffer.from([0xe4, 0xf6, 0xfc])),
  };
  (actions[name] || (() => inspect(req, res)))();
}

// Without a listener node says 100 by itself.
function expected(req, res) {
  const [, name, status] = req.url.split("/");
  if (name === "silent") return inspect(req, res);
  if (name === "expect" && status !== "100") return end(res, Number(status), {}, "no\n");
  res.writeContinue();
  answer(req, res);
}

const servers = [http.createServer(answer), http2.createServer(answer)];
if (key) {
  const tls = { key: fs.readFileSync(key), cert: fs.readFileSync(cert) };
  servers.push(https.createServer(tls, answer), http2.createSecureServer(tls, answer));
}
for (const server of servers) server.on("checkContinue", expected);
function listen(server) {
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
}
Promise.all(servers.map(listen)).then((ports) => console.log(ports.join(" ")));
