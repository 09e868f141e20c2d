-- SPDX-License-Identifier: MIT
--
-- What one writes before knowing luv: a driver for a multi handle on its loop,
-- and a small library on top, with one flaw to choose. Each flaw is the obvious
-- way to do a thing, and spec/luv_traps_spec.lua shows what comes of it. With
-- no flaw the same programs work, so it is the flaw that matters.
--
--   local lib = require("spec.support.naive_luv").new("keeps closed handles")
--   lib.attach(multi, uv), lib.request, lib.fetch, lib.sleep, lib.spawn
local core = require "multisocket.core"

local naive = {}

naive.FLAWS = {
  ["keeps closed handles"] = 1, ["closes handles later"] = 2, ["timer of 0 ms"] = 3,
  ["unprotected callbacks"] = 4, ["loads luv on first use"] = 5, ["writes to a stream"] = 7,
  ["ignores errors"] = 9, ["trusts the loop's clock"] = 10, ["keeps the loop"] = 11,
  ["yields anywhere"] = 13, ["two handles"] = 15,
  ["runs the loop anywhere"] = 16, ["ends at once"] = 17, ["stops in a finaliser"] = 18,
  ["forgets what resume returns"] = 19, ["starts again and again"] = 20,
  ["resumes directly"] = 21, none = 0,
}

local EVENTS = { "r", "w", "rw" }
local MASKS = { r = core.CSELECT_IN, w = core.CSELECT_OUT,
  rw = core.CSELECT_IN | core.CSELECT_OUT }

-- ---- the driver ------------------------------------------------------------

local Driver = {}
Driver.__index = Driver

function Driver:act(fd, mask)
  self.multi:socket_action(fd, mask)
  self:hold()
  if self.after then self.after() end
end

-- The loop has to stay while transfers run.
function Driver:hold()
  if self.closed then return end
  if self.multi:running() > 0 then self.holder:ref() else self.holder:unref() end
end

function Driver:callback(fd, poll, what)
  local function on_ready(err, events)
    if err then
      if self.flaw == "ignores errors" then return end
      self:act(fd, core.CSELECT_ERR)
      if self.polls[fd] == poll and not poll:is_closing() then
        poll:start(EVENTS[self.masks[fd]], on_ready)
      end
      return
    end
    if self.flaw == "starts again and again" then
      poll:stop()
      poll:start(EVENTS[what], on_ready)
    end
    self:act(fd, MASKS[events] or 0)
  end
  return on_ready
end

local function close_later(self, poll)
  local timer = self.uv.new_timer()
  timer:start(5, 0, function()
    timer:close()
    if not poll:is_closing() then poll:close() end
  end)
end

function Driver:forget(fd)
  local poll = self.polls[fd]
  if self.flaw ~= "keeps closed handles" then self.polls[fd], self.masks[fd] = nil, nil end
  if self.flaw == "closes handles later" then return close_later(self, poll) end
  poll:stop()
  poll:close()
end

-- One handle for reading and one for writing.
function Driver:watch_twice(fd, what)
  for bit, events in ipairs({ "r", "w" }) do
    local key = fd .. events
    if what & bit ~= 0 and not self.polls[key] then
      local poll = assert(self.uv.new_poll(fd))
      poll:unref()
      self.polls[key] = poll
      poll:start(events, function(_, seen) self:act(fd, MASKS[seen] or 0) end)
    end
  end
end

function Driver:forget_twice(fd)
  for _, events in ipairs({ "r", "w" }) do
    local poll = self.polls[fd .. events]
    self.polls[fd .. events] = nil
    if poll then poll:close() end
  end
end

function Driver:on_socket(fd, what)
  local twice = self.flaw == "two handles"
  if what == core.POLL_REMOVE then
    if twice then return self:forget_twice(fd) end
    return self:forget(fd)
  end
  if twice then return self:watch_twice(fd, what) end
  local poll = self.polls[fd]
  if not poll then
    poll = assert(self.uv.new_poll(fd))
    if self.flaw ~= "keeps the loop" then poll:unref() end
    self.polls[fd] = poll
  end
  self.masks[fd] = what
  poll:start(EVENTS[what], self:callback(fd, poll, what))
end

function Driver:on_timer(ms)
  if self.closed then return end
  self.idle:stop()
  if ms < 0 then
    self.timer:stop()
  elseif ms == 0 and self.flaw ~= "timer of 0 ms" then
    self.idle:start(function()
      self.idle:stop()
      self:act(core.SOCKET_TIMEOUT, 0)
    end)
  else
    self.timer:start(ms, 0, function() self:act(core.SOCKET_TIMEOUT, 0) end)
  end
  self:hold()
end

function Driver:close()
  if self.closed then return end
  self.closed = true
  self.multi:setopt({ socketfunction = false, timerfunction = false })
  for _, name in ipairs({ "timer", "idle", "holder" }) do self[name]:close() end
  if self.flaw ~= "ends at once" then self.uv.run("nowait") end
end

local function stop_all(self)
  for _, poll in pairs(self.polls) do poll:stop() end
end

local function attach(multi, uv, flaw)
  local self = setmetatable({ multi = multi, uv = uv, flaw = flaw, polls = {}, masks = {} }, {
    __index = Driver, __gc = flaw == "stops in a finaliser" and stop_all or nil })
  self.timer, self.idle = uv.new_timer(), uv.new_idle()
  self.holder = uv.new_async(function() end)
  self.timer:unref()
  self.holder:unref()
  multi:setopt({
    socketfunction = function(_, fd, what) self:on_socket(fd, what) end,
    timerfunction = function(_, ms) self:on_timer(ms) end,
  })
  return self
end

-- ---- the library -----------------------------------------------------------

local Lib = {}
Lib.__index = Lib

local function report(err) io.stderr:write("error: ", tostring(err), "\n") end

-- Calls everybody whose transfer has ended.
function Lib:deliver()
  while true do
    local easy, ok, err = self.multi:info_read()
    if not easy then return end
    self.multi:remove_handle(easy)
    local callback = self.callbacks[easy]
    self.callbacks[easy] = nil
    local res = ok and easy:response() or nil
    if self.flaw == "unprotected callbacks" then
      callback(err, res)
    else
      xpcall(callback, report, err, res)
    end
  end
end

function Lib:start()
  if self.multi then return end
  self.uv = require "luv"
  self.callbacks, self.multi = {}, core.multi()
  self.driver = attach(self.multi, self.uv, self.flaw)
  self.driver.after = function() self:deliver() end
end

function Lib:request(url, opts, callback)
  self:start()
  if self.flaw == "writes to a stream" then return self:write(url, opts, callback) end
  local all = { url = url }
  for name, value in pairs(opts or {}) do all[name] = value end
  local easy = core.easy(all)
  self.callbacks[easy] = callback
  self.multi:add_handle(easy)
end

-- By luv's own streams, a piece at a time.
function Lib:write(url, opts, callback)
  local tcp = self.uv.new_tcp()
  tcp:connect("127.0.0.1", tonumber(url:match(":(%d+)/")), function()
    tcp:write("PUT / HTTP/1.1\r\nContent-Length: " .. #opts.body .. "\r\n\r\n")
    local timer, at = self.uv.new_timer(), 1
    timer:start(10, 10, function()
      tcp:try_write(opts.body:sub(at, at + 1000))
      at = at + 1000
      if at < #opts.body then return end
      timer:close()
      callback("done")
    end)
  end)
end

function Lib:resume(co, ...)
  local ok, err = coroutine.resume(co, ...)
  if not ok and self.flaw ~= "forgets what resume returns" then report(err) end
end

function Lib:pump(url, opts)
  self:start()
  local uv = self.uv
  if uv.loop_mode() and self.flaw ~= "runs the loop anywhere" then
    error({ category = "usage" })
  end
  local done
  self:request(url, opts, function(err, res) done = { res, err } end)
  while not done do uv.run("once") end
  if self.flaw ~= "ends at once" and not uv.loop_mode() then uv.run("nowait") end
  return done[1], done[2]
end

function Lib:fetch(url, opts)
  local co, main = coroutine.running()
  if self.flaw ~= "yields anywhere" then
    if main then return self:pump(url, opts) end
    if not coroutine.isyieldable() then error({ category = "usage" }) end
  end
  self:request(url, opts, function(err, res) self:resume(co, res, err) end)
  return coroutine.yield()
end

function Lib:sleep(ms)
  self:start()
  local co, main = coroutine.running()
  local timer, over = self.uv.new_timer(), false
  if self.flaw ~= "trusts the loop's clock" then self.uv.update_time() end
  timer:start(ms, 0, function()
    timer:close()
    over = true
    if not main then self:resume(co) end
  end)
  if not main then return coroutine.yield() end
  while not over do self.uv.run("once") end
  self.uv.run("nowait")
end

-- Who waits for a task is resumed when it ends: right there, or in turn.
function Lib:wake(co)
  if self.flaw == "resumes directly" then return self:resume(co) end
  table.insert(self.queue, co)
  if self.draining then return end
  self.draining = true
  while #self.queue > 0 do self:resume(table.remove(self.queue, 1)) end
  self.draining = false
end

function Lib:spawn(fn)
  local t = { ended = false }
  function t.wait()
    if t.ended then return end
    t.waiter = coroutine.running()
    coroutine.yield()
  end
  local co = coroutine.create(function()
    fn()
    t.ended = true
    if t.waiter then self:wake(t.waiter) end
  end)
  self:wake(co)
  return t
end

---@param flaw string of naive.FLAWS
---@return table lib with functions, not methods, like the real one
function naive.new(flaw)
  assert(naive.FLAWS[flaw], "no such flaw")
  local self = setmetatable({ flaw = flaw, queue = {} }, Lib)
  if flaw ~= "loads luv on first use" then self.uv = require "luv" end
  local lib = { attach = function(multi, uv) return attach(multi, uv, flaw) end }
  for _, name in ipairs({ "request", "fetch", "sleep", "spawn" }) do
    lib[name] = function(...) return self[name](self, ...) end
  end
  return lib
end

return naive
