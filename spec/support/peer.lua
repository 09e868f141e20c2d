-- SPDX-License-Identifier: MIT
--
-- A scripted TCP peer in a process of its own: it does per connection exactly
-- what a list of steps says, and reports every byte it got.
--
--   local peer = require "spec.support.peer"
--   local p = peer.start {
--     { { "request" }, { "send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" } },
--     { { "request" }, { "reset" } },
--   }
--   ... fetch p:url("/") ...
--   p:requests()          -- list of the whole requests, in order of arrival
--   p:connections()       -- how many connections it accepted
--   p:stop()
--
-- peer.start(scripts, opts): `scripts` is a list of step lists; the first
-- connection plays the first, and so on; later ones play the last again.
-- opts.host       address to listen on, default "127.0.0.1"; "::1" works too
-- opts.port       a fixed port (to come back on it), default a free one
-- opts.full       true: the accept queue is full and nobody takes from it, so
--                 that connecting never ends; scripts are not looked at
-- opts.record     false: data is counted, not kept (for large uploads)
--
-- Steps, each a list whose first element is its name:
--   "request"             wait for one whole request: head, then a body of
--                         Content-Length or chunked as the head says
--   "head"                wait for a head only, up to its empty line
--   "bytes", n            wait for n more bytes
--   "frame", type         wait for an HTTP/2 frame of that type (a number),
--                         drop those before it; it is reported as a request
--   "eof"                 wait until the client has closed its side
--   "send", data          write data
--   "split", data, cuts   write data in pieces with a pause between them;
--                         cuts = list of offsets after which to cut, or a
--                         number: pieces of that size; a fourth element is the
--                         pause in ms, default 2
--   "fill", n [, piece]   write piece (default 16 KiB of "x") until n bytes
--                         are out, as fast as the client reads
--   "delay", ms           do nothing for that long (input is still read)
--   "stop_reading"        read nothing from now on; "read" reads again
--   "close"               close normally (FIN, or RST if input is unread)
--   "reset"               close with RST at once
--   "shutdown"            half-close: FIN, but go on reading
--   "hang"                never do anything again, but keep reading
--   "repeat" [, n]        back to the first step; n = at most n times in all
-- After the last step the connection is closed as by "close".
--
-- What it hears is written down before it does anything in return, so what
-- a client got an answer for is always in the report. For what has no answer
-- use p:wait. Nothing here needs or touches the luv loop of this process.
local reporter = require "spec.support.reporter"

local peer = {}

local MAIN = debug.getinfo(1, "S").source:match("^@(.*)peer%.lua$") .. "peer_main.lua"

---@class spec.PeerEvent
---@field event string "accept", "data", "request" (also for "head"), "eof", "error",
---"end" (the script ended), "closed"
---@field connection integer counted from 1
---@field data string? bytes (data), the whole message (request), errno name (error)
---@field size integer? number of bytes (data)

---@class spec.Peer: spec.Reporter
local Peer = reporter.class()

---Starts a peer and returns when it accepts connections.
---@param scripts any[][][]
---@param opts? { host: string?, port: integer?, full: boolean?, record: boolean? }
---@return spec.Peer
function peer.start(scripts, opts)
  opts = opts or {}
  local job = { scripts = scripts, host = opts.host or "127.0.0.1", port = opts.port or 0,
    full = opts.full or false, record = opts.record ~= false }
  return reporter.start(Peer, { "lua5.4", MAIN }, reporter.source, job) --[[@as spec.Peer]]
end

---@param path? string default "/"
---@return string
function Peer:url(path)
  local host = self.host:find(":", 1, true) and "[" .. self.host .. "]" or self.host
  return ("http://%s:%d%s"):format(host, self.port, path or "/")
end

return peer
