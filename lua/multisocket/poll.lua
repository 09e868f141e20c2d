-- SPDX-License-Identifier: MIT
--
-- Drives a multi handle with no event library, for plain scripts and for
-- programs that own their main loop.
--
--   local driver = require("multisocket.poll").attach(multi)
--   driver:run()                     -- until no transfer runs
--   driver:run(function() return n == 3 end)
--   driver:turn(100, { { fd = 0, events = core.POLL_IN } })
--
-- It sets no callbacks: a turn waits with multi:poll and works with
-- multi:perform. So it looks at every socket each turn, which is cheap for
-- hundreds of them and not for thousands.
local core = require "multisocket.core"

local poll = {}

local check_multi = core.multi({}).running -- raises for what is no multi

-- What `run` waits for at most, so that a condition that something else makes
-- true is seen before the next event of ours.
local LONGEST_WAIT = 100 -- ms

---@class multisocket.PollDriver
---@field multi multisocket.Multi
local Driver = {}
Driver.__index = Driver

---@param multi multisocket.Multi
---@return multisocket.PollDriver
function poll.attach(multi)
  check_multi(multi)
  return setmetatable({ multi = multi, closed = false }, Driver)
end

---Waits until something is to do, `ms` at most (-1: no limit; default), then
---does it. `extra_fds` as for multi:poll.
---@param ms? integer
---@param extra_fds? table[]
---@return integer running
---@return integer ready what multi:poll returned
function Driver:turn(ms, extra_fds)
  if self.closed then return 0, 0 end
  local ready = self.multi:poll(ms or -1, extra_fds)
  return self.multi:perform(), ready
end

---Turns until `done()` is true; without it, until no transfer runs.
---@param done? fun(): any
function Driver:run(done)
  local multi = self.multi
  done = done or function() return multi:running() == 0 end
  while not self.closed and not done() do self:turn(LONGEST_WAIT) end
end

---Lets go of the multi, which stays open. Ends a `run` under way.
function Driver:close()
  self.closed = true
end

Driver.__close = Driver.close

return poll
