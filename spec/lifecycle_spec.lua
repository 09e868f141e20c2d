-- SPDX-License-Identifier: MIT
--
-- The life of things in Lua: callbacks that do what they should not, objects
-- that go early or stay late, the end of the state. Each number names one
-- statement; more of L1 is in callback_errors_spec, of L5 and L9 in
-- script_spec, of L8 in luv_traps_spec (14).
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local process = require "spec.support.process"
local server = require "spec.support.server"
local usage = require "spec.support.usage"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

describe("in the life of a program,", function()
  local nginx, hanging, full, receiving, urls

  setup(function()
    nginx = server.start()
    hanging = peer.start({ { { "request" }, { "hang" } } })
    full = peer.start({}, { full = true })
    receiving = peer.start({ { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx" }, { "hang" } } })
    urls = "local URL, BIG, HANG, FULL, RECEIVING, REFUSED, PUT = "
      .. ("%q, %q, %q, %q, %q, %q, %q "):format(nginx:url("/small"), nginx:url("/bytes/100000"),
        hanging:url(), full:url(), receiving:url(),
        ("http://127.0.0.1:%d/"):format(port.free()), nginx:url("/upload/life"))
  end)

  teardown(function()
    for _, s in ipairs({ nginx, hanging, full, receiving }) do s:stop() end
  end)

  local function run(text, opts)
    opts = opts or {}
    opts.stdin, opts.timeout = urls .. text, opts.timeout or 60000
    return process.run({ "lua5.4", "-" }, opts)
  end

  -- Ended by itself, with that code, and has not said more than `stderr`.
  local function assert_ends(r, code, stderr, what)
    assert.is_false(r.timed_out, what)
    assert.is_nil(r.signal, (what or "") .. ": signal " .. tostring(r.signal))
    assert.equal(code, r.code, (what or "") .. r.stderr)
    if not stderr then assert.equal("", r.stderr, what) end
  end

  describe("L1: a callback that raises", function()
    it("ends one of many transfers", async(function()
      local client <close> = ms.client()
      local list = {}
      for i = 1, 40 do
        list[i] = function()
          return client:fetch(nginx:url("/bytes/10000"), { on_data = i % 4 == 0 and function()
            error({ i })
          end or nil })
        end
      end
      for i, entry in ipairs(ms.gather(list, { concurrency = 40 })) do
        assert.equal(i % 4 ~= 0, entry.ok)
        if i % 4 == 0 then assert.same({ i }, entry.error.cause) end
      end
      assert.equal(40, client:stats().done)
    end))
  end)

  describe("L2: a callback may", function()
    -- What it does, given the client, its own handle and another one.
    local ACTIONS = {
      ["start another"] = function(c, _, _, also) also(c) end,
      ["cancel itself"] = function(_, own) own:cancel() end,
      ["cancel another"] = function(_, _, other) other:cancel() end,
      ["cancel both"] = function(_, own, other)
        other:cancel()
        own:cancel()
      end,
      ["close the client"] = function(c) c:close() end,
      ["collect garbage"] = function()
        collectgarbage()
        collectgarbage()
      end,
      ["stop the loop"] = function() uv.stop() end,
      ["look around"] = function(c) assert.is_true(c:stats().added >= 2) end,
      ["try to wait"] = function(c)
        usage(c.fetch, c, nginx:url("/small"))
        usage(ms.sleep, 1)
        usage(ms.run, print)
      end,
      ["resume a coroutine that fetches"] = function(c)
        coroutine.wrap(function() pcall(c.fetch, c, nginx:url("/small")) end)()
      end,
    }
    local PLACES = { "on_headers", "on_data", "callback" }

    for what, action in pairs(ACTIONS) do
      for _, place in ipairs(PLACES) do
        it(what .. " (" .. place .. ")", async(function()
          local client <close> = ms.client()
          local own, other
          local ended, acted, started = {}, 0, 0
          local function told(name)
            return function(err)
              ended[name] = (ended[name] or 0) + 1
              assert.is_true(err == nil or err.code == "cancelled", tostring(err))
            end
          end
          local function also(c)
            started = 1
            c:request(nginx:url("/small"), told("third"))
          end
          local function act()
            acted = acted + 1
            if acted == 1 then action(client, own, other, also) end
          end
          other = client:request(hanging:url(), told("other"))
          local opts = place ~= "callback" and { [place] = act } or {}
          own = client:request(nginx:url("/bytes/100000"), opts, function(err)
            told("own")(err)
            if place == "callback" then act() end
          end)
          local late = uv.hrtime() + 30000000000
          while not (ended.own and (started == 0 or ended.third)) and uv.hrtime() < late do
            ms.sleep(1)
          end
          other:cancel()
          while client:stats().running > 0 and uv.hrtime() < late do ms.sleep(1) end
          ms.sleep(2) -- time for an end to be told twice
          assert.is_true(acted >= 1)
          assert.same({ own = 1, other = 1, third = started == 1 and 1 or nil }, ended)
          assert.equal(0, client:stats().running)
          if what ~= "close the client" then assert(client:fetch(nginx:url("/small"))) end
        end))
      end
    end
  end)

  describe("L3: there is one completion", function()
    it("for each transfer, whoever cancels what and when", async(function()
      math.randomseed(7)
      local p <close> = peer.start({ { { "request" }, { "send", OK }, { "repeat" } } })
      local client <close> = ms.client()
      local handles, told, silent = {}, {}, {}
      for i = 1, 300 do
        told[i] = 0
        handles[i] = client:request(i % 3 == 0 and p:url() or nginx:url("/bytes/1000"),
          { on_data = function()
            assert.is_nil(silent[i], "data after cancel returned")
            local victim = math.random(#handles)
            if math.random(4) == 1 and handles[victim]:cancel() then silent[victim] = true end
          end }, function(err)
            told[i] = told[i] + 1
            assert.equal(silent[i] and "cancelled", err and err.code or silent[i])
          end)
        if i % 10 == 0 then ms.sleep(0) end
        if i % 7 == 0 then
          local victim = math.random(i)
          if handles[victim]:cancel() then silent[victim] = true end
        end
      end
      local late = uv.hrtime() + 30000000000
      while client:stats().running > 0 and uv.hrtime() < late do ms.sleep(1) end
      ms.sleep(2)
      for i = 1, 300 do assert.equal(1, told[i]) end
    end))
  end)

  describe("L4: what is collected", function()
    it("while it runs goes on: a client, a handle, a task", async(function()
      local got = {}
      do
        local client = ms.client()
        client:request(nginx:url("/small"), function(_, res) got[1] = res end)
        ms.spawn(function() got[2] = client:fetch(nginx:url("/small")) end)
        coroutine.wrap(function() got[3] = client:fetch(nginx:url("/small")) end)()
      end
      for _ = 1, 30000 do
        collectgarbage()
        if got[1] and got[2] and got[3] then break end
        ms.sleep(1)
      end
      for i = 1, 3 do assert.equal("hello, world\n", got[i].body) end
    end))

    it("leaves responses and headers readable", async(function()
      local client = ms.client()
      local res = assert(client:fetch(nginx:url("/small")))
      local headers = res.headers
      client:close()
      client = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      assert.equal("hello, world\n", res.body)
      res = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      assert.equal("13", headers["content-length"])
    end))
  end)

  describe("L5: the state may close", function()
    local STATES = {
      queued = "start(URL)",
      connecting = "start(FULL) turn()",
      waiting = "start(HANG) turn()",
      receiving = "start(RECEIVING) turn()",
      sending = "start(PUT, { method = 'PUT', body = ('x'):rep(30000000) }) turn(3)",
      idle = "start(URL) uv.run()",
      cancelled = "local h = start(HANG) turn() if h then h:cancel() end",
      ["the client closed"] = "start(HANG) turn() c:close()",
    }
    local HOW = {
      ["a request"] = "function start(url, opts) return c:request(url, opts, function() end) end",
      ["a suspended coroutine"] =
        "function start(url, opts) co = coroutine.wrap(function() c:fetch(url, opts) end) co() end",
      ["a task"] = "function start(url, opts) ms.spawn(c.fetch, c, url, opts) end",
      ["a generator"] = [[function start(url, opts)
        co = coroutine.wrap(ms.wrap(function() c:fetch(url, opts) end)) co() end]],
      ["a race"] = [[function start(url, opts) ms.spawn(ms.race, {
        function() return c:fetch(url, opts) end, function() ms.sleep(100000) end }) end]],
    }
    local ORDER = { 'uv = require "luv" ms = require "multisocket"',
      'ms = require "multisocket" uv = require "luv"' }

    for state, code in pairs(STATES) do
      it("with a transfer that is " .. state, function()
        for how, start in pairs(HOW) do
          for _, mode in ipairs({ "poll", "epoll" }) do
            for order, requires in ipairs(ORDER) do
              local r = run(("%s ms.use({ mode = %q }) %s "):format(requires, mode, start) .. [[
                c = ms.client()
                function turn(n)
                  for _ = 1, n or 10 do uv.run("nowait") uv.sleep(2) end
                end ]] .. code)
              assert_ends(r, 0, nil, ("%s, %s, %d"):format(how, mode, order))
            end
          end
        end
      end)
    end
  end)

  describe("L6: a coroutine that was dropped", function()
    it("is resumed when its transfer ends, and is then collected", async(function()
      local gone, ended = setmetatable({}, { __mode = "k" }), false
      do
        local co = coroutine.create(function()
          ms.fetch(nginx:url("/small"))
          ended = true
        end)
        gone[co] = true
        coroutine.resume(co)
      end
      collectgarbage()
      for _ = 1, 30000 do
        if ended then break end
        ms.sleep(1)
      end
      assert.is_true(ended)
      ms.fetch(nginx:url("/small")) -- another one is the last that was resumed
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(gone))
    end))

    -- What runs stands on no stack while it resumes another.
    local function collect_elsewhere()
      coroutine.wrap(function() for _ = 1, 3 do collectgarbage() end end)()
    end

    it("stays while it runs, and another fetches meanwhile", async(function()
      local done = 0
      coroutine.wrap(function()
        local function fetch()
          assert(ms.fetch(nginx:url("/small")))
          done = done + 1
        end
        fetch()
        coroutine.wrap(fetch)()
        collect_elsewhere()
        fetch()
      end)()
      while done < 3 do ms.sleep(1) end
    end))

    it("stays while it runs, and a fetch is refused", async(function()
      local refused
      coroutine.wrap(function()
        local client = ms.client()
        assert(client:fetch(nginx:url("/small")))
        client:close()
        local ok, err = pcall(client.fetch, client, nginx:url("/small"))
        collect_elsewhere()
        refused = not ok and err
      end)()
      while refused == nil do ms.sleep(1) end
      assert.equal("closed", refused.code)
    end))

    it("goes with its client, and so does its transfer", async(function()
      local gone = setmetatable({}, { __mode = "k" })
      local before = process.fd_count()
      do
        local client = ms.client()
        local co = coroutine.create(function() client:fetch(hanging:url()) end)
        gone[co] = true
        coroutine.resume(co)
        ms.sleep(10)
        client:close()
      end
      ms.sleep(1)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(gone))
      assert.is_true(process.fd_count() <= before)
    end))
  end)

  describe("L7: things that are over", function()
    it("may be closed again, and raise when used", async(function()
      local client = ms.client()
      local handle = client:request(hanging:url(), function() end)
      local t = ms.spawn(client.fetch, client, hanging:url())
      ms.sleep(5)
      for _ = 1, 2 do
        handle:close()
        handle:cancel()
        t:cancel()
        client:close()
      end
      assert.is_true(handle:is_closing())
      assert.equal("closed", usage(client.fetch, client, nginx:url("/small")).code)
      assert.equal("closed", usage(client.request, client, nginx:url("/small"), print).code)
      assert.is_table(client:stats())
      assert.is_false((t:wait()))
    end))

    it("bear finalisers of the program's, in any order", function()
      local use = [[
        local function use()
          pcall(ms.fetch, URL) pcall(ms.sleep, 1) pcall(ms.spawn, print)
          pcall(ms.request, URL, print) pcall(ms.client) pcall(ms.use, {})
          pcall(ms.run, print) pcall(ms.gather, { print }) pcall(ms.race, { print })
          if h then h:cancel() h:close(print) h:is_closing() end
          if t then t:cancel() end
          if c then pcall(c.close, c) pcall(c.stats, c) pcall(c.fetch, c, URL) end
          if res then local _ = res.body, res.headers.server, res.timings.total end
        end ]]
      local before = 'first = setmetatable({}, { __gc = use }) '
      local between = [[
        c = ms.client()
        res = assert(c:fetch(URL))
        h = c:request(HANG, function() end)
        t = ms.spawn(c.fetch, c, HANG)
        for _ = 1, 5 do uv.run("nowait") uv.sleep(2) end ]]
      local after = 'last = setmetatable({}, { __gc = use }) '
      for _, text in ipairs({ before .. between, between .. after, before .. between .. after,
        between .. after .. "c:close() ", between .. after .. "h:cancel() t:cancel() " }) do
        for _, mode in ipairs({ "poll", "epoll" }) do
          -- Lua never finalises what finalisers make while a state closes.
          local r = run(([[uv, ms = require "luv", require "multisocket" ms.use({ mode = %q }) ]])
            :format(mode) .. use .. text, { env = { ASAN_OPTIONS = "detect_leaks=0" } })
          assert_ends(r, 0, nil, text)
        end
      end
    end)
  end)

  it("L8: two states in two threads, also with cancels, timeouts and errors", function()
    local r = run([[
      local uv = require "luv"
      local function work(url, hang)
        local ms = require "multisocket"
        for i = 1, 20 do
          assert(ms.fetch(url, { fresh_connection = i % 2 == 0 }))
          assert(select(2, ms.fetch(hang, { timeout = 2 })).code == "timed_out")
          local t = ms.spawn(ms.fetch, hang)
          ms.sleep(1)
          t:cancel()
          assert(ms.fetch(url, { on_data = function() error("x") end }) == nil)
          assert(select(2, ms.fetch("http://localhost:1/")).category == "connect")
        end
      end
      local a, b = uv.new_thread(work, URL, HANG), uv.new_thread(work, URL, HANG)
      work(URL, HANG)
      a:join() b:join()
      io.write("ok")]])
    assert_ends(r, 0)
    assert.equal("ok", r.stdout)
  end)

  describe("L9: os.exit", function()
    local PLACES = {
      on_headers = "ms.fetch(URL, { on_headers = exit })",
      on_data = "ms.fetch(URL, { on_data = exit })",
      ["a request's callback"] = "ms.request(URL, exit) uv.run()",
      ["a cancelled request's callback"] = "ms.request(HANG, exit):cancel() uv.run()",
      ["handle:close's callback"] = "ms.request(HANG, print):close(exit) uv.run()",
      ["a task"] = "ms.spawn(function() ms.fetch(URL) exit() end) uv.run()",
      ["a function of gather"] = "ms.gather({ function() ms.fetch(URL) exit() end })",
      ["a variable that a cancel closes"] = [[
        local t = ms.spawn(function()
          local _ <close> = setmetatable({}, { __close = exit })
          ms.fetch(HANG)
        end)
        ms.sleep(5) t:cancel()]],
      ["on_error"] = "ms.on_error = exit ms.spawn(error) uv.run()",
      ["a luv callback"] = [[
        ms.request(HANG, print)
        local t = uv.new_timer() t:start(5, 0, exit) uv.run()]],
      ["a loop over each"] = "for _ in ms.each({ URL, HANG, FULL }) do exit() end",
      ["a generator"] = "for _ in ms.wrap(function() ms.fetch(URL) exit() end) do end",
    }
    local EXITS = { ["os.exit(3)"] = 3, ["os.exit(3, true)"] = 3, ["os.exit(true, true)"] = 0,
      ["os.exit(false)"] = 1 }

    for place, code in pairs(PLACES) do
      it("may come in " .. place, function()
        for exit, expected in pairs(EXITS) do
          for _, mode in ipairs({ "poll", "epoll" }) do
            local r = run(([[
              uv, ms = require "luv", require "multisocket"
              ms.use({ mode = %q })
              function exit() %s end
              ms.request(HANG, print) ms.request(FULL, print) -- something is always under way
              ]]):format(mode, exit) .. code)
            assert_ends(r, expected, nil, exit)
          end
        end
      end)
    end

    it("may come in a callback of the engine", function()
      for _, name in ipairs({ "socketfunction", "timerfunction", "donefunction" }) do
        for exit, expected in pairs(EXITS) do
          local r = run(([[
            local d = require("spec.support.drive").new({ %s = function() %s end })
            d.multi:add_handle(require("multisocket.core").easy({ url = URL }))
            d:run()]]):format(name, exit))
          assert_ends(r, expected, nil, name .. exit)
        end
      end
    end)
  end)

  describe("L10: deep recursion", function()
    -- In a small process: the collector goes through all of a stack of a
    -- million values, and through everything else that these tests keep.
    it("in a callback is that callback's error", function()
      assert_ends(run([[
        local uv, ms = require "luv", require "multisocket"
        local function deep(n) return 1 + deep(n + 1) end
        local function deep_in_c() return (("x"):gsub("x", deep_in_c)) end
        local function deep_in_pcall()
          local ok, err = pcall(deep_in_pcall)
          if not ok then error(err, 0) end
        end
        for _, fn in ipairs({ function() deep(1) end, deep_in_c, deep_in_pcall }) do
          for _, name in ipairs({ "on_headers", "on_data" }) do
            local res, err = ms.fetch(URL, { [name] = fn })
            assert(not res and err.code == "callback_error", tostring(err))
            assert(err.cause:find("overflow"), err.cause)
          end
          local reports = {}
          ms.on_error = function(err) reports[#reports + 1] = err end
          ms.request(URL, fn)
          uv.run()
          assert(#reports == 1 and reports[1]:find("overflow"), reports[1])
        end
        assert(ms.fetch(URL).status == 200)]]), 0)
    end)

    it("does not come of many that wait for each other", async(function()
      local last = ms.spawn(ms.fetch, nginx:url("/small"))
      for _ = 1, 1000 do
        local before = last
        last = ms.spawn(function() return before:wait() end)
      end
      local results = table.pack(last:wait())
      assert.equal(200, results[results.n].status)
    end))

    it("does not come of callbacks that start the next request", async(function()
      local left = 500
      local function again(err)
        assert.is_nil(err)
        left = left - 1
        if left > 0 then ms.request(nginx:url("/small"), again) end
      end
      ms.request(nginx:url("/small"), again)
      while left > 0 do ms.sleep(1) end
    end))
  end)

  describe("L11: a body in many pieces", function()
    local PIECES, SIZE = 4000, 500
    local body = ("x"):rep(PIECES * SIZE)

    it("is put together in one go", async(function()
      local p <close> = peer.start({ { { "request" },
        { "send", ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#body) },
        { "fill", #body, ("x"):rep(SIZE) } } })
      collectgarbage()
      collectgarbage("stop")
      local before = collectgarbage("count")
      local res = assert(ms.fetch(p:url()))
      assert.is_true(res.body == body)
      local used = (collectgarbage("count") - before) * 1024
      collectgarbage("restart")
      -- Quadratic joining would be gigabytes.
      assert.is_true(used < 2 * #body, used .. " bytes for a body of " .. #body)
    end))

    it("reaches on_data in pieces that together are the body", async(function()
      local p <close> = peer.start({ { { "request" },
        { "send", ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#body) },
        { "fill", #body, ("x"):rep(SIZE) } } })
      local size = 0
      collectgarbage()
      collectgarbage("stop")
      local before = collectgarbage("count")
      assert(ms.fetch(p:url(), { on_data = function(chunk) size = size + #chunk end }))
      local used = (collectgarbage("count") - before) * 1024
      collectgarbage("restart")
      assert.equal(#body, size)
      assert.is_true(used < 2 * #body, used .. " bytes for a body of " .. #body)
    end))
  end)
end)
