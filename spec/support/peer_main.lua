-- SPDX-License-Identifier: MIT
--
-- The process behind spec.support.peer: reads its job (a Lua table) from
-- stdin, prints its port, plays the scripts and writes its report, one Lua
-- table a line.
local uv = require "luv"

local READ_SIZE = 16384
local SPLIT_PAUSE = 2 -- ms; enough for a client that is waiting to read a piece

local job = assert(load(io.read("a"), "=job", "t", {}))()
local report = assert(io.open(job.report, "ab"))

-- "%q" breaks lines with backslash-newline; one event must stay one line.
local function note(connection, event, data)
  local text = data and (job.record or event ~= "data")
    and ("%q"):format(data):gsub("\\\n", "\\n") or "nil"
  report:write(("{connection=%d,event=%q,data=%s,size=%d}\n"):format(connection, event, text,
    data and #data or 0))
  report:flush()
end

-- End of a chunked body that starts at `from`, nil while it is incomplete.
local function chunked_end(text, from)
  while true do
    local _, line_end, size = text:find("^(%x+)[^\r\n]*\r\n", from)
    if not line_end then return nil end
    from = line_end + 1
    if tonumber(size, 16) == 0 then break end
    from = from + tonumber(size, 16) + 2
  end
  if text:sub(from, from + 1) == "\r\n" then return from + 1 end
  return select(2, text:find("\r\n\r\n", from, true)) -- trailers
end

local function request_end(text)
  local _, head_end = text:find("\r\n\r\n", 1, true)
  if not head_end then return nil end
  local head = text:sub(1, head_end):lower()
  if head:find("\r\ntransfer%-encoding:[^\r]*chunked") then
    return chunked_end(text, head_end + 1)
  end
  local length = tonumber(head:match("\r\ncontent%-length:%s*(%d+)") or 0)
  return #text >= head_end + length and head_end + length or nil
end

local function pieces_of(data, cuts)
  local list, from = {}, 1
  if type(cuts) == "number" then
    for i = 1, #data, cuts do list[#list + 1] = data:sub(i, i + cuts - 1) end
    return list
  end
  for _, cut in ipairs(cuts) do
    list[#list + 1] = data:sub(from, cut)
    from = cut + 1
  end
  if from <= #data then list[#list + 1] = data:sub(from) end
  return list
end

-- Each step is a function (connection, step); it calls c:next() when done, and
-- returns without it to wait. A step that waits for input sets c.wants, which
-- is asked after every read.
local steps = {}

local Connection = {}
Connection.__index = Connection

function Connection:next()
  if self.over then return end
  self.wants = nil
  self.at = self.at + 1
  local step = self.script[self.at]
  if not step then
    note(self.id, "end")
    return steps.close(self)
  end
  assert(steps[step[1]], "unknown step " .. tostring(step[1]))(self, step)
end

function Connection:want(fn)
  self.wants = fn
  if fn() then self:next() end
end

function Connection:take(n)
  local bytes = self.input:sub(1, n)
  self.input = self.input:sub(n + 1)
  return bytes
end

function Connection:finish(close)
  if self.over then return end
  self.over = true
  if self.timer then self.timer:close() end
  close(self)
end

function Connection:write(data, done)
  self.socket:write(data, function(err)
    if err then
      note(self.id, "error", err)
    elseif not self.over then
      done()
    end
  end)
end

function Connection:later(ms, fn)
  self.timer = self.timer or uv.new_timer()
  uv.update_time()
  self.timer:start(ms, 0, fn)
end

function Connection:on_read(err, data)
  if err then
    note(self.id, "error", err)
  elseif not data then
    note(self.id, "eof")
    self.eof = true
  else
    note(self.id, "data", data)
    self.input = self.input .. data
  end
  if err then return self:finish(function() self.socket:close() end) end
  if self.wants and self.wants() then self:next() end
end

function Connection:read()
  self.socket:read_start(function(err, data) self:on_read(err, data) end)
end

function steps.request(c)
  c:want(function()
    local n = request_end(c.input)
    if n then note(c.id, "request", c:take(n)) end
    return n
  end)
end

function steps.head(c)
  c:want(function()
    local _, n = c.input:find("\r\n\r\n", 1, true)
    if n then note(c.id, "request", c:take(n)) end
    return n
  end)
end

function steps.bytes(c, step)
  c:want(function() return #c.input >= step[2] and c:take(step[2]) end)
end

function steps.eof(c)
  c:want(function() return c.eof end)
end

function steps.send(c, step)
  c:write(step[2], function() c:next() end)
end

function steps.split(c, step)
  local pieces, i = pieces_of(step[2], step[3]), 0
  local function send_next()
    i = i + 1
    if i > #pieces then return c:next() end
    c:write(pieces[i], function() c:later(step[4] or SPLIT_PAUSE, send_next) end)
  end
  send_next()
end

function steps.fill(c, step)
  local left, piece = step[2], step[3] or ("x"):rep(READ_SIZE)
  local function more()
    if left <= 0 then return c:next() end
    local data = piece:sub(1, left)
    left = left - #data
    c:write(data, more)
  end
  more()
end

function steps.delay(c, step)
  c:later(step[2], function() c:next() end)
end

function steps.stop_reading(c)
  c.socket:read_stop()
  c:next()
end

function steps.read(c)
  c:read()
  c:next()
end

function steps.close(c)
  c:finish(function() c.socket:close(function() note(c.id, "closed") end) end)
end

function steps.reset(c)
  c:finish(function() c.socket:close_reset(function() note(c.id, "closed") end) end)
end

function steps.shutdown(c)
  c.socket:shutdown(function() c:next() end)
end

function steps.hang() end

steps["repeat"] = function(c, step)
  c.rounds = c.rounds + 1
  if not step[2] or c.rounds < step[2] then c.at = 0 end
  c:next()
end

local function listen(backlog, on_connection)
  local socket = uv.new_tcp()
  assert(socket:bind(job.host, job.port))
  assert(socket:listen(backlog, on_connection))
  io.write(socket:getsockname().port, "\n")
  io.flush()
  return socket
end

-- Fills its own accept queue and never runs the loop, so nobody empties it:
-- Linux drops every SYN that comes after that.
local function be_full()
  local clients, socket = {}, uv.new_tcp()
  assert(socket:bind(job.host, job.port))
  assert(socket:listen(1, function() end))
  local port = socket:getsockname().port
  for i = 1, 8 do
    clients[i] = uv.new_tcp()
    clients[i]:connect(job.host, port, function() end)
  end
  io.write(port, "\n")
  io.flush()
  while true do uv.sleep(1000000) end
end

if job.full then be_full() end

-- A client that resets its connection must not end the others' peer.
local on_pipe = uv.new_signal()
on_pipe:start("sigpipe", function() end)
on_pipe:unref()

local accepted = 0
local server
server = listen(4096, function(err)
  assert(not err, err)
  local socket = uv.new_tcp()
  assert(server:accept(socket))
  socket:nodelay(true)
  accepted = accepted + 1
  note(accepted, "accept")
  local c = setmetatable({ id = accepted, socket = socket, input = "", at = 0, rounds = 0,
    script = job.scripts[math.min(accepted, #job.scripts)] or {} }, Connection)
  if c.script[1] and c.script[1][1] ~= "stop_reading" then c:read() end
  c:next()
end)

uv.run()
