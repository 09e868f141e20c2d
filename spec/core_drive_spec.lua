-- SPDX-License-Identifier: MIT
--
-- multisocket.core without an event library: perform, poll, waitfds, wakers;
-- and what looks into a multi from outside: dump, network_changed.
local core = require "multisocket.core"
local drive = require "spec.support.drive"
local nginx = require "spec.support.server"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local servers = require "spec.support.h2_servers"
local uv = require "luv"

local FOREVER = -1

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "nothing was raised")
  return err
end

local function perform_all(multi, until_)
  local deadline = uv.hrtime() + 30 * 1000000000
  while not (until_ or function() return multi:running() == 0 end)() do
    assert(uv.hrtime() < deadline, "the condition never held")
    multi:perform()
    multi:poll(100)
  end
end

describe("driving without an event library:", function()
  local server, multi

  setup(function() server = nginx.start() end)
  teardown(function() server:stop() end)
  before_each(function() multi = core.multi {} end)
  after_each(function()
    assert.is_nil(multi:check())
    multi:close()
  end)

  local function add(path, opts, to)
    local easy, into = core.easy(opts or {}), to or multi
    easy:setopt { url = path:find("^http") and path or server:url(path) }
    into:add_handle(easy)
    return easy
  end

  it("perform and poll complete transfers", function()
    local easies = {}
    for i = 1, 10 do easies[i] = add("/bytes/100000") end
    assert.equal(10, multi:running())
    assert.equal(10, multi:perform())
    perform_all(multi)
    for _, easy in ipairs(easies) do assert.equal(100000, #easy:response().body) end
    assert.equal(10, multi:stats().done)
    assert.equal(0, multi:perform())
  end)

  it("poll tells how many are ready and leaves them to perform", function()
    local p <close> = peer.start { { { "request" }, { "send", "HTTP/1.1 200 OK\r\n" } } }
    add(p:url("/"))
    perform_all(multi, function() return #multi:waitfds() == 1 and multi:stats().opened == 1 end)
    assert.equal(1, multi:poll(FOREVER))
    assert.equal(1, multi:poll(FOREVER))
    assert.equal(1, multi:running())
  end)

  it("poll waits no longer than the next deadline", function()
    local p <close> = peer.start { { { "hang" } } }
    local easy = add(p:url("/"), { timeout = 30 })
    perform_all(multi, function() multi:perform() return multi:stats().opened == 1 end)
    while multi:perform() > 0 do assert.equal(0, multi:poll(FOREVER)) end
    local ended, ok, err = multi:info_read()
    assert.same({ easy, false, "timed_out" }, { ended, ok, err.code })
  end)

  it("poll returns at once when there is work", function()
    add("/small")
    assert.equal(0, multi:timeout())
    assert.equal(0, multi:poll(FOREVER))
  end)

  it("poll watches other descriptors, too", function()
    local fds = uv.socketpair()
    local mine = { { fd = fds[1], events = core.POLL_IN } }
    assert.equal(0, multi:poll(0, mine))
    assert.equal(0, mine[1].revents)
    mine[2] = { fd = fds[2], events = core.POLL_INOUT }
    assert.equal(1, multi:poll(FOREVER, mine))
    assert.same({ 0, core.CSELECT_OUT }, { mine[1].revents, mine[2].revents })
    uv.fs_close(fds[2])
    assert.equal(2, multi:poll(FOREVER, mine))
    assert.equal(core.CSELECT_ERR, mine[2].revents)
    assert.equal(core.CSELECT_ERR | core.CSELECT_IN, mine[1].revents)
    uv.fs_close(fds[1])
  end)

  it("waitfds has what the socketfunction is told", function()
    assert.same({}, multi:waitfds())
    local told = {}
    multi:setopt { socketfunction = function(_, fd, what)
      told[fd] = what ~= core.POLL_REMOVE and what or nil
    end }
    add("/slow")
    add("/bytes/1000")
    perform_all(multi, function()
      local seen = {}
      for _, w in ipairs(multi:waitfds()) do seen[w.fd] = w.events end
      assert.same(told, seen)
      return multi:running() == 1 and next(told)
    end)
  end)

  it("checks its arguments", function()
    local function message(...) return raised(...).message end
    assert.equal("argument #2 must be a whole number from -1 to 2147483647, not -2",
      message(multi.poll, multi, -2))
    assert.equal("extra_fds must be a table, not number", message(multi.poll, multi, 0, 1))
    assert.equal("an extra fd must be a table, not number", message(multi.poll, multi, 0, { 1 }))
    assert.equal("fd must be a whole number from 0 to 2147483647, not nil",
      message(multi.poll, multi, 0, { {} }))
    assert.equal("events must be a whole number from 0 to 3, not 4",
      message(multi.poll, multi, 0, { { fd = 1, events = 4 } }))
    assert.equal("argument #1 must be a number, not nil", message(core.wake))
    for _, name in ipairs { "perform", "poll", "waitfds", "wakeup", "waker", "dump",
      "network_changed" } do
      assert.equal("argument #1 must be a multi handle, not nil", message(multi[name]))
    end
  end)

  it("is refused inside callbacks", function()
    local codes = {}
    local function try_all()
      for _, name in ipairs { "perform", "poll", "waitfds" } do
        codes[raised(multi[name], multi, 0).code] = true
      end
    end
    multi:setopt { socketfunction = try_all, timerfunction = try_all, donefunction = try_all }
    local easy = add("/small", { on_headers = try_all, on_data = try_all })
    perform_all(multi)
    assert.same({ easy, true, nil, 0 }, { multi:info_read() })
    assert.same({ wrong_context = true }, codes)
  end)

  it("does nothing on a closed multi", function()
    add("/small")
    multi:close()
    assert.equal(0, multi:perform())
    assert.equal(0, multi:poll(FOREVER))
    assert.same({}, multi:waitfds())
    multi:wakeup()
    multi:network_changed()
    assert.equal("closed", raised(multi.waker, multi).code)
  end)

  it("may be switched to and from, in mid-transfer", function()
    local d <close> = drive.new()
    local easy = add("/big", {}, d.multi)
    local function came(n) return function() return d.multi:stats().bytes_in > n end end
    d:run(came(0))
    perform_all(d.multi, came(1000000))
    d:run(came(4000000))
    perform_all(d.multi)
    assert.equal(nginx.BIG_SIZE, #easy:response().body)
    assert.is_nil(d.multi:check())
  end)

  describe("a wake", function()
    it("ends a poll that comes later, once", function()
      multi:wakeup()
      multi:wakeup()
      assert.equal(0, multi:poll(FOREVER))
      assert.equal(0, multi:poll(0))
      multi:wakeup()
      multi:perform()
      assert.equal(0, multi:poll(FOREVER))
    end)

    it("comes from another thread and Lua state", function()
      local thread = uv.new_thread(function(waker)
        local other = require "multisocket.core"
        for _ = 1, 100 do other.wake(waker) end
      end, multi:waker())
      assert.equal(0, multi:poll(FOREVER))
      thread:join()
    end)

    it("does not count and hides nothing", function()
      local fds = uv.socketpair()
      multi:wakeup()
      local mine = { { fd = fds[1], events = core.POLL_OUT } }
      assert.equal(1, multi:poll(FOREVER, mine))
      assert.equal(core.CSELECT_OUT, mine[1].revents)
      for _, fd in ipairs(fds) do uv.fs_close(fd) end
    end)

    it("hits nobody once the multi is gone", function()
      local other = core.multi {}
      local waker = other:waker()
      assert.equal(waker, other:waker())
      assert.is_true(waker > 0 and waker < 2 ^ 53)
      assert.is_true(core.wake(waker))
      other:poll(FOREVER)
      other = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      local fds = {} -- one of them has the number that the waker's descriptor had
      for i = 1, 8 do fds[i] = uv.socketpair() end
      assert.is_false(core.wake(waker))
      local next_one = core.multi {} -- in the place of the other
      assert.is_not_equal(waker, next_one:waker())
      assert.is_false(core.wake(waker))
      for _, pair in ipairs(fds) do
        local quiet = { { fd = pair[1], events = 1 }, { fd = pair[2], events = 1 } }
        assert.equal(0, multi:poll(0, quiet))
        for _, fd in ipairs(pair) do uv.fs_close(fd) end
      end
      for _, never in ipairs { 0, -1, 1, math.maxinteger, math.mininteger } do
        assert.is_false(core.wake(never))
      end
    end)

    it("is one of 4096 numbers at a time", function()
      local r = process.run({ "lua5.4", "-e", [[
        local core = require "multisocket.core"
        local all, seen, n = {}, {}, 0
        for i = 1, 4096 do
          all[i] = core.multi {}
          seen[all[i]:waker()] = true
        end
        for _ in pairs(seen) do n = n + 1 end
        local extra = core.multi {}
        print(n, select(2, pcall(extra.waker, extra)).code)
        all[7] = nil
        collectgarbage()
        collectgarbage()
        print(seen[extra:waker()])
      ]] }, { timeout = 60000 })
      assert.equal("4096\ttoo_many_files\nnil\n", r.stdout)
    end)
  end)

  it("a signal ends poll", function()
    local r = process.run({ "lua5.4", "-e", [[
      local core, uv = require "multisocket.core", require "luv"
      local me = uv.os_getpid()
      local thread = uv.new_thread(function(pid)
        local luv = require "luv"
        while luv.fs_open("/dev/null", "r", 0) and not _G.stop do
          luv.sleep(20)
          luv.kill(pid, "sigint")
        end
      end, me)
      print(pcall(function() while true do core.multi {}:poll(-1) end end))
      os.exit(0)
    ]] }, { timeout = 60000 })
    assert.truthy(r.stdout:find("^false\t.*interrupted!\n"), r.stdout .. r.stderr)
  end)

  describe("network_changed", function()
    it("closes idle connections and reuses no other", function()
      add("/small")
      perform_all(multi)
      assert.equal(1, multi:stats().idle)
      local slow, n = nil, 0 -- which stands still until we let it go
      slow = add("/bytes/1000000", { on_data = function(chunk)
        if n == 0 then slow:pause(core.PAUSE_RECV) end
        n = n + #chunk
      end })
      perform_all(multi, function() return n > 0 end)
      assert.is_true(multi:running() == 1)
      add("/small")
      perform_all(multi, function() return multi:stats().idle == 1 end)
      multi:network_changed()
      assert.same({ 0, 1 }, { multi:stats().idle, multi:stats().connections })
      slow:pause(core.PAUSE_CONT)
      perform_all(multi)
      assert.equal(1000000, n)
      assert.same({ 0, 2 }, { multi:stats().connections, multi:stats().closed })
      add("/small")
      perform_all(multi)
      assert.equal(3, multi:stats().opened)
    end)

    it("lets the streams of HTTP/2 end", function()
      local s <close> = servers.node()
      local function get(path) return add(s:url(path), { version = "2-prior-knowledge" }) end
      local first = get("/slow/3000")
      perform_all(multi, function()
        return multi:stats().opened == 1 and multi:stats().queued == 0
      end)
      multi:network_changed()
      local second = get("/bytes/10")
      perform_all(multi, function() return multi:running() == 1 end)
      assert.equal(200, second:response().status)
      assert.equal(2, multi:stats().opened)
      multi:remove_handle(first)
      assert.equal(1, multi:stats().connections)
    end)
  end)

  it("dump shows what waits for what", function()
    assert.equal("multi 0 running, 0 waiting, 0 messages, wake in -1 ms\n"
      .. "endpoints\nconnections\ntransfers\n", multi:dump())
    local p <close> = peer.start { { { "hang" } } }
    local easy = add(p:url("/path"))
    perform_all(multi, function() return multi:stats().bytes_out > 0 end)
    local text = multi:dump()
    local function has(what) assert.truthy(text:find(what, 1, true), what .. "\n" .. text) end
    has("multi 1 running, 0 waiting, 0 messages")
    has(("\n  127.0.0.1:%d 1 connections, 0 of them connecting, 0 waiting\n"):format(p.port))
    has("\n  #c1 open to 127.0.0.1 at 127.0.0.1:" .. p.port .. ", fd ")
    has("waits for in, 1 streams\n")
    has("\n  x1 active on #c1, phase headers: " .. p:url("/path") .. "\n")
    easy:pause(core.PAUSE_RECV)
    text = multi:dump()
    has("waits for nothing, 1 streams, held\n")
    has("x1 active on #c1, receiving paused, phase headers: ")
    multi:close()
    text = multi:dump()
    has("closed 0 running, 0 waiting, 1 messages")
  end)
end)
