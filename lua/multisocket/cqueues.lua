-- SPDX-License-Identifier: MIT
--
-- Drives a multi handle on a cqueues controller.
--
--   local driver = require("multisocket.cqueues").attach(multi, cq)
--   multi:add_handle(easy)
--   cq:loop()
--
-- All sockets are in one epoll set of ours, so cqueues sees one descriptor and
-- never one that was closed under it. A coroutine of the controller waits for
-- the set and for the time. It is there while transfers run, and not longer:
-- idle connections keep no loop alive (and are watched again when the next
-- transfer starts).
local core = require "multisocket.core"
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local errors = require "multisocket.errors"

local driver = {}

local check_multi = core.multi({}).running -- raises for what is no multi

---@class multisocket.CqueuesDriver
---@field multi multisocket.Multi
local Driver = {}
Driver.__index = Driver

local function seconds_left(self)
  if not self.due then return nil end
  return math.max(self.due - cqueues.monotime(), 0)
end

-- The coroutine's loop.
local function turns(self)
  local multi, pollable = self.multi, { pollfd = self.set:fd(), events = "r" }
  while not self.closed do
    self.waiting = true
    cqueues.poll(pollable, self.changed, seconds_left(self))
    self.waiting = false
    if self.closed then break end
    self.set:dispatch(multi)
    if self.due and seconds_left(self) == 0 then
      self.due = nil
      multi:socket_action(core.SOCKET_TIMEOUT, 0)
    end
    if multi:running() == 0 and seconds_left(self) ~= 0 then break end
  end
end

local notice

-- An error can only be an interrupt (Ctrl-C): cq:loop() gives it, and may be
-- called again to go on.
local function watch(self)
  local ok, err = pcall(turns, self)
  self.there = false
  if ok then return end
  notice(self)
  error(err, 0)
end

-- Something changed: the coroutine has to look again, or to come back.
function notice(self)
  if self.waiting then self.changed:signal() end
  if self.there or self.closed or self.multi:running() == 0 then return end
  self.there = true
  self.cq:wrap(watch, self)
end

local function on_socket(self, fd, what)
  self.set:watch(fd, what)
  notice(self)
end

local function on_timer(self, ms)
  self.due = ms >= 0 and cqueues.monotime() + ms / 1000 or nil
  notice(self)
end

---Watches everything the multi wants watched, from now on. Its socketfunction
---and timerfunction belong to the driver.
---@param multi multisocket.Multi
---@param cq userdata a controller, from cqueues.new()
---@return multisocket.CqueuesDriver
function driver.attach(multi, cq)
  check_multi(multi)
  errors.check_type(cq, "userdata", "the controller")
  local self = setmetatable({ multi = multi, cq = cq, set = core.epoll(),
    changed = condition.new(), closed = false, there = false, waiting = false }, Driver)
  multi:setopt({
    socketfunction = function(_, fd, what) return on_socket(self, fd, what) end,
    timerfunction = function(_, ms) return on_timer(self, ms) end,
  })
  return self
end

---Looks again whether transfers run; for whoever removes the last of them from
---a connection that others use.
function Driver:refresh()
  if not self.closed then notice(self) end
end

---Lets go of the multi. It stays open, and its transfers stand still until
---somebody else drives them.
function Driver:close()
  if self.closed then return end
  self.multi:setopt({ socketfunction = false, timerfunction = false })
  self.closed = true
  if self.waiting then self.changed:signal() end
  self.cq:cancel(self.set:fd())
  self.set:close()
end

Driver.__close = Driver.close

return driver
