-- SPDX-License-Identifier: MIT
--
-- Retries: what is made again, when, and where that ends.
local ms = require "multisocket"
local uv = require "luv"
local core = require "multisocket.core"
local async = require "spec.support.async"
local drive = require "spec.support.drive"
local files = require "spec.support.files"
local h2_servers = require "spec.support.h2_servers"
local peer = require "spec.support.peer"
local redirects = require "spec.support.redirects"

local OK, SERVE = redirects.OK, redirects.SERVE
local line_of, failure = redirects.line_of, redirects.failure

-- Short delays: their length is no matter in most of these.
local SOON = 1

local function busy(status, more)
  return ("HTTP/1.1 %d Busy\r\n%sContent-Length: 4\r\n\r\nbusy"):format(status, more or "")
end

-- A peer whose first `count` answers are `first`.
local function reluctant(count, first)
  local script = {}
  for _ = 1, count do
    script[#script + 1] = { "request" }
    script[#script + 1] = { "send", first }
  end
  for _, step in ipairs(SERVE) do script[#script + 1] = step end
  script[#script] = { "hang" }
  return peer.start({ script })
end

local function retry(more)
  local t = { max = 3, max_delay = SOON }
  for name, value in pairs(more or {}) do t[name] = value end
  return t
end

describe("retry: by status", function()
  it("408 429 502 503 504 and no other, up to max", async(function()
    for _, status in ipairs({ 408, 429, 502, 503, 504 }) do
      local p <close> = reluctant(2, busy(status))
      local res = assert(ms.fetch(p:url(), { retry = retry() }))
      assert.equal("ok", res.body)
      assert.equal(3, #p:requests())
      assert.equal(1, p:connections()) -- what was said is read to its end
    end
    for _, status in ipairs({ 400, 401, 403, 404, 409, 425, 500, 501, 505, 200 }) do
      local p <close> = reluctant(1, busy(status))
      assert.equal(status, assert(ms.fetch(p:url(), { retry = retry() })).status)
      assert.equal(1, #p:requests())
    end
  end))

  it("none without the option, and none with max = 0", async(function()
    for _, value in ipairs({ { false }, { 0 }, { { max = 0 } }, { nil } }) do
      local p <close> = reluctant(1, busy(503))
      assert.equal(503, assert(ms.fetch(p:url(), { retry = value[1] })).status)
      assert.equal(1, #p:requests())
    end
  end))

  it("the last one is the response when all failed", async(function()
    local p <close> = reluctant(10, busy(503))
    local res = assert(ms.fetch(p:url(), { retry = retry({ max = 2 }) }))
    assert.equal(503, res.status)
    assert.equal("busy", res.body)
    assert.equal(3, res.attempts)
    assert.equal(3, #p:requests())
  end))

  it("and with fail its err says how often it was tried, and whether to again", async(function()
    for method, passing in pairs({ GET = true, POST = false }) do
      local p <close> = reluctant(10, busy(503))
      local err = failure("status", ms.fetch(p:url(), { fail = true, method = method,
        retry = retry({ max = 2, methods = { "GET", "POST" } }) }))
      assert.equal(3, err.attempts)
      assert.equal(passing, err.retryable)
    end
    local p <close> = reluctant(10, busy(500))
    local err = failure("status", ms.fetch(p:url(), { fail = true }))
    assert.equal(1, err.attempts)
    assert.is_false(err.retryable)
  end))

  it("other ones by retry.status", async(function()
    for _, list in ipairs({ { 418, "500" }, "418,500", { 418, 500 } }) do
      for status, count in pairs({ [418] = 2, [500] = 2, [503] = 1 }) do
        local p <close> = reluctant(1, busy(status))
        assert(ms.fetch(p:url(), { retry = retry({ status = list }) }))
        assert.equal(count, #p:requests(), tostring(status))
      end
    end
    for _, list in ipairs({ "x", "99", "600", { "500x" }, { -1 } }) do
      local err = failure("bad_option", ms.fetch("http://127.0.0.1:1/",
        { retry = { max = 1, status = list } }))
      assert.matches("retry.status is a list of statuses", err.message, 1, true)
    end
  end))

  it("of idempotent methods, or of those in retry.methods", async(function()
    local counts = { GET = 2, HEAD = 2, PUT = 2, DELETE = 2, OPTIONS = 2, POST = 1, PATCH = 1,
      get = 1, X = 1 }
    for method, count in pairs(counts) do
      local p <close> = peer.start({ { { "request" },
        { "send", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" }, { "request" },
        { "send", "HTTP/1.1 204 OK\r\n\r\n" }, { "hang" } } })
      assert(ms.fetch(p:url(), { method = method, retry = retry() }))
      assert.equal(count, #p:requests(), method)
    end
    for _, list in ipairs({ { "POST", "X" }, "POST,X" }) do
      for method, count in pairs({ POST = 2, X = 2, GET = 1 }) do
        local p <close> = reluctant(1, busy(503))
        assert(ms.fetch(p:url(), { method = method, retry = retry({ methods = list }) }))
        assert.equal(count, #p:requests(), method)
      end
    end
    failure("bad_option", ms.fetch("http://127.0.0.1:1/", { retry = { methods = { "G T" } } }))
  end))

  it("tells nobody of the responses in between", async(function()
    local p <close> = reluctant(2, busy(503))
    local heads, chunks = {}, {}
    assert(ms.fetch(p:url(), { retry = retry(),
      on_headers = function(head) heads[#heads + 1] = head.status end,
      on_data = function(chunk) chunks[#chunks + 1] = chunk end }))
    assert.same({ 200 }, heads)
    assert.equal("ok", table.concat(chunks))
    local q <close> = reluctant(2, busy(503))
    local res = assert(ms.fetch(q:url(), { retry = retry(), stream = true }))
    assert.equal("ok", res:read("a"))
    assert.same({}, res.redirects)
  end))
end)

describe("retry: bodies", function()
  it("strings and files are sent again, functions are not", async(function()
    local path = os.tmpname()
    files.write(path, ("x"):rep(300000))
    local methods = { "PUT" }
    for count, body in pairs({ [2] = { path = path }, [3] = ("y"):rep(1000) }) do
      local p <close> = reluctant(count - 1, busy(503))
      assert.equal(200, assert(ms.fetch(p:url(), { method = "PUT", body = body,
        retry = retry() })).status)
      assert.equal(count, #p:requests())
      for i = 2, count do assert.equal(p:requests()[1], p:requests()[i]) end
    end
    local p <close> = reluctant(1, busy(503))
    local pieces = { "x" }
    local res = assert(ms.fetch(p:url(), { method = "PUT", retry = retry({ methods = methods }),
      body = function() return table.remove(pieces) end }))
    assert.equal(503, res.status)
    assert.equal(1, #p:requests())
    os.remove(path)
  end))
end)

describe("retry: after a failure of the connection", function()
  it("refused, also of a POST: nothing had reached the server", async(function()
    local p = peer.start({ SERVE })
    local number = p.port
    p:stop()
    for _, method in ipairs({ "GET", "POST" }) do
      local err = failure("connection_refused", ms.fetch(("http://127.0.0.1:%d/"):format(number),
        { method = method, retry = retry({ max = 2 }) }))
      assert.equal(3, err.attempts)
      assert.is_true(err.retryable)
    end
    local err = failure("connection_refused",
      ms.fetch(("http://127.0.0.1:%d/"):format(number)))
    assert.equal(1, err.attempts)
  end))

  it("finds the server that comes back", async(function()
    local p = peer.start({ SERVE })
    local number = p.port
    p:stop()
    local task = ms.spawn(ms.fetch, ("http://127.0.0.1:%d/"):format(number),
      { retry = { max = 1000, max_delay = 50, budget = false } })
    ms.sleep(30)
    p = peer.start({ SERVE }, { port = number })
    local ok, res = task:wait(30000)
    assert.is_true(ok, tostring(res))
    assert.equal("ok", res.body)
    p:stop()
  end))

  it("reset or closed, for what may be made twice", async(function()
    local broken = {
      reset = { { "request" }, { "reset" } },
      closed = { { "request" }, { "close" } },
      ["in the head"] = { { "request" }, { "send", "HTTP/1.1 200 OK\r\nContent" }, { "close" } },
      ["in the body"] = { { "request" },
        { "send", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nha" }, { "close" } } }
    for what, script in pairs(broken) do
      local p <close> = peer.start({ script, script, SERVE })
      local res = assert(ms.fetch(p:url(), { retry = retry() }))
      assert.equal("ok", res.body, what)
      assert.equal(3, p:connections(), what)
      local q <close> = peer.start({ script, SERVE })
      local _, err = ms.fetch(q:url(), { body = "x", retry = retry() })
      assert.equal(1, err and err.attempts, what)
      assert.equal(1, q:connections(), what)
    end
  end))

  it("by the methods that retry.methods lists", async(function()
    for method, count in pairs({ POST = 2, GET = 1 }) do
      local p <close> = peer.start({ { { "request" }, { "reset" } }, SERVE })
      local res = ms.fetch(p:url(), { method = method, retry = retry({ methods = { "POST" } }) })
      assert.equal(count, p:connections(), method)
      assert.equal(count == 2, res ~= nil, method)
    end
  end))

  it("not what is no failure of the moment", async(function()
    for code, answer in pairs({ bad_response = "nonsense\r\n\r\n",
      headers_too_large = "HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(300) .. "\r\n\r\n",
      body_too_large = "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" .. ("x"):rep(30) }) do
      local p <close> = peer.start({ { { "request" }, { "send", answer }, { "hang" } } })
      failure(code, ms.fetch(p:url(), { retry = retry(), max_header_size = 100, max_body = 10 }))
      assert.equal(1, p:connections(), code)
    end
  end))

  it("not once the response was begun to be delivered", async(function()
    local script = { { "request" }, { "send", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nha" },
      { "close" } }
    for _, options in ipairs({ { on_data = function() end }, { on_headers = function() end } }) do
      local p <close> = peer.start({ script, SERVE })
      options.retry = retry()
      failure("unexpected_eof", ms.fetch(p:url(), options))
      assert.equal(1, p:connections())
    end
    local p <close> = peer.start({ script, SERVE })
    local res = assert(ms.fetch(p:url(), { retry = retry(), stream = true }))
    assert.is_nil((res:read("a")))
    assert.equal(1, p:connections())
  end))

  it("a limit on time, but not timeout.total", async(function()
    local p <close> = peer.start({ { { "request" }, { "hang" } }, SERVE })
    assert.equal("ok", assert(ms.fetch(p:url(), { timeout = { first_byte = 500 },
      retry = retry() })).body)
    local q <close> = peer.start({ { { "request" }, { "hang" } }, SERVE })
    local err = failure("timed_out", ms.fetch(q:url(), { timeout = 500, retry = retry() }))
    assert.equal(1, err.attempts)
    assert.equal("headers", err.phase)
    assert.equal(1, q:connections())
  end))

  it("never after a callback failed, or what was cancelled", async(function()
    local p <close> = peer.start({ SERVE })
    failure("callback_error", ms.fetch(p:url(), { retry = retry(),
      on_data = function() error("planted") end }))
    assert.equal(1, #p:requests())
  end))

  it("counts attempts of the last hop", async(function()
    local q <close> = peer.start({ { { "request" }, { "reset" } } })
    local p <close> = redirects.chain({ q:url("/x") })
    local err = failure("connection_reset", ms.fetch(p:url(), { retry = retry({ max = 2 }) }))
    assert.equal(3, err.attempts)
    assert.equal(q:url("/x"), err.url)
    for i = 1, 3 do assert.equal("GET /x", line_of(q:requests()[i])) end
    assert.equal(1, #p:requests())
  end))
end)

-- ---- when --------------------------------------------------------------------

-- Runs until the transfer waits for its retry, and returns that wait in ms, and
-- how much of it may be over, as we have not had the processor all the time.
local function wait_after(answer, options)
  local p <close> = peer.start({ { { "request" }, { "send", answer }, { "hang" } }, SERVE })
  local d <close> = drive.new()
  options = options or {}
  options.url = p:url()
  options.retry = options.retry or { max = 1, max_delay = 1 << 40 }
  local easy = core.easy(options)
  d.multi:add_handle(easy)
  local looked, now
  local function over() return d.multi:running() == 0 end
  local function waits()
    looked, now = now, uv.hrtime()
    return d.multi:stats().idle == 1 and d.multi:dump():find("queued again in %d+ ms")
  end
  d:run(function() return over() or waits() end)
  local wait = not over() and d.multi:timeout() or nil
  d.multi:remove_handle(easy)
  return wait, (uv.hrtime() - looked) / 1e6
end

local function http_date(seconds) return os.date("!%a, %d %b %Y %H:%M:%S GMT", seconds) end

describe("retry: when", function()
  it("is said by Retry-After, in seconds or as a date", async(function()
    local now = os.time()
    local cases = { -- the line, and between which seconds
      { "Retry-After: 7\r\n", 6, 7 }, { "Retry-After:  30 \r\n", 29, 30 },
      { "Retry-After: " .. http_date(now + 20) .. "\r\n", 10, 20 },
      -- By the server's own clock.
      { "Date: " .. http_date(1000) .. "\r\nRetry-After: " .. http_date(1040) .. "\r\n", 39, 40 },
      { "Date: " .. http_date(784111777) .. "\r\nRetry-After: Sunday, 06-Nov-94 08:49:57 GMT\r\n",
        19, 20 },
    }
    for _, case in ipairs(cases) do
      local wait, slack = wait_after(busy(503, case[1]))
      assert.is_truthy(wait, case[1])
      assert.is_true(wait + slack > case[2] * 1000 and wait <= case[3] * 1000, case[1] .. wait)
    end
  end))

  it("is at once when that is past", async(function()
    for _, value in ipairs({ "0", http_date(0), http_date(os.time() - 3600) }) do
      local p <close> = reluctant(1, busy(429, "Retry-After: " .. value .. "\r\n"))
      assert.equal("ok", assert(ms.fetch(p:url(), { retry = { max = 1 } })).body)
    end
  end))

  it("is random where nothing, or nonsense, is said: 100 to 300 ms", async(function()
    for _, line in ipairs({ "", "Retry-After: soon\r\n", "Retry-After: -1\r\n",
      "Retry-After: 1.5\r\n", "Retry-After: 99999999999999999999\r\n" }) do
      local wait, slack = wait_after(busy(503, line))
      assert.is_true(wait + slack > 90 and wait <= 301, line .. wait)
    end
  end))

  it("is after max_delay at the latest; who asks for more is not asked", async(function()
    local p <close> = reluctant(1, busy(503, "Retry-After: 2\r\n"))
    local res = assert(ms.fetch(p:url(), { retry = { max = 1, max_delay = 1000 } }))
    assert.equal(503, res.status)
    assert.equal("2", res.headers["retry-after"])
    assert.equal("busy", res.body)
    local wait = wait_after(busy(503), { retry = { max = 1, max_delay = 20 } })
    assert.is_true(wait <= 20)
  end))

  it("is within timeout.total, waiting included", async(function()
    local p <close> = reluctant(1, busy(503, "Retry-After: 20\r\n"))
    local err = failure("timed_out", ms.fetch(p:url(), { timeout = 1000, retry = 1 }))
    assert.equal("queue", err.phase)
    assert.equal(1, err.attempts)
    assert.matches("total timeout", err.message)
  end))

  it("leaves the connection to others meanwhile", async(function()
    local p <close> = peer.start({ { { "request" },
      { "send", busy(503, "Retry-After: 20\r\n") }, { "request" }, { "send", OK }, { "hang" } } })
    local client <close> = ms.client({ max_connections = 1 })
    local handle = client:request(p:url("/a"), { retry = 1 }, function() end)
    assert.is_truthy(p:wait(function() return #p:requests() == 1 and client:stats().idle == 1 end,
      nil, function() ms.sleep(1) end))
    assert.equal("ok", assert(client:get(p:url("/b"))).body)
    assert.equal(1, client:stats().running)
    handle:cancel()
    assert.equal(0, client:stats().running)
    assert.equal(1, client:stats().opened)
  end))

  it("may be never: cancelled, removed or closed while it waits", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", busy(503, "Retry-After: 20\r\n") },
      { "repeat" } } })
    for _, how in ipairs({ "remove_handle", "close" }) do
      local d <close> = drive.new()
      local easy = core.easy({ url = p:url(), retry = 1 })
      d.multi:add_handle(easy)
      d:run(function() return d.multi:stats().idle == 1 end)
      assert.equal(1, d.multi:running())
      if how == "close" then d.multi:close() else d.multi:remove_handle(easy) end
      assert.equal(0, d.multi:running())
      local _, ok, err = d.multi:info_read()
      if how == "close" then
        assert.is_false(ok)
        assert.equal("cancelled", err.code)
      else
        assert.is_nil(ok)
      end
    end
    local task = ms.spawn(ms.fetch, p:url(), { retry = 1 })
    local before = #p:requests()
    p:wait(function() return #p:requests() > before end, nil, function() ms.sleep(1) end)
    task:cancel()
    assert.equal("cancelled", task.status)
  end))
end)

describe("retry: the budget", function()
  it("is the client's: what one spends the others lack", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", busy(503) }, { "repeat" } } })
    local client <close> = ms.client({ retry = { max = 3, max_delay = SOON, budget = 2 } })
    for _, count in ipairs({ 3, 1, 1 }) do
      local before = #p:requests()
      assert.equal(503, assert(client:get(p:url())).status)
      assert.equal(count, #p:requests() - before)
    end
    local other <close> = ms.client({ retry = { max = 3, max_delay = SOON, budget = 2 } })
    local before = #p:requests()
    assert(other:get(p:url()))
    assert.equal(3, #p:requests() - before)
  end))

  it("is paid for by requests, ten for one", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", busy(503) }, { "repeat" } } })
    local q <close> = peer.start({ SERVE })
    local client <close> = ms.client({ retry = { max = 1, max_delay = SOON, budget = 2 } })
    for _ = 1, 2 do assert(client:get(p:url())) end
    assert.equal(4, #p:requests())
    for _ = 1, 20 do assert(client:get(q:url())) end
    local before = #p:requests()
    for _ = 1, 2 do assert(client:get(p:url())) end
    assert.equal(4, #p:requests() - before)
  end))

  it("has no end with false, and allows nothing with 0", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", busy(503) }, { "repeat" } } })
    local client <close> = ms.client()
    for budget, count in pairs({ [0] = 1, [false] = 121 }) do
      local before = #p:requests()
      assert(client:get(p:url(), { retry = { max = 120, max_delay = 1, budget = budget } }))
      assert.equal(count, #p:requests() - before)
    end
  end))
end)

describe("retry: over HTTP/2", function()
  it("is a new stream", async(function()
    local node <close> = h2_servers.node()
    local client <close> = ms.client({ version = "2-prior-knowledge", retry = retry() })
    for _ = 1, 3 do assert.equal("at last", assert(client:get(node:url("/busy/3"))).body) end
    assert.equal(1, client:stats().opened)
    assert.equal(503, assert(client:post(node:url("/busy/2"), { body = "x" })).status)
  end))

  it("follows a connection that broke", async(function()
    local node <close> = h2_servers.node()
    local client <close> = ms.client({ version = "2-prior-knowledge", retry = retry() })
    local _, err = client:get(node:url("/destroy"))
    assert.equal(4, err.attempts)
    assert.equal("2", assert(client:get(node:url("/status/200"))).version)
  end))
end)

describe("retry: what is told in the end", function()
  it("is of the last attempt", async(function()
    local p = peer.start({ { { "close" } } })
    local url = p:url()
    p:stop()
    local err = failure("timed_out", ms.fetch(url, { retry = { max = 1 },
      timeout = { total = 80 } }))
    assert.is_nil(err.message:lower():find("refused", 1, true))
    assert.matches("total timeout", err.message, 1, true)
  end))
end)
