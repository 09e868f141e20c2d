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

---Turns luv's loop for a main thread that waits, and calls the epoll sets.
loop.pump = core.pump()

-- ---- closing ---------------------------------------------------------------

local exit = loop.exit
local unfinished = 0 -- handles whose close callback has not come
local sentinel, sentinel_uv
local pump = loop.pump
local anchors = debug.getregistry()
local main = anchors[1] -- LUA_RIDX_MAINTHREAD

-- Finding a level takes a step for each above it: a finaliser called somewhere
-- deep in a recursion must not walk all of that. One that ends things as its
-- state closes is hardly deeper than this.
local MAX_DEPTH = 100

local function start_exit()
  exit.now = true
  pump:exit()
end

local Sentinel = {
  __gc = function(self)
    if self ~= sentinel then return end
    start_exit()
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
  if bottom and bottom.name == "__gc" then start_exit() end
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

---What is waited for may be there: turn() returns.
function loop.stop() pump:stop() end

---Runs the loop until at least something happened, and maybe until loop.stop.
---False when nothing is left that could ever happen. A signal ends it, so that
---Lua's handler for Ctrl-C gets a chance; luv itself would go on waiting.
---@param done fun(): boolean for hosts that run the loop themselves
---@return boolean
function loop.turn(done)
  if loop.wait then
    loop.wait(done)
    return true
  end
  local uv = loop.get()
  if not uv.backend_fd then return uv.run("once") end
  return pump:turns(uv.backend_fd(), uv.backend_timeout, uv.update_time, uv.run)
end

---One turn that does not wait, for the end of every wait: timers run after
---the closing of handles in a turn of "once", so one of those may be half
---closed now.
function loop.settle()
  if not loop.wait then loop.get().run("nowait") end
end

return loop
