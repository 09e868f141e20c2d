-- SPDX-License-Identifier: MIT
--
-- A multi handle of multisocket.core and a loop for it in forty lines: an
-- epoll set for the sockets, multi:timeout() for the time. No luv, so that
-- specs of the binding test the binding and nothing else.
--
--   local d = drive.new({ donefunction = ... })
--   d.multi:add_handle(easy)
--   d:run(function() return d.multi:running() == 0 end)
--   d:close()
local core = require "multisocket.core"
local uv = require "luv" -- for its clock

local drive = {}

local LIMIT = 10000 -- ms; a condition that takes longer never holds

---@class spec.Drive
---@field multi multisocket.Multi
---@field set userdata
---@field watched table<integer, integer> fd -> what, as the socketfunction was told
local Drive = {}
Drive.__index = Drive

---@param opts? multisocket.MultiOptions a socketfunction is called besides ours
---@return spec.Drive
function drive.new(opts)
  local self = setmetatable({ set = core.epoll(), watched = {} }, Drive)
  local all = {}
  for name, value in pairs(opts or {}) do all[name] = value end
  all.socketfunction = self:socketfunction(opts and opts.socketfunction)
  self.multi = core.multi(all)
  return self
end

---What watches sockets in the set; calls `also` first.
function Drive:socketfunction(also)
  return function(easy, fd, what, value)
    self.watched[fd] = what ~= core.POLL_REMOVE and what or nil
    self.set:watch(fd, what)
    if also then also(easy, fd, what, value) end
  end
end

---One turn: waits for a socket or for the time, and tells the multi.
function Drive:turn()
  local timeout = self.multi:timeout()
  if timeout == 0 or not core.wait(self.set:fd(), math.min(timeout or 100, 100)) then
    self.multi:socket_action(core.SOCKET_TIMEOUT, 0)
  else
    self.set:dispatch(self.multi)
  end
end

---Turns until `condition` holds; raises when it takes too long.
---@param condition? fun(): any default: no transfer runs
function Drive:run(condition)
  condition = condition or function() return self.multi:running() == 0 end
  local deadline = uv.hrtime() + LIMIT * 1000000
  while not condition() do
    if uv.hrtime() > deadline then error("the condition never held", 2) end
    self:turn()
  end
end

function Drive:close()
  self.multi:close()
  self.set:close()
end
Drive.__close = Drive.close

return drive
