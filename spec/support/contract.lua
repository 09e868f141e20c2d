-- SPDX-License-Identifier: MIT
--
-- The contract's items: each is a spec for every way of driving (modes.lua).
--
--   describe("A.", function()
--     local item = contract.begin(_ENV)
--     item(1, "Any number of transfers run in parallel.", function(d) ... end)
--   end)
--
-- `d` is a multi handle with its way of driving:
--   d.multi                 the multi handle
--   d:add(path or url, opts) -> easy      a path is nginx' (d.server)
--   d:run(condition)        turns until it holds; default: no transfer runs
--   d:ends()                easy -> true or err, of all messages not yet read
--   d.on.socket, timer, done              called for every callback, after the
--                                         mode's own
--   d.log                   what callbacks were told, in order: { kind =
--                           "socket", fd =, what =, easy =, value = }, { kind =
--                           "timer", ms = }, { kind = "done", easy =, ok =, err = }
--   d.watched               fd -> what, as told
--
-- Whatever an item is about, the recorder checks of each callback what holds
-- always: no wish is told twice, nothing is forgotten that was not told, the
-- descriptor is open, a new descriptor has no value, a deadline is not taken
-- back that was not given. After the spec every invariant of the engine and
-- that closing the multi withdraws all.
local core = require "multisocket.core"
local modes = require "spec.support.modes"
local nginx = require "spec.support.server"
local uv = require "luv"

local contract = {}

local LIMIT = 30000 -- ms; a condition that takes longer never holds
local TURN = 50 -- ms

local Drive = {}
Drive.__index = Drive

local function note(self, event)
  self.log[#self.log + 1] = event
end

local function wrong(self, ...)
  self.wrongs[#self.wrongs + 1] = string.format(...)
end

local function observe_socket(self, easy, fd, what, value)
  local before = self.watched[fd]
  if math.type(what) ~= "integer" or what < 1 or what > 4 then wrong(self, "what is %s", what) end
  if before == what then wrong(self, "fd %d is told %d twice", fd, what) end
  if not before and what == core.POLL_REMOVE then wrong(self, "fd %d: nothing to remove", fd) end
  if not uv.fs_fstat(fd) then wrong(self, "fd %d is not open", fd) end
  if not before and value ~= nil then wrong(self, "fd %d is new and has a value", fd) end
  self.watched[fd] = what ~= core.POLL_REMOVE and what or nil
  if self.switching then return end
  note(self, { kind = "socket", easy = easy, fd = fd, what = what, value = value })
  if self.on.socket then self.on.socket(easy, fd, what, value) end
end

local function observe_timer(self, multi, ms)
  if multi ~= self.multi then wrong(self, "a timer of another multi") end
  if math.type(ms) ~= "integer" or ms < -1 then wrong(self, "timer %s", ms) end
  if ms == -1 and not self.timer_set then wrong(self, "no timer to delete") end
  self.timer_set = ms >= 0
  if self.switching then return end
  note(self, { kind = "timer", ms = ms })
  if self.on.timer then self.on.timer(multi, ms) end
end

local function observe_done(self, easy, ok, err)
  note(self, { kind = "done", easy = easy, ok = ok, err = err })
  if self.on.done then self.on.done(easy, ok, err) end
end

---@param kind string one of modes.contract
---@param opts? table logged: switching never leaves the multi without callbacks; resets: peers
---reset connections; bare: no callbacks are set; multi: options
function contract.drive(kind, opts)
  local self = setmetatable({ kind = kind, log = {}, on = {}, watched = {}, wrongs = {},
    errors = {}, opts = opts or {} }, Drive)
  local multi = {}
  for name, value in pairs(self.opts.multi or {}) do multi[name] = value end
  multi.donefunction = function(...) observe_done(self, ...) end
  multi.errorfunction = function(err) self.errors[#self.errors + 1] = err end
  self.multi = core.multi(multi)
  self.mode = modes.open(kind, self.multi, {
    socket = function(...) observe_socket(self, ...) end,
    timer = function(...) observe_timer(self, ...) end,
    switching = function(now) self.switching = now end,
    always = self.opts.logged,
    resets = self.opts.resets,
  })
  if not self.opts.bare then self:install() end
  return self
end

---Sets the callbacks, which items with `bare` do themselves.
function Drive:install()
  self.multi:setopt { socketfunction = self.mode.socket, timerfunction = self.mode.timer }
end

function Drive:url(path)
  return path:find("^%a*:") and path or self.server:url(path)
end

function Drive:easy(path, opts)
  local easy = core.easy(opts or {})
  easy:setopt { url = self:url(path) }
  return easy
end

function Drive:add(path, opts)
  local easy = self:easy(path, opts)
  self.multi:add_handle(easy)
  return easy
end

function Drive:turn() self.mode.turn(TURN) end

---@param condition? fun(): any
function Drive:run(condition)
  condition = condition or function() return self.multi:running() == 0 end
  local deadline = uv.hrtime() + LIMIT * 1000000
  while not condition() do
    if uv.hrtime() > deadline then
      error("the condition never held:\n" .. self.multi:dump(), 2)
    end
    self:turn()
  end
end

---Turns for some time that nobody measures: long enough for what was sent to
---this machine to arrive.
function Drive:idle(turns)
  for _ = 1, turns or 5 do self.mode.turn(2) end
end

function Drive:ends()
  local list = {}
  for easy, ok, err in self.multi.info_read, self.multi do list[easy] = ok or err end
  return list
end

---The code of the easy's end, true for success; its message is read.
function Drive:ended(easy)
  local got = self:ends()[easy]
  return got == nil and "nothing" or got == true or got.code
end

---What the log has of a kind since `from`, default all.
function Drive:events(kind, from)
  local list = {}
  for i = from or 1, #self.log do
    if self.log[i].kind == kind then list[#list + 1] = self.log[i] end
  end
  return list
end

---What was told of a descriptor, e.g. { 2, 1, 4 }.
function Drive:story(fd, from)
  local list = {}
  for _, e in ipairs(self:events("socket", from)) do
    if e.fd == fd then list[#list + 1] = e.what end
  end
  return list
end

function Drive:check()
  local invariant = self.multi:check()
  if invariant then wrong(self, "%s", invariant) end
  return table.concat(self.wrongs, "; ")
end

function Drive:close()
  if self.closed then return end
  self.closed, self.on = true, {}
  self.multi:close()
  self.mode.close()
end
Drive.__close = Drive.close

-- A spec of one item in one mode.
local function run_item(env, server, kind, fn, opts)
  local d <close> = contract.drive(kind, opts)
  d.server = server()
  fn(d, kind)
  env.assert.equal("", d:check())
  local unexpected = d.errors[1]
  env.assert.is_nil(unexpected, tostring(unexpected))
  d:close()
  if not d.opts.bare and kind ~= "switch" then env.assert.same({}, d.watched) end
  env.assert.equal("", table.concat(d.wrongs, "; "))
end

---Makes the items of a describe block: item(number, statement, fn, opts). One
---nginx serves them all. A string in place of fn: why there is no spec yet.
---@param env table the spec file's _ENV
---@return fun(n: integer, statement: string, fn: string|fun(d: table, mode: string), opts?: table)
function contract.begin(env)
  local server
  env.teardown(function()
    if server then server:stop() end
    server = nil
  end)
  local function get_server()
    server = server or nginx.start({ connections = 2048 })
    return server
  end
  return function(n, statement, fn, opts)
    if type(fn) == "string" then return env.pending(("%d. %s: %s"):format(n, statement, fn)) end
    for _, kind in ipairs(modes.contract) do
      env.it(("%d. %s (%s)"):format(n, statement, kind), function()
        run_item(env, get_server, kind, fn, opts)
      end)
    end
  end
end

return contract
