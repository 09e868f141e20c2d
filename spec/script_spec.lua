-- SPDX-License-Identifier: MIT
--
-- Whole programs: however one ends (its last line, an error, os.exit,
-- Ctrl-C) and whatever is under way then, it ends by itself, with its own exit
-- code and with nothing on the terminal that it did not say.
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local process = require "spec.support.process"
local server = require "spec.support.server"

local PRELUDE = [[
local uv = require "luv"
local ms = require "multisocket"
local URL, HANG, REFUSED, FULL = table.unpack(arg)
]]

describe("a script", function()
  local nginx, hanging, full, urls

  setup(function()
    nginx = server.start()
    hanging = peer.start({ { { "request" }, { "hang" } } })
    full = peer.start({}, { full = true })
    urls = { nginx:url("/small"), hanging:url(),
      ("http://127.0.0.1:%d/"):format(port.free()), full:url() }
  end)

  teardown(function()
    nginx:stop()
    hanging:stop()
    full:stop()
  end)

  local function start(text)
    return process.start({ "lua5.4", "-", table.unpack(urls) }, { stdin = text })
  end

  -- Runs it; no signal may end it, and stderr must be empty unless told.
  local function run(text, stderr)
    local result = start(PRELUDE .. text):wait(20000)
    assert.is_false(result.timed_out)
    assert.is_nil(result.signal, "ended by a signal: " .. tostring(result.signal))
    if stderr then
      assert.matches(stderr, result.stderr)
    else
      assert.equal("", result.stderr)
    end
    return result
  end

  -- What may be under way when a script ends, each as a piece of program.
  local SITUATIONS = {
    nothing = "",
    ["a finished fetch"] = "assert(ms.fetch(URL))",
    ["a finished fetch in a coroutine"] = "ms.run(function() assert(ms.fetch(URL)) end)",
    ["a request not begun"] = "ms.request(URL, function() end)",
    ["a request that hangs"] = "ms.request(HANG, function() end) ms.sleep(30)",
    ["a request being connected"] = "ms.request(FULL, function() end) ms.sleep(30)",
    ["a cancelled request"] = "local h = ms.request(HANG, function() end) ms.sleep(30) h:cancel()",
    ["a suspended coroutine"] = "co = coroutine.wrap(function() ms.fetch(HANG) end) co()",
    ["a task that waits"] = "t = ms.spawn(function() ms.fetch(HANG) end) ms.sleep(20)",
    ["a task not begun"] = "ms.spawn(function() ms.fetch(HANG) end)",
    ["a cancelled task"] = "local t = ms.spawn(ms.fetch, HANG) ms.sleep(20) t:cancel()",
    ["a sleeping task that was cancelled"] =
      "local t = ms.spawn(ms.sleep, 100000) ms.sleep(1) t:cancel()",
    ["a fetch that timed out"] = "assert(not ms.fetch(HANG, { timeout = 20 }))",
    ["a connect that timed out"] = "assert(not ms.fetch(FULL, { timeout = { connect = 20 } }))",
    ["a refused connect"] = "assert(ms.fetch(REFUSED) == nil)",
    ["refused connects"] = "for _ in ms.each({ REFUSED, REFUSED, REFUSED }) do end",
    ["a closed client"] = "local c = ms.client() assert(c:fetch(URL)) c:close()",
    ["a client closed while it works"] =
      "local c = ms.client() c:request(HANG, function() end) ms.sleep(20) c:close()",
    ["a dropped client"] = "ms.client():fetch(URL) collectgarbage()",
    ["a loop that was left"] = "for _ in ms.each({ URL, HANG, FULL }) do break end",
  }

  -- How it may end, and with which exit code.
  local ENDS = {
    ["its last line"] = { "", 0 },
    ["an error"] = { "error('the end')", 1, "the end" },
    ["os.exit"] = { "os.exit(3)", 3 },
    ["os.exit that closes the state"] = { "os.exit(3, true)", 3 },
    ["os.exit in a task"] = { "ms.run(function() ms.sleep(1) os.exit(3, true) end)", 3 },
    ["os.exit in a callback"] = { [[
      ms.request(URL, function() os.exit(3, true) end) uv.run()]], 3 },
    ["an error in a task"] = { "ms.run(function() ms.fetch(URL) error('the end') end)", 1,
      "the end" },
  }

  for situation, before in pairs(SITUATIONS) do
    it("ends well with " .. situation, function()
      for _, ending in pairs(ENDS) do
        local result = run(before .. "\n" .. ending[1], ending[3])
        assert.equal(ending[2], result.code)
      end
    end)
  end

  it("needs no ceremony", function()
    assert.equal("hello, world\n", run("io.write(assert(ms.fetch(URL)).body)").stdout)
  end)

  it("hears of errors nobody caught, on stderr with their traceback", function()
    local result = run([[
      local function culprit() ms.fetch(URL) error("lost") end
      coroutine.wrap(function() culprit() end)()
      uv.run() print("goes on")]], "lost.*culprit")
    assert.equal(0, result.code)
    assert.equal("goes on\n", result.stdout)
  end)

  it("survives an on_error that raises, and error values that cannot be printed", function()
    local result = run([[
      ms.on_error = function() error("second") end
      ms.spawn(function() error("first") end)
      ms.spawn(function() error(setmetatable({}, { __tostring = error })) end)
      uv.run() print("goes on")]], "first.*second.*table value")
    assert.equal("goes on\n", result.stdout)
  end)

  it("prints an uncaught err as one line", function()
    local result = run("assert(ms.fetch(REFUSED))", "connection_refused")
    assert.equal(1, result.code)
  end)

  it("says how to load luv where it is loaded wrong", function()
    local result = start([[
      local co = coroutine.create(function(url)
        local ms = require "multisocket"
        print(ms.fetch(url))
      end)
      coroutine.resume(co, ...)
      require("luv").run()]]):wait(20000)
    assert.is_nil(result.signal)
    -- luv 1.50 repaired it.
    assert.is_true(result.stdout:find("nil\t", 1, true) ~= nil
      or result.stderr:find("main program") ~= nil)
  end)

  it("says so when there is no luv", function()
    local result = start([[
      package.preload.luv = function() error("not here") end
      local ms = require "multisocket"
      local ok, err = pcall(ms.fetch, (...))
      print(err.category, err.message)]]):wait(20000)
    assert.matches("^usage\t.*luv", result.stdout)
  end)

  it("works in a thread of luv's", function()
    local result = run([[
      local thread = uv.new_thread(function(url)
        io.write(require("multisocket").fetch(url).body)
      end, URL)
      assert(ms.fetch(URL))
      thread:join()]])
    assert.equal("hello, world\n", result.stdout)
    assert.equal(0, result.code)
  end)

  it("may collect garbage at every step", function()
    local result = run([[
      debug.sethook(function() collectgarbage() end, "", 40)
      local c = ms.client({ base_url = URL })
      assert(c:fetch("").body == "hello, world\n")
      ms.run(function()
        debug.sethook(function() collectgarbage() end, "", 40)
        assert(c:get("", { headers = { a = "b" }, timeout = 5000 }).headers["content-length"])
        assert(c:fetch(REFUSED) == nil)
        assert(not c:fetch(HANG, { timeout = 10 }))
      end)
      local n = 0
      c:request(URL, function() n = n + 1 end)
      c:request(HANG, function() n = n + 1 end):cancel()
      for _ in c:each({ URL, URL, URL }) do n = n + 1 end
      uv.run()
      c:close()
      debug.sethook()
      print(n)]])
    assert.equal("5\n", result.stdout)
  end)

  it("is silent about a peer that resets an idle connection", function()
    local resetting <close> = peer.start({ { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, { "delay", 20 }, { "reset" } } })
    local result = process.run({ "lua5.4", "-", resetting:url() }, { stdin = [[
      local ms = require "multisocket"
      assert(ms.fetch((...)))
      ms.sleep(100)
      assert(ms.fetch((...)))]] })
    assert.equal(0, result.code, result.stderr)
    assert.equal("", result.stderr)
  end)

  describe("and Ctrl-C", function()
    -- The child has nothing to do any more but to wait.
    local function wait_until_waiting(child)
      local quiet = 0
      process.wait_until(function()
        local f = io.open("/proc/" .. child.pid .. "/stat")
        local state = f and f:read("a"):match("^.*%) (%a)")
        if f then f:close() end
        quiet = state == "S" and quiet + 1 or 0
        return quiet > 30
      end)
    end

    local function interrupted(text)
      local child = start(PRELUDE .. "io.stdout:setvbuf('no') " .. text)
      child:first_line()
      wait_until_waiting(child)
      child:kill("sigint")
      local result = child:wait()
      assert.is_false(result.timed_out)
      assert.is_nil(result.signal)
      assert.equal(1, result.code)
      assert.matches("interrupted!", result.stderr)
      return result
    end

    it("ends a fetch on the main thread", function()
      interrupted("print('up') ms.fetch(HANG)")
    end)

    it("ends ms.run and sleep", function()
      interrupted("print('up') ms.run(function() ms.fetch(HANG) end)")
      interrupted("print('up') ms.sleep(100000)")
    end)

    it("is raised where it can be caught, and leaves things in order", function()
      local child = start(PRELUDE .. [[
        io.stdout:setvbuf("no")
        print("up")
        local closed = false
        print(pcall(ms.run, function()
          local _ <close> = setmetatable({}, { __close = function() closed = true end })
          ms.fetch(HANG)
        end))
        print(closed, ms.fetch(URL).status)]])
      child:first_line()
      wait_until_waiting(child)
      child:kill("sigint")
      local result = child:wait()
      assert.equal(0, result.code, result.stderr)
      assert.matches("false\t.*interrupted!\ntrue\t200\n", result.stdout)
    end)
  end)
end)

describe("the async helper", function()
  it("fails a spec that leaves a handle", function()
    local uv = require "luv"
    local timer
    local ok, err = pcall(async.run, function()
      timer = uv.new_timer()
      timer:start(100000, 0, function() end)
    end)
    timer:close()
    uv.run("nowait")
    assert.is_false(ok)
    assert.matches("uv_timer_t", err)
  end)

  it("hands on what the body raises", function()
    local value = {}
    assert.same({ false, value }, { pcall(async.run, function() error(value) end) })
  end)
end)
