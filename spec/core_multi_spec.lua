-- SPDX-License-Identifier: MIT
--
-- multisocket.core: multi handles, their callbacks, and what happens to
-- handles that are closed, collected or met in odd places.
local core = require "multisocket.core"
local drive = require "spec.support.drive"
local nginx = require "spec.support.server"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local process = require "spec.support.process"
local uv = require "luv"

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "nothing was raised")
  return err
end

local function assert_usage(code, message, fn, ...)
  local err = raised(fn, ...)
  assert.is_true(core.is_error(err), "not an err: " .. tostring(err))
  assert.equal("usage", err.category)
  assert.equal(code, err.code)
  assert.equal(message, err.message)
end

local function matches(pattern, text)
  text = tostring(text)
  assert.is_truthy(text:find(pattern), ("%q is not in %q"):format(pattern, text))
end

local function fd_count() return process.fd_count() end

describe("core.multi:", function()
  local server, d, errors

  setup(function() server = nginx.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    errors = {}
    d = drive.new { errorfunction = function(err, traceback)
      errors[#errors + 1] = { err = err, traceback = traceback }
    end }
  end)
  after_each(function()
    assert.is_nil(d.multi:check())
    d:close()
    assert.same({}, d.watched)
  end)

  local function add(path, opts)
    local easy = core.easy(opts)
    easy:setopt { url = server:url(path) }
    d.multi:add_handle(easy)
    return easy
  end

  -- Everything that ended: easy -> true or the err.
  local function ends()
    local list = {}
    for easy, ok, err in d.multi.info_read, d.multi do list[easy] = ok or err end
    return list
  end

  describe("arguments", function()
    it("have types", function()
      local m, easy = d.multi, core.easy()
      assert_usage("bad_argument", "argument #2 must be an easy handle, not nil", m.add_handle, m)
      assert_usage("bad_argument", "argument #2 must be an easy handle, not multisocket.multi",
        m.add_handle, m, m)
      assert_usage("bad_argument", "argument #1 must be a multi handle, not multisocket.easy",
        m.add_handle, easy, easy)
      assert_usage("bad_argument", "argument #1 must be a multi handle, not nil", m.running)
      assert_usage("bad_argument", "argument #1 must be a multi handle, not userdata",
        m.running, io.stdout and uv.new_thread and debug.upvalueid(drive.new, 1))
      assert_usage("bad_argument", "argument #2 must be an easy handle, not string",
        m.remove_handle, m, "x")
      assert_usage("bad_argument", "argument #2 must be a number, not string",
        m.socket_action, m, "1")
      assert_usage("bad_argument", "argument #3 must be a whole number from 0 to 7, not 8",
        m.socket_action, m, 1, 8)
      assert_usage("bad_argument", "argument #3 must be a whole number from 0 to 7, not 1.5",
        m.socket_action, m, 1, 1.5)
      assert_usage("bad_argument", "argument #2 must be a number, not nil", m.assign, m)
      matches("must be a whole number from", raised(m.socket_action, m, 2^40))
      for _, name in ipairs { "setopt", "info_read", "timeout", "handles", "sockets", "stats",
        "close", "check" } do
        assert_usage("bad_argument", "argument #1 must be a multi handle, not table", m[name], {})
      end
    end)

    it("that are options have names and types", function()
      local function wrong(t) return raised(core.multi, t).message end
      assert.equal('unknown option "socketfuncton" (did you mean "socketfunction"?)',
        wrong { socketfuncton = print })
      assert.equal('unknown option "url"', wrong { url = "x" })
      assert.equal("option names are strings, not number", wrong { print })
      assert.equal('option "socketfunction" must be a function or false, not table',
        wrong { socketfunction = {} })
      assert.equal('option "donefunction" must be a function or false, not boolean',
        wrong { donefunction = true })
      assert.equal('option "max_idle" must be a whole number of at least 0, not -1',
        wrong { max_idle = -1 })
      assert.equal('option "max_idle" must be a number or false, not string',
        wrong { max_idle = "5" })
      assert.equal('option "idle_timeout" must be a number, not boolean',
        wrong { idle_timeout = false })
      assert_usage("bad_argument", "options must be a table, not string", core.multi, "x")
      assert_usage("bad_argument", "options must be a table, not nil", d.multi.setopt, d.multi)
    end)

    it("are all checked before anything changes", function()
      local calls = 0
      d.multi:setopt { donefunction = function() calls = calls + 1 end }
      raised(d.multi.setopt, d.multi, { donefunction = false, max_idle = "x" })
      raised(d.multi.setopt, d.multi, { donefunction = false, nonsense = 1 })
      add("/small")
      d:run()
      assert.equal(1, calls)
    end)
  end)

  describe("transfers", function()
    it("run side by side and are read one by one", function()
      local easies = {}
      for i = 1, 20 do easies[i] = add("/bytes/" .. (i % 2 * 1000)) end
      assert.equal(20, d.multi:running())
      assert.equal(20, #d.multi:handles())
      d:run()
      assert.equal(20, #d.multi:handles())
      local seen = {}
      for n = 19, 0, -1 do
        local easy, ok, err, left = d.multi:info_read()
        assert.same({ true, nil, n }, { ok, err, left })
        seen[easy] = true
      end
      assert.equal(1, select("#", d.multi:info_read()))
      assert.is_nil((d.multi:info_read()))
      for i, easy in ipairs(easies) do
        assert.is_true(seen[easy])
        assert.equal(i % 2 * 1000, #easy:response().body)
        assert.is_true(d.multi:remove_handle(easy))
      end
      assert.same({}, d.multi:handles())
    end)

    it("cannot be added twice", function()
      local easy = add("/small")
      local other = core.multi()
      for _, m in ipairs { d.multi, other } do
        assert_usage("already_added", "add_handle: the easy handle is added already",
          m.add_handle, m, easy)
      end
      assert_usage("bad_argument", "the easy handle is in another multi handle",
        other.remove_handle, other, easy)
      d:run()
      assert_usage("already_added", "add_handle: the easy handle is added already",
        d.multi.add_handle, d.multi, easy)
      assert.is_true(d.multi:remove_handle(easy))
      assert.is_true(d.multi:remove_handle(easy))
      assert.is_true(other:add_handle(easy))
      other:close()
    end)

    it("that are removed say nothing more", function()
      local easy = add("/small", { on_data = error, on_headers = error })
      d:turn()
      d.multi:remove_handle(easy)
      assert.equal(0, d.multi:running())
      for _ = 1, 5 do d.multi:socket_action(core.SOCKET_TIMEOUT, 0) end
      assert.is_nil(d.multi:info_read())
      assert.same({}, errors)
    end)

    it("are kept alive by the multi", function()
      local alive = setmetatable({}, { __mode = "v" })
      local body
      alive.easy = add("/bytes/10000", { on_data = function(s) body = (body or "") .. s end })
      collectgarbage()
      collectgarbage()
      assert.is_truthy(alive.easy)
      d:run()
      assert.equal(10000, #body)
      d.multi:remove_handle((d.multi:info_read()))
      collectgarbage()
      collectgarbage()
      assert.is_nil(alive.easy)
    end)

    it("are told to donefunction, and may start others there", function()
      local told = {}
      local next_easy = core.easy { url = server:url("/small") }
      d.multi:setopt { donefunction = function(easy, ok, err)
        told[#told + 1] = { easy, ok, err }
        if #told == 1 then d.multi:add_handle(next_easy) end
      end }
      local first = add("/small")
      local failing = core.easy { url = ("http://127.0.0.1:%d/"):format(port.free()) }
      d:run()
      d.multi:add_handle(failing)
      d:run()
      assert.same({ first, true }, told[1])
      assert.same({ next_easy, true }, told[2])
      assert.same({ failing, false }, { told[3][1], told[3][2] })
      assert.equal("connection_refused", told[3][3].code)
      assert.is_true(core.is_error(told[3][3]))
      assert.equal(3, #told)
      local list = ends()
      assert.same({ true, true }, { list[first], list[next_easy] })
      assert.equal("connection_refused", list[failing].code)
    end)

    it("run in a coroutine too", function()
      local co = coroutine.wrap(function()
        local easy = add("/small")
        coroutine.yield()
        d:run()
        return easy:response().body
      end)
      co()
      assert.equal("hello, world\n", co())
      collectgarbage()
    end)
  end)

  describe("socketfunction", function()
    it("hears what to watch, and keeps a value for it", function()
      local log = {}
      local socketfunction = d:socketfunction(function(easy, fd, what, value)
        log[#log + 1] = { easy = easy, fd = fd, what = what, value = value }
        if what ~= core.POLL_REMOVE and not value then
          assert.is_true(d.multi:assign(fd, { "mine", fd }))
        end
      end)
      d.multi:setopt { socketfunction = socketfunction }
      local easy = add("/small")
      d:run()
      d.multi:remove_handle(easy)
      d.multi:close()
      assert.is_true(#log >= 2)
      assert.is_nil(log[1].value)
      assert.equal(core.POLL_REMOVE, log[#log].what)
      for i = 2, #log do assert.same({ "mine", log[1].fd }, log[i].value) end
    end)

    it("gets nothing for a descriptor that is not watched", function()
      local ok, err = d.multi:assign(1000, "x")
      assert.is_nil(ok)
      assert.is_true(core.is_error(err))
      assert.equal("descriptor 1000 is not watched", err.message)
    end)

    it("can be taken back", function()
      local value
      add("/slow")
      d:run(function() return next(d.watched) end)
      local fd = next(d.watched)
      local also = d:socketfunction(function(_, _, _, v) value = v end)
      d.multi:setopt { socketfunction = also }
      d.multi:assign(fd, "x")
      d.multi:assign(fd, nil)
      d.multi:setopt { socketfunction = also }
      assert.is_nil(value)
    end)

    it("is replaced in mid-transfer: the old one lets go, the new one gets all", function()
      local log = {}
      local function logger(name)
        return d:socketfunction(function(_, _, what)
          log[#log + 1] = name .. (what == core.POLL_REMOVE and "-" or "+")
        end)
      end
      d.multi:setopt { socketfunction = logger("a") }
      local easy = add("/bytes/1000000")
      d:run(function() return #d.multi:sockets() > 0 and d.multi:sockets()[1].action > 0 end)
      log = {}
      d.multi:setopt { socketfunction = logger("b") }
      assert.same({ "a-", "b+" }, log)
      d.multi:setopt { socketfunction = false }
      assert.same({ "a-", "b+", "b-" }, log)
      d.multi:setopt { socketfunction = d:socketfunction() }
      d:run()
      assert.equal(1000000, #easy:response().body)
    end)

    it("that raises ends the transfers of that socket", function()
      local value, armed = {}, true
      d.multi:setopt { socketfunction = d:socketfunction(function(_, _, what)
        if armed and what ~= core.POLL_REMOVE then
          armed = false
          error(value)
        end
      end) }
      local bad = add("/small")
      d:run()
      local good = add("/small")
      d:run()
      local list = ends()
      assert.equal("callback_error", list[bad].code)
      assert.is_true(rawequal(value, list[bad].cause))
      matches("core_multi_spec.lua", list[bad].traceback)
      assert.is_true(list[good])
      assert.same({}, errors)
    end)

    it("that raises once the request is sent ends that transfer", function()
      local armed = false
      d.multi:setopt { socketfunction = d:socketfunction(function(_, _, what)
        if armed and what ~= core.POLL_REMOVE then error("no more", 0) end
      end) }
      local easy = add("/slow")
      d:run(function() return d.multi:stats().bytes_out > 0 end)
      armed = true
      easy:pause(core.PAUSE_RECV)
      easy:pause(core.PAUSE_CONT)
      d:run()
      local err = ends()[easy]
      if err == true then return end -- the wish did not change: nothing to tell
      assert.equal("callback_error", err.code)
      assert.equal("no more", err.cause)
    end)

    it("that raises for nobody's socket is reported", function()
      local easy = add("/small")
      d:run()
      assert.is_true(ends()[easy])
      d.multi:setopt { socketfunction = function(_, _, what)
        if what == core.POLL_REMOVE then return end
        error("idle", 0)
      end }
      for _ = 1, 3 do d.multi:socket_action(core.SOCKET_TIMEOUT, 0) end
      assert.equal(1, #errors)
      assert.equal("idle", errors[1].err)
      matches("core_multi_spec.lua", errors[1].traceback)
      d.watched = {}
    end)
  end)

  describe("timerfunction", function()
    it("is told 0 by an add, once", function()
      local log = {}
      d.multi:setopt { timerfunction = d:timerfunction(function(multi, ms)
        assert.equal(d.multi, multi)
        log[#log + 1] = ms
      end) }
      assert.same({}, log)
      local first, second = add("/small"), add("/small")
      assert.same({ 0 }, log)
      d.multi:remove_handle(first)
      d.multi:remove_handle(second)
      assert.same({ 0, -1 }, log)
      assert.equal(nil, d.multi:timeout())
    end)

    it("is given the same time as timeout()", function()
      local told
      d.multi:setopt { timerfunction = d:timerfunction(function(_, ms) told = ms end) }
      local p = peer.start { { { "request" }, { "hang" } } }
      finally(function() p:stop() end)
      local easy = core.easy { url = p:url(), timeout = 5000 }
      d.multi:add_handle(easy)
      d:run(function() return d.multi:stats().bytes_out > 0 end)
      d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
      assert.is_true(told > 0)
      assert.is_true(told <= 5000)
      assert.is_true(d.multi:timeout() <= told)
      d.multi:remove_handle(easy)
    end)

    it("that raises ends all transfers", function()
      local easies = { add("/small"), add("/slow"), add("/small") }
      local armed = true
      d.multi:setopt { timerfunction = d:timerfunction(function()
        if armed then
          armed = false
          error({ "timer" })
        end
      end) }
      d:run()
      local list = ends()
      for _, easy in ipairs(easies) do
        assert.equal("callback_error", list[easy].code)
        assert.same({ "timer" }, list[easy].cause)
      end
      assert.same({}, errors)
    end)
  end)

  describe("an error of donefunction", function()
    it("is reported", function()
      d.multi:setopt { donefunction = function() error("mine", 0) end }
      local easy = add("/small")
      d:run()
      assert.equal("mine", errors[1].err)
      matches("core_multi_spec.lua", errors[1].traceback)
      assert.is_true(ends()[easy])
    end)

    it("is printed when there is no errorfunction", function()
      local r = process.run({ "lua5.4", "-e", [[
        local core = require "multisocket.core"
        local m = core.multi { donefunction = function() error { "table" } end }
        m:add_handle(core.easy { url = "nonsense" })
        m:socket_action(core.SOCKET_TIMEOUT, 0)
        m:setopt { errorfunction = function() error "again" end }
        m:add_handle(core.easy { url = "nonsense" })
        m:socket_action(core.SOCKET_TIMEOUT, 0)
      ]] })
      assert.equal(0, r.code)
      matches("^multisocket: table: 0x%x+\nstack traceback:\n", r.stderr)
      matches("multisocket: errorfunction failed: .*again\n$", r.stderr)
    end)

    it("ends the job of no other transfer", function()
      local n = 0
      d.multi:setopt { donefunction = function()
        n = n + 1
        error(n, 0)
      end }
      for _ = 1, 5 do add("/small") end
      d:run()
      assert.equal(5, #errors)
      assert.same({ 1, 5 }, { errors[1].err, errors[5].err })
    end)
  end)

  describe("an interrupt", function()
    local function interrupt() error("stdin:1: interrupted!", 0) end

    it("in any callback is raised where the program called", function()
      local cases = {
        on_data = function() add("/small", { on_data = interrupt }) end,
        on_headers = function() add("/small", { on_headers = interrupt }) end,
        donefunction = function()
          d.multi:setopt { donefunction = interrupt }
          add("/small")
        end,
      }
      for name, begin in pairs(cases) do
        begin()
        local message = raised(d.run, d)
        matches("interrupted!$", message)
        d.multi:setopt { donefunction = false }
        for _, easy in ipairs(d.multi:handles()) do d.multi:remove_handle(easy) end
        assert.equal(0, d.multi:running(), name)
      end
      assert.same({}, errors)
    end)

    it("in socketfunction and timerfunction is, too", function()
      local armed = true
      local function interrupt_once()
        if armed then
          armed = false
          interrupt()
        end
      end
      d.multi:setopt { timerfunction = d:timerfunction(interrupt_once) }
      matches("interrupted!$", raised(add, "/small"))
      d:run()
      d.multi:setopt { timerfunction = d:timerfunction() }
      add("/small")
      armed = true
      d.multi:setopt { socketfunction = d:socketfunction(interrupt_once) }
      matches("interrupted!$", raised(d.run, d))
      assert.same({}, errors)
    end)

    it("in the errorfunction is, too", function()
      d.multi:setopt { errorfunction = interrupt, donefunction = error }
      add("/small")
      matches("interrupted!$", raised(d.run, d))
    end)

    it("leaves everything in order", function()
      local easy = add("/small", { on_data = interrupt })
      matches("interrupted!$", raised(d.run, d))
      assert.is_nil(d.multi:check())
      d:run()
      local err = ends()[easy]
      assert.equal("callback_error", err.code)
      matches("interrupted!$", err.cause)
      d.multi:remove_handle(easy)
      easy:setopt { on_data = false }
      d.multi:add_handle(easy)
      d:run()
      assert.equal("hello, world\n", easy:response().body)
    end)

    it("from a signal is, too", function()
      local r = process.run({ "lua5.4", "-e", ([[
        local core = require "multisocket.core"
        local drive = require "spec.support.drive"
        local uv = require "luv"
        local d = drive.new { errorfunction = function(err) print("reported", err) end }
        d.multi:add_handle(core.easy { url = %q, on_data = function()
          uv.kill(uv.os_getpid(), "sigint")
          while true do end
        end })
        print(pcall(d.run, d))
      ]]):format(server:url("/small")) }, { timeout = 60000 })
      matches("^false\t.*interrupted!\n$", r.stdout)
    end)
  end)

  describe("introspection", function()
    it("lists handles and sockets", function()
      local easy = add("/slow")
      d:run(function() return d.multi:stats().bytes_in > 0 end)
      assert.same({ easy }, d.multi:handles())
      local sockets = d.multi:sockets()
      assert.equal(1, #sockets)
      local s = sockets[1]
      assert.equal(next(d.watched), s.fd)
      assert.equal(d.watched[s.fd], s.action)
      assert.is_true(s.readers >= 1)
      assert.equal(0, s.writers)
      assert.equal("connection", s.owner)
      assert.same({ easy }, s.easies)
      d.multi:remove_handle(easy)
      assert.same({}, d.multi:handles())
    end)

    it("counts", function()
      for _ = 1, 3 do
        add("/small")
        d:run()
      end
      local s = d.multi:stats()
      assert.same({ 3, 3, 0, 1, 2, 0 },
        { s.added, s.done, s.removed, s.opened, s.reused, s.running })
      assert.same({ 1, 1, 0, 0 }, { s.connections, s.idle, s.connecting, s.queued })
      assert.is_true(s.bytes_in > 300 and s.bytes_out > 100 and s.actions > 3)
      for _, easy in ipairs(d.multi:handles()) do d.multi:remove_handle(easy) end
      assert.equal(3, d.multi:stats().removed)
    end)

    it("obeys max_idle and idle_timeout", function()
      d.multi:setopt { max_idle = 0 }
      add("/small")
      d:run()
      assert.equal(0, d.multi:stats().connections)
      d.multi:setopt { max_idle = 5, idle_timeout = 1 }
      local other = add("/slow") -- or a driver may look no more
      add("/small")
      d:run(function() return d.multi:stats().closed == 2 end)
      assert.equal(0, d.multi:stats().idle)
      d.multi:remove_handle(other)
    end)
  end)

  describe("a closed multi", function()
    it("has told of everything and does nothing more", function()
      local easies = { add("/slow"), add("/small"), add("/bytes/1000000") }
      d:run(function() return next(d.watched) end)
      d.multi:close()
      assert.same({}, d.watched)
      d.multi:close()
      assert.equal(0, d.multi:running())
      assert.equal(0, d.multi:socket_action(core.SOCKET_TIMEOUT, 0))
      assert.is_nil(d.multi:timeout())
      assert.same({}, d.multi:sockets())
      d.multi:setopt { socketfunction = error, timerfunction = error, max_idle = 3 }
      assert.is_nil((d.multi:assign(3, "x")))
      assert_usage("closed", "add_handle: the handle is closed", d.multi.add_handle, d.multi,
        core.easy())
      local list = ends()
      for _, easy in ipairs(easies) do assert.equal("cancelled", list[easy].code) end
      for _, easy in ipairs(easies) do assert.is_true(d.multi:remove_handle(easy)) end
      assert.equal("cancelled", list[easies[1]].category)
      assert.same({}, errors)
    end)

    it("was closed by its scope, or in a callback", function()
      local told
      do
        local m <close> = core.multi { donefunction = function(_, _, err) told = err.code end }
        m:add_handle(core.easy { url = server:url("/small") })
      end
      assert.equal("cancelled", told)
      local easy = add("/bytes/1000000", { on_data = function() d.multi:close() end })
      d:run()
      assert.equal("cancelled", ends()[easy].code)
    end)

    it("tells one-shot easies, too", function()
      local told
      d.multi:setopt { donefunction = function(easy, _, err) told = { easy, err.code } end }
      local easy = core.easy { url = server:url("/slow") }
      easy:oneshot(true)
      d.multi:add_handle(easy)
      d.multi:close()
      assert.same({ easy, "cancelled" }, told)
      assert.same({}, d.multi:handles())
    end)
  end)

  describe("a multi that is collected", function()
    it("announces nothing, and its easies stay usable", function()
      collectgarbage()
      collectgarbage()
      local before = fd_count()
      local easies, calls, alive = {}, 0, setmetatable({}, { __mode = "v" })
      do
        local other = drive.new { socketfunction = function() calls = calls + 1 end }
        for i = 1, 3 do
          easies[i] = core.easy { url = server:url("/small"), on_data = false }
          other.multi:add_handle(easies[i])
        end
        other:run(function() return next(other.watched) end)
        alive.multi = other.multi
        other.mode.close() -- a live driver may pin its multi
        other.set:close()
      end
      local n = calls
      collectgarbage()
      collectgarbage()
      assert.is_nil(alive.multi)
      assert.equal(n, calls)
      assert.equal(before, fd_count())
      for _, easy in ipairs(easies) do d.multi:add_handle(easy) end
      d:run()
      for _, easy in ipairs(easies) do assert.equal("hello, world\n", easy:response().body) end
    end)

    it("goes even when its callbacks know it", function()
      local alive = setmetatable({}, { __mode = "v" })
      do
        local m
        local function knows() return m end
        m = core.multi { donefunction = knows, timerfunction = knows, socketfunction = knows }
        local easy = core.easy { url = "x" }
        easy:setopt { on_data = function() return easy, m end }
        m:add_handle(easy)
        alive.multi, alive.easy = m, easy
      end
      collectgarbage()
      collectgarbage()
      collectgarbage()
      assert.same({}, alive)
    end)

    -- Found by spec/unit/test_engine.c: the host was left without a timer.
    it("loses no wake when timerfunction removes and adds again", function()
      local told, easy = {}, core.easy { url = "http://127.0.0.1:1/" }
      local multi = core.multi { timerfunction = function(m, ms)
        told[#told + 1] = ms
        if #told == 1 then m:remove_handle(easy) end
        if #told == 2 then m:add_handle(easy) end
      end }
      multi:add_handle(easy)
      assert.same({ 0, -1, 0 }, told)
      multi:close()
    end)

    it("is harmless in a finaliser", function()
      local r = process.run({ "lua5.4", "-e", ([[
        local core = require "multisocket.core"
        local keep = {}
        setmetatable(keep, { __gc = function()
          local m, easy = keep.multi, keep.easy
          assert(m:running() == 0 and m:socket_action(-1, 0) == 0)
          assert(m:timeout() == nil and m:info_read() == nil)
          assert(#m:handles() == 0 and #m:sockets() == 0 and m:stats().added == 0)
          assert(m:assign(3, 1) == nil and m:check() == nil)
          m:setopt { donefunction = print, max_idle = 1, socketfunction = print }
          m:close()
          assert(m:remove_handle(easy) == true)
          assert(not pcall(m.add_handle, m, easy))
          assert(not pcall(m.add_handle, m, keep.free))
          easy:close()
          assert(easy:response() == keep.response)
          assert(keep.set:fd() == nil and keep.set:dispatch(m) == 0)
          keep.set:watch(0, 1)
          assert(keep.response.status == 200 and keep.response.body == "hello, world\n")
          assert(keep.response.headers.server:find("nginx"))
          local request = keep.response.request -- gone with the option set, or not yet
          assert(request == nil or request.method == "GET")
          assert(keep.headers.server:find("nginx"))
          print("done")
        end })
        local drive = require "spec.support.drive"
        local d = drive.new()
        keep.multi, keep.set = d.multi, d.set
        keep.easy = core.easy { url = %q }
        keep.free = core.easy()
        d.multi:add_handle(keep.easy)
        d:run()
        keep.response = keep.easy:response()
        keep.headers = keep.response.headers
        d.multi:add_handle(keep.free)
      ]]):format(server:url("/small")) }, { timeout = 60000 })
      assert.equal("", r.stderr)
      assert.equal("done\n", r.stdout)
      assert.equal(0, r.code)
    end)
  end)

  describe("the end of the program", function()
    local SCRIPT = [[
      local core = require "multisocket.core"
      local uv = require "luv"
      local polls, timer = {}, uv.new_timer()
      local multi
      local function act(fd, mask) multi:socket_action(fd, mask) end
      multi = core.multi {
        socketfunction = function(_, fd, what)
          if what == core.POLL_REMOVE then
            polls[fd]:close()
            polls[fd] = nil
            return
          end
          polls[fd] = polls[fd] or uv.new_poll(fd)
          polls[fd]:start(({ "r", "w", "rw" })[what], function(_, events)
            act(fd, (events:find("r") and 1 or 0) | (events:find("w") and 2 or 0))
          end)
        end,
        timerfunction = function(_, ms)
          if ms < 0 then return timer:stop() end
          timer:start(ms == 0 and 1 or ms, 0, function() act(core.SOCKET_TIMEOUT, 0) end)
        end,
      }
      local easies = {}
      for i = 1, 3 do
        easies[i] = core.easy { url = %q, on_data = function() collectgarbage() end }
        multi:add_handle(easies[i])
      end
      for _ = 1, %d do uv.run("once") end
      %s
    ]]

    it("may come at any time", function()
      for _, ending in ipairs { "", "os.exit(0, true)", "os.exit(0)", "easies = nil", "multi = nil",
        "multi:close() uv.run('nowait')",
        "for _, e in ipairs(easies) do e:close() end uv.run('nowait')" } do
        for turns = 0, 4, 2 do
          local r = process.run({ "lua5.4", "-e",
            SCRIPT:format(server:url("/bytes/1000000"), turns, ending) }, { timeout = 60000 })
          assert.same({ 0, "", "" }, { r.code or r.signal, r.stdout, r.stderr }, ending .. turns)
        end
      end
    end)

    it("may come inside a callback", function()
      local r = process.run({ "lua5.4", "-e", ([[
        local core = require "multisocket.core"
        local d = require("spec.support.drive").new()
        d.multi:add_handle(core.easy { url = %q, on_data = function() os.exit(7, true) end })
        d:run()
      ]]):format(server:url("/small")) }, { timeout = 60000 })
      assert.equal(7, r.code)
      assert.equal("", r.stderr)
    end)
  end)

  describe("the module", function()
    it("may be opened twice", function()
      local easy, options = core.easy { url = server:url("/small") }, core.options {}
      package.loaded["multisocket.core"] = nil
      local again = require "multisocket.core"
      package.loaded["multisocket.core"] = core
      assert.not_equal(core, again)
      assert.equal(core.response_methods, again.response_methods)
      local m = again.multi()
      m:add_handle(easy)
      m:remove_handle(easy)
      easy:begin("x", again.options({}, options))
      assert.is_true(again.is_error(core.error {}))
    end)

    it("works in two threads", function()
      local function work(url, id)
        local core_ = require "multisocket.core"
        local drive_ = require "spec.support.drive"
        local d_ = drive_.new()
        local bytes = 0
        for _ = 1, 50 do
          local easy = core_.easy { url = url, on_data = function(s) bytes = bytes + #s end }
          d_.multi:add_handle(easy)
          d_:run()
          d_.multi:remove_handle(easy)
        end
        d_:close()
        local f = assert(io.open(id, "w"))
        f:write(bytes)
        f:close()
      end
      local threads, files = {}, {}
      for i = 1, 2 do
        files[i] = os.tmpname()
        threads[i] = uv.new_thread(work, server:url("/bytes/10000"), files[i])
      end
      for i, thread in ipairs(threads) do
        thread:join()
        local f = assert(io.open(files[i]))
        assert.equal("500000", f:read("a"))
        f:close()
        os.remove(files[i])
      end
    end)

    it("has libcurl's numbers", function()
      assert.same({ 1, 2, 3, 4 },
        { core.POLL_IN, core.POLL_OUT, core.POLL_INOUT, core.POLL_REMOVE })
      assert.same({ 1, 2, 4, -1 }, { core.CSELECT_IN, core.CSELECT_OUT, core.CSELECT_ERR,
        core.SOCKET_TIMEOUT })
      assert.same({ 0, 1, 4, 5 }, { core.PAUSE_CONT, core.PAUSE_RECV, core.PAUSE_SEND,
        core.PAUSE_ALL })
    end)
  end)

  describe("an epoll set", function()
    it("checks what it gets", function()
      local set = core.epoll()
      assert_usage("bad_argument", "argument #2 must be a number, not nil", set.watch, set)
      assert_usage("bad_argument", "argument #3 must be a whole number from 1 to 4, not 0",
        set.watch, set, 0, 0)
      assert_usage("bad_argument", "argument #2 must be a multi handle, not nil", set.dispatch, set)
      assert_usage("bad_argument", "argument #1 must be an epoll set, not multisocket.multi",
        set.fd, d.multi)
      local err = raised(set.watch, set, 99999, 1)
      assert.equal(9, err.errno)
      matches("Bad file descriptor", err.message)
      set:watch(99999, core.POLL_REMOVE)
      set:close()
      set:close()
      assert.is_nil(set:fd())
      assert.equal(0, set:dispatch(d.multi))
      set:watch(0, 1)
    end)

    it("says when there are no descriptors left", function()
      local r = process.run({ "lua5.4", "-e", [[
        local core = require "multisocket.core"
        local sets, ok, err = {}, true, nil
        while ok do ok, err = pcall(core.epoll) sets[#sets + 1] = err end
        print(err.code, err.category, err.errno)
      ]] }, { files = 20, timeout = 60000 })
      assert.equal("too_many_files\tconnect\t24\n", r.stdout)
    end)

    it("waits until a descriptor is ready or the time is over", function()
      assert.is_false(core.wait(d.set:fd(), 1))
      local easy = add("/small")
      d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
      assert.is_true(core.wait(d.set:fd(), 5000))
      assert.is_true(core.wait(d.set:fd(), 5000))
      d.multi:remove_handle(easy)
      assert.equal("internal", raised(core.wait, 99999, 0).category)
    end)
  end)
end)
