-- SPDX-License-Identifier: MIT
--
-- A scripted TLS server in a process of its own (spec/support/tls_peer*.c, on
-- OpenSSL): spec.support.peer for TLS, with what no real server does on
-- request.
--
--   local tls_peer = require "spec.support.tls_peer"
--   local p = tls_peer.start({
--     { { "request" }, { "send", "HTTP/1.1 200 OK\r\n\r\nhal" }, { "truncate" } },
--   }, { cert = certs.get("valid"), alpn = { "http/1.1" } })
--   p:url("/"), p:requests(), p:all("handshake")[1].sni
--   p:stop()
--
-- `scripts` is as in spec.support.peer: one list of steps per connection, the
-- last again for all that follow. Options:
--   cert        a spec.Cert, default certs.get("valid")
--   host, port  as in spec.support.peer
--   version     the only one it speaks: tls1, tls1_1, tls1_2, tls1_3
--   ciphers     for TLS 1.2 and below
--   seclevel    as in spec.support.tls_server
--   alpn        names it accepts, the one it likes best first
--   alpn_force  true: it answers with the first of them, offered or not
--   alpn_strict true: refuses who offers none of them
--   client_ca   refuses who has no certificate of that authority (file)
--   staple      DER file of an OCSP response
--   tickets     how many TLS 1.3 tickets follow a handshake; 0: no
--               resumption at all
--   record      false: data is counted, not kept
--
-- Steps. The handshake is made before the first that needs it, so whatever
-- comes before that happens on the bare connection:
--   "handshake"           nothing but that
--   "request", "head"     as in spec.support.peer
--   "bytes", n            wait for n more bytes
--   "eof"                 read until the client has ended
--   "send", data [, n]    in records of n bytes at most, default 16384
--   "fill", n             n times "x"
--   "raw", data           past TLS, as it is (before the handshake: e.g. an
--                         answer in plain HTTP; after it: a broken record)
--   "delay", ms
--   "key_update" [, true] new keys (TLS 1.3); true: the client is to follow
--   "ticket"              one more session ticket (TLS 1.3)
--   "renegotiate"         HelloRequest (TLS 1.2)
--   "shutdown"            close_notify, but no FIN, and it goes on reading
--   "close"               close_notify and FIN; then it hears what the client
--                         does, and closes
--   "truncate"            the same without close_notify
--   "reset"               RST
--   "hang"                say nothing more, but hear everything
--   "repeat" [, n]        back to the first step; n = at most n times in all
-- After the last step the connection is closed as by "close". Only a step
-- that waits for something reads: not "delay", not "send".
local certs = require "spec.support.certs"
local process = require "spec.support.process"
local reporter = require "spec.support.reporter"

local tls_peer = {}

local PROGRAM = "build/tls_peer" -- by the Makefile
local BUILD_TIMEOUT = 120000 -- ms

local VERSIONS = { tls1 = 0x0301, tls1_1 = 0x0302, tls1_2 = 0x0303, tls1_3 = 0x0304 }

---@class spec.TlsPeerEvent: spec.Event
---@field event string "accept", "handshake", "data", "request" (also for "head"),
---"renegotiated", "close_notify", "eof" (FIN without close_notify), "error", "end" (the
---script ended), "closed"
---@field data string? bytes (data), the whole message (request)
---@field size integer? number of bytes (data, request)
---@field name string? OpenSSL's reason, or errno's name (error)
---@field version string? "TLSv1.3" (handshake), and so are the following
---@field cipher string?
---@field sni string?
---@field alpn string?
---@field client string? common name of the client's certificate
---@field resumed boolean?

---@class spec.TlsPeer: spec.Reporter
local Peer = reporter.class()

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function step_line(step)
  local name, first, second = table.unpack(step, 1, 3)
  local data, number = "", first or 0
  if type(first) == "string" then data, number = first, second or 0 end
  if type(number) == "boolean" then number = number and 1 or 0 end
  return ("step %s %d %s"):format(name, number, hex(data))
end

-- The security level has to be known before the certificate.
local function settings(opts, cert, report)
  local level = opts.seclevel or cert.seclevel
    or (opts.version == "tls1" or opts.version == "tls1_1") and 0
  local suites = level and (opts.ciphers or "DEFAULT") .. ":@SECLEVEL=" .. level or opts.ciphers
  local version = opts.version and assert(VERSIONS[opts.version], "unknown version")
  local alpn = {}
  for i, name in ipairs(opts.alpn or {}) do alpn[i] = (">s1"):pack(name) end
  return {
    { "report", report }, { "host", opts.host or "127.0.0.1" }, { "port", opts.port or 0 },
    { "ciphers", suites }, { "min", version }, { "max", version },
    { "cert", cert.full }, { "key", cert.key }, { "password", cert.password },
    { "alpn", opts.alpn and table.concat(alpn) }, { "alpn_force", opts.alpn_force },
    { "alpn_strict", opts.alpn_strict }, { "client_ca", opts.client_ca },
    { "staple", opts.staple }, { "tickets", opts.tickets },
    { "count_only", opts.record == false },
  }
end

local function encode(job)
  local lines = {}
  for _, pair in ipairs(settings(job.opts, job.cert, job.report)) do
    if pair[2] then lines[#lines + 1] = ("set %s %s"):format(pair[1], hex(tostring(pair[2]))) end
  end
  for _, script in ipairs(job.scripts) do
    lines[#lines + 1] = "script"
    for _, step in ipairs(script) do lines[#lines + 1] = step_line(step) end
  end
  return table.concat(lines, "\n") .. "\n"
end

local built = false

local function build()
  if built then return end
  local r = process.run({ "make", "-s", PROGRAM }, { timeout = BUILD_TIMEOUT,
    env = { MAKEFLAGS = false, MFLAGS = false, MAKELEVEL = false, LD_PRELOAD = false } })
  if r.code ~= 0 then error(PROGRAM .. " cannot be built: " .. r.stderr, 3) end
  built = true
end

---Starts a server and returns when it accepts connections.
---@param scripts any[][][]
---@param opts? table see the top of the file
---@return spec.TlsPeer
function tls_peer.start(scripts, opts)
  opts = opts or {}
  build()
  return reporter.start(Peer, { PROGRAM }, encode, { scripts = scripts, opts = opts,
    cert = opts.cert or certs.get("valid"),
    host = opts.host or "127.0.0.1" }) --[[@as spec.TlsPeer]]
end

---@param path? string default "/"
---@param host? string default the address it listens on
---@return string
function Peer:url(path, host)
  host = host or self.host
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return ("https://%s:%d%s"):format(host, self.port, path or "/")
end

return tls_peer
