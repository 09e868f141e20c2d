-- SPDX-License-Identifier: MIT
--
-- The process behind spec.support.tls_relay: reads its job (a Lua table) from
-- stdin, prints its port, relays, and writes its report.
--
-- A connection is two flows, each from a source to a sink socket. What a flow
-- has read is cut where a record or the place of an act ends; the pieces, and
-- the acts as functions, go into its queue, which is worked one by one: the
-- next only when the kernel has taken the one before.
local uv = require "luv"
local tls_hello = require "spec.support.tls_hello"
local reporter = require "spec.support.reporter"

local HEAD = 5 -- bytes: type, version (2), length (2)
local CHANGE_CIPHER_SPEC, HANDSHAKE = 20, 22
local SERVER_HELLO, CLIENT_HELLO = 2, 1
local QUEUE_MAX = 64 -- pieces; a source with more is not read
local GARBAGE = "\x63\x03\x03\x00\x04junk" -- a record of a type that does not exist

local job = assert(load(io.read("a"), "=job", "t", {}))()
local report = assert(io.open(job.report, "ab"))

local function note(connection, event, more)
  local line = { connection = connection.id, event = event }
  for k, v in pairs(more or {}) do line[k] = v end
  report:write(reporter.line(line))
  report:flush()
end

local Connection = {}
Connection.__index = Connection

local Flow = {}
Flow.__index = Flow

-- ---- records ---------------------------------------------------------------

-- Types of the handshake messages that end in this record.
function Flow:messages(body)
  self.handshake = (self.handshake or "") .. body
  local types = {}
  while #self.handshake >= 4 do
    local kind, length = (">I1I3"):unpack(self.handshake)
    if #self.handshake < 4 + length then break end
    self:on_message(kind, self.handshake:sub(5, 4 + length))
    types[#types + 1] = kind
    self.handshake = self.handshake:sub(5 + length)
  end
  return types
end

function Flow:on_message(kind, body)
  if kind == CLIENT_HELLO then
    local hello = tls_hello.parse(body)
    if hello then note(self.connection, "hello", hello) end
  elseif kind == SERVER_HELLO then
    self.connection.tls13 = tls_hello.is_tls13(body)
  end
end

-- After ChangeCipherSpec a handshake is encrypted, but for TLS 1.3, where only
-- a second ClientHello or ServerHello can follow one.
function Flow:on_record(record)
  local kind = record:byte(1)
  local messages
  if kind == CHANGE_CIPHER_SPEC then self.changed = true end
  if kind == HANDSHAKE and (not self.changed or self.connection.tls13) then
    messages = self:messages(record:sub(HEAD + 1))
  end
  note(self.connection, "record", { from = self.name, type = kind, size = #record - HEAD,
    messages = messages })
  self.records = self.records + 1
  self:place_acts()
end

-- ---- places ----------------------------------------------------------------

-- An act whose records have gone by is at a byte, counted from the start.
function Flow:place_acts()
  for _, act in ipairs(self.acts) do
    if not act.at and (act.records or 0) == self.records then
      act.at = self.total + (act.bytes or 0)
    end
  end
end

-- Takes the first act that is due out of the list.
function Flow:due_act()
  for i, act in ipairs(self.acts) do
    if act.at == self.total then return table.remove(self.acts, i) end
  end
end

-- How many bytes may go on before the place of an act.
function Flow:room()
  local room = math.huge
  for _, act in ipairs(self.acts) do
    if act.at then room = math.min(room, act.at - self.total) end
  end
  return room
end

-- How many bytes are missing to what is being read, a head or a whole record.
function Flow:missing()
  if #self.record < HEAD then return HEAD - #self.record end
  return HEAD + (">I2"):unpack(self.record, 4) - #self.record
end

function Flow:pass(piece)
  self.record = self.record .. piece
  self.total = self.total + #piece
  if #self.record >= HEAD and self:missing() == 0 then
    local record = self.record
    self.record = ""
    self:on_record(record)
  end
  if self.flip then
    piece = string.char(piece:byte() ~ 1) .. piece:sub(2)
    self.flip = false
  end
  self:push(piece)
end

function Flow:run_due_acts()
  local act = self:due_act()
  while act and not self.over do
    self[act[1]](self, act)
    note(self.connection, "act", { name = act[1], from = self.name })
    act = self:due_act()
  end
end

function Flow:feed(data)
  self:run_due_acts()
  while #data > 0 and not self.over do
    local n = math.min(#data, self:missing(), self:room())
    self:pass(data:sub(1, n))
    data = data:sub(n + 1)
    self:run_due_acts()
  end
end

-- ---- acts ------------------------------------------------------------------

-- The three after which nothing more of this flow goes on; `fn` runs when all
-- before it is written.
function Flow:finish(fn)
  self.over = true
  self.source:read_stop()
  self:push(fn)
end

function Flow:cut()
  self:finish(function()
    self.other.over, self.other.queue = true, {} -- it is read on, and dropped
    self.source:close()
    if self.other.done then return self.connection:close() end
    self.sink:shutdown()
  end)
end

function Flow:reset()
  self:finish(function() self.connection:close(true) end)
end

function Flow:stall() self:finish(function() end) end

function Flow:drip() self.dripping = true end

function Flow:inject(act) self:push(act.data or GARBAGE) end

function Flow:corrupt() self.flip = true end

-- ---- queue -----------------------------------------------------------------

function Flow:push(item)
  if self.dripping and type(item) == "string" then
    for i = 1, #item do self.queue[#self.queue + 1] = item:sub(i, i) end
  else
    self.queue[#self.queue + 1] = item
  end
  if #self.queue > QUEUE_MAX then self.source:read_stop() end
  self:work()
end

function Flow:work()
  if self.writing or #self.queue == 0 or self.connection.closed then return end
  local item = table.remove(self.queue, 1)
  if type(item) == "function" then
    item()
    return self:work()
  end
  self.writing = true
  self.writes = self.writes + 1
  self.sink:write(item, function(err)
    self.writing = false
    if err then return self:on_write_error(err) end
    if #self.queue == 0 and not self.over then self:read() end
    self:work()
  end)
end

-- ---- sockets ---------------------------------------------------------------

function Flow:fail(err)
  if self.connection.closed or self.over then return end
  note(self.connection, "error", { name = err, from = self.name })
  self.connection:close(true)
end

-- Who has ended may go before all for it has arrived; that is no fault.
function Flow:on_write_error(err)
  if not self.other.done then return self:fail(err) end
  self.queue, self.finished, self.over = {}, true, true
  if self.other.finished then self.connection:close() end
end

function Flow:on_eof()
  note(self.connection, "eof", { from = self.name })
  self.done = true
  if self.over then return self.connection:close() end
  self:push(function()
    self.sink:shutdown(function()
      self.finished = true
      if self.other.finished or self.other.over then self.connection:close() end
    end)
  end)
end

function Flow:read()
  if self.done or self.source:is_closing() then return end
  self.source:read_start(function(err, data)
    if err then return self:fail(err) end
    if not data then return self:on_eof() end
    if not self.over then self:feed(data) end
  end)
end

-- Empty while the server has not answered.
function Connection:writes()
  return self.up and { client = self.up.writes, server = self.down.writes } or {}
end

function Connection:close(reset)
  if self.closed then return end
  self.closed = true
  local left = 2
  local function on_closed()
    left = left - 1
    if left == 0 then note(self, "closed", { writes = self:writes() }) end
  end
  for _, socket in ipairs({ self.client, self.server }) do
    if socket:is_closing() then
      on_closed()
    elseif not (reset and socket:close_reset(on_closed)) then
      socket:close(on_closed)
    end
  end
end

local function new_flow(connection, name, source, sink)
  local acts = {}
  for _, act in ipairs(connection.plan) do
    if act.from == name then acts[#acts + 1] = setmetatable({}, { __index = act }) end
  end
  local flow = setmetatable({ connection = connection, name = name, source = source, sink = sink,
    acts = acts, queue = {}, record = "", records = 0, total = 0,
    writes = 0 }, Flow)
  flow:place_acts()
  return flow
end

function Connection:start()
  self.up = new_flow(self, "client", self.client, self.server)
  self.down = new_flow(self, "server", self.server, self.client)
  self.up.other, self.down.other = self.down, self.up
  for _, flow in ipairs({ self.up, self.down }) do
    flow:read()
    flow:run_due_acts()
  end
end

local accepted = 0

local function on_client(client)
  accepted = accepted + 1
  local c = setmetatable({ id = accepted, client = client, server = uv.new_tcp(),
    plan = job.plans[math.min(accepted, #job.plans)] or {} }, Connection)
  note(c, "accept")
  client:nodelay(true)
  c.server:connect(job.address, job.to, function(err)
    if err then
      note(c, "error", { name = err, from = "server" })
      return c:close(true)
    end
    c.server:nodelay(true)
    c:start()
  end)
end

-- Who resets a connection must not end the relay of the others.
local on_pipe = uv.new_signal()
on_pipe:start("sigpipe", function() end)
on_pipe:unref()

local listener = uv.new_tcp()
assert(listener:bind(job.host, 0))
assert(listener:listen(4096, function(err)
  assert(not err, err)
  local client = uv.new_tcp()
  assert(listener:accept(client))
  on_client(client)
end))
io.write(listener:getsockname().port, "\n")
io.flush()

uv.run()
