-- SPDX-License-Identifier: MIT
--
-- fetch and its options, against nginx and a scripted peer.
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local server = require "spec.support.server"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

local function usage(pattern, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("usage", type(err) == "table" and err.category or err)
  assert.matches(pattern, err.message)
  assert.matches(pattern, tostring(err))
end

local function failure(code, res, err)
  assert.is_nil(res)
  assert.equal(code, err.code)
  return err
end

-- What /inspect says about a request.
local function inspect(res)
  local seen = {}
  for name, value in assert(res).body:gmatch("([%w-]+): ([^\n]*)") do seen[name] = value end
  return seen
end

describe("fetch", function()
  local nginx

  setup(function() nginx = server.start() end)
  teardown(function() nginx:stop() end)

  it("gives a response in a coroutine", async(function()
    local res = assert(ms.fetch(nginx:url("/small")))
    assert.equal(200, res.status)
    assert.is_true(res.ok)
    assert.equal("hello, world\n", res.body)
  end))

  it("gives a response on the main thread", async.main(function()
    assert.equal("hello, world\n", assert(ms.fetch(nginx:url("/small"))).body)
  end))

  it("takes the URL in the table", async(function()
    assert.equal("hello, world\n", assert(ms.fetch({ url = nginx:url("/small") })).body)
    assert.equal("POST", inspect(ms.fetch({ url = nginx:url("/inspect"), method = "POST" })).method)
  end))

  it("uses a connection again", async(function()
    assert.is_false(assert(ms.fetch(nginx:url("/small"))).reused)
    assert.is_true(assert(ms.fetch(nginx:url("/small"))).reused)
  end))

  it("is not slowed down by what it leaves behind", async(function()
    for _ = 1, 200 do assert.equal(13, #assert(ms.fetch(nginx:url("/small"))).body) end
  end))

  it("gets every body, whatever its size and framing", async(function()
    local all = server.big_body()
    for _, n in ipairs({ 0, 1, 100, 1000, 10000, 100000, 1000000 }) do
      assert.is_true(all:sub(1, n) == assert(ms.fetch(nginx:url("/bytes/" .. n))).body)
      assert.is_true(all:sub(1, n) == assert(ms.fetch(nginx:url("/chunked/" .. n))).body)
    end
    assert.is_true(all == assert(ms.fetch(nginx:url("/big"))).body)
  end))

  it("hands over any status", async(function()
    for _, status in ipairs({ 201, 204, 304, 404, 500, 599 }) do
      local res = assert(ms.fetch(nginx:url("/status/" .. status)))
      assert.equal(status, res.status)
      assert.equal(status < 300, res.ok)
    end
  end))

  it("raises inside a luv callback and inside our own", async.main(function()
    local said, timer = {}, uv.new_timer()
    local function try() said[#said + 1] = select(2, pcall(ms.fetch, nginx:url("/small"))) end
    timer:start(0, 0, function()
      try()
      timer:close()
    end)
    ms.request(nginx:url("/small"), try)
    ms.request(nginx:url("/small"), { on_headers = try }, function() end)
    ms.request(nginx:url("/small"), { on_data = try }, function() end)
    uv.run()
    assert.equal(4, #said)
    for _, err in ipairs(said) do
      assert.equal("usage", err.category)
      assert.matches("request", err.message)
      assert.matches("spawn", err.message)
    end
  end))

  it("ends when its coroutine is closed, and frees its socket", async(function()
    local p <close> = peer.start({ { { "request" }, { "eof" } } })
    local co = coroutine.create(function() ms.fetch(p:url()) end)
    coroutine.resume(co)
    p:wait("request", 30000, function() ms.sleep(1) end)
    assert.is_true(coroutine.close(co))
    assert.is_true(p:wait("eof", 30000, function() ms.sleep(1) end))
  end))

  it("ends when its task is cancelled, in every phase", async(function()
    local full <close> = peer.start({}, { full = true })
    local slow <close> = peer.start({ { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx" }, { "hang" } } })
    for _, url in ipairs({ full:url(), slow:url() }) do
      for _, delay in ipairs({ 0, 1, 30 }) do
        local t = ms.spawn(ms.fetch, url)
        ms.sleep(delay)
        t:cancel()
        assert.equal("cancelled", t.status)
      end
    end
  end))

  it("survives an abandoned coroutine", async(function()
    do
      local co = coroutine.create(function() ms.fetch(nginx:url("/small")) end)
      coroutine.resume(co)
    end
    collectgarbage()
    collectgarbage()
    ms.sleep(30)
    assert.equal(200, assert(ms.fetch(nginx:url("/small"))).status)
  end))

  describe("arguments", function()
    it("of wrong type are raised", async(function()
      usage("URL", ms.fetch)
      usage("URL", ms.fetch, 5)
      usage("URL", ms.fetch, {})
      usage("options", ms.fetch, nginx:url(), 5)
      usage("twice", ms.fetch, nginx:url(), { url = nginx:url() })
    end))

    it("with unknown options name the nearest known one", async(function()
      usage('unknown option "timout" %(did you mean "timeout"%?%)', ms.fetch, nginx:url(),
        { timout = 1 })
      usage('unknown option "jsno" %(did you mean "json"%?%)', ms.fetch, nginx:url(), { jsno = 1 })
      usage('unknown option "xyzzy"', ms.fetch, nginx:url(), { xyzzy = 1 })
      usage("option", ms.fetch, nginx:url(), { "x" })
    end))

    it("that are bad URLs come back", async(function()
      failure("bad_url", ms.fetch(""))
      failure("bad_url", ms.fetch("http://"))
      failure("bad_url", ms.fetch("http://a b/"))
      local err = failure("unsupported_scheme", ms.fetch("gopher://localhost/"))
      assert.equal("gopher://localhost/", err.url)
      assert.equal("usage", err.category)
    end))

    it("are neither changed nor kept", async(function()
      local opts = { method = "POST", headers = { ["X-Test"] = "1" }, json = { 1 } }
      local t = ms.spawn(ms.fetch, nginx:url("/inspect"), opts)
      ms.spawn(function() opts.method, opts.headers["X-Test"] = "GET", "2" end)
      local _, res = t:wait()
      assert.equal("POST", inspect(res).method)
      assert.equal("1", inspect(res)["x-test"])
      assert.is_nil(opts.headers["Content-Type"])
      assert.is_nil(opts.body)
    end))
  end)

  describe("method", function()
    it("is GET, or POST with a body", async(function()
      assert.equal("GET", inspect(ms.fetch(nginx:url("/inspect"))).method)
      assert.equal("POST", inspect(ms.fetch(nginx:url("/inspect"), { body = "x" })).method)
      assert.equal("PUT",
        inspect(ms.fetch(nginx:url("/inspect"), { method = "PUT", body = "x" })).method)
    end))

    it("has a function each", async(function()
      for _, name in ipairs({ "get", "post", "put", "patch", "delete", "options" }) do
        local res = assert(ms[name](nginx:url("/inspect")))
        assert.equal(name:upper(), inspect(res).method)
        assert.equal(name:upper(), res.request.method)
      end
      local res = assert(ms.head(nginx:url("/bytes/1000")))
      assert.equal("", res.body)
      assert.equal("1000", res.headers["content-length"])
      usage("method", ms.get, nginx:url(), { method = "PUT" })
    end))

    it("with wrong content fails, of wrong type raises", async(function()
      assert.is_nil((ms.fetch(nginx:url(), { method = "A B" })))
      usage("method", ms.fetch, nginx:url(), { method = 5 })
    end))
  end)

  describe("headers", function()
    it("are a map or a list", async(function()
      for _, headers in ipairs({ { ["X-Test"] = "a" }, { { "X-Test", "a" } } }) do
        assert.equal("a", inspect(ms.fetch(nginx:url("/inspect"), { headers = headers }))["x-test"])
      end
    end))

    it("have numbers and lists as values", async(function()
      local p <close> = peer.start({ { { "request" }, { "send", OK }, { "repeat" } } })
      assert(ms.fetch(p:url(), { headers = { A = 5, B = { "x", "y" } } }))
      local request = p:requests()[1]
      assert.matches("\r\nA: 5\r\n", request)
      assert.matches("\r\nB: x\r\nB: y\r\n", request)
    end))

    it("of ours go away with false", async(function()
      assert.matches("multisocket", inspect(ms.fetch(nginx:url("/inspect")))["user-agent"])
      assert.equal("", inspect(ms.fetch(nginx:url("/inspect"),
        { headers = { ["User-Agent"] = false } }))["user-agent"])
    end))

    it("with line breaks fail", async(function()
      failure("bad_header", ms.fetch(nginx:url(), { headers = { A = "x\r\nB: y" } }))
      failure("bad_header", ms.fetch(nginx:url(), { headers = { ["A B"] = "x" } }))
    end))

    it("of wrong type raise", async(function()
      usage("header", ms.fetch, nginx:url(), { headers = "A: b" })
      usage("header", ms.fetch, nginx:url(), { headers = { A = {} , B = print } })
    end))
  end)

  describe("body options", function()
    it("send a string whole", async(function()
      local text = server.big_body():sub(1, 1000000)
      assert.equal(201, assert(ms.put(nginx:url("/upload/a"), { body = text })).status)
      assert.is_true(text == nginx:uploaded("a"))
      assert.equal(204, assert(ms.put(nginx:url("/upload/a"), { body = "\0\r\n" })).status)
      assert.equal("\0\r\n", nginx:uploaded("a"))
    end))

    it("encode json and form and say so", async(function()
      local p <close> = peer.start({ { { "request" }, { "send", OK }, { "repeat" } } })
      assert(ms.fetch(p:url(), { json = { a = 1 } }))
      assert(ms.fetch(p:url(), { form = { a = "b c" } }))
      assert(ms.fetch(p:url(), { json = {}, headers = { ["content-type"] = "x/y" } }))
      local json, form, own = table.unpack(p:requests())
      assert.matches("^POST / ", json)
      assert.matches("\r\nContent%-Type: application/json\r\n", json)
      assert.matches('\r\n\r\n{"a":1}$', json)
      assert.matches("\r\nContent%-Type: application/x%-www%-form%-urlencoded\r\n", form)
      assert.matches("\r\n\r\na=b%+c$", form)
      assert.matches("\r\ncontent%-type: x/y\r\n", own)
      assert.is_nil(own:find("application/json", 1, true))
    end))

    it("exclude each other", async(function()
      usage("only one", ms.fetch, nginx:url(), { body = "x", json = {} })
      usage("only one", ms.fetch, nginx:url(), { form = {}, json = {} })
    end))

    it("of wrong type raise", async(function()
      usage("body", ms.fetch, nginx:url(), { body = 5 })
      usage("form", ms.fetch, nginx:url(), { form = "a=b" })
      usage("json", ms.fetch, nginx:url(), { json = print })
    end))
  end)

  it("adds the query", async(function()
    assert.equal("/inspect?x=1&a=1&b=%20%26",
      inspect(ms.fetch(nginx:url("/inspect?x=1"), { query = { b = " &", a = 1 } })).uri)
    usage("query", ms.fetch, nginx:url(), { query = "a" })
  end))

  describe("timeout", function()
    it("limits the whole transfer", async(function()
      local p <close> = peer.start({ { { "request" }, { "hang" } } })
      local started = uv.hrtime()
      local err = failure("timed_out", ms.fetch(p:url(), { timeout = 50 }))
      local took = (uv.hrtime() - started) / 1000000
      assert.equal("timeout", err.category)
      assert.is_true(took >= 49 and took < 5000)
      assert.is_true(p:wait("eof", 30000, function() ms.sleep(1) end))
      failure("timed_out", ms.fetch(p:url(), { timeout = { total = 50 } }))
    end))

    it("limits connecting", async(function()
      local p <close> = peer.start({}, { full = true })
      local err = failure("timed_out", ms.fetch(p:url(), { timeout = { connect = 50 } }))
      assert.equal("connect", err.phase)
    end))

    it("refuses 0 and what is no time", async(function()
      for _, timeout in ipairs({ 0, -1, 0 / 0, "1", { total = 0 }, { connect = "x" }, true }) do
        usage("timeout", ms.fetch, nginx:url(), { timeout = timeout })
      end
      usage("totl", ms.fetch, nginx:url(), { timeout = { totl = 1 } })
    end))

    it("can be switched off", async(function()
      assert(ms.fetch(nginx:url("/small"), { timeout = false }))
      assert(ms.fetch(nginx:url("/small"), { timeout = { connect = false } }))
    end))
  end)

  it("refused says where", async(function()
    local url = ("http://127.0.0.1:%d/"):format(port.free())
    local err = failure("connection_refused", ms.fetch(url))
    assert.equal("connect", err.category)
    assert.equal(url, err.url)
    assert.is_true(err.retryable)
    assert.matches("127.0.0.1", tostring(err))
  end))

  it("fail makes statuses of 400 and more errors", async(function()
    local err = failure("status", ms.fetch(nginx:url("/status/404"), { fail = true }))
    assert.equal("http", err.category)
    assert.equal(404, err.response.status)
    assert.equal("status 404\n", err.response.body)
    assert.matches("404", tostring(err))
    assert.equal(nginx:url("/status/404"), err.url)
    assert.equal(204, assert(ms.fetch(nginx:url("/status/204"), { fail = true })).status)
    assert.equal(404, assert(ms.fetch(nginx:url("/status/404"), { fail = false })).status)
    usage("fail", ms.fetch, nginx:url(), { fail = 1 })
  end))

  it("max_body and max_header_size are limits", async(function()
    failure("body_too_large", ms.fetch(nginx:url("/bytes/1000"), { max_body = 999 }))
    failure("body_too_large", ms.fetch(nginx:url("/chunked/1000"), { max_body = 999 }))
    assert.equal(1000, #assert(ms.fetch(nginx:url("/bytes/1000"), { max_body = 1000 })).body)
    failure("headers_too_large", ms.fetch(nginx:url("/small"), { max_header_size = 50 }))
    usage("max_body", ms.fetch, nginx:url(), { max_body = "x" })
  end))

  it("fresh_connection opens one", async(function()
    assert(ms.fetch(nginx:url("/small")))
    assert.is_false(assert(ms.fetch(nginx:url("/small"), { fresh_connection = true })).reused)
    usage("fresh_connection", ms.fetch, nginx:url(), { fresh_connection = 1 })
  end))

  it("tcp_nodelay is taken", async(function()
    assert(ms.fetch(nginx:url("/small"), { tcp_nodelay = false, fresh_connection = true }))
    usage("tcp_nodelay", ms.fetch, nginx:url(), { tcp_nodelay = 1 })
  end))

  describe("callbacks", function()
    it("get head and data", async(function()
      local heads, chunks = {}, {}
      local res = assert(ms.fetch(nginx:url("/bytes/100000"), {
        on_headers = function(head) heads[#heads + 1] = head.status end,
        on_data = function(chunk) chunks[#chunks + 1] = chunk end,
      }))
      assert.same({ 200 }, heads)
      assert.is_true(server.big_body():sub(1, 100000) == table.concat(chunks))
      assert.is_nil(res.body)
    end))

    it("end the transfer when they raise, with the value unchanged", async(function()
      for _, name in ipairs({ "on_headers", "on_data" }) do
        local value = {}
        local err = failure("callback_error", ms.fetch(nginx:url("/small"),
          { [name] = function() error(value) end }))
        assert.equal("callback", err.category)
        assert.equal(value, err.cause)
      end
      assert(ms.fetch(nginx:url("/small")))
    end))

    it("may start more work", async(function()
      local other, t
      assert(ms.fetch(nginx:url("/small"), {
        on_headers = function()
          ms.request(nginx:url("/bytes/100"), function(_, res) other = res end)
          t = ms.spawn(ms.fetch, nginx:url("/bytes/1000"))
        end,
      }))
      local _, res = t:wait()
      assert.equal(1000, #res.body)
      while not other do ms.sleep(1) end
      assert.equal(100, #other.body)
    end))

    it("of wrong type raise", async(function()
      usage("on_data", ms.fetch, nginx:url(), { on_data = "x" })
    end))
  end)
end)
