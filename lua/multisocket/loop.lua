-- SPDX-License-Identifier: MIT
--
-- The luv loop as the rest of the library needs it: which luv that is, running
-- it for a main thread that waits, and closing its handles so that the end of
-- the program finds none half closed.
--
-- luv frees the memory of every handle when the Lua state closes, also of
-- those whose close callback is still to come, and crashes on these. So a
-- sentinel is kept that is younger than any handle we closed: Lua finalises
-- it first, and it gives the loop the one turn that is missing.
local core = require "multisocket.core"
local errors = require "multisocket.errors"

local loop = {}

-- Loaded here and not on first use: luv calls back on the Lua thread that
-- loaded it first, which has to be the main one.
local found, luv = pcall(require, "luv")

loop.uv = found and luv or nil
loop.wait = nil ---@type nil|fun(done: fun(): boolean)

---`now` is true once the Lua state is closing: nobody is called any more.
loop.exit = { now = false }

-- ---- closing ---------------------------------------------------------------

local exit = loop.exit
local unfinished = 0 -- handles whose close callback has not come
local sentinel, sentinel_uv
local anchors = debug.getregistry()
local main = anchors[1] -- LUA_RIDX_MAINTHREAD

-- Finding a level takes a step for each above it: a finaliser called somewhere
-- deep in a recursion must not walk all of that. One that ends things as its
-- state closes is hardly deeper than this.
local MAX_DEPTH = 100

local Sentinel = {
  __gc = function(self)
    if self ~= sentinel then return end
    exit.now = true
    if unfinished > 0 then sentinel_uv.run("nowait") end
  end,
}

---Makes the sentinel younger than everything that exists now. The registry
---keeps it until the end, or unloading this module would run the loop.
---@param uv table
function loop.renew_sentinel(uv)
  sentinel, sentinel_uv = setmetatable({}, Sentinel), uv
  anchors[Sentinel] = sentinel
end

-- A finaliser of the program's may be younger than the sentinel, and one made
-- now would never be called. While the state closes nothing runs but
-- finalisers: such a one is at the bottom of the main thread's stack.
local function is_closing()
  if exit.now or collectgarbage("count") then return exit.now end -- no count in finalisers
  local level = 0
  while level < MAX_DEPTH and debug.getinfo(main, level + 1, "l") do level = level + 1 end
  local bottom = debug.getinfo(main, level, "n")
  exit.now = bottom ~= nil and bottom.name == "__gc"
  return exit.now
end

---True while the Lua state closes, for finalisers that may come before the
---sentinel's.
---@return boolean
loop.is_closing = is_closing

local function on_closed()
  unfinished = unfinished - 1
end

---Closes a handle; it must not be touched afterwards.
---@param uv table
---@param handle userdata
function loop.close(uv, handle)
  if is_closing() or handle:is_closing() then return end
  unfinished = unfinished + 1
  handle:close(on_closed)
  loop.renew_sentinel(uv)
end

-- ---- running ---------------------------------------------------------------

---The luv in use; raises when there is none.
---@return table
function loop.get()
  if loop.uv then return loop.uv end
  return errors.usage("no_event_loop",
    "luv is not installed: install it, or hand one over with ms.use{ uv = ... }")
end

-- A turn in which a signal ends the waiting, so that Lua's handler for Ctrl-C
-- gets a chance; luv itself would go on waiting. Without a wait the loop has
-- something to do or to register first.
local function interruptible_turn(uv)
  local timeout = uv.backend_timeout()
  if timeout ~= 0 then core.wait(uv.backend_fd(), timeout) end
  return uv.run("nowait")
end

---Runs the loop until at least something happened. False when nothing is
---left that could ever happen.
---@param done fun(): boolean for hosts that run the loop themselves
---@return boolean
function loop.turn(done)
  if loop.wait then
    loop.wait(done)
    return true
  end
  local uv = loop.get()
  if core.wait and uv.backend_fd then return interruptible_turn(uv) end
  return uv.run("once")
end

---One turn that does not wait, for the end of every wait: timers run after
---the closing of handles in a turn of "once", so one of those may be half
---closed now.
function loop.settle()
  if not loop.wait then loop.get().run("nowait") end
end

return loop
