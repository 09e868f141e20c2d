-- SPDX-License-Identifier: MIT
--
-- The loop while the main thread waits: most turns do not go through luv, and
-- the application's own handles and clock must not notice.
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local server = require "spec.support.server"

local PRELUDE = [[
local uv = require "luv"
local ms = require "multisocket"
local URL, SLOW, HANG = table.unpack(arg)
local function fetch(url) return assert(ms.fetch(url)) end
]]

local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

describe("the main thread's loop", function()
  local nginx, slow, hanging

  setup(function()
    nginx = server.start()
    slow = peer.start({ { { "request" }, { "delay", 3 }, { "send", ANSWER }, { "repeat" } } })
    hanging = peer.start({ { { "request" }, { "hang" } } })
  end)

  teardown(function()
    hanging:stop()
    nginx:stop()
    slow:stop()
  end)

  -- What the program, run as a task, prints.
  local function run(text)
    local result = process.run({ "lua5.4", "-", nginx:url("/small"), slow:url(), hanging:url() },
      { stdin = PRELUDE .. "ms.run(function()\n" .. text .. "\nend)", timeout = 20000 })
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
    return result.stdout
  end

  it("calls check and prepare handles while fetches follow each other", function()
    assert.equal("many\tmany\n", run([[
      local called = { 0, 0 }
      for i, handle in ipairs({ uv.new_check(), uv.new_prepare() }) do
        handle:start(function() called[i] = called[i] + 1 end)
      end
      for _ = 1, 200 do fetch(URL) end
      print(called[1] >= 10 and "many" or called[1], called[2] >= 10 and "many" or called[2])]]))
  end)

  it("does not sleep over what a check handle would do", function()
    assert.equal("40\n", run([[
      local check, waiting, n = uv.new_check(), nil, 0
      check:start(function()
        local co = waiting
        waiting = nil
        if co then coroutine.resume(co) end
      end)
      local rest = ms.spawn(function() fetch(HANG) end)
      local body = coroutine.wrap(function()
        for _ = 1, 40 do
          fetch(URL)
          n = n + 1
          waiting = coroutine.running()
          coroutine.yield()
        end
        rest:cancel()
      end)
      body()
      rest:wait()
      print(n)]]))
  end)

  it("keeps the loop's clock", function()
    assert.equal("fine\n", run([[
      for _ = 1, 40 do
        uv.update_time()
        local before = uv.now()
        fetch(SLOW) -- 3 ms, and less than one is lost by rounding
        assert(uv.now() - before >= 2, "the loop's clock stood still")
      end
      print("fine")]]))
  end)

  it("serves timers, idle handles and sockets of the application meanwhile", function()
    assert.equal("fine\n", run([[
      local left = { timer = 5, idle = 5, socket = 5, async = 5 }
      local function count(name)
        left[name] = left[name] > 1 and left[name] - 1 or nil
        return left[name] ~= nil
      end
      local timer, idle = uv.new_timer(), uv.new_idle()
      timer:start(1, 1, function() if not count("timer") then timer:stop() end end)
      local socket = uv.new_udp()
      socket:bind("127.0.0.1", 0)
      local port = socket:getsockname().port
      socket:recv_start(function(_, data)
        if not data then return end
        if count("socket") then socket:try_send(data, "127.0.0.1", port) else socket:recv_stop() end
      end)
      socket:try_send("ball", "127.0.0.1", port)
      local async
      async = uv.new_async(function() if count("async") then async:send() end end)
      for _ = 1, 20 do fetch(URL) end
      async:send()
      idle:start(function() if not count("idle") then idle:stop() end end)
      while next(left) do fetch(URL) end
      print("fine")]]))
  end)

  it("serves several clients", function()
    assert.equal("300\n", run([[
      local n, tasks = 0, {}
      for i = 1, 3 do
        local client = ms.client()
        tasks[i] = ms.spawn(function()
          for _ = 1, 100 do
            assert(client:fetch(URL))
            n = n + 1
          end
          client:close()
        end)
      end
      for _, t in ipairs(tasks) do assert(t:wait()) end
      print(n)]]))
  end)

  -- After an answer that took long, turns go through luv for a while.
  for name, before in pairs({ ["in C"] = "", ["of luv"] = "fetch(URL) fetch(URL) fetch(SLOW)" }) do
    it("ends by Ctrl-C in turns " .. name, function()
      for at = 1, 5 do
        local late = peer.start({ { { "request" }, { "delay", 50 }, { "send", ANSWER } } })
        local result = process.run({ "lua5.4", "-", nginx:url("/small"), late:url(), at },
          { timeout = 20000, stdin = PRELUDE .. [[
          print(pcall(ms.run, function()
            ]] .. before .. [[
            for i = 1, math.huge do
              fetch(URL)
              if i == tonumber(arg[3]) then uv.kill(uv.os_getpid(), "sigint") end
            end
          end))]] })
        late:stop()
        assert.equal("", result.stderr)
        assert.matches("^false\t.*interrupted!", result.stdout)
        assert.equal(0, result.code)
      end
    end)
  end

  it("says so when nothing is left to wait for", function()
    local result = process.run({ "lua5.4", "-", nginx:url("/small") }, { timeout = 20000,
      stdin = PRELUDE .. [[
      local ok, err = pcall(ms.run, function()
        for _ = 1, 20 do fetch(URL) end
        coroutine.yield() -- nobody will resume it
      end)
      print(ok, err.code)]] })
    assert.equal("false\tdeadlock\n", result.stdout)
  end)
end)
