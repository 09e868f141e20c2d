-- SPDX-License-Identifier: MIT
--
-- A multi handle of multisocket.core and a loop for it. By default that is
-- forty lines in spec.support.modes, an epoll set for the sockets and
-- multi:timeout() for the time: no luv, so that specs of the binding test the
-- binding and nothing else. spec/core_drivers_spec.lua sets another
-- `drive.kind` and runs the same specs again.
--
--   local d = drive.new({ donefunction = ... })
--   d.multi:add_handle(easy)
--   d:run(function() return d.multi:running() == 0 end)
--   d:close()
local core = require "multisocket.core"
local modes = require "spec.support.modes"
local uv = require "luv" -- for its clock

local drive = { kind = "epoll" }

local LIMIT = 30000 -- ms; a condition that takes longer never holds
local TURN = 100 -- ms

---@class spec.Drive
---@field multi multisocket.Multi
---@field set userdata an epoll set in which what is watched is watched, too
---@field watched table<integer, integer> fd -> what, as the socketfunction was told
local Drive = {}
Drive.__index = Drive

local function nothing() end

---@param opts? multisocket.MultiOptions callbacks are called besides ours
---@return spec.Drive
function drive.new(opts)
  opts = opts or {}
  local self = setmetatable({ watched = {} }, Drive)
  local all = {}
  for name, value in pairs(opts) do all[name] = value end
  all.socketfunction, all.timerfunction = nil, nil
  self.multi = core.multi(all)
  self.mode = modes.open(drive.kind, self.multi, { socket = nothing, timer = nothing })
  self.set = self.mode.set or core.epoll()
  self.multi:setopt { socketfunction = self:socketfunction(opts.socketfunction),
    timerfunction = self:timerfunction(opts.timerfunction) }
  return self
end

---What watches sockets; calls `also` afterwards.
function Drive:socketfunction(also)
  local watched, set, mode = self.watched, self.set, self.mode
  return function(easy, fd, what, value)
    watched[fd] = what ~= core.POLL_REMOVE and what or nil
    mode.socket(easy, fd, what, value)
    if set ~= mode.set then set:watch(fd, what) end
    if also then also(easy, fd, what, value) end
  end
end

---What watches the time; calls `also` afterwards.
function Drive:timerfunction(also)
  local timer = self.mode.timer
  return function(multi, ms)
    timer(multi, ms)
    if also then also(multi, ms) end
  end
end

---One turn: waits for a socket or for the time, and tells the multi.
function Drive:turn() self.mode.turn(TURN) end

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
  self.mode.close()
  self.set:close()
end
Drive.__close = Drive.close

return drive
