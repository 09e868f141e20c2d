-- SPDX-License-Identifier: MIT
--
-- Limits on connections as a program meets them; who is next and who gives way
-- is looked at closely in spec/unit/test_pool_limits.c.
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local h2_servers = require "spec.support.h2_servers"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local server = require "spec.support.server"
local tls_peer = require "spec.support.tls_peer"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local KEPT = { { { "request" }, { "send", OK }, { "repeat" } } }

-- Fetches every URL at the same time; `seen` is called whenever one is done.
local function fetch_all(client, urls, seen)
  local jobs = {}
  for i, url in ipairs(urls) do
    jobs[i] = function()
      local res, err = client:fetch(url)
      if seen then seen(i, res, err) end
      return assert(res, err)
    end
  end
  for _, entry in ipairs(ms.gather(jobs, { concurrency = #jobs })) do
    assert(entry.ok, entry.error)
  end
end

local function times(n, url)
  local list = {}
  for i = 1, n do list[i] = url end
  return list
end

local function until_true(condition)
  while not condition() do ms.sleep(5) end -- a test has its limit
end

describe("J5: limits on connections", function()
  local nginx, other

  setup(function()
    nginx = server.start({ more = { { port = true } } })
    other = nginx:url("/small"):gsub(":%d+/", ":" .. nginx.ports[1] .. "/")
  end)
  teardown(function() nginx:stop() end)

  it("max_connections_per_host: the others wait and are served in order", async(function()
    local client <close> = ms.client({ max_connections_per_host = 1 })
    local order = {}
    fetch_all(client, times(20, nginx:url("/small")), function(i)
      order[#order + 1] = i
      local stats = client:stats()
      assert.is_true(stats.connections + stats.connecting <= 1)
      assert.is_true(stats.waiting == stats.queued)
    end)
    for i = 1, 20 do assert.equal(i, order[i]) end
    assert.equal(1, client:stats().opened)
  end))

  -- The connection that is not kept may be all that its endpoint had.
  it("max_connections_per_host: with none kept idle", async(function()
    local p <close> = peer.start(KEPT)
    local client <close> = ms.client({ max_connections_per_host = 1, max_idle = 0 })
    fetch_all(client, times(3, p:url("/")))
    for _ = 1, 3 do assert(client:fetch(p:url("/"))) end
    assert.equal(0, client:stats().idle)
  end))

  it("max_connections: an idle one of another host is closed for it", async(function()
    local client <close> = ms.client({ max_connections = 1 })
    assert(client:fetch(nginx:url("/small")))
    assert(client:fetch(other))
    assert.is_true(assert(client:fetch(other)).reused)
    local stats = client:stats()
    assert.same({ 2, 1, 1, 1 }, { stats.opened, stats.closed, stats.connections, stats.idle })
  end))

  it("max_connections: many to several hosts all come through", async(function()
    local client <close> = ms.client({ max_connections = 3, max_connections_per_host = 2 })
    local urls = {}
    for i = 1, 200 do urls[i] = i % 2 == 0 and other or nginx:url("/small") end
    local most = 0
    fetch_all(client, urls, function()
      local stats = client:stats()
      most = math.max(most, stats.connections + stats.connecting)
    end)
    assert.equal(3, most)
    assert.equal(0, client:stats().waiting)
  end))

  it("fresh_connection waits for its slot, and has an idle one closed", async(function()
    local client <close> = ms.client({ max_connections_per_host = 1 })
    assert(client:fetch(nginx:url("/small")))
    local res = assert(client:fetch(nginx:url("/small"), { fresh_connection = true }))
    assert.is_false(res.reused)
    assert.equal(1, client:stats().connections)
    assert.equal(2, client:stats().opened)
  end))

  it("are checked", function()
    for _, name in ipairs({ "max_connections", "max_connections_per_host", "max_age" }) do
      for _, value in ipairs({ 0, -1, 1.5, "1", true }) do
        local ok, err = pcall(ms.client, { [name] = value })
        assert.is_false(ok)
        assert.equal("usage", err.category)
        assert.matches(name, err.message)
      end
      ms.client({ [name] = false }):close()
    end
  end)
end)

describe("who waits for a connection", function()
  local p
  after_each(function() p:stop() end)

  -- The only connection is in use until `finish` is called; `n` wait behind it.
  local function held_up(client, n, opts)
    p = peer.start({ { { "request" }, { "send", OK:sub(1, -2) }, { "bytes", 1 } } })
    local waiting = {}
    local first = assert(client:fetch(p:url("/first"), { stream = true }))
    for i = 1, n do
      waiting[i] = ms.spawn(function() return client:fetch(p:url("/" .. i), opts) end)
    end
    until_true(function() return client:stats().waiting == n end)
    return first, waiting
  end

  it("waits within its total timeout, in phase queue", async(function()
    local client <close> = ms.client({ max_connections = 1 })
    local first, waiting = held_up(client, 1, { timeout = 500 })
    local _, err = waiting[1]:wait()
    assert.equal("timed_out", err.code)
    assert.equal("queue", err.phase)
    assert.is_true(err.retryable)
    first:cancel()
  end))

  it("can be cancelled, and nobody behind it is lost", async(function()
    local client <close> = ms.client({ max_connections_per_host = 1 })
    local first, waiting = held_up(client, 3)
    waiting[2]:cancel()
    until_true(function() return client:stats().waiting == 2 end)
    first:cancel() -- its connection is of no use: the next one opens
    until_true(function() return #p:requests() == 2 end)
    assert.matches("^GET /1 ", p:requests()[2])
    waiting[1]:cancel()
    until_true(function() return #p:requests() == 3 end)
    assert.matches("^GET /3 ", p:requests()[3])
    waiting[3]:cancel()
    until_true(function() return client:stats().running == 0 end)
  end))

  it("finds in timings.queue how long that was", async(function()
    local client <close> = ms.client({ max_connections = 1 })
    p = peer.start({ { { "request" }, { "delay", 30 }, { "send", OK }, { "repeat" } } })
    local second
    fetch_all(client, times(2, p:url("/")), function(i, res)
      if i == 2 then second = res end
    end)
    local t = second.timings
    assert.is_true(t.queue >= 29 and t.queue <= t.send and t.send <= t.total)
    local fresh = assert(client:fetch(p:url("/"), { fresh_connection = true })).timings
    assert.is_true(fresh.queue <= fresh.resolve and fresh.resolve <= fresh.connect)
  end))

  it("is not held up by a host that is dead", async(function()
    local client <close> = ms.client({ max_connections = 4 })
    p = peer.start(KEPT)
    local dead <close> = peer.start({}, { full = true })
    local hopeless = {}
    for i = 1, 12 do
      hopeless[i] = ms.spawn(function() return client:fetch(dead:url("/")) end)
    end
    until_true(function() return client:stats().connecting == 4 end)
    fetch_all(client, times(50, p:url("/")))
    for _, task in ipairs(hopeless) do assert.equal("running", task.status) end
    assert.equal(12, client:stats().running)
    for _, task in ipairs(hopeless) do task:cancel() end
    until_true(function() return client:stats().running == 0 end)
  end))
end)

describe("a connection in no use", function()
  local function is_gone(client)
    until_true(function() return client:stats().idle == 0 end)
    local stats = client:stats()
    assert.same({ 0, 1 }, { stats.connections, stats.closed })
    until_true(function() return client:stats().closing == 0 end)
  end

  it("that the peer closes or resets is gone at once", async(function()
    for _, how in ipairs({ "close", "reset", "shutdown" }) do
      local p <close> = peer.start({ { { "request" }, { "send", OK }, { "delay", 100 },
        { how }, { "hang" } } })
      local client <close> = ms.client()
      assert(client:fetch(p:url("/")))
      is_gone(client)
    end
  end))

  it("that the peer closes with TLS is gone at once: close_notify, FIN, or both", async(function()
    for _, how in ipairs({ "close", "shutdown", "truncate", "reset" }) do
      local p <close> = tls_peer.start({ { { "request" }, { "send", OK },
        { "delay", 100 }, { how }, { "hang" } } }) -- a reset drops what TCP still holds
      local client <close> = ms.client({ tls = { ca_file = certs.get("valid").ca } })
      assert(client:fetch(p:url("/")))
      is_gone(client)
    end
  end))

  it("stays with TLS when only a ticket or new keys come", async(function()
    local p <close> = tls_peer.start({ { { "request" }, { "send", OK }, { "ticket" },
      { "key_update", true }, { "repeat" } } })
    local client <close> = ms.client({ tls = { ca_file = certs.get("valid").ca } })
    for _ = 1, 3 do assert(client:fetch(p:url("/"))) end
    assert.equal(1, client:stats().opened)
    assert.equal(1, client:stats().idle)
  end))

  it("is not kept for longer than max_age, and not used after", async(function()
    local p <close> = peer.start(KEPT)
    local client <close> = ms.client({ max_age = 40 })
    assert(client:fetch(p:url("/")))
    is_gone(client)
    assert.is_false(assert(client:fetch(p:url("/"))).reused)
  end))
end)

describe("limits with HTTP/2", function()
  it("a full connection opens a further one only within them", async(function()
    local node <close> = h2_servers.node(10)
    local client <close> = ms.client({ version = "2-prior-knowledge", max_concurrent_streams = 10,
      max_connections_per_host = 2 })
    fetch_all(client, times(200, node:url("/")), function()
      local stats = client:stats()
      assert.is_true(stats.connections + stats.connecting <= 2)
    end)
    assert.is_true(client:stats().opened <= 2)
    client:close()
  end))

  it("a connection in use without an end gives way to another host", async(function()
    local node <close> = h2_servers.node(10)
    local p <close> = peer.start(KEPT)
    local client <close> = ms.client({ max_connections = 1 })
    local going = true
    local task = ms.spawn(function()
      ms.gather({ table.unpack(times(4, function()
        while going do assert(client:fetch(node:url("/"), { version = "2-prior-knowledge" })) end
      end)) })
    end)
    until_true(function() return client:stats().reused > 100 end)
    assert(client:fetch(p:url("/")))
    going = false
    assert(task:wait())
    assert.is_true(client:stats().opened >= 2)
  end))
end)
