-- SPDX-License-Identifier: MIT
--
-- wrap: generators that wait inside. With coroutine.wrap a fetch in the
-- generator would suspend it towards its consumer, who asked for a value and
-- would get the library's own. Here the consumer takes the wait over: it waits
-- in the generator's place, and then lets it go on.
--
--   for line in ms.wrap(function()
--     for page = 1, 10 do coroutine.yield(ms.fetch(url .. page).body) end
--   end) do print(line) end
local errors = require "multisocket.errors"
local task = require "multisocket.task"

local resume, close, status = coroutine.resume, coroutine.close, coroutine.status

local wrap = {}

---@class multisocket.Generator
---@field co thread
---@field busy boolean somebody waits in its place

-- Closed while its consumer waits in its place, and at the end of a for loop.
local Generator = {}

-- The generator is ended; what its variables raise then is raised.
local function finish(self)
  self.ended = true
  local ok, err = close(self.co)
  if not ok then error(err, 0) end
end

local function check(self)
  if self.busy or status(self.co) == "running" or status(self.co) == "normal" then
    errors.usage("wrong_context", "the generator is at work: it was called from two places")
  end
  if self.ended then errors.usage("closed", "the generator has ended") end
end

-- When the wait fails or is given up the generator cannot go on, either.
local Wait = {}

function Wait.__close(guard)
  local self = guard.generator
  self.busy = false
  if not guard.over then finish(self) end
end

-- The generator waits no more for `op`, but its consumer does.
local function take_over(op)
  if type(op) == "table" then
    op.thread = nil
    return op
  end
  local waiter = task.waiter()
  task.turn:adopt(op, waiter)
  return waiter
end

local function wait(self, op)
  local guard <close> = setmetatable({ generator = self, over = false }, Wait)
  self.busy = true
  task.await(take_over(op))
  guard.over = true
end

local advance

local function after_resume(self, ok, first, ...)
  if ok and first == task.TOKEN then
    wait(self, (...))
    return advance(self)
  end
  if not ok then
    self.ended = true
    close(self.co)
    error(first, 0)
  end
  if status(self.co) == "dead" then self.ended = true end
  return first, ...
end

function advance(self, ...)
  return after_resume(self, resume(self.co, ...))
end

function Generator.__close(self)
  if self.ended or status(self.co) ~= "suspended" then return end
  finish(self)
end

---A function that goes on with fn, on a coroutine of its own, until fn yields
---or returns, as from coroutine.wrap; but fn may wait, and then the caller
---waits. The further values are for a generic for: leaving it ends fn.
---@param fn function
---@return fun(...): any ...
function wrap.wrap(fn)
  errors.check_type(fn, "function", "what to wrap")
  local self = setmetatable({ co = coroutine.create(fn), busy = false, ended = false }, Generator)
  local function generator(...)
    check(self)
    return advance(self, ...)
  end
  return generator, nil, nil, self
end

return wrap
