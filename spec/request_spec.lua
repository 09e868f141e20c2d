-- SPDX-License-Identifier: MIT
--
-- request: a callback instead of a coroutine.
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local server = require "spec.support.server"

-- Collects the calls of a callback.
local function recorder()
  local calls = {}
  return function(...) calls[#calls + 1] = table.pack(...) end, calls
end

local function wait_for(calls, n)
  for _ = 1, 30000 do
    if #calls >= n then break end
    ms.sleep(1)
  end
  assert.equal(n, #calls)
end

describe("request", function()
  local nginx

  setup(function() nginx = server.start() end)
  teardown(function() nginx:stop() end)

  it("calls back once with the response", async(function()
    local cb, calls = recorder()
    local handle = ms.request(nginx:url("/small"), cb)
    assert.equal(0, #calls)
    assert.is_false(handle:is_closing())
    wait_for(calls, 1)
    assert.is_nil(calls[1][1])
    assert.equal("hello, world\n", calls[1][2].body)
    assert.is_true(handle:is_closing())
    ms.sleep(5)
    assert.equal(1, #calls)
  end))

  it("takes options, and all in one table", async(function()
    local cb, calls = recorder()
    ms.request(nginx:url("/status/404"), { fail = true }, cb)
    ms.request({ url = nginx:url("/small"), method = "HEAD" }, cb)
    wait_for(calls, 2)
    table.sort(calls, function(a) return a[1] ~= nil end)
    assert.equal("status", calls[1][1].code)
    assert.equal("", calls[2][2].body)
  end))

  it("works under a plain uv.run", async.main(function()
    local cb, calls = recorder()
    for _ = 1, 20 do ms.request(nginx:url("/small"), cb) end
    uv.run()
    assert.equal(20, #calls)
  end))

  it("keeps the loop alive until it is done, not longer", async.main(function()
    local p <close> = peer.start({ { { "request" }, { "delay", 100 },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, { "hang" } } })
    local cb, calls = recorder()
    ms.request(p:url(), cb)
    uv.run()
    assert.equal(200, calls[1][2].status)
  end))

  it("calls back with errors, never before it returned", async(function()
    local cb, calls = recorder()
    ms.request("gopher://x/", cb)
    assert.equal(0, #calls)
    ms.request(("http://127.0.0.1:%d/"):format(port.free()), cb)
    wait_for(calls, 2)
    assert.equal("unsupported_scheme", calls[1][1].code)
    assert.equal("connection_refused", calls[2][1].code)
    assert.is_nil(calls[1][2])
  end))

  it("reports what the callback raises", async(function()
    local _, calls = recorder()
    local reports = async.reports(function()
      ms.request(nginx:url("/small"), function()
        calls[1] = true
        error("mine")
      end)
      wait_for(calls, 1)
    end)
    assert.equal(1, #reports)
    assert.matches("mine", reports[1].err)
    assert.matches("request_spec.lua", reports[1].traceback)
    assert(ms.fetch(nginx:url("/small")))
  end))

  it("raises that in a main-thread fetch", async.main(function()
    local p <close> = peer.start({ { { "request" }, { "hang" } } })
    ms.request(nginx:url("/small"), function() error("mine") end)
    local ok, err = pcall(ms.fetch, p:url())
    assert.is_false(ok)
    assert.matches("mine", err)
  end))

  it("lets the callback start the next one", async(function()
    local _, calls = recorder()
    local function again()
      calls[#calls + 1] = true
      if #calls < 5 then ms.request(nginx:url("/small"), again) end
    end
    ms.request(nginx:url("/small"), again)
    wait_for(calls, 5)
  end))

  it("refuses bad arguments", async(function()
    for _, args in ipairs({ {}, { nginx:url() }, { nginx:url(), {} }, { nginx:url(), {}, 5 },
      { 5, print }, { nginx:url(), { timout = 1 }, print } }) do
      local ok, err = pcall(ms.request, table.unpack(args))
      assert.is_false(ok)
      assert.equal("usage", err.category)
    end
  end))
end)

describe("a handle", function()
  local p

  before_each(function() p = peer.start({ { { "request" }, { "eof" } } }) end)
  after_each(function() p:stop() end)

  it("cancels: once, later, with cancelled", async(function()
    local cb, calls = recorder()
    local handle = ms.request(p:url(), cb)
    p:wait("request", 30000, function() ms.sleep(1) end)
    assert.is_true(handle:cancel("no need"))
    assert.is_true(handle:is_closing())
    assert.equal(0, #calls)
    assert.is_false(handle:cancel())
    wait_for(calls, 1)
    assert.equal("cancelled", calls[1][1].code)
    assert.matches("no need", calls[1][1].message)
    assert.is_true(p:wait("eof", 30000, function() ms.sleep(1) end))
    ms.sleep(5)
    assert.equal(1, #calls)
  end))

  it("cancels before anything happened", async(function()
    local cb, calls = recorder()
    ms.request(p:url(), cb):cancel()
    wait_for(calls, 1)
    assert.equal("cancelled", calls[1][1].code)
    assert.equal(0, p:connections())
  end))

  it("closes, and says when", async(function()
    local cb, calls = recorder()
    local closed, closed_calls = recorder()
    ms.request(p:url(), cb):close(closed)
    assert.equal(0, #calls + #closed_calls)
    wait_for(closed_calls, 1)
    assert.equal("cancelled", calls[1][1].code)
  end))

  it("closes at the end of a block", async(function()
    local cb, calls = recorder()
    do
      local _ <close> = ms.request(p:url(), cb)
    end
    wait_for(calls, 1)
    assert.equal("cancelled", calls[1][1].code)
  end))

  it("cancels inside callbacks of its own transfer", async(function()
    local q <close> = peer.start({ { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx" }, { "eof" } } })
    for _, name in ipairs({ "on_headers", "on_data" }) do
      local cb, calls = recorder()
      local handle
      handle = ms.request(q:url(), { [name] = function() handle:cancel() end }, cb)
      wait_for(calls, 1)
      assert.equal("cancelled", calls[1][1].code)
    end
  end))

  it("frees the loop", async.main(function()
    local cb, calls = recorder()
    local handle = ms.request(p:url(), cb)
    local timer = uv.new_timer()
    timer:start(30, 0, function()
      timer:close()
      handle:cancel()
    end)
    uv.run()
    assert.equal(1, #calls)
  end))
end)
