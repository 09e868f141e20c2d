// SPDX-License-Identifier: MIT
//
// Says in JSON what came: the method, how its length was given, and the form in it as Node's own
// parser (undici's, by the fetch standard) reads it. Prints its ports: HTTP/1.1, HTTP/2 without
// TLS and, given a key and a certificate, both with TLS. Ends with its parent.
//
//   node form_server.js [KEY CERT]
//
//   { "length": "455" | null, "coding": "chunked" | null, "bytes": "455",
//     "fields": [{ "name": ..., "value": ... },
//                { "name": ..., "filename": ..., "type": ..., "size": ..., "sha256": ... }] }
//
// A path /307 is redirected to /, a body that is no form has "error".
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const http2 = require("node:http2");
const [, , key, cert] = process.argv;

async function describe(name, value) {
  if (typeof value === "string") return { name, value };
  const bytes = Buffer.from(await value.arrayBuffer());
  return { name, filename: value.name, type: value.type, size: String(bytes.length),
    sha256: crypto.createHash("sha256").update(bytes).digest("hex") };
}

async function answer(req, body) {
  const said = { method: req.method, version: req.httpVersion, secure: !!req.socket.encrypted,
    length: req.headers["content-length"] ?? null,
    coding: req.headers["transfer-encoding"] ?? null, bytes: String(body.length),
    type: req.headers["content-type"] ?? null, fields: [] };
  try {
    const headers = { "Content-Type": said.type };
    const form = await new Response(body, { headers }).formData();
    for (const [name, value] of form) said.fields.push(await describe(name, value));
  } catch (err) {
    said.error = String(err.cause ?? err);
  }
  return said;
}

function serve(req, res) {
  const pieces = [];
  req.on("data", (piece) => pieces.push(piece));
  req.on("end", async () => {
    if (req.url === "/307") {
      res.writeHead(307, { Location: "/" }).end();
      return;
    }
    res.setHeader("Content-Type", "application/json");
    res.end(JSON.stringify(await answer(req, Buffer.concat(pieces))));
  });
}

function listen(server) {
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
}

const servers = [http.createServer(serve), http2.createServer(serve)];
if (key) {
  servers.push(http2.createSecureServer(
    { allowHTTP1: true, key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, serve));
}
Promise.all(servers.map(listen)).then((ports) => console.log(ports.join(" ")));
