-- SPDX-License-Identifier: MIT
--
-- HTTP/2 without TLS against servers that others wrote; spec/h2_peer_spec.lua
-- has what no good server does.
local async = require "spec.support.async"
local ms = require "multisocket"
local servers = require "spec.support.h2_servers"

local PRIOR = { version = "2-prior-knowledge" }

local function new_client(opts)
  opts = opts or {}
  opts.version = "2-prior-knowledge"
  return ms.client(opts)
end

-- `n` fetches of the URL at the same time: a list of the responses.
local function many(client, n, url)
  local jobs, list = {}, {}
  for i = 1, n do
    jobs[i] = function() return assert(client:fetch(url)) end
  end
  for i, entry in ipairs(ms.gather(jobs, { concurrency = n })) do
    list[i] = entry.ok and entry.value or error(entry.error)
  end
  return list
end

describe("HTTP/2 with nghttpd", function()
  local server
  setup(function() server = servers.nghttpd() end)
  teardown(function() server:stop() end)

  it("gives the same response object", async(function()
    local res = assert(ms.fetch(server:url("/hello.txt"), PRIOR))
    assert.equal(200, res.status)
    assert.equal("2", res.version)
    assert.equal("hello\n", res.body)
    assert.equal("6", res.headers["Content-Length"])
    assert.equal("", res.reason)
  end))

  it("takes bodies of many frames, and HEAD", async(function()
    local client <close> = new_client()
    local res = assert(client:fetch(server:url("/big")))
    assert.equal(servers.BIG, #res.body)
    assert.equal(("0123456789"):rep(servers.BIG // 10), res.body)
    res = assert(client:head(server:url("/big")))
    assert.equal("", res.body)
    assert.is_true(res.reused)
  end))

  it("asks many at a time on one connection", async(function()
    local client <close> = new_client()
    for _, res in ipairs(many(client, 300, server:url("/hello.txt"))) do
      assert.equal(200, res.status)
    end
    -- 100 on each: as many as waited, and no more
    assert.is_true(client:stats().opened <= 3)
    local before = client:stats().opened
    many(client, 100, server:url("/hello.txt"))
    assert.equal(before, client:stats().opened)
  end))

  it("sends request bodies", async(function()
    local client <close> = new_client()
    local body = ("x"):rep(500000)
    assert.equal(200, assert(client:post(server:url("/hello.txt"), { body = body })).status)
  end))

  it("speaks HTTP/1.1 unless told", async(function()
    local res, err = ms.fetch(server:url("/hello.txt"))
    assert.is_nil(res)
    assert.equal("protocol", err.category)
  end))

  it("is not had by asking for version 2 without TLS", async(function()
    local res, err = ms.fetch(server:url("/hello.txt"), { version = "2" })
    assert.is_nil(res)
    assert.equal("http2_required", err.code)
  end))

  it("does not know other versions", function()
    assert.has_error(function() ms.client { version = "3" } end)
  end)
end)

describe("HTTP/2 with nginx", function()
  it("loses no request when the server ends connections", async(function()
    local server <close> = servers.nginx { keepalive_requests = 50 }
    local client <close> = new_client()
    for _ = 1, 20 do
      for _, res in ipairs(many(client, 100, server:url("/small"))) do
        assert.equal("hello, world\n", res.body)
      end
    end
    assert.is_true(client:stats().opened >= 40)
  end))

  it("uses no connection more than its streams need", async(function()
    local server <close> = servers.nginx { keepalive_requests = 100000 }
    local client <close> = new_client { max_concurrent_streams = 128 }
    for _, res in ipairs(many(client, 1000, server:url("/small"))) do
      assert.equal(200, res.status)
    end
    assert.equal(8, client:stats().opened)
  end))
end)
