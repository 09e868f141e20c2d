-- SPDX-License-Identifier: MIT
--
-- The statements of lifecycle_spec for what is streamed: responses that are
-- read while they come, sinks, bodies that are produced while they are sent.
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local namespace = require "spec.support.namespace"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local server = require "spec.support.server"
local surface = require "spec.support.surface"

local until_true = surface.until_true

local HEAD = "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"

describe("in the life of a stream,", function()
  local nginx, hanging, filling, stuffed, urls

  setup(function()
    nginx = server.start()
    hanging = peer.start({ { { "request" }, { "hang" } } })
    filling = peer.start({ { { "request" }, { "send", HEAD:format(1000000000) },
      { "fill", 1000000000 } } })
    stuffed = peer.start({ { { "head" }, { "stop_reading" }, { "hang" } } })
    urls = "local URL, BIG, HANG, FILL, STUFFED = " .. ("%q, %q, %q, %q, %q "):format(
      nginx:url("/small"), nginx:url("/bytes/100000"), hanging:url(), filling:url(),
      stuffed:url())
  end)

  teardown(function()
    for _, s in ipairs({ nginx, hanging, filling, stuffed }) do s:stop() end
  end)

  -- ---- L1 ----------------------------------------------------------------

  describe("L1: what raises", function()
    local VALUES = { string = "planted", table = {}, number = 1, boolean = false,
      coroutine = coroutine.create(print) }

    local PLACES = {
      sink = function(raise) return { sink = raise } end,
      body = function(raise) return { body = raise } end,
      ["a later piece of a body"] = function(raise)
        local n = 0
        return { body = function()
          n = n + 1
          return n == 1 and "piece" or raise()
        end }
      end,
      ["on_headers of a streamed response"] = function(raise)
        return { stream = true, on_headers = raise }
      end,
      ["on_headers of one with a sink"] = function(raise)
        return { sink = function() end, on_headers = raise }
      end,
      ["the body of a streamed response's request"] = function(raise)
        return { stream = true, body = raise }
      end,
    }

    for place, options in pairs(PLACES) do
      it("in " .. place .. " ends that transfer", async(function()
        local client <close> = ms.client()
        local function fails(value)
          local res, err = client:post(nginx:url("/sink"), options(function() error(value, 0) end))
          assert.is_nil(res)
          assert.equal("callback_error", err.code)
          assert.is_true(rawequal(value, err.cause))
          assert.equal(0, client:stats().running)
        end
        surface.beside_a_transfer(function()
          for _, value in pairs(VALUES) do fails(value) end
          fails(nil)
        end)
        assert.equal(200, assert(client:fetch(nginx:url("/small"))).status)
      end))
    end

    it("in a loop over a response comes out of it, and ends the transfer", async(function()
      local client <close> = ms.client()
      for _, method in ipairs({ "chunks", "lines" }) do
        for _, value in pairs(VALUES) do
          local res = assert(client:fetch(nginx:url("/bytes/1000000"), { stream = true }))
          local ok, err = pcall(function()
            for _ in res[method](res) do error(value, 0) end
          end)
          assert.is_false(ok)
          assert.is_true(rawequal(value, err))
          assert.equal(0, client:stats().running)
        end
      end
    end))
  end)

  -- ---- L2, L3 ------------------------------------------------------------

  describe("L2: a sink or a body may", function()
    local ACTIONS = {
      ["start another"] = function(c) c:request(nginx:url("/small"), function() end) end,
      ["cancel itself"] = function(_, own) own:cancel() end,
      ["cancel another"] = function(_, _, other) other:cancel() end,
      ["close the client"] = function(c) c:close() end,
      ["collect garbage"] = function() collectgarbage() end,
      ["stop the loop"] = function() uv.stop() end,
      ["wait"] = function(c)
        ms.sleep(1)
        assert(c:fetch(nginx:url("/small")))
      end,
    }
    local ENDS = { ["cancel itself"] = true, ["close the client"] = true }

    for what, action in pairs(ACTIONS) do
      for _, place in ipairs({ "sink", "body" }) do
        it(what .. " (" .. place .. ")", async(function()
          local client <close> = ms.client()
          local own, other, acted, late = nil, nil, 0, 0
          local ended = {}
          local function act()
            acted = acted + 1
            if ended.own then late = late + 1 end
            if acted == 1 then action(client, own, other) end
          end
          local function told(name)
            return function(err, res)
              assert.is_nil(ended[name]) -- L3: once
              ended[name] = err and err.code or res.status
            end
          end
          other = client:request(hanging:url(), told("other"))
          local opts = place == "sink" and { sink = act } or { body = function()
            act()
            return acted < 4 and "piece" or nil
          end }
          own = client:request(nginx:url(place == "sink" and "/bytes/1000000" or "/sink"), opts,
            told("own"))
          until_true(function() return ended.own end)
          assert.equal(ENDS[what] and "cancelled" or 200, ended.own)
          other:cancel()
          until_true(function() return ended.other end)
          assert.equal("cancelled", ended.other)
          until_true(function() return client:stats().running == 0 end)
          assert.equal(0, late)
          assert.is_true(acted >= 1)
        end))
      end
    end
  end)

  -- ---- L5, L9 ------------------------------------------------------------

  -- Ended by itself, with that code, and has said nothing.
  local function assert_ends(r, code, what)
    assert.is_false(r.timed_out, what)
    assert.is_nil(r.signal, what .. ": signal " .. tostring(r.signal))
    assert.equal(code, r.code, what .. r.stderr)
    assert.equal("", r.stderr, what)
  end

  local function run(text, env)
    return process.run({ "lua5.4", "-" }, { stdin = urls .. text, timeout = 20000, env = env })
  end

  local SETUP = [[
    uv, ms = require "luv", require "multisocket" ms.use({ mode = %q })
    c = ms.client()
    function start(fn, ...) co = coroutine.wrap(fn) return co(...) end
    function turn(n) for _ = 1, n or 10 do uv.run("nowait") uv.sleep(2) end end
    function pieces() return ("x"):rep(65536) end ]]

  describe("L5: the state may close", function()
    local STATES = {
      ["a response held back"] =
        "start(function() res = c:fetch(FILL, { stream = true }) end) turn()",
      ["a response that is read"] =
        "start(function() for _ in c:fetch(FILL, { stream = true }):chunks() do end end) turn()",
      ["a response held by nobody"] =
        "start(function() c:fetch(FILL, { stream = true }) end) turn()",
      ["a response read to its end"] = [[ms.run(function()
        res = c:fetch(BIG, { stream = true }) res:discard() end)]],
      ["a sink that waits"] = [[c:request(FILL, { sink = function() ms.sleep(100000) end },
        function() end) turn()]],
      ["a path as a sink"] = "c:request(FILL, { sink = '/dev/null/x' }, function() end) turn()",
      ["a body that waits"] = [[start(c.put, c, HANG, { body = function()
        ms.sleep(100000) end }) turn()]],
      ["a body that nobody reads"] = "start(c.put, c, STUFFED, { body = pieces }) turn()",
      ["both"] = [[c:request(FILL, { sink = function() ms.sleep(100000) end, body = pieces },
        function() end) turn()]],
      ["a response that was cancelled"] = [[ms.run(function()
        res = c:fetch(FILL, { stream = true }) res:cancel() end)]],
    }

    for state, code in pairs(STATES) do
      it("with " .. state, function()
        for _, mode in ipairs({ "poll", "epoll" }) do
          for _, more in ipairs({ "", " c:close()", " c = nil collectgarbage()" }) do
            assert_ends(run(SETUP:format(mode) .. code .. more), 0, mode .. more)
          end
        end
      end)
    end

    -- A name server that never answers, on the one address the system is told.
    it("with a transfer that is resolving", function()
      if not namespace.possible() then
        pending("this system lets no user make namespaces")
        return
      end
      for _, start in ipairs({ 'c:request("http://name.example/", print)',
        'ms.spawn(c.fetch, c, "http://name.example/")',
        'coroutine.wrap(c.fetch)(c, "http://name.example/")',
        'coroutine.wrap(c.fetch)(c, "http://name.example/", { stream = true })' }) do
        for _, more in ipairs({ "", " c:close()", " os.exit(0, true)", " os.exit(0)" }) do
          local r = namespace.run([[
            local uv, ms = require "luv", require "multisocket"
            local asked, server = false, uv.new_udp()
            assert(server:bind("127.0.0.1", 53))
            server:recv_start(function(_, data) asked = asked or data ~= nil end)
            c = ms.client() ]] .. start .. " while not asked do uv.run('once') end" .. more,
            { resolv_conf = "nameserver 127.0.0.1\n", timeout = 60000 })
          assert_ends(r, 0, start .. more)
        end
      end
    end)
  end)

  describe("L9: os.exit may come in", function()
    local PLACES = {
      ["a sink"] = "ms.fetch(BIG, { sink = exit })",
      ["a body"] = "ms.post(HANG, { body = exit })",
      ["a loop over chunks"] =
        "for _ in ms.fetch(FILL, { stream = true }):chunks() do exit() end",
      ["a loop over lines"] = "for _ in ms.fetch(URL, { stream = true }):lines() do exit() end",
      ["a coroutine that reads"] = [[start(function()
        ms.fetch(FILL, { stream = true }):read() exit() end) uv.run()]],
      ["on_headers of a streamed response"] = "ms.fetch(BIG, { stream = true, on_headers = exit })",
    }

    for place, code in pairs(PLACES) do
      it(place, function()
        for exit, expected in pairs({ ["os.exit(3)"] = 3, ["os.exit(3, true)"] = 3 }) do
          for _, mode in ipairs({ "poll", "epoll" }) do
            local text = SETUP:format(mode) .. ("function exit() %s end "):format(exit)
            assert_ends(run(text .. code), expected, exit .. mode)
          end
        end
      end)
    end
  end)

  -- ---- L10, L11 ----------------------------------------------------------

  -- In a small process: the collector goes through all of a stack of a million
  -- values, and through everything else that these tests keep. A finalizer that the collector calls
  -- where the stack is full fails before it has begun, in any library: that leaks.
  it("L10: deep recursion in a sink or a body is its error", function()
    assert_ends(run([[
      local ms = require "multisocket"
      local function deep(n) return 1 + deep(n + 1) end
      local function deep_in_c() return (("x"):gsub("x", deep_in_c)) end
      for _, fn in ipairs({ function() deep(1) end, deep_in_c }) do
        for _, opts in ipairs({ { sink = fn }, { body = fn } }) do
          local res, err = ms.fetch(URL, opts)
          assert(not res and err.code == "callback_error", tostring(err))
          assert(err.cause:find("overflow"), err.cause)
        end
      end
      assert(ms.fetch(URL).status == 200)]], { ASAN_OPTIONS = "detect_leaks=0" }), 0, "deep")
  end)

  describe("L11: a body in many pieces", function()
    local PIECES, SIZE = 4000, 500
    local body = ("x"):rep(PIECES * SIZE)

    local function used_by(fn)
      collectgarbage()
      collectgarbage("stop")
      local before = collectgarbage("count")
      fn()
      local used = (collectgarbage("count") - before) * 1024
      collectgarbage("restart")
      return used
    end

    -- Joined piece by piece it would be gigabytes.
    for what, read in pairs({
      ["read whole"] = function(res) return res:read("a") end,
      ["read as one line"] = function(res) return res:lines()() end,
    }) do
      it("is put together in one go when it is " .. what, async(function()
        local p <close> = peer.start({ { { "request" }, { "send", HEAD:format(#body) },
          { "fill", #body, ("x"):rep(SIZE) } } })
        local used = used_by(function()
          local res = assert(ms.fetch(p:url(), { stream = true }))
          assert.is_true(read(res) == body)
        end)
        assert.is_true(used < 6 * #body, used .. " bytes for a body of " .. #body)
      end))
    end

    it("is cut into lines without copying the rest each time", async(function()
      local line = ("x"):rep(99) .. "\n"
      local text = line:rep(20000)
      local p <close> = peer.start({ { { "request" }, { "send", HEAD:format(#text) },
        { "send", text } } })
      local count = 0
      local used = used_by(function()
        for got in assert(ms.fetch(p:url(), { stream = true })):lines() do
          assert(#got == 99)
          count = count + 1
        end
      end)
      assert.equal(20000, count)
      assert.is_true(used < 20 * #text, used .. " bytes for a body of " .. #text)
    end))
  end)
end)
