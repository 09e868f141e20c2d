-- SPDX-License-Identifier: MIT
--
-- The ways of driving a multi handle, behind one interface, so that a spec
-- can run over each.
--
--   local mode = modes.open("raw", multi, observe)
--   multi:setopt { socketfunction = mode.socket, timerfunction = mode.timer }
--   mode.turn(100)      one turn, waits for at most 100 ms
--   mode.close()        lets go of the multi
--
-- `observe` is { socket = function(easy, fd, what, value), timer =
-- function(multi, ms) }: told of every callback after the mode was; and
-- { switching = function(boolean), always = true: never without callbacks },
-- for switch; and { resets = true } where peers reset connections.
--
--   raw      socket_action on poll(2), sockets and time as the callbacks say
--   perform  perform and poll; the callbacks are only watched
--   luv      multisocket.luv on its own luv loop
--   switch   the three of them by turns, while transfers run; every other time
--            the callbacks are taken away before the next one comes
--   poll     multisocket.poll
--   cqueues  multisocket.cqueues
--   epoll    an epoll set and multi:timeout()
local core = require "multisocket.core"
local luv = require "multisocket.luv"
local poll = require "multisocket.poll"
local uv = require "luv"

local modes = {}

---Those that every item of the contract is held to.
modes.contract = { "raw", "perform", "luv", "switch" }

local TURNS = 3 -- until switch goes on to the next way

local open = {}

local function now_ms() return uv.hrtime() / 1e6 end

-- The mode, with callbacks that tell the observer what its own were told.
local function with_observer(observe, mode)
  local socket, timer = mode.socket, mode.timer
  function mode.socket(easy, fd, what, value)
    if socket then socket(easy, fd, what, value) end
    observe.socket(easy, fd, what, value)
  end
  function mode.timer(multi, ms)
    if timer then timer(multi, ms) end
    observe.timer(multi, ms)
  end
  return mode
end

-- ---- raw -------------------------------------------------------------------

-- What a program does that has nothing but poll(2): Lua has it by way of
-- another multi, which has no sockets of its own.
function open.raw(multi, observe, lent)
  local poller, wanted, due = lent or core.multi {}, {}, nil
  local mode = {}

  function mode.socket(_, fd, what) wanted[fd] = what ~= core.POLL_REMOVE and what or nil end

  function mode.timer(_, ms) due = ms >= 0 and now_ms() + ms or nil end

  local function wait(ms)
    local fds = {}
    for fd, what in pairs(wanted) do fds[#fds + 1] = { fd = fd, events = what } end
    if due then ms = math.min(ms, math.max(math.ceil(due - now_ms()), 0)) end
    poller:poll(ms, fds)
    return fds
  end

  function mode.turn(ms)
    for _, ready in ipairs(wait(ms)) do
      if ready.revents ~= 0 then multi:socket_action(ready.fd, ready.revents) end
    end
    if not due or due > now_ms() then return end
    due = nil
    multi:socket_action(core.SOCKET_TIMEOUT, 0)
  end

  function mode.close()
    if not lent then poller:close() end
  end

  return with_observer(observe, mode)
end

-- ---- perform ---------------------------------------------------------------

function open.perform(multi, observe)
  return with_observer(observe, {
    turn = function(ms)
      multi:poll(ms)
      multi:perform()
    end,
    close = function() end,
  })
end

function open.poll(multi, observe)
  local driver = poll.attach(multi)
  return with_observer(observe, {
    turn = function(ms) driver:turn(ms) end,
    close = function() driver:close() end,
  })
end

-- ---- drivers with callbacks of their own -----------------------------------

local SOCKETFUNCTION, TIMERFUNCTION = 1, 2 -- the multi's user values that hold them

-- Attaches to a multi of no account, for its callbacks; the driver gets ours
-- afterwards. When it is closed it takes its callbacks away from that one: on
-- ours there are others by then.
local function attach(driver_of, multi, ...)
  local other = core.multi {}
  local driver = driver_of.attach(other, ...)
  local mode = { socket = debug.getuservalue(other, SOCKETFUNCTION),
    timer = debug.getuservalue(other, TIMERFUNCTION) }
  other:setopt { socketfunction = false, timerfunction = false }
  driver.multi = multi
  function mode.close()
    driver.multi = other
    driver:close()
  end
  return driver, mode
end

function open.luv(multi, observe)
  local raised
  local _, mode = attach(luv, multi, uv, { on_raise = function(err) raised = err end,
    mode = observe.resets and "epoll" or "poll" }) -- luv reports resets on stderr
  local close_driver, limit = mode.close, uv.new_timer()

  function mode.turn(ms)
    uv.update_time()
    limit:start(ms, 0, function() end)
    uv.run("once")
    limit:stop()
    local err = raised
    raised = nil
    if err then error(err, 0) end
  end

  function mode.close()
    close_driver()
    limit:close()
    uv.run("nowait")
  end

  return with_observer(observe, mode)
end

function open.cqueues(multi, observe)
  local cq = require("cqueues").new()
  local driver, mode = attach(require "multisocket.cqueues", multi, cq)

  function mode.turn(ms)
    assert(cq:step(ms / 1000))
    if cq:empty() then driver:refresh() end
  end

  return with_observer(observe, mode)
end

function open.epoll(multi, observe)
  local set = core.epoll()
  return with_observer(observe, {
    set = set,
    socket = function(_, fd, what) set:watch(fd, what) end,
    turn = function(ms)
      local timeout = multi:timeout()
      if timeout == 0 or not core.wait(set:fd(), math.min(timeout or ms, ms)) then
        multi:socket_action(core.SOCKET_TIMEOUT, 0)
      else
        set:dispatch(multi)
      end
    end,
    close = function() set:close() end,
  })
end

-- ---- switching -------------------------------------------------------------

local WAYS = { "raw", "luv", "perform" }

local function install(multi, mode)
  multi:setopt { socketfunction = mode and mode.socket or false,
    timerfunction = mode and mode.timer or false }
end

function open.switch(multi, observe)
  local at, turns = 1, 0
  local poller = core.multi {}
  local current = open[WAYS[1]](multi, observe, poller)
  local mode = { socket = current.socket, timer = current.timer }

  -- Every other time the callbacks are swapped in one step; otherwise there
  -- are none for a moment, and with perform there may be none until the next.
  local function switch()
    local old = current
    at, turns = at + 1, 0
    current = open[WAYS[(at - 1) % #WAYS + 1]](multi, observe, poller)
    observe.switching(true)
    if at % 2 == 0 then install(multi, nil) end
    if observe.always or at % (2 * #WAYS) ~= 0 then install(multi, current) end
    old.close()
    observe.switching(false)
  end

  function mode.turn(ms)
    if turns == TURNS then switch() end
    turns = turns + 1
    current.turn(ms)
  end

  function mode.close()
    current.close()
    poller:close()
  end

  -- What the ways wake up by: later there may be no descriptor left for it.
  poller:poll(0)
  multi:poll(0)
  return mode
end

---@param kind string
---@param multi multisocket.Multi
---@param observe { socket: function, timer: function, switching: nil|fun(now: boolean) }
---@return table mode
function modes.open(kind, multi, observe)
  return open[kind](multi, observe)
end

return modes
