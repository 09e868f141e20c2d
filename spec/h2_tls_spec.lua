-- SPDX-License-Identifier: MIT
--
-- HTTP/2 over TLS: who begins decides on the protocol for all that wait, and
-- what follows from that; against servers that others wrote.
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local ms = require "multisocket"
local server = require "spec.support.server"
local servers = require "spec.support.h2_servers"

local LIMIT = 30000 -- ms
local STREAMS = 100 -- on a connection, whatever more the server takes
local MIB = 1 << 20

local function new_client(tls)
  local client_tls = { ca_file = certs.get("valid").ca }
  for key, value in pairs(tls or {}) do client_tls[key] = value end
  return ms.client { timeout = LIMIT, tls = client_tls }
end

local function nginx(opts)
  opts.tls = certs.get("valid")
  return server.start(opts)
end

describe("HTTP/2 over TLS:", function()
  local node, h2_nginx
  setup(function()
    node = servers.node(STREAMS, certs.get("valid"))
    h2_nginx = nginx { listen = "http2" }
  end)
  teardown(function()
    node:stop()
    h2_nginx:stop()
  end)

  it("those who come first wait for one connection to tell", async(function()
    for n, connections in pairs { [2] = 1, [STREAMS] = 1, [1000] = 1000 // STREAMS } do
      local client <close> = new_client()
      for _, res in ipairs(servers.many(client, n, h2_nginx:url("/small"))) do
        assert.equal("2", res.version)
        assert.equal(200, res.status)
      end
      assert.equal(connections, client:stats().opened)
    end
  end))

  it("where it is HTTP/1.1, all go on with connections of their own", async(function()
    local h1_nginx <close> = nginx {}
    local client <close> = new_client()
    for _ = 1, 2 do
      for _, res in ipairs(servers.many(client, 20, h1_nginx:url("/bytes/100000"))) do
        assert.equal("1.1", res.version)
        assert.equal(100000, #res.body)
      end
    end
    assert.equal(20, client:stats().opened)
  end))

  it("who begins may leave: the others get the connection", async(function()
    local client <close> = new_client()
    local first = ms.spawn(function() return client:fetch(node:url("/bytes/1")) end)
    local hasty = ms.spawn(function()
      return client:fetch(node:url("/bytes/1"), { timeout = 1 })
    end)
    local others = {}
    for i = 1, 5 do
      others[i] = ms.spawn(function() return assert(client:fetch(node:url("/bytes/3"))) end)
    end
    assert.is_true(first:cancel())
    for _, task in ipairs(others) do
      local ok, res = task:wait()
      assert.is_true(ok)
      assert.equal("xxx", res.body)
    end
    hasty:wait()
    assert.equal(1, client:stats().opened)
  end))

  it("a failed beginning is told to each that waits, once", async(function()
    local client = ms.client { timeout = LIMIT } -- trusts the system's
    local told = 0
    local jobs = {}
    for i = 1, 5 do
      jobs[i] = function()
        local res, err = client:fetch(node:url("/bytes/1"))
        assert.is_nil(res)
        told = told + (err.code == "certificate_untrusted" and 1 or 0)
      end
    end
    for _, entry in ipairs(ms.gather(jobs)) do assert.is_true(entry.ok, entry.error) end
    assert.equal(5, told)
    client:close()
  end))

  it("a request that is wanted over HTTP/1.1 goes there", async(function()
    local client <close> = new_client()
    assert.equal("2", assert(client:fetch(node:url("/bytes/1"))).version)
    local res = assert(client:post(node:url("/rst/13"), { body = "again" }))
    assert.equal("1.1", res.version)
    assert.equal("1.1 /rst/13", res.body)
    assert.equal(2, client:stats().opened)
  end))

  it("no request is lost when connections end", async(function()
    local s <close> = nginx { listen = "http2", config = "keepalive_requests 50;" }
    local client <close> = new_client()
    local left = 2000
    local tasks = {}
    for i = 1, 100 do
      tasks[i] = ms.spawn(function()
        while left > 0 do
          left = left - 1
          assert.equal("hello, world\n", assert(client:fetch(s:url("/small"))).body)
        end
      end)
    end
    for _, task in ipairs(tasks) do assert(task:wait()) end
    assert.is_true(client:stats().opened >= 40)
  end))

  it("B9 a server that may not push does not", async(function()
    local client <close> = new_client()
    assert.equal("may not", assert(client:fetch(node:url("/push"))).body)
  end))

  it("B19 a server's PING is answered while nothing else is under way", async(function()
    local client <close> = new_client()
    assert.equal("soon", assert(client:fetch(node:url("/ping"))).body)
    repeat
      ms.sleep(5)
      local res = assert(client:fetch(node:url("/pinged")))
    until res.body == "1"
    assert.equal(1, client:stats().opened)
  end))

  -- Together they leave more behind than a connection's window holds.
  it("B13 windows are given back for streams that were cancelled", async(function()
    local client <close> = new_client()
    local taken = 0
    while taken < 80 * MIB do
      local res = assert(client:fetch(h2_nginx:url("/big"), { stream = true }))
      taken = taken + #assert(res:read()) + MIB // 4
      res:cancel()
    end
    assert.equal(server.BIG_SIZE, #assert(client:fetch(h2_nginx:url("/big"))).body)
    assert.equal(1, client:stats().opened)
  end))
end)
