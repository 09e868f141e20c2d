-- SPDX-License-Identifier: MIT
--
-- A semaphore: at most n at a time.
--
--   local sem = ms.semaphore(4)
--   do
--     local permit <close> = sem:acquire()
--     ...
--   end
--
-- Who waits gets a permit in the order of asking. A permit that was given to
-- somebody who is cancelled before it runs goes on to the next.
local errors = require "multisocket.errors"
local task = require "multisocket.task"

---@class multisocket.Permit
local Permit = {}
Permit.__index = Permit
Permit.__name = "multisocket.Permit"

---@class multisocket.Semaphore
---@field package free integer
---@field package size integer
---@field package first integer of the waiters, which have gaps
---@field package last integer
local Semaphore = {}
Semaphore.__index = Semaphore
Semaphore.__name = "multisocket.Semaphore"

function Semaphore.__tostring(self)
  return ("multisocket.Semaphore (%d of %d free)"):format(self.free, self.size)
end

local function next_waiter(self)
  while self.first <= self.last do
    local op = self.waiters[self.first]
    self.waiters[self.first] = nil
    self.first = self.first + 1
    if op then return op end
  end
  return nil
end

local function give_back(self)
  local op = next_waiter(self)
  if not op then
    self.free = self.free + 1
    return
  end
  op.granted = true
  task.later(op)
end

local function give_up(op)
  local self = op.semaphore
  if op.granted then return give_back(self) end
  self.waiters[op.place] = nil
end

local function wait(self)
  local op = task.waiter(give_up)
  self.last = self.last + 1
  op.semaphore, op.place = self, self.last
  self.waiters[op.place] = op
  task.await(op)
end

local function check_self(self)
  if getmetatable(self) ~= Semaphore then errors.wrong_self(self, "a semaphore") end
end

---Waits for a permit. Give it back once: with permit:release(), by closing it
---(`local permit <close> = ...`), or with semaphore:release().
---@return multisocket.Permit
function Semaphore:acquire()
  check_self(self)
  if self.free > 0 then
    self.free = self.free - 1
  else
    wait(self)
  end
  return setmetatable({ semaphore = self }, Permit)
end

---Gives a permit back that was not closed or released itself.
function Semaphore:release()
  check_self(self)
  if self.free >= self.size then
    errors.usage("not_acquired", "released more often than acquired: all %d permits are free",
      self.size)
  end
  give_back(self)
end

---Calls fn(...) with a permit and returns what it returns.
---@param fn function
---@param ... any
---@return any ...
function Semaphore:run(fn, ...)
  check_self(self)
  errors.check_type(fn, "function", "what to run")
  local _ <close> = Semaphore.acquire(self)
  return fn(...)
end

---Gives it back. Harmless twice.
function Permit:release()
  if getmetatable(self) ~= Permit then errors.wrong_self(self, "a permit") end
  local semaphore = self.semaphore
  self.semaphore = nil
  if semaphore then semaphore:release() end
end

Permit.__close = Permit.release

local semaphore = {}

---@param n integer permits there are
---@return multisocket.Semaphore
function semaphore.new(n)
  local size = math.type(n) and math.tointeger(n)
  if not size or size < 1 then
    errors.usage("bad_argument", "a semaphore has a whole number of at least 1 permits, not %s",
      errors.text(n))
  end
  return setmetatable({ size = size, free = size, waiters = {}, first = 1, last = 0 }, Semaphore)
end

return semaphore
