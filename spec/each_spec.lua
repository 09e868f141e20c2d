-- SPDX-License-Identifier: MIT
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local server = require "spec.support.server"
local usage = require "spec.support.usage"

describe("each", function()
  local nginx

  setup(function() nginx = server.start() end)
  teardown(function() nginx:stop() end)

  -- A peer that answers after so long.
  local function slow(delay)
    return peer.start({ { { "request" }, { "delay", delay },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" } } })
  end

  it("gives every result once", async(function()
    local urls, seen, sizes = {}, {}, { 1, 100, 1000, 10000 }
    for i = 1, 100 do urls[i] = nginx:url("/bytes/" .. sizes[i % 4 + 1]) end
    for i, res, err in ms.each(urls) do
      assert.is_nil(err)
      assert.is_nil(seen[i])
      seen[i] = #res.body
    end
    for i = 1, 100 do assert.equal(sizes[i % 4 + 1], seen[i]) end
  end))

  it("gives them as they complete", async(function()
    local a <close> = slow(150)
    local b <close> = slow(1)
    local c <close> = slow(70)
    local order = {}
    for i in ms.each({ a:url(), b:url(), c:url() }) do order[#order + 1] = i end
    assert.same({ 2, 3, 1 }, order)
  end))

  it("gives failures in their place", async(function()
    local bad = ("http://127.0.0.1:%d/"):format(port.free())
    local n = 0
    for i, res, err in ms.each({ nginx:url("/small"), bad, "x:" }) do
      n = n + 1
      assert.equal(i == 1, res ~= nil)
      assert.equal(i ~= 1, err ~= nil)
    end
    assert.equal(3, n)
  end))

  it("takes a lazy iterator, and option tables", async(function()
    local made, seen = 0, 0
    local function requests()
      made = made + 1
      if made > 20 then return nil end
      if made % 2 == 0 then return nginx:url("/small") end
      return { url = nginx:url("/status/404"), fail = true }
    end
    for i, res, err in ms.each(requests, { concurrency = 3 }) do
      seen = seen + 1
      assert.equal(i % 2 == 0, res ~= nil)
      assert.equal(i % 2 == 0, err == nil)
      assert.is_true(made - seen <= 3)
    end
    assert.equal(20, seen)
    assert.equal(21, made)
  end))

  it("takes requests whose bodies go to sinks, are streamed or produced", async(function()
    local path, pieces = os.tmpname(), 0
    local requests = {
      { url = nginx:url("/bytes/10000"), sink = path },
      { url = nginx:url("/bytes/100"), sink = function(chunk) pieces = pieces + #chunk end },
      { url = nginx:url("/bytes/1000"), stream = true },
      { url = nginx:url("/sink"), body = { path = path } },
      { url = nginx:url("/small"), sink = "/nowhere/at/all" },
      { url = nginx:url("/nothing"), sink = path, fail = true },
    }
    local seen = 0
    for i, res, err in ms.each(requests, { concurrency = 1 }) do
      seen = seen + 1
      if i == 3 then assert.equal(1000, #res:read("a")) end
      if i == 4 then assert.equal("read 10000 bytes\n", res.body) end
      local code = i == 5 and "save_failed" or i == 6 and "status" or nil
      assert.equal(code, err and err.code)
    end
    assert.equal(6, seen)
    assert.equal(100, pieces)
    os.remove(path)
  end))

  it("ends a request with a sink when the loop is left", async(function()
    local client <close> = ms.client()
    local path = os.tmpname()
    os.remove(path)
    for i in client:each({ nginx:url("/small"), { url = nginx:url("/slow"), sink = path } }) do
      if i == 1 then break end
    end
    assert.equal(0, client:stats().running)
    assert.is_nil(io.open(path))
    assert.is_nil(io.open(path .. ".part"))
  end))

  it("lets the iterator wait", async(function()
    local left = 5
    local n = 0
    for _, res in ms.each(function()
      left = left - 1
      ms.sleep(1)
      return left >= 0 and assert(ms.fetch(nginx:url("/small"))).url or nil
    end) do
      n = n + 1
      assert.equal(200, res.status)
    end
    assert.equal(5, n)
  end))

  it("lets the body wait", async(function()
    local n = 0
    for _, res in ms.each({ nginx:url("/small"), nginx:url("/small"), nginx:url("/small") }) do
      ms.sleep(2)
      n = n + #assert(ms.fetch(res.url)).body
    end
    assert.equal(39, n)
  end))

  it("works on the main thread", async.main(function()
    local n = 0
    for _, res in ms.each({ nginx:url("/small"), nginx:url("/bytes/100") }) do
      n = n + #res.body
    end
    assert.equal(113, n)
  end))

  it("runs no more than `concurrency` at once, 8 unless told", async(function()
    local c <close> = ms.client()
    local urls, most = {}, 0
    for i = 1, 40 do urls[i] = nginx:url("/bytes/1000") end
    for _ in c:each(urls) do most = math.max(most, c:stats().running) end
    assert.is_true(most <= 8)
    assert.is_true(c:stats().opened <= 8)
    local d <close> = ms.client()
    for _ in d:each(urls, { concurrency = 40 }) do end -- luacheck: ignore 542
    assert.equal(40, d:stats().opened)
  end))

  it("cancels the rest on break", async(function()
    local c <close> = ms.client()
    local a <close> = slow(100000)
    local b <close> = slow(100000)
    for i, res in c:each({ a:url(), nginx:url("/small"), b:url() }) do -- luacheck: ignore 512
      assert.equal(2, i)
      assert.equal(200, res.status)
      break
    end
    assert.equal(0, c:stats().running)
    assert.is_true(a:wait(function() return port.count(a.port) == 0 end, 30000,
      function() ms.sleep(1) end))
  end))

  it("cancels the rest when the body raises or its task is cancelled", async(function()
    local c <close> = ms.client()
    local a <close> = slow(100000)
    pcall(function()
      for _ in c:each({ a:url(), nginx:url("/small") }) do error("x") end
    end)
    assert.equal(0, c:stats().running)
    local t = ms.spawn(function()
      for _ in c:each({ a:url() }) do end -- luacheck: ignore 542
    end)
    ms.sleep(10)
    assert.equal(1, c:stats().running)
    t:cancel()
    assert.equal(0, c:stats().running)
  end))

  it("raises in the loop what is no request, and cancels the rest", async(function()
    local c <close> = ms.client()
    local a <close> = slow(100000)
    usage(function()
      for _ in c:each({ a:url(), 5 }) do end -- luacheck: ignore 542
    end)
    assert.equal(0, c:stats().running)
    local ok, err = pcall(function()
      for _ in c:each(function() error("iterator") end) do end -- luacheck: ignore 542
    end)
    assert.is_false(ok)
    assert.matches("iterator", err)
  end))

  it("has nothing to do for an empty list", async(function()
    for _ in ms.each({}) do error("never") end
  end))

  it("refuses bad arguments", async(function()
    usage(ms.each)
    usage(ms.each, "x")
    usage(ms.each, {}, { concurrency = 0 })
    assert.matches("concurrency", usage(ms.each, {}, { concurency = 1 }).message)
  end))
end)
