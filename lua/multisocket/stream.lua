-- SPDX-License-Identifier: MIT
--
-- Bodies that are read while they come. The engine's on_data fills a queue; a
-- reader that is slower than the peer lets it grow to HIGH bytes, then the
-- transfer is paused, and TCP holds the peer back, until LOW are left.
--
-- The engine's callbacks only note that something came; who reads is resumed
-- when the engine has returned (stream.wake_all).
--
-- A response knows its stream by a guard: the last reference to both is
-- dropped when nobody can read any more, and that ends the transfer.
local core = require "multisocket.core"
local errors = require "multisocket.errors"
local loop = require "multisocket.loop"
local task = require "multisocket.task"

local PAUSE_RECV, PAUSE_CONT = core.PAUSE_RECV, core.PAUSE_CONT
local HIGH, LOW = 512 * 1024, 128 * 1024

local stream = {}

---@class multisocket.Stream
---@field first integer the chunks first..last of self are waiting
---@field last integer
---@field offset integer bytes of the first one that were read
---@field size integer bytes waiting
---@field paused boolean
---@field ready boolean on its engine's list for wake_all
---@field over boolean nothing more comes
---@field err multisocket.Error? why it ended early
---@field op table? the transfer, while it runs
---@field on_over fun()? told when nothing more comes
---@field waiter table? who waits for something to read
local Stream = {}
Stream.__index = Stream

-- ---- the engine's side -----------------------------------------------------

---Something came for `object`: its wake() is called when the engine has
---returned.
---@param engine table
---@param object { ready: boolean?, wake: fun(self) }
function stream.note(engine, object)
  if object.ready then return end
  object.ready = true
  engine.ready[#engine.ready + 1] = object
  engine.driver:note()
end

local function note(self) return stream.note(self.engine, self) end

local function push(self, chunk)
  self.last = self.last + 1
  self[self.last] = chunk
  self.size = self.size + #chunk
  if self.size >= HIGH and not self.paused then
    self.paused = true
    self.easy:pause(PAUSE_RECV)
  end
  note(self)
end

local function wake(self)
  local waiter = self.waiter
  if not waiter then return end
  self.waiter = nil
  task.wake(waiter)
end

Stream.wake = wake

---Resumes those whose streams got something during the engine's last entry.
---@param engine table
function stream.wake_all(engine)
  local ready = engine.ready
  engine.ready = {}
  for _, object in ipairs(ready) do
    object.ready = false
    object:wake()
  end
end

-- The transfer has ended.
local function on_end(op)
  local self = op.owner
  self.over, self.op = true, nil
  if self.on_over then self.on_over() end
  local res, err = self.outcome(op)
  self.err = self.err or err
  self.final = res -- with trailers and all timings
  wake(self)
end

-- ---- the reader's side -----------------------------------------------------

local function end_with(self, err)
  if self.over then return end
  self.over, self.err = true, err
  local op = self.op
  self.op = nil
  self.abandon(op)
  if self.on_over then self.on_over() end
  wake(self)
end

---Ends the transfer with that err.
Stream.fail = end_with

-- Forgets what waits to be read; true when there was something.
local function forget(self)
  local some = self.last >= self.first
  for i = self.first, self.last do self[i] = nil end
  self.first, self.last, self.offset, self.size = 1, 0, 0, 0
  return some
end

-- What was not read is gone, and a body that lacks it has no good end.
local function cancel(self, reason)
  local cut = forget(self)
  if self.over and not cut then return end
  local err = errors.cancelled(reason, "the transfer")
  if not self.over then return end_with(self, err) end
  self.err = self.err or err
end

-- Waits until `done` says so. Whoever is closed while he waits ends the
-- transfer; who cannot wait at all is told so, and the transfer goes on.
local function wait(self, done)
  task.check_can_wait()
  if self.waiter then
    errors.usage("wrong_context", "the body is being read from another coroutine")
  end
  while not done(self) do
    local op = task.waiter(function()
      self.waiter = nil
      cancel(self, "its reader was closed")
    end)
    self.waiter = op
    task.await(op)
  end
end

local function has_head(self) return self.head or self.over end

local function has_data(self) return self.last >= self.first or self.over end

local function resume_below(self, size)
  if not self.paused or self.over or self.size > size then return end
  self.paused = false
  self.easy:pause(PAUSE_CONT)
end

-- Takes up to `most` bytes of the first chunk.
local function take(self, most)
  local chunk, from = self[self.first], self.offset
  local n = #chunk - from
  if n <= most then
    self[self.first] = nil
    self.first, self.offset = self.first + 1, 0
    if from > 0 then chunk = chunk:sub(from + 1) end
  else
    n = most
    chunk = chunk:sub(from + 1, from + n)
    self.offset = from + n
  end
  self.size = self.size - n
  resume_below(self, LOW)
  return chunk
end

---Up to `most` bytes, at least one; nil at the end; nil and the err when it
---ended early.
---@param most integer
---@return string?
---@return multisocket.Error?
function Stream:next(most)
  if self.last < self.first and not self.over then
    resume_below(self, HIGH)
    wait(self, has_data)
  end
  if self.last >= self.first then return take(self, most) end
  return nil, self.err
end

---Waits for the end, but for no more than `most` bytes (fewer than HIGH), and
---keeps what came for who reads it later; the transfer is over.
---@param most integer
function Stream:settle(most)
  wait(self, function() return self.over or self.size >= most end)
  end_with(self, errors.cancelled("the rest of its body was not wanted", "the transfer"))
end

---Raises where reading on would have to wait and nobody can: for readers that
---take several pieces, none of which may be lost.
function Stream:check_can_read()
  if not self.over then task.check_can_wait() end
end

Stream.cancel = cancel

-- ---- opening ---------------------------------------------------------------

local Guard = {}

function Guard.__gc(guard)
  local self = guard.stream
  if not self.over and not loop.is_closing() then cancel(self, "nobody reads it") end
end

local function new(fields)
  fields.first, fields.last, fields.offset, fields.size = 1, 0, 0, 0
  fields.paused, fields.ready = false, false
  return setmetatable(fields, Stream)
end

-- The functions of client.lua that a stream needs.
---@class multisocket.Transfers
---@field start fun(engine: table, url: string, options: userdata): table
---@field outcome fun(op: table): userdata?, table?
---@field abandon fun(op: table)

---Starts a transfer and waits for the head of its response.
---@param engine table
---@param transfers multisocket.Transfers
---@param url string
---@param options userdata
---@param on_headers? fun(head: table)
---@param on_start? fun(op: table, stream: multisocket.Stream) the transfer was added
---@return multisocket.Response?
---@return multisocket.Error?
function stream.open(engine, transfers, url, options, on_headers, on_start)
  task.check_can_wait()
  local self = new({ engine = engine, outcome = transfers.outcome, abandon = transfers.abandon })
  local op = transfers.start(engine, url, core.options({
    on_headers = function(head)
      if on_headers then on_headers(head) end
      if head.informational then return end
      self.head = true
      note(self)
    end,
    on_data = function(chunk) push(self, chunk) end,
  }, options))
  op.owner, op.on_wake = self, on_end
  self.op, self.easy = op, op.easy
  if on_start then on_start(op, self) end
  wait(self, has_head)
  if not self.head then return nil, self.err end
  local res = self.final or op.easy:snapshot()
  core.attach(res, setmetatable({ stream = self }, Guard))
  return res
end

---The stream of a response; that of a collected one is made of its body.
---@param res multisocket.Response
---@return multisocket.Stream
function stream.of(res)
  local guard = core.attached(res)
  if guard then return guard.stream end
  local self, text = new({ over = true }), res.body
  if not text then errors.usage("wrong_context", "the body went to on_data") end
  if text ~= "" then self[1], self.last, self.size = text, 1, #text end
  core.attach(res, setmetatable({ stream = self }, Guard))
  return self
end

return stream
