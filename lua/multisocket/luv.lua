-- SPDX-License-Identifier: MIT
--
-- Drives a multi handle on a luv loop.
--
--   local driver = require("multisocket.luv").attach(multi, uv)
--   ...
--   driver:close()
--
-- Every socket gets a poll handle that lives as long as the engine watches
-- the socket and is told only real changes. Two exceptions save system calls
-- and noise: a socket that is only wanted for writing is being connected, and
-- waits in an epoll set of ours, behind one poll handle for all of them (luv
-- 1.44 prints a line on stderr for each poll handle whose socket has an error,
-- which is what a refused connect is). With `mode = "epoll"` all sockets live
-- there.
--
-- No handle of ours keeps the loop alive but one, and that only while
-- transfers run: idle connections in the pool keep nobody waiting.
local core = require "multisocket.core"
local errors = require "multisocket.errors"
local loop = require "multisocket.loop"

local luv = {}

local POLL_IN, POLL_OUT, POLL_REMOVE = core.POLL_IN, core.POLL_OUT, core.POLL_REMOVE
local CSELECT_IN, CSELECT_OUT, CSELECT_ERR = core.CSELECT_IN, core.CSELECT_OUT, core.CSELECT_ERR
local SOCKET_TIMEOUT, bind = core.SOCKET_TIMEOUT, core.bind
local check_multi = core.multi({}).running -- raises for what is no multi
local MODES = { poll = true, epoll = true }
local OPTIONS = { mode = true, on_raise = true }

-- What luv wants to be told for POLL_IN, OUT, INOUT, and what it says.
local EVENTS = { "r", "w", "rw" }
local MASKS = { r = CSELECT_IN, w = CSELECT_OUT, rw = CSELECT_IN | CSELECT_OUT }

local WRONG_THREAD = "multisocket: luv was first loaded inside a coroutine and calls back on it; "
  .. 'load it in the main program first (require "luv", or require "multisocket")'

local exit, pump = loop.exit, loop.pump
local entered = 0 -- drivers inside the engine now

---@class multisocket.Driver
---@field multi multisocket.Multi
---@field uv table
local Driver = {}
Driver.__index = Driver

---True while a driver's event is being handled.
---@return boolean
local function is_inside() return entered > 0 or pump:inside() end
luv.inside = is_inside

-- ---- entering the engine ---------------------------------------------------

local function check_thread(self)
  self.checked = true
  local _, main = coroutine.running()
  -- A string, and raised out of the callback on purpose: luv prints it and
  -- ends the program, where going on would crash it.
  if not main then error(WRONG_THREAD, 0) end
end

---Tells the loop whether it has to stay for our transfers.
---@param running boolean
local function hold(self, running)
  if running == self.held or self.closed then return end
  self.held = running
  if not self.holder then self.holder = self.uv.new_async(function() end) end
  if running then self.holder:ref() else self.holder:unref() end
  if self.set then self.set:hold(running) end
end

-- Every way into the engine. An error can only be an interrupt (the engine
-- protects itself from callbacks), and must not go through luv.
local function enter(self, fn, object, a, b)
  if not self.checked then check_thread(self) end
  entered = entered + 1
  local ok, running = pcall(fn, object, a, b)
  entered = entered - 1
  if not ok then return self.on_raise(running) end
  return running
end

-- `after` is told when an entry is over in which something set `pending`. It
-- may start transfers: how many run then is returned.
local function tell_after(self)
  self.pending = false
  self.after()
  return not self.closed and self.multi:running()
end

-- Has `after` told when the entry under way is over.
local function note(self)
  self.pending = true
  if self.set then self.set:note() end
end

local function act(self, fd, mask)
  local running = enter(self, self.action, self.multi, fd, mask)
  if self.pending then running = tell_after(self) end
  if running and (running > 0) ~= self.held then hold(self, running > 0) end
end

---Looks again whether transfers run; for whoever removes some outside of the
---engine.
function Driver:refresh()
  if getmetatable(self) ~= Driver then errors.wrong_self(self, "a driver") end
  if not self.closed then hold(self, self.multi:running() > 0) end
end

-- ---- sockets ---------------------------------------------------------------

local function start(self, fd)
  self.polls[fd]:start(EVENTS[self.wanted[fd] or POLL_IN], bind(self.on_ready, self, fd))
end

local function on_ready(self, fd, err, events)
  if self.closed or exit.now then return end
  if not err then return act(self, fd, MASKS[events] or 0) end
  -- libuv has stopped the handle; it says so for any error of the socket, and
  -- there may be data to read before it.
  act(self, fd, CSELECT_ERR)
  if self.polls[fd] and not self.closed then start(self, fd) end
end

local function new_poll(self, fd)
  local poll, err = self.uv.new_poll(fd)
  if not poll then errors.usage("poll_failed", "luv cannot watch descriptor %d: %s", fd, err) end
  poll:unref()
  self.polls[fd] = poll
end

-- Something is to be done after an entry of the set's; most go without.
local function after_set(self, ok, err)
  if not ok then self.on_raise(err) end
  if self.pending then tell_after(self) end
  if ok and not self.closed then hold(self, self.multi:running() > 0) end
end

local function new_set(self)
  local set = core.epoll()
  local poll, err = self.uv.new_poll(set:fd())
  if not poll then errors.usage("poll_failed", "luv cannot watch an epoll descriptor: %s", err) end
  poll:unref()
  set:hold(self.held)
  poll:start("r", pump:ready(set, self.multi, self, after_set, WRONG_THREAD))
  self.set, self.set_poll = set, poll
end

local function watch_in_set(self, fd, what)
  if not self.set then new_set(self) end
  self.set:watch(fd, what)
end

local function forget(self, fd)
  local poll = self.polls[fd]
  if poll then
    self.polls[fd], self.wanted[fd] = nil, nil
    loop.close(self.uv, poll)
  elseif self.set then
    self.set:watch(fd, POLL_REMOVE)
  end
  -- Outside an entry nobody else notices that the last transfer has gone.
  if not is_inside() then self:refresh() end
end

local function on_socket(self, fd, what)
  if exit.now then return end
  if what == POLL_REMOVE then return forget(self, fd) end
  if not self.polls[fd] then
    if what == POLL_OUT or self.everything_in_set then return watch_in_set(self, fd, what) end
    if self.set then self.set:watch(fd, POLL_REMOVE) end -- harmless when it is not in there
    new_poll(self, fd)
  end
  self.wanted[fd] = what ~= POLL_IN and what or nil -- most want that: not kept
  start(self, fd)
end

-- ---- time ------------------------------------------------------------------

-- A timer of 0 ms would starve the sockets; an idle handle does not.
local function arm_now(self)
  self.due_now = true
  if not self.idle then self.idle = self.uv.new_idle() end
  self.idle:start(self.on_idle)
end

local function disarm(self)
  if self.due_now then
    self.due_now = false
    self.idle:stop()
  end
  if self.armed then
    self.armed = false
    self.timer:stop()
  end
end

local function on_timer(self, ms)
  if self.closed or exit.now then return end
  if ms == 0 then
    if not self.due_now then arm_now(self) end
    return
  end
  disarm(self)
  if ms > 0 then
    if not self.timer then
      self.timer = self.uv.new_timer()
      self.timer:unref()
    end
    self.uv.update_time() -- the loop's clock stands still while Lua runs
    self.timer:start(ms, 0, self.on_expire)
    self.armed = true
  end
  if not is_inside() then self:refresh() end
end

local function expire(self)
  if self.closed or exit.now then return end
  act(self, SOCKET_TIMEOUT, 0)
end

-- ---- attaching -------------------------------------------------------------

local function rethrow(err) error(err, 0) end

---Watches everything the multi wants watched, from now on. Its socketfunction
---and timerfunction belong to the driver. `mode` is "poll" (default) or
---"epoll"; `on_raise(err)` gets an interrupt (Ctrl-C) that came while the
---engine ran, by default it is raised.
---@param multi multisocket.Multi
---@param uv table the luv module
---@param opts? { mode: string?, on_raise: fun(err: any)? }
---@return multisocket.Driver
function luv.attach(multi, uv, opts)
  check_multi(multi)
  errors.check_options(opts, OPTIONS)
  errors.check_type(uv, "table", "the luv module")
  local mode = opts and opts.mode or "poll"
  if not MODES[mode] then
    errors.usage("bad_option", 'mode must be "poll" or "epoll", not %s', errors.text(mode))
  end
  if opts and opts.on_raise then errors.check_option(opts.on_raise, "function", "on_raise") end
  local self = setmetatable({ multi = multi, uv = uv, action = multi.socket_action,
    polls = {}, wanted = {}, on_ready = on_ready, note = note,
    held = false, closed = false, due_now = false, armed = false,
    everything_in_set = mode == "epoll", on_raise = opts and opts.on_raise or rethrow }, Driver)
  self.on_idle = function()
    if not self.due_now then return end
    self.due_now = false
    self.idle:stop()
    return expire(self)
  end
  self.on_expire = function()
    self.armed = false
    return expire(self)
  end
  multi:setopt({
    socketfunction = function(_, fd, what) return on_socket(self, fd, what) end,
    timerfunction = function(_, ms) return on_timer(self, ms) end,
  })
  loop.renew_sentinel(uv)
  return self
end

local function close_handle(self, name)
  if self[name] then loop.close(self.uv, self[name]) end
  self[name] = nil
end

---Lets go of the multi and closes every handle. The multi itself stays open,
---and its transfers stand still until somebody else drives them.
function Driver:close()
  if getmetatable(self) ~= Driver then errors.wrong_self(self, "a driver") end
  if self.closed then return end
  if self.set then pump:forget(self.set) end
  if self.multi:forked() then -- the loop watches for the parent, too
    self.closed = true
    return
  end
  self.multi:setopt({ socketfunction = false, timerfunction = false })
  self.closed = true
  for fd in pairs(self.polls) do forget(self, fd) end
  for _, name in ipairs({ "idle", "timer", "holder", "set_poll" }) do close_handle(self, name) end
  if self.set then self.set:close() end
  self.set = nil
end

Driver.__close = Driver.close

return luv
