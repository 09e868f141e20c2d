-- SPDX-License-Identifier: MIT
--
-- An error in any function of the program's that the library calls: it ends
-- its own transfer at most, the others and the loop go on, and the very value
-- arrives where somebody can catch it, or once at ms.on_error.
local uv = require "luv"
local core = require "multisocket.core"
local luv = require "multisocket.luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local server = require "spec.support.server"

-- What can be raised. Lua code must get each unchanged; nil too.
local VALUES = {
  string = "boom",
  table = { "boom" },
  ["err"] = core.error({ category = "http", code = "status", message = "boom" }),
  ["function"] = function() end,
  number = 42,
  boolean = false,
  ["unprintable table"] = setmetatable({}, { __tostring = function() error("no") end }),
}

describe("an error in", function()
  local nginx

  setup(function() nginx = server.start() end)
  teardown(function() nginx:stop() end)

  local function thrower(value)
    return function() error(value, 0) end
  end

  -- Something else that is under way, and has to end well.
  local function neighbour()
    local t = ms.spawn(function()
      for _ = 1, 3 do assert(ms.fetch(nginx:url("/bytes/10000"))) end
      return "fine"
    end)
    return function() assert.same({ true, "fine" }, { t:wait() }) end
  end

  -- fn(value) has the error happen; nobody catches it: one report.
  local function assert_reported(fn)
    for what, value in pairs(VALUES) do
      local fine = neighbour()
      local reports = async.reports(function()
        fn(value)
        fine()
        ms.sleep(2)
      end)
      assert.equal(1, #reports, what)
      assert.is_true(rawequal(value, reports[1].err), what)
      assert.is_string(reports[1].traceback)
      assert.matches("callback_errors_spec.lua", reports[1].traceback)
    end
  end

  -- fn(value) gives the res and err of the transfer that ends by it.
  local function assert_ends_transfer(fn)
    for what, value in pairs(VALUES) do
      local fine = neighbour()
      local reports = async.reports(function()
        local res, err = fn(value)
        assert.is_nil(res)
        assert.equal("callback", err.category, what)
        assert.equal("callback_error", err.code)
        assert.is_true(rawequal(value, err.cause), what)
        assert.matches("callback_errors_spec.lua", err.traceback)
        fine()
      end)
      assert.same({}, reports)
    end
  end

  it("request's callback is reported", async(function()
    assert_reported(function(value)
      local called = 0
      ms.request(nginx:url("/small"), function()
        called = called + 1
        error(value, 0)
      end)
      while called == 0 do ms.sleep(1) end
      ms.sleep(2)
      assert.equal(1, called)
    end)
  end))

  it("request's callback after a cancel is reported", async(function()
    assert_reported(function(value)
      ms.request(nginx:url("/small"), thrower(value)):cancel()
    end)
  end))

  it("handle:close's callback is reported", async(function()
    assert_reported(function(value)
      ms.request(nginx:url("/small"), function() end):close(thrower(value))
    end)
  end))

  it("on_headers and on_data ends that transfer", async(function()
    for _, name in ipairs({ "on_headers", "on_data" }) do
      assert_ends_transfer(function(value)
        return ms.fetch(nginx:url("/bytes/10000"), { [name] = thrower(value) })
      end)
      assert_ends_transfer(function(value)
        local done
        ms.request(nginx:url("/small"), { [name] = thrower(value) }, function(err, res)
          done = { res, err }
        end)
        while not done do ms.sleep(1) end
        return done[1], done[2]
      end)
    end
  end))

  it("on_data that cancelled its own request is reported", async(function()
    assert_reported(function(value)
      local handle, told = nil, 0
      handle = ms.request(nginx:url("/small"), { on_data = function()
        handle:cancel()
        error(value, 0)
      end }, function(err)
        assert.equal("cancelled", err.code)
        told = told + 1
      end)
      while told == 0 do ms.sleep(1) end
    end)
  end))

  it("a task that nobody waits for is reported", async(function()
    assert_reported(function(value) ms.spawn(thrower(value)) end)
    assert_reported(function(value)
      ms.spawn(function()
        ms.sleep(1)
        error(value, 0)
      end)
      ms.sleep(5)
    end)
  end))

  it("a task that somebody waits for is given to that one only", async(function()
    for _, value in pairs(VALUES) do
      local reports = async.reports(function()
        local ok, err = ms.spawn(thrower(value)):wait()
        assert.is_false(ok)
        assert.is_true(rawequal(value, err))
      end)
      assert.same({}, reports)
    end
  end))

  it("a coroutine of the program's, after a fetch, is reported", async(function()
    assert_reported(function(value)
      local co = coroutine.create(function()
        assert(ms.fetch(nginx:url("/small")))
        error(value, 0)
      end)
      assert(coroutine.resume(co))
      while coroutine.status(co) ~= "dead" do ms.sleep(1) end
    end)
  end))

  it("a coroutine of the program's, after a sleep, is reported", async(function()
    assert_reported(function(value)
      coroutine.wrap(function()
        ms.sleep(1)
        error(value, 0)
      end)()
      ms.sleep(5)
    end)
  end))

  it("a variable closed by a cancel is reported", async(function()
    assert_reported(function(value)
      local t = ms.spawn(function()
        local _ <close> = setmetatable({}, { __close = thrower(value) })
        ms.sleep(100000)
      end)
      ms.sleep(1)
      t:cancel()
    end)
  end))

  it("a variable closed when a dead coroutine is tidied is reported once more", async(function()
    local reports = async.reports(function()
      coroutine.wrap(function()
        local _ <close> = setmetatable({}, { __close = function() error("closing", 0) end })
        ms.sleep(1)
        error("first", 0)
      end)()
      ms.sleep(5)
    end)
    assert.equal("first", reports[1].err)
    assert.equal("closing", reports[2].err)
    assert.equal(2, #reports)
  end))

  it("the iterator given to each is raised from the loop", async(function()
    local value = {}
    local ok, err = pcall(function()
      for _ in ms.each(thrower(value)) do error("nothing can come") end
    end)
    assert.is_false(ok)
    assert.equal(value, err)
  end))

  it("a function given to gather, map, race, any, with_timeout is its caller's", async(function()
    for what, value in pairs(VALUES) do
      local fine = neighbour()
      local reports = async.reports(function()
        local fn = thrower(value)
        assert.is_true(rawequal(value, ms.gather({ fn })[1].error), what)
        assert.is_true(rawequal(value, ms.map({ 1 }, fn)[1].error), what)
        assert.is_true(rawequal(value, select(2, ms.race({ fn }))), what)
        assert.is_true(rawequal(value, select(2, ms.any({ fn })).errors[1]), what)
        assert.is_true(rawequal(value, select(2, ms.with_timeout(1000, fn))), what)
      end)
      assert.same({}, reports)
      fine()
    end
  end))

  it("ms.on_error is printed, and harms nothing", function()
    -- In a child: spec/script_spec.lua has the text.
    local process = require "spec.support.process"
    local r = process.run({ "lua5.4", "-" }, { stdin = [[
      local uv, ms = require "luv", require "multisocket"
      ms.on_error = function() error("second") end
      ms.spawn(function() error("first") end)
      local t = ms.spawn(function() ms.sleep(5) print("goes on") end)
      uv.run()]] })
    assert.equal(0, r.code)
    assert.equal("goes on\n", r.stdout)
    assert.matches("first.*second", r.stderr)
  end)

  it("donefunction is reported to errorfunction", function()
    for _, value in pairs(VALUES) do
      local seen, done = {}, 0
      local multi = core.multi({
        errorfunction = function(err, traceback) seen[#seen + 1] = { err, traceback } end,
        donefunction = function()
          done = done + 1
          error(value, 0)
        end })
      local driver = luv.attach(multi, uv)
      for _ = 1, 2 do multi:add_handle(core.easy({ url = nginx:url("/small") })) end
      uv.run()
      assert.equal(2, done)
      assert.equal(2, #seen)
      for _, e in ipairs(seen) do
        assert.is_true(rawequal(value, e[1]))
        assert.matches("callback_errors_spec", e[2])
      end
      multi:close()
      driver:close()
      uv.run("nowait")
    end
  end)
end)

describe("an error that nobody catches", function()
  it("is raised from what the main thread waits in", async.main(function()
    local value = {}
    local reports = async.reports(function()
      for _, wait in ipairs({
        function() ms.sleep(100000) end,
        function() ms.run(ms.sleep, 100000) end,
        function() ms.gather({ function() ms.sleep(100000) end }) end,
        function() ms.race({ function() ms.sleep(100000) end }) end,
        function() ms.with_timeout(100000, ms.sleep, 100000) end,
        function() ms.semaphore(1):run(ms.sleep, 100000) end,
        function() ms.wrap(function() ms.sleep(100000) end)() end,
      }) do
        coroutine.wrap(function()
          ms.sleep(2)
          error(value)
        end)()
        local ok, err = pcall(wait)
        assert.is_false(ok)
        assert.is_true(rawequal(value, err))
      end
    end)
    assert.same({}, reports)
  end))

  it("and is a second one at the same time goes to on_error", async.main(function()
    local reports = async.reports(function()
      ms.request(("http://127.0.0.1:%d/"):format(port.free()), function()
        error("first", 0)
      end):cancel()
      ms.request(("http://127.0.0.1:%d/"):format(port.free()), function()
        error("second", 0)
      end):cancel()
      local ok, err = pcall(ms.sleep, 100000)
      assert.is_false(ok)
      assert.matches("^first\n", err)
    end)
    assert.equal(1, #reports)
    assert.equal("second", reports[1].err)
  end))

  it("has the traceback of its own coroutine", async(function()
    local reports = async.reports(function()
      local function level_two()
        ms.sleep(1)
        error("deep")
      end
      local function level_one() level_two() end
      ms.spawn(function() level_one() end)
      coroutine.wrap(function() level_one() end)()
      coroutine.wrap(function()
        coroutine.wrap(function() level_one() end)() -- its parent is not in it
      end)()
      ms.sleep(10)
    end)
    assert.equal(3, #reports)
    for _, report in ipairs(reports) do
      assert.matches("level_two", report.traceback)
      assert.matches("level_one", report.traceback)
      assert.is_nil(report.traceback:find("luv.lua", 1, true)) -- nor is the driver
    end
  end))

  it("in ms.run has the traceback of the task", async.main(function()
    local function culprit()
      ms.sleep(1)
      error("deep")
    end
    local ok, err = pcall(ms.run, function()
      ms.spawn(function() culprit() end)
      ms.sleep(10)
    end)
    assert.is_false(ok)
    assert.matches("deep.*culprit", err)
  end))
end)

describe("an interrupt", function()
  -- Lua raises it in whatever runs, be that a callback: it is nobody's error.
  local function interrupt() error("callback: interrupted!", 0) end

  it("in a callback on the main thread is raised from what waits there", async.main(function()
    local p <close> = peer.start({ { { "request" }, { "send",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }, { "repeat" } } })
    local reports = async.reports(function()
      for _, start in ipairs({
        function() ms.request(p:url(), interrupt) end,
        function() ms.request(p:url(), interrupt):cancel() end,
        function() ms.request(p:url(), { on_data = interrupt }, function() end) end,
        function() ms.request(p:url(), { on_headers = interrupt }, function() end) end,
        function() ms.request(p:url(), function() end):close(interrupt) end,
      }) do
        start()
        local ok, err = pcall(ms.sleep, 5000)
        assert.is_false(ok)
        assert.equal("callback: interrupted!", err)
      end
    end)
    assert.same({}, reports)
  end))

  it("in on_error is raised, too", async.main(function()
    local usual, stderr, printed = ms.on_error, io.stderr, {}
    io.stderr = { write = function(_, ...) -- luacheck: ignore 122
      printed[#printed + 1] = table.concat({ ... })
    end }
    ms.on_error = interrupt
    ms.spawn(error, "first")
    ms.spawn(error, "second")
    local ok, err = pcall(ms.sleep, 5000)
    ms.on_error, io.stderr = usual, stderr -- luacheck: ignore 122
    assert.matches("second.*first", table.concat(printed)) -- what it was called for
    assert.is_false(ok)
    assert.equal("callback: interrupted!", err)
  end))
end)
