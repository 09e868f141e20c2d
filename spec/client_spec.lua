-- SPDX-License-Identifier: MIT
--
-- Clients: defaults, pools, closing, being dropped.
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local process = require "spec.support.process"
local server = require "spec.support.server"
local usage = require "spec.support.usage"

local function inspect(res)
  local seen = {}
  for name, value in assert(res).body:gmatch("([%w-]+): ([^\n]*)") do seen[name] = value end
  return seen
end

describe("a client", function()
  local nginx

  setup(function() nginx = server.start() end)
  teardown(function() nginx:stop() end)

  it("has a pool of its own", async(function()
    local a <close> = ms.client()
    local b <close> = ms.client({})
    assert(a:fetch(nginx:url("/small")))
    assert.is_true(assert(a:fetch(nginx:url("/small"))).reused)
    assert.is_false(assert(b:fetch(nginx:url("/small"))).reused)
  end))

  it("resolves URLs against base_url", async(function()
    local c <close> = ms.client({ base_url = nginx:url("/bytes/1?x") })
    local function url(text) return assert(c:fetch(text)).url end
    assert.equal(nginx:url("/bytes/100"), url("100"))
    assert.equal(nginx:url("/small"), url("/small"))
    assert.equal(nginx:url("/small"), url("../small"))
    assert.equal(nginx:url("/bytes/1?y"), url("?y"))
    assert.equal(nginx:url("/bytes/1?x"), url(""))
    assert.equal(nginx:url("/small"), url(nginx:url("/small")))
    assert.equal(nginx:url("/small"), url(("//127.0.0.1:%d/small"):format(nginx.port)))
    assert.equal(nginx:url("/small"), assert(c:fetch({ url = "/small" })).url)
  end))

  it("gives its options to every request, which may have its own", async(function()
    local c <close> = ms.client({ user_agent = "me/1", headers = { ["X-Test"] = "client" },
      query = { key = 1 }, fail = true })
    local seen = inspect(c:fetch(nginx:url("/inspect")))
    assert.equal("me/1", seen["user-agent"])
    assert.equal("client", seen["x-test"])
    assert.equal("/inspect?key=1", seen.uri)
    seen = inspect(c:get(nginx:url("/inspect"), { query = false,
      headers = { ["x-test"] = "own" } }))
    assert.equal("own", seen["x-test"])
    assert.equal("me/1", seen["user-agent"])
    assert.equal("/inspect", seen.uri)
    seen = inspect(c:get(nginx:url("/inspect"), { headers = { ["X-TEST"] = false } }))
    assert.equal("", seen["x-test"])
    assert.equal("status", select(2, c:fetch(nginx:url("/status/500"))).code)
    assert(c:fetch(nginx:url("/status/500"), { fail = false }))
  end))

  it("has options that a call switches off with false", async(function()
    local c <close> = ms.client({ headers = { ["X-Test"] = "client" }, method = "PUT",
      body = "mine", priority = "u=1", version = "2-prior-knowledge" })
    local off = { headers = false, method = false, body = false, priority = false,
      version = false }
    local res = assert(c:fetch(nginx:url("/inspect"), off))
    local seen = inspect(res)
    assert.equal("GET", seen.method)
    assert.equal("HTTP/1.1", seen.protocol)
    assert.equal("", seen["x-test"])
    assert.equal("", seen["content-length"])
    assert.is_nil(res.request.headers.priority)
    off.json = { 1 }
    seen = inspect(c:fetch(nginx:url("/inspect"), off))
    assert.equal("application/json", seen["content-type"])
    assert.equal("", seen["x-test"])
    assert.equal("POST", seen.method)
    seen = inspect(c:fetch(nginx:url("/inspect"), { version = "1.1", body = function() end }))
    assert.equal("PUT", seen.method)
    seen = inspect(c:fetch(nginx:url("/inspect"), { version = "1.1", method = false,
      body = function() end }))
    assert.equal("POST", seen.method)
  end))

  it("has all functions for methods", async(function()
    local c <close> = ms.client({ base_url = nginx:url("/") })
    for _, name in ipairs({ "get", "post", "put", "patch", "delete", "options" }) do
      assert.equal(name:upper(), inspect(c[name](c, "inspect")).method)
      assert.equal(name:upper(), inspect(c[name](c, "inspect", { timeout = 5000 })).method)
    end
    assert.equal(200, assert(c:head("small")).status)
  end))

  it("sends no User-Agent with false", async(function()
    local c <close> = ms.client({ user_agent = false })
    assert.equal("", inspect(c:fetch(nginx:url("/inspect")))["user-agent"])
  end))

  it("refuses bad options", async(function()
    usage(ms.client, 5)
    usage(ms.client, { url = "x" })
    usage(ms.client, { base_url = "no/scheme" })
    usage(ms.client, { base_url = 5 })
    usage(ms.client, { fail = "x" })
    usage(ms.client, { idle_timeout = 0 })
    usage(ms.client, { max_idle = -1 })
    usage(ms.client, { timeout = 0 })
    assert.matches("idle_timeout", usage(ms.client, { idle_timout = 1 }).message)
  end))

  it("keeps max_idle connections", async(function()
    local c <close> = ms.client({ max_idle = 2 })
    local list = {}
    for i = 1, 6 do list[i] = function() return c:fetch(nginx:url("/small")) end end
    ms.gather(list)
    assert.is_true(c:stats().idle <= 2)
    local none <close> = ms.client({ max_idle = 0 })
    assert(none:fetch(nginx:url("/small")))
    assert.is_false(assert(none:fetch(nginx:url("/small"))).reused)
  end))

  it("keeps idle connections for idle_timeout", async(function()
    local c <close> = ms.client({ idle_timeout = 30 })
    assert(c:fetch(nginx:url("/small")))
    assert.equal(1, c:stats().idle)
    for _ = 1, 10000 do
      if c:stats().idle == 0 then break end
      ms.sleep(5)
    end
    assert.equal(0, c:stats().idle)
  end))

  it("counts", async(function()
    local c <close> = ms.client()
    for _ = 1, 3 do assert(c:fetch(nginx:url("/small"))) end
    local stats = c:stats()
    assert.equal(3, stats.added)
    assert.equal(3, stats.done)
    assert.equal(1, stats.opened)
    assert.equal(2, stats.reused)
    assert.equal(0, stats.running)
  end))

  it("counts as closed what was opened", async(function()
    local c <close> = ms.client()
    c:fetch(("http://127.0.0.1:%d/"):format(port.free()))
    local stats = c:stats()
    assert.same({ 0, 0 }, { stats.opened, stats.closed })
  end))

  it("needs no socket or timer callback for a fetch on a warm connection", async(function()
    local c <close> = ms.client()
    for _ = 1, 3 do assert(c:fetch(nginx:url("/small"))) end
    local before = c:stats()
    for _ = 1, 10 do assert(c:fetch(nginx:url("/small"))) end
    local after = c:stats()
    assert.equal(before.socket_calls, after.socket_calls)
    assert.equal(before.timer_calls, after.timer_calls)
    assert.equal(before.actions + 10, after.actions)
  end))

  it("makes no garbage but the response per fetch", async(function()
    local c <close> = ms.client()
    local url = nginx:url("/small")
    for _ = 1, 10 do assert(c:fetch(url)) end
    collectgarbage()
    collectgarbage("stop")
    local used = math.huge -- least of some rounds: in one a table of somebody's may grow
    for _ = 1, 5 do
      local before = collectgarbage("count")
      for _ = 1, 100 do c:fetch(url) end
      used = math.min(used, (collectgarbage("count") - before) * 1024 / 100)
    end
    collectgarbage("restart")
    assert.is_true(used < 920, used .. " bytes per fetch") -- head, body and all
  end))

  it("ends what runs when it is closed", async(function()
    local p <close> = peer.start({ { { "request" }, { "hang" } } })
    local c = ms.client()
    local t = ms.spawn(c.fetch, c, p:url())
    local cb
    c:request(p:url(), function(err) cb = err end)
    p:wait("request", 30000, function() ms.sleep(1) end)
    c:close()
    local ok, err = t:wait()
    assert.is_false(ok)
    assert.equal("cancelled", err.code)
    ms.sleep(1)
    assert.equal("cancelled", cb.code)
    assert.equal(0, port.count(p.port))
  end))

  it("refuses work when it is closed", async(function()
    local c = ms.client()
    assert(c:fetch(nginx:url("/small")))
    c:close()
    c:close()
    assert.equal("closed", usage(c.fetch, c, nginx:url("/small")).code)
    usage(c.request, c, nginx:url("/small"), function() end)
    usage(c.get, c, nginx:url("/small"))
  end))

  it("may be closed from a callback and from its own task", async(function()
    local c = ms.client()
    assert.equal("cancelled", select(2, c:fetch(nginx:url("/small"), {
      on_headers = function() c:close() end,
    })).code)
    local d = ms.client()
    assert(d:fetch(nginx:url("/small")))
    d:close()
  end))

  it("that is dropped gives its connections and handles back", async(function()
    local before = process.fd_count()
    for _ = 1, 20 do
      local c = ms.client()
      assert(c:fetch(nginx:url("/small")))
    end
    collectgarbage()
    collectgarbage()
    ms.sleep(1)
    assert.is_true(process.fd_count() <= before + 2)
  end))

  it("that is dropped deep in a recursion is collected there", async.main(function()
    local function deep(n)
      if n > 0 then return 1 + deep(n - 1) end
      collectgarbage()
      return 0
    end
    ms.client():fetch(nginx:url("/small"))
    assert.equal(150000, deep(150000))
  end))

  it("that is dropped while a request runs finishes it", async(function()
    local got
    ms.client():request(nginx:url("/small"), function(_, res) got = res end)
    collectgarbage()
    collectgarbage()
    for _ = 1, 10000 do
      if got then break end
      ms.sleep(5)
    end
    assert.equal(200, got.status)
  end))

  it("does not keep the loop alive when it is idle", async.main(function()
    local c <close> = ms.client()
    assert(c:fetch(nginx:url("/small")))
    assert.is_false(uv.run())
    assert.equal(1, c:stats().idle)
  end))

  for _, mode in ipairs({ "poll", "epoll" }) do
    it("works in mode " .. mode, async(function()
      ms.use({ mode = mode })
      local c <close> = ms.client()
      ms.use({ mode = "epoll" })
      local list = {}
      for i = 1, 50 do
        list[i] = function() return c:fetch(nginx:url("/bytes/100000")) end
      end
      for _, entry in ipairs(ms.gather(list, { concurrency = 50 })) do
        assert.equal(100000, #entry.value.body)
      end
      assert.equal("connection_refused",
        select(2, c:fetch(("http://127.0.0.1:%d/"):format(port.free()))).code)
    end))
  end
end)

describe("use", function()
  it("refuses what it does not know", async(function()
    usage(ms.use)
    usage(ms.use, { luv = uv })
    usage(ms.use, { uv = 5 })
    usage(ms.use, { wait = 5 })
    usage(ms.use, { mode = "select" })
  end))

  it("takes another pump for the main thread", async.main(function()
    local turns = 0
    ms.use({ wait = function(done)
      repeat
        turns = turns + 1
        uv.run("once")
      until done()
    end })
    ms.sleep(5)
    ms.use({ wait = false })
    assert.is_true(turns > 0)
  end))

  it("is refused while the default client works", async(function()
    local p <close> = peer.start({ { { "request" }, { "hang" } } })
    local h = ms.request(p:url(), function() end)
    ms.sleep(1)
    usage(ms.use, { uv = uv })
    h:cancel()
    ms.use({ uv = uv })
  end))
end)

describe("the module", function()
  it("says what it is", function()
    assert.matches("^%d+%.%d+%.%d+$", ms.version)
    local features = ms.features()
    assert.is_table(features)
    assert.equal(uv.version_string(), features.libuv)
    assert.matches("^%d+%.%d+%.%d+$", features.idn or "0.0.0")
    for name, value in pairs(features) do
      assert.is_string(name)
      assert.is_true(type(value) == "boolean" or type(value) == "string")
    end
  end)
end)
