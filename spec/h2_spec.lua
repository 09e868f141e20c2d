-- SPDX-License-Identifier: MIT
--
-- HTTP/2 without TLS against servers that others wrote; spec/h2_peer_spec.lua
-- has what no good server does.
local async = require "spec.support.async"
local ms = require "multisocket"
local process = require "spec.support.process"
local servers = require "spec.support.h2_servers"

local PRIOR = { version = "2-prior-knowledge" }

local function new_client(opts)
  opts = opts or {}
  opts.version = "2-prior-knowledge"
  return ms.client(opts)
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
    for _, res in ipairs(servers.many(client, 300, server:url("/hello.txt"))) do
      assert.equal(200, res.status)
    end
    -- 100 on each: as many as waited, and no more
    assert.is_true(client:stats().opened <= 3)
    local before = client:stats().opened
    servers.many(client, 100, server:url("/hello.txt"))
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
  -- However few a connection serves: each brings the queue on.
  for every, n in pairs { [1] = 200, [20] = 2000, [1000] = 3000 } do
    it("loses no request when the server ends connections after " .. every, async(function()
      local server <close> = servers.nginx { keepalive_requests = every }
      local client <close> = new_client()
      local left = n
      local tasks = {}
      for i = 1, 100 do
        tasks[i] = ms.spawn(function()
          while left > 0 do
            left = left - 1
            assert.equal("hello, world\n", assert(client:fetch(server:url("/small"))).body)
          end
        end)
      end
      for _, task in ipairs(tasks) do assert(task:wait()) end
      assert.is_true(client:stats().opened >= n // every)
    end))
  end

  it("lets one of a hundred streams pause, and the others not", async(function()
    local server <close> = servers.nginx { keepalive_requests = 100000 }
    local client <close> = new_client()
    local paused = assert(client:fetch(server:url("/big"), { stream = true }))
    local before = process.rss_kib()
    local jobs = {}
    for i = 1, 99 do
      jobs[i] = function()
        local n = 0
        assert(client:fetch(server:url("/big"), { headers = { Range = "bytes=0-262143" },
          on_data = function(data) n = n + #data end }))
        return n
      end
    end
    for _, entry in ipairs(ms.gather(jobs, { concurrency = 99 })) do
      assert.equal(262144, entry.value)
    end
    -- what the paused one keeps is at most its body
    local most = (2 * servers.BIG >> 10) + 16384
    assert.is_true(process.rss_kib() - before < most or os.getenv("SPEC_TOOL") ~= nil)
    local n = 0
    for chunk in paused:chunks() do n = n + #chunk end
    assert.equal(servers.BIG, n)
    assert.equal(1, client:stats().opened)
  end))

  it("uses no connection more than its streams need", async(function()
    local server <close> = servers.nginx { keepalive_requests = 100000 }
    for most, connections in pairs { [100] = 10, [128] = 8 } do
      local client <close> = new_client { max_concurrent_streams = most }
      for _, res in ipairs(servers.many(client, 1000, server:url("/small"))) do
        assert.equal(200, res.status)
      end
      assert.equal(connections, client:stats().opened)
    end
    local client <close> = new_client { max_concurrent_streams = 1000 }
    servers.many(client, 1000, server:url("/small"))
    assert.is_true(client:stats().opened <= 8) -- SETTINGS say 128, and some end early
  end))
end)

describe("HTTP/2 with node", function()
  local server
  setup(function() server = servers.node() end)
  teardown(function() server:stop() end)

  it("has trailers", async(function()
    local res = assert(ms.fetch(server:url("/trailers"), PRIOR))
    assert.equal("body", res.body)
    assert.equal("42", res.trailers["x-sum"])
  end))

  it("tells of early hints", async(function()
    local seen = {}
    local res = assert(ms.fetch(server:url("/hints"), { version = "2-prior-knowledge",
      on_headers = function(head)
        seen[#seen + 1] = head.status .. (head.informational and head.headers.link or "")
      end }))
    assert.same({ "103</a.css>", "200" }, seen)
    assert.equal("hinted", res.body)
  end))

  it("is told what HTTP/2 has in its requests", async(function()
    local res = assert(ms.fetch(server:url("/headers?a=b"), { version = "2-prior-knowledge",
      priority = "u=1, i", headers = { Host = "example.test", Connection = "keep-alive",
        Cookie = "a=b; c=d", ["X-Case"] = "Kept" } }))
    local function has(line)
      assert.is_truthy(("\n" .. res.body):find("\n" .. line .. "\n", 1, true), line)
    end
    has(":authority: example.test")
    has(":path: /headers?a=b")
    has(":scheme: http")
    has("cookie: a=b; c=d")
    has("priority: u=1, i")
    has("x-case: Kept")
    assert.is_nil(res.body:find("connection"))
    assert.is_nil(res.body:find("\nhost:"))
    local sent = {}
    for name in res.request.headers:each() do sent[#sent + 1] = name end
    table.sort(sent)
    assert.same({ "Accept", "Accept-Encoding", "Cookie", "Host", "Priority", "User-Agent",
      "X-Case" }, sent)
  end))

  it("names the error a stream was reset with", async(function()
    local client <close> = new_client()
    local names = { [2] = "INTERNAL_ERROR", [8] = "CANCEL", [11] = "ENHANCE_YOUR_CALM" }
    for code, name in pairs(names) do
      local res, err = client:fetch(server:url("/rst/" .. code))
      assert.is_nil(res)
      assert.equal("stream_reset", err.code)
      assert.is_truthy(err.message:find(name, 1, true))
    end
    assert.equal(1, client:stats().opened)
  end))

  it("gives up a refused request after a few attempts", async(function()
    local res, err = ms.fetch(server:url("/rst/7"), PRIOR)
    assert.is_nil(res)
    assert.equal("stream_refused", err.code)
    assert.is_true(err.retryable)
    assert.equal(5, err.attempts)
  end))

  it("sends what a function gives, as the server takes it", async(function()
    local client <close> = new_client()
    local i = 0
    local res = assert(client:post(server:url("/echo"), { body = function()
      i = i + 1
      if i % 10 == 0 then ms.sleep(1) end
      return i <= 50 and (string.char(64 + i % 26)):rep(10000) or nil
    end }))
    assert.equal(500000, #res.body)
    assert.equal("A", res.body:sub(1, 1))
    res = assert(client:put(server:url("/echo"), { body = ("y"):rep(3000000) }))
    assert.equal(3000000, #res.body)
    assert.equal(1, client:stats().opened)
  end))

  it("stops an upload that was answered early", async(function()
    local client <close> = new_client()
    local res = assert(client:post(server:url("/early"), { body = ("x"):rep(5000000) }))
    assert.equal(413, res.status)
    assert.equal("too much", res.body)
    assert.equal(200, assert(client:fetch(server:url("/hints"))).status)
    assert.equal(1, client:stats().opened)
  end))

  it("follows the number of streams the server takes", async(function()
    local two <close> = servers.node(2)
    local client <close> = new_client()
    assert.equal("set", assert(client:fetch(two:url("/settings/1"))).body)
    for _, res in ipairs(servers.many(client, 6, two:url("/slow/5"))) do
      assert.equal("slow", res.body)
    end
    assert.equal("set", assert(client:fetch(two:url("/settings/50"))).body)
    local before = client:stats().opened
    servers.many(client, 20, two:url("/slow/5"))
    assert.is_true(client:stats().opened <= before + 1)
  end))

  it("opens another connection after GOAWAY", async(function()
    local client <close> = new_client()
    local slow = ms.spawn(function() return client:fetch(server:url("/slow/50")) end)
    assert.equal("last", assert(client:fetch(server:url("/goaway"))).body)
    assert.equal("hinted", assert(client:fetch(server:url("/hints"))).body)
    local ok, res = slow:wait()
    assert.is_true(ok)
    assert.equal("slow", res.body)
    assert.equal(2, client:stats().opened)
  end))

  it("cancels one stream without harm to the others", async(function()
    local client <close> = new_client()
    assert(client:fetch(server:url("/hints")))
    local task = ms.spawn(function() return client:fetch(server:url("/slow/10000")) end)
    local other = ms.spawn(function() return client:fetch(server:url("/slow/30")) end)
    ms.sleep(5)
    assert.is_true(task:cancel())
    local _, res = other:wait()
    assert.equal("slow", res.body)
    assert.equal(1, client:stats().opened)
    assert.equal(1, client:stats().idle)
  end))

  it("keeps what a paused reader does not take, and nothing of the others", async(function()
    local client <close> = new_client()
    local BIG = 4000000
    local paused = assert(client:fetch(server:url("/bytes/" .. BIG), { stream = true }))
    for _, res in ipairs(servers.many(client, 20, server:url("/bytes/" .. BIG))) do
      assert.equal(BIG, #res.body)
    end
    local n = 0
    for chunk in paused:chunks() do n = n + #chunk end
    assert.equal(BIG, n)
    assert.equal(1, client:stats().opened)
  end))

  it("ends a request that takes too long, alone", async(function()
    local client <close> = new_client()
    local other = ms.spawn(function() return client:fetch(server:url("/slow/60")) end)
    local res, err = client:fetch(server:url("/slow/10000"), { timeout = 20 })
    assert.is_nil(res)
    assert.equal("timed_out", err.code)
    local _, slow = other:wait()
    assert.equal("slow", slow.body)
  end))
end)
