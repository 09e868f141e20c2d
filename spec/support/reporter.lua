-- SPDX-License-Identifier: MIT
--
-- What the scripted peers and relays of the specs share: a child process that
-- gets its job on stdin, prints the port it listens on, and appends one Lua
-- table a line to a report: { event =, connection =, ... }.
--
--   local Peer = reporter.class()
--   local p = reporter.start(Peer, { "lua5.4", MAIN }, reporter.source, job)
--   p:events(), p:count("accept"), p:wait("eof"), p:stop()
--
-- Nothing here needs or touches the luv loop of this process.
local process = require "spec.support.process"

local reporter = {}

local START_TIMEOUT = 30000 -- ms

---@class spec.Event
---@field event string
---@field connection integer counted from 1

---@class spec.Reporter
---@field host string
---@field port integer
---@field pid integer
local Reporter = {}

-- A value as Lua source, in one line ("%q" breaks them with a backslash).
local function to_source(value)
  if type(value) ~= "table" then return (("%q"):format(value):gsub("\\\n", "\\n")) end
  local parts = {}
  for k, v in pairs(value) do parts[#parts + 1] = ("[%q]=%s"):format(k, to_source(v)) end
  return "{" .. table.concat(parts, ",") .. "}"
end

---@param value any
---@return string a chunk that returns it
function reporter.source(value) return "return " .. to_source(value) end

---@param event table
---@return string a line for a report, for children in Lua
function reporter.line(event) return to_source(event) .. "\n" end

---@return table a metatable and class with these methods
function reporter.class()
  local class = setmetatable({}, { __index = Reporter })
  class.__index = class
  class.__gc = function(self) pcall(self.stop, self) end
  class.__close = function(self) self:stop() end
  return class
end

---Starts a child and returns when it accepts connections.
---@param class table of reporter.class
---@param argv string[]
---@param encode fun(job: table): string what the child reads
---@param job table with host; gets report, the file's path
---@return spec.Reporter
function reporter.start(class, argv, encode, job)
  job.report = os.tmpname()
  local child = process.start(argv, { stdin = encode(job), env = { LD_PRELOAD = false } })
  local ok, line = pcall(child.first_line, child, START_TIMEOUT)
  if not ok then
    child:stop()
    os.remove(job.report)
    error(line, 3)
  end
  return setmetatable({ host = job.host, port = tonumber(line), pid = child.pid, child = child,
    report = job.report, list = {}, offset = 0 }, class)
end

---Everything that happened so far, in order.
---@return spec.Event[]
function Reporter:events()
  local f = io.open(self.report, "rb")
  if not f then return self.list end -- stopped: what was read before
  f:seek("set", self.offset)
  for line in f:lines("L") do
    if line:sub(-1) ~= "\n" then break end -- being written now
    self.offset = self.offset + #line
    self.list[#self.list + 1] = assert(load("return " .. line, "=report", "t", {}))()
  end
  f:close()
  return self.list
end

---@param event string
---@param connection? integer only of that one
---@return spec.Event[] all of that kind
function Reporter:all(event, connection)
  local list = {}
  for _, e in ipairs(self:events()) do
    if e.event == event and (not connection or e.connection == connection) then
      list[#list + 1] = e
    end
  end
  return list
end

---@param event string
---@param connection? integer
---@return integer how often that happened
function Reporter:count(event, connection) return #self:all(event, connection) end

---@return integer connections accepted so far
function Reporter:connections() return self:count("accept") end

-- The `data` of all events of that kind, of one connection or of all.
local function collect(self, event, connection)
  local list = {}
  for i, e in ipairs(self:all(event, connection)) do list[i] = e.data or "" end
  return list
end

---What "request" and "head" steps took, in order of arrival.
---@param connection? integer only of that one
---@return string[]
function Reporter:requests(connection) return collect(self, "request", connection) end

---All bytes a connection sent.
---@param connection? integer default 1
---@return string
function Reporter:received(connection)
  return table.concat(collect(self, "data", connection or 1))
end

---Waits until `condition` (a function, or the name of an event that has
---happened) holds and returns what it gave; false after `timeout` ms. `pump` as
---in process.wait_until.
---@param condition string|fun(p: spec.Reporter): any
---@param timeout? integer default 5000
---@param pump? fun()
---@return any
function Reporter:wait(condition, timeout, pump)
  local holds = condition
  if type(condition) == "string" then
    holds = function() return self:count(condition) > 0 end
  end
  return process.wait_until(function() return holds(self) end, timeout or 5000, pump)
end

---Ends the child by its process id; its connections go with it. Harmless
---twice. The report can still be asked.
function Reporter:stop()
  if self.stopped then return end
  self.stopped = true
  local result = self.child:stop()
  self:events()
  os.remove(self.report)
  if result.stderr ~= "" then error("the child failed: " .. result.stderr, 2) end
end

return reporter
