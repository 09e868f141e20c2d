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
local process = require "spec.support.process"

local peer = {}

local START_TIMEOUT = 10000 -- ms
local MAIN = debug.getinfo(1, "S").source:match("^@(.*)peer%.lua$") .. "peer_main.lua"

---@class spec.PeerEvent
---@field event string "accept", "data", "request" (also for "head"), "eof", "error",
---"end" (the script ended), "closed"
---@field connection integer counted from 1
---@field data string? bytes (data), the whole message (request), errno name (error)
---@field size integer? number of bytes (data)

---@class spec.Peer
---@field host string
---@field port integer
---@field pid integer
local Peer = {}
Peer.__index = Peer

local function to_source(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local parts = {}
  for k, v in pairs(value) do parts[#parts + 1] = ("[%q]=%s"):format(k, to_source(v)) end
  return "{" .. table.concat(parts, ",") .. "}"
end

---Starts a peer and returns when it accepts connections.
---@param scripts any[][][]
---@param opts? { host: string?, port: integer?, full: boolean?, record: boolean? }
---@return spec.Peer
function peer.start(scripts, opts)
  opts = opts or {}
  local report = os.tmpname()
  local host = opts.host or "127.0.0.1"
  local job = { scripts = scripts, host = host, port = opts.port or 0, report = report,
    full = opts.full or false, record = opts.record ~= false }
  local child = process.start({ "lua5.4", MAIN },
    { stdin = "return " .. to_source(job), env = { LD_PRELOAD = false } })
  local port = tonumber(child:first_line(START_TIMEOUT))
  return setmetatable({ host = host, port = port, pid = child.pid, child = child,
    report = report, list = {}, offset = 0 }, Peer)
end

---@param path? string default "/"
---@return string
function Peer:url(path)
  local host = self.host:find(":", 1, true) and "[" .. self.host .. "]" or self.host
  return ("http://%s:%d%s"):format(host, self.port, path or "/")
end

---Everything that happened so far, in order.
---@return spec.PeerEvent[]
function Peer:events()
  local f = io.open(self.report, "rb")
  if not f then return self.list end -- stopped: what was read before
  f:seek("set", self.offset)
  for line in f:lines("L") do
    if line:sub(-1) ~= "\n" then break end -- being written now
    self.offset = self.offset + #line
    self.list[#self.list + 1] = assert(load("return " .. line, "=peer", "t", {}))()
  end
  f:close()
  return self.list
end

-- The `data` of all events of that kind, of one connection or of all.
local function collect(self, event, connection)
  local list = {}
  for _, e in ipairs(self:events()) do
    if e.event == event and (not connection or e.connection == connection) then
      list[#list + 1] = e.data or ""
    end
  end
  return list
end

---@param event string
---@param connection? integer
---@return integer how often that happened
function Peer:count(event, connection) return #collect(self, event, connection) end

---@return integer connections accepted so far
function Peer:connections() return self:count("accept") end

---What "request" and "head" steps took, in order of arrival.
---@param connection? integer only of that one
---@return string[]
function Peer:requests(connection) return collect(self, "request", connection) end

---All bytes a connection sent.
---@param connection? integer default 1
---@return string
function Peer:received(connection) return table.concat(collect(self, "data", connection or 1)) end

---Waits until `condition` (a function, or the name of an event that has
---happened) holds and returns what it gave; false after `timeout` ms. `pump` as
---in process.wait_until.
---@param condition string|fun(p: spec.Peer): any
---@param timeout? integer default 5000
---@param pump? fun()
---@return any
function Peer:wait(condition, timeout, pump)
  local holds = condition
  if type(condition) == "string" then
    holds = function() return self:count(condition) > 0 end
  end
  return process.wait_until(function() return holds(self) end, timeout or 5000, pump)
end

---Ends the peer by its process id; its connections go with it. Harmless twice.
---The report can still be asked.
function Peer:stop()
  if self.stopped then return end
  self.stopped = true
  local result = self.child:stop()
  self:events()
  os.remove(self.report)
  if result.stderr ~= "" then error("the peer failed: " .. result.stderr, 2) end
end

Peer.__gc = function(self) pcall(Peer.stop, self) end
Peer.__close = Peer.stop

return peer
