-- SPDX-License-Identifier: MIT
--
-- HTTP/2 with more servers that others wrote: what haproxy makes of an HTTP/1
-- server behind it, h2o that is told to stop, and node doing odd things.
local async = require "spec.support.async"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local servers = require "spec.support.h2_servers"

local PRIOR = { version = "2-prior-knowledge" }

-- A fetch from haproxy with a server behind it that answers so.
local function through_haproxy(answer, opts, last)
  local back <close> = peer.start { { { "request" }, { "send", answer }, last or { "hang" } } }
  local proxy <close> = servers.haproxy(back.port)
  local options = { version = "2-prior-knowledge", timeout = 30000 }
  for k, v in pairs(opts or {}) do options[k] = v end
  local res, err = ms.fetch(proxy:url("/"), options)
  return res, err, back
end

describe("HTTP/2 with haproxy", function()
  it("has early hints and trailers", async(function()
    local seen = {}
    local res = assert(through_haproxy("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
      .. "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
      .. "5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n", { headers = { TE = "trailers" },
      on_headers = function(head)
        seen[#seen + 1] = head.status .. (head.informational and head.headers.link or "")
      end }))
    assert.same({ "103</a.css>", "200" }, seen)
    assert.equal("hello", res.body)
    assert.equal("42", res.trailers["x-sum"])
  end))

  -- haproxy 2.6 ends the stream as if all were well; a chunked body that was
  -- cut cannot be told from a whole one.
  it("is seen to have ended a body too early", async(function()
    local res, err = through_haproxy("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", nil,
      { "close" })
    assert.is_nil(res)
    assert.is_true(err.code == "bad_response" or err.code == "stream_reset", err.code)
  end))

  it("sends uploads, with and without a length", async(function()
    local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    for _, body in ipairs { ("x"):rep(300000), (function()
      local n = 0
      return function()
        n = n + 1
        return n <= 30 and ("x"):rep(10000) or nil
      end
    end)() } do
      local res, err, back = through_haproxy(OK, { method = "PUT", body = body })
      assert(res, err)
      local _, head_end = back:requests()[1]:find("\r\n\r\n", 1, true)
      assert.is_true(#back:requests()[1] - head_end >= 300000)
    end
  end))

  it("takes 421 for an answer, and so does who asked", async(function()
    local proxy <close> = servers.haproxy(1)
    local client <close> = ms.client(PRIOR)
    assert.equal(421, assert(client:fetch(proxy:url("/421"))).status)
    assert.equal(421, assert(client:fetch(proxy:url("/421"))).status) -- tried on a fresh one too
    assert.equal(2, client:stats().opened)
  end))

  it("follows its limit on streams", async(function()
    local back <close> = peer.start { { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }, { "repeat" } } }
    local proxy <close> = servers.haproxy(back.port)
    local client <close> = ms.client(PRIOR)
    local tasks = {}
    for i = 1, 100 do tasks[i] = ms.spawn(function() return client:fetch(proxy:url("/")) end) end
    for i = 1, 100 do assert.equal("ok", assert(select(2, tasks[i]:wait())).body) end
    assert.is_true(client:stats().opened <= 10)
  end))

  it("ends its connections in order when it is told to stop", async(function()
    local back <close> = peer.start { { { "request" }, { "delay", 200 },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow" }, { "hang" } } }
    local proxy <close> = servers.haproxy(back.port)
    local client <close> = ms.client(PRIOR)
    local slow = ms.spawn(function() return client:fetch(proxy:url("/")) end)
    assert.is_truthy(back:wait("request", nil, function() ms.sleep(1) end))
    proxy:signal("sigusr1")
    local ok, res = slow:wait()
    assert(ok, res)
    assert.equal("slow", res.body)
  end))

  it("that is killed ends what was under way, and that is told", async(function()
    local back <close> = peer.start { { { "request" }, { "hang" } } }
    local proxy <close> = servers.haproxy(back.port)
    local client <close> = ms.client(PRIOR)
    local slow = ms.spawn(function() return client:post(proxy:url("/"), { body = "x" }) end)
    assert.is_truthy(back:wait("request", nil, function() ms.sleep(1) end))
    proxy:signal("sigkill")
    local ok, err = slow:wait()
    assert.is_false(ok)
    assert.is_true(err.code == "unexpected_eof" or err.code == "connection_reset", err.code)
  end))
end)

describe("HTTP/2 with h2o", function()
  it("asks many at a time", async(function()
    local server <close> = servers.h2o()
    local client <close> = ms.client(PRIOR)
    local jobs = {}
    for i = 1, 300 do
      jobs[i] = function() return assert(client:fetch(server:url("/hello.txt"))).body end
    end
    for _, entry in ipairs(ms.gather(jobs, { concurrency = 300 })) do
      assert.equal("hello\n", entry.value)
    end
    assert.is_true(client:stats().opened <= 3)
    local res = assert(client:fetch(server:url("/big")))
    assert.equal(servers.BIG, #res.body)
    assert.equal(404, assert(client:fetch(server:url("/none"))).status)
  end))

  it("takes GOAWAY for what it is: what runs ends, what comes goes elsewhere", async(function()
    local server <close> = servers.h2o()
    local client <close> = ms.client(PRIOR)
    local res = assert(client:fetch(server:url("/big"), { stream = true }))
    server:signal("sigterm")
    -- no new stream is opened there as soon as GOAWAY came, and nobody listens any more
    local err
    for _ = 1, 10000 do
      local _, failed = client:fetch(server:url("/hello.txt"))
      err = failed
      if failed then break end
      ms.sleep(5)
    end
    assert.equal("connection_refused", err.code)
    local n = 0
    for chunk in res:chunks() do n = n + #chunk end
    assert.equal(servers.BIG, n)
  end))
end)

describe("HTTP/2 with node, when it", function()
  local server
  setup(function() server = servers.node() end)
  teardown(function() server:stop() end)

  it("resets a stream in its body", async(function()
    local res, err = ms.fetch(server:url("/cut"), PRIOR)
    assert.is_nil(res)
    assert.equal("stream_reset", err.code)
    assert.matches("INTERNAL_ERROR", err.message)
  end))

  it("wants HTTP/1.1, which is not had by prior knowledge", async(function()
    local res, err = ms.fetch(server:url("/rst/13"), PRIOR)
    assert.is_nil(res)
    assert.equal("stream_reset", err.code)
    assert.matches("HTTP_1_1_REQUIRED", err.message)
  end))

  it("refuses a few times", async(function()
    local client <close> = ms.client(PRIOR)
    local res = assert(client:post(server:url("/flaky/4"), { body = "x" }))
    assert.equal("at last", res.body)
    assert.equal(1, client:stats().opened)
  end))

  it("aborts the connection with an error", async(function()
    local client <close> = ms.client(PRIOR)
    local res, err = client:post(server:url("/abort/11"), { body = "x" })
    assert.is_nil(res)
    assert.equal("http2_error", err.code)
    assert.matches("ENHANCE_YOUR_CALM", err.message)
    assert.equal("200", assert(client:fetch(server:url("/status/200"))).body)
    assert.equal(2, client:stats().opened)
  end))

  it("drops the connection without a word", async(function()
    local client <close> = ms.client(PRIOR)
    local others = {}
    for i = 1, 5 do
      others[i] = ms.spawn(function()
        return client:post(server:url("/slow/5000"), { body = "x" })
      end)
    end
    ms.sleep(20)
    local res, err = client:post(server:url("/destroy"), { body = "x" })
    assert.is_nil(res)
    assert.is_true(err.code == "unexpected_eof" or err.code == "connection_reset", err.code)
    for i = 1, 5 do
      local ok, failed = others[i]:wait()
      assert.is_false(ok)
      assert.is_true(failed.code == "unexpected_eof" or failed.code == "connection_reset")
    end
    assert.equal("200", assert(client:fetch(server:url("/status/200"))).body)
  end))

  it("answers 421", async(function()
    local client <close> = ms.client(PRIOR)
    assert.equal(421, assert(client:fetch(server:url("/status/421"))).status)
    assert.equal(1, client:stats().opened)
    assert.equal(421, assert(client:fetch(server:url("/status/421"))).status)
    assert.equal(2, client:stats().opened)
  end))
end)
