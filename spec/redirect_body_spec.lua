-- SPDX-License-Identifier: MIT
--
-- Redirects: bodies that are sent again and responses that nobody gets, over
-- HTTP/1.1 and HTTP/2; HTTP/2 alone; and what a program is told of all that.
local ms = require "multisocket"
local core = require "multisocket.core"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local drive = require "spec.support.drive"
local files = require "spec.support.files"
local h2_peer = require "spec.support.h2_peer"
local h2_servers = require "spec.support.h2_servers"
local peer = require "spec.support.peer"
local redirects = require "spec.support.redirects"
local server = require "spec.support.server"
local wire = require "spec.support.wire"

local OK, SERVE, redirect = redirects.OK, redirects.SERVE, redirects.redirect
local line_of, header, body_of, failure = redirects.line_of, redirects.header, redirects.body_of,
  redirects.failure

-- ---- bodies ------------------------------------------------------------------

local MiB = 1 << 20

for _, v in ipairs(wire.VERSIONS) do

local function chain(locations, status) return redirects.chain(locations, status, v) end

describe("D6: a body that is sent again " .. v.over, function()
  local path, text

  setup(function()
    path, text = os.tmpname(), ("0123456789abcdef"):rep(MiB // 16)
    files.write(path, text)
  end)
  teardown(function() os.remove(path) end)

  -- What the second of two peers got of it.
  local function sent(to, body, options)
    local from <close> = chain({ to:url("/to") }, 307)
    local opts = { method = "PUT", body = body }
    for name, value in pairs(options or {}) do opts[name] = value end
    assert(v:fetch(from:url("/from"), opts))
    assert.equal(body_of(from:requests()[1]), body_of(to:requests()[#to:requests()]))
    return body_of(to:requests()[#to:requests()])
  end

  it("is a string, a path or a file", async(function()
    local to <close> = v:peer({ SERVE })
    local file <close> = assert(io.open(path, "rb"))
    assert(file:seek("set", 16))
    assert.equal(text, sent(to, text))
    assert.equal(text, sent(to, { path = path }))
    assert.equal(text:sub(17), sent(to, file))
    assert.equal("file", io.type(file))
    for i = 1, #to:requests() do
      assert.is_truthy(header(to:requests()[i], "content-length"))
    end
  end))

  it("from a path is read anew for every hop", async(function()
    local p <close> = chain({ "/b", "/c", "/d" }, 308)
    assert(v:fetch(p:url("/a"), { body = { path = path } }))
    for i = 1, 4 do assert.equal(text, body_of(p:requests()[i])) end
  end))

  it("goes with a streamed response, too", async(function()
    local p <close> = chain({ "/b" }, 307)
    local res = assert(v:fetch(p:url("/a"), { body = { path = path }, stream = true }))
    assert.equal("ok", res:read("a"))
    assert.equal(text, body_of(p:requests()[2]))
  end))

  -- The server answers before it has read: the rest is not sent there.
  it("is begun again when the first server did not take all of it", async(function()
    local to <close> = v:peer({ SERVE })
    local from <close> = v:peer({ { { "head" }, { "send", redirect(307, to:url("/to")) },
      { "hang" } } })
    assert(v:fetch(from:url(), { method = "PUT", body = { path = path } }))
    assert.equal(text, body_of(to:requests()[1]))
  end))

  it("cannot be a function", async(function()
    for _, status in ipairs({ 307, 308 }) do
      local p <close> = chain({ "/b" }, status)
      local given = false
      local function once()
        if given then return nil end
        given = true
        return "x"
      end
      local err = failure("body_not_replayable", v:fetch(p:url("/a"), { body = once }))
      assert.equal("redirect", err.category)
      assert.matches("give it as a string or { path = }", err.message, 1, true)
      assert.equal(1, #p:requests())
    end
    -- Where it is dropped it need not be sent again.
    local p <close> = chain({ "/b" }, 303)
    local pieces = { "x" }
    assert(v:fetch(p:url("/a"), { body = function() return table.remove(pieces) end }))
    assert.equal("GET /b", line_of(p:requests()[2]))
    assert.is_nil(header(p:requests()[2], "transfer-encoding"))
  end))

  it("can be a function that was not asked yet (100-continue)", async(function()
    local p <close> = v:peer({ { { "head" }, { "send", redirect(307, "/b") }, { "close" } },
      { { "head" }, { "send", "HTTP/1.1 100 Continue\r\n\r\n" }, { "bytes", 6 },
        { "send", OK }, { "hang" } } })
    local pieces = { "x" }
    local res = assert(v:fetch(p:url("/a"), { expect_continue = true,
      body = function() return table.remove(pieces) end }))
    assert.equal("ok", res.body)
    assert.equal("POST /b", line_of(p:requests()[2]))
  end))
end)

-- ---- the response nobody gets --------------------------------------------------

local function with_body(status, location, body, more)
  return ("HTTP/1.1 %d There\r\nLocation: %s\r\n%sContent-Length: %d\r\n\r\n%s"):format(status,
    location, more or "", #body, body)
end

describe("D10: the body of a redirect " .. v.over, function()
  it("is read when it is short: the connection is used again", async(function()
    local chunked = "HTTP/1.1 302 There\r\nLocation: /b\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "4\r\ngone\r\n0\r\n\r\n"
    for _, first in ipairs({ with_body(302, "/b", ""), with_body(302, "/b", "gone"),
      with_body(302, "/b", ("x"):rep(65536)), chunked }) do
      local p <close> = v:peer({ { { "request" }, { "send", first }, { "request" },
        { "send", OK }, { "hang" } } })
      local res = assert(v:fetch(p:url("/a")))
      assert.equal("ok", res.body)
      assert.is_true(res.reused)
      assert.equal(1, p:connections())
    end
  end))

  it("of a HEAD is none, whatever it says", async(function()
    local p <close> = v:peer({ { { "request" },
      { "send", "HTTP/1.1 302 There\r\nLocation: /b\r\nContent-Length: 100000\r\n\r\n" },
      { "request" }, { "send", "HTTP/1.1 204 OK\r\n\r\n" }, { "hang" } } })
    assert.is_true(assert(v:fetch(p:url("/a"), { method = "HEAD" })).reused)
    assert.equal(1, p:connections())
  end))

  it("is broken off when it is long, endless or slow", async(function()
    local head = "HTTP/1.1 302 There\r\nLocation: /b\r\n"
    local endless = head .. "Transfer-Encoding: chunked\r\n\r\n"
    local chunk = "10000\r\n" .. ("x"):rep(65536) .. "\r\n"
    for what, script in pairs({
      long = { { "send", with_body(302, "/b", ("x"):rep(65537)) }, { "close" } },
      endless = { { "send", endless }, { "fill", 1 << 40, chunk } },
      ["to the end of the connection"] = { { "send", head .. "\r\nx" }, { "hang" } },
      slow = { { "send", head .. "Content-Length: 5\r\n\r\nx" }, { "hang" } } }) do
      table.insert(script, 1, { "request" })
      local p <close> = v:peer({ script, SERVE })
      local client <close> = v:client()
      local res = assert(client:fetch(p:url("/a")))
      assert.equal("ok", res.body, what)
      assert.is_true(client:stats().bytes_in < 2 * MiB, what)
      assert.equal(v.is_h2, res.reused, what) -- HTTP/2 gives up the stream alone
      assert.equal("GET /b", line_of(p:requests(2)[1]), what)
    end
  end))

  it("that is cut off does not matter", async(function()
    local p <close> = v:peer({ { { "request" },
      { "send", "HTTP/1.1 302 There\r\nLocation: /b\r\nContent-Length: 5\r\n\r\nx" },
      { "close" } }, SERVE })
    assert.equal("ok", assert(v:fetch(p:url("/a"))).body)
  end))

  it("goes to nobody, and its head neither", async(function()
    local script = { { "request" },
      { "send", "HTTP/1.1 103 Early\r\n\r\n" .. with_body(302, "/b", "gone", "X-First: 1\r\n") },
      { "request" }, { "send", OK }, { "hang" } }
    local p <close> = v:peer({ script })
    local heads, chunks = {}, {}
    local res = assert(v:fetch(p:url("/a"), { on_headers = function(head)
      heads[#heads + 1] = head.status
    end, on_data = function(chunk) chunks[#chunks + 1] = chunk end }))
    assert.same({ 103, 200 }, heads)
    assert.equal("ok", table.concat(chunks))
    assert.is_nil(res.headers["x-first"])
    local q <close> = v:peer({ script })
    local streamed = assert(v:fetch(q:url("/a"), { stream = true }))
    assert.equal(200, streamed.status)
    assert.equal("ok", streamed:read("a"))
    assert.equal(q:url("/b"), streamed.url)
    assert.equal(1, #streamed.redirects)
  end))

  it("is no concern of max_body and max_header_size of the last one", async(function()
    local p <close> = v:peer({ { { "request" }, { "send", with_body(302, "/b", "gone") },
      { "request" }, { "send", OK }, { "hang" } } })
    assert.equal("ok", assert(v:fetch(p:url("/a"), { max_body = 2 })).body)
  end))
end)

end

-- ---- HTTP/2 --------------------------------------------------------------------

describe("over HTTP/2 a redirect", function()
  it("is followed on the same connection, with method and body", async(function()
    local node <close> = h2_servers.node()
    for status, method in pairs({ [302] = "GET", [303] = "GET", [307] = "POST" }) do
      local client <close> = ms.client({ version = "2-prior-knowledge" })
      local res = assert(client:fetch(node:url(("/redirect/%d/echo#f"):format(status)),
        { body = ("x"):rep(100000), headers = { ["Content-Type"] = "text/x" } }))
      assert.equal(node:url("/echo#f"), res.url)
      assert.equal(method, res.request.method)
      assert.equal(method == "POST" and ("x"):rep(100000) or "", res.body)
      assert.equal(1, client:stats().opened)
      assert.equal(status, res.redirects[1].status)
    end
  end))

  it("takes a path along, and leaves content headers behind", async(function()
    local node <close> = h2_servers.node()
    local path = os.tmpname()
    local f <close> = assert(io.open(path, "wb"))
    f:write(("y"):rep(300000)):flush()
    local client <close> = ms.client({ version = "2-prior-knowledge" })
    local res = assert(client:put(node:url("/redirect/308/echo"), { body = { path = path } }))
    assert.equal(("y"):rep(300000), res.body)
    res = assert(client:put(node:url("/redirect/303/headers"), { body = { path = path },
      headers = { ["Content-Type"] = "text/x" } }))
    assert.matches(":method: GET", res.body)
    assert.is_nil(res.body:find("content-", 1, true))
    os.remove(path)
  end))

  it("D1, D2: leaves credentials behind", async(function()
    local function show(more)
      return { port = true, listen = " http2", config = (more or "") .. "location = /who "
        .. "{ return 200 '$http_authorization $http_cookie $host $http_x_kept'; }" }
    end
    local there <close> = server.start({ more = { show() } })
    local target = ("http://localhost:%d/who"):format(there.ports[1])
    local here <close> = server.start({ more = { show("location = /away { return 302 " .. target
      .. "; } location = /same { absolute_redirect off; return 302 /who; }") } })
    local client <close> = ms.client({ version = "2-prior-knowledge", headers = { Host = "by.hand",
      Authorization = "secret", Cookie = "a=secret", ["X-Kept"] = "kept" } })
    local base = ("http://127.0.0.1:%d"):format(here.ports[1])
    assert.equal("secret a=secret by.hand kept", assert(client:fetch(base .. "/same")).body)
    local res = assert(client:fetch(base .. "/away"))
    assert.equal("  localhost kept", res.body)
    assert.equal("2", res.version)
    -- D2: what is in the URL or the options.
    local login = base:gsub("//", "//anna:secret@")
    for _, row in ipairs({ { login, {} }, { base, { auth = { "anna", "secret" } } },
      { base, { bearer = "secret" } } }) do
      row[2].version = "2-prior-knowledge"
      assert.matches("^%a+ %S+ ", assert(ms.fetch(row[1] .. "/same", row[2])).body)
      assert.equal("  localhost ", assert(ms.fetch(row[1] .. "/away", row[2])).body)
    end
  end))

  it("D10: whose body has no end is broken off, and its connection stays", async(function()
    local p <close> = h2_peer.peer({ { "send", h2_peer.headers(1, { { ":status", "302" },
      { "location", "/b" } }) .. h2_peer.data(1, ("x"):rep(16384)):rep(5) },
      { "frame", h2_peer.HEADERS }, h2_peer.answer(3, "ok"), { "hang" } })
    local res = assert(ms.fetch(p:url("/a"), { version = "2-prior-knowledge" }))
    assert.same({ "ok", true }, { res.body, res.reused })
    assert.equal(1, p:connections())
    assert.equal(1, h2_peer.count(p, h2_peer.RST_STREAM, 1))
  end))

  it("goes from HTTP/1.1 to HTTP/2 and back, by ALPN", async(function()
    local good = certs.get("valid")
    local plain <close> = peer.start({ SERVE })
    local nginx <close> = server.start({ more = { { port = true, tls = good, listen = "http2",
      config = "location /back { return 302 " .. plain:url("/end") .. "; }" } } })
    local target = ("https://127.0.0.1:%d/back"):format(nginx.ports[1])
    local p <close> = redirects.chain({ target })
    local res = assert(ms.fetch(p:url(), { tls = { ca_file = good.ca }, allow_downgrade = true,
      headers = { Authorization = "secret" } }))
    assert.equal("1.1", res.version)
    assert.matches("^https:", res.redirects[2].url)
    assert.equal(2, #res.redirects)
    assert.equal(target, res.redirects[2].url)
    assert.is_nil(plain:requests()[1]:find("secret", 1, true))
  end))
end)

-- ---- what is told ----------------------------------------------------------------

describe("a redirect", function()
  it("has its place in the timings", async(function()
    local p <close> = peer.start({ { { "request" }, { "delay", 20 },
      { "send", redirect(302, "/b") }, { "request" }, { "send", OK }, { "hang" } } })
    local t = assert(ms.fetch(p:url("/a"))).timings
    assert.is_true(t.redirect >= 20)
    for _, name in ipairs({ "queue", "send", "first_byte", "total" }) do
      assert.is_true(t[name] >= t.redirect, name)
    end
    assert.equal(0, t.connect) -- the last request's connection was there
    local direct <close> = peer.start({ SERVE })
    local res = assert(ms.fetch(direct:url()))
    assert.equal(0, res.timings.redirect)
    assert.same({}, res.redirects)
  end))

  it("is listed, from the first to the last", async(function()
    local p <close> = redirects.chain({ "/b?x", "c d", "/e" }, 301)
    local res = assert(ms.fetch(p:url("/a")))
    assert.same({ { status = 301, url = p:url("/a"), location = "/b?x" },
      { status = 301, url = p:url("/b?x"), location = "c d" },
      { status = 301, url = p:url("/c%20d"), location = "/e" } }, res.redirects)
    assert.equal(p:url("/e"), res.url)
    assert.equal(p:url("/e"), res.request.url)
    collectgarbage()
    assert.equal("c d", res.redirects[2].location)
  end))

  it("is told by easies, whose next run begins at their URL", async(function()
    local d <close> = drive.new()
    local p <close> = peer.start({ { { "request" }, { "send", redirect(302, "/b") },
      { "request" }, { "send", OK }, { "repeat" } } })
    local easy = core.easy({ url = p:url("/a") })
    for round = 1, 3 do
      d.multi:add_handle(easy)
      d:run()
      local _, ok, err = d.multi:info_read()
      assert.is_true(ok, tostring(err))
      assert.equal(p:url("/b"), easy:getinfo("url"))
      assert.equal(1, #easy:getinfo("redirects"))
      assert.is_true(easy:getinfo("redirect") > 0)
      d.multi:remove_handle(easy)
      assert.equal("GET /a", line_of(p:requests()[2 * round - 1]))
    end
    easy:setopt({ redirect = 0 })
    d.multi:add_handle(easy)
    d:run()
    assert.equal(302, easy:getinfo("status"))
    assert.equal(p:url("/a"), easy:getinfo("url"))
    d.multi:remove_handle(easy)
  end))

  it("serves many at once, each on its own way", async(function()
    local node <close> = h2_servers.node()
    local list = {}
    for i = 1, 40 do list[i] = node:url(("/redirect/302/redirect/307/bytes/%d"):format(i)) end
    local client <close> = ms.client({ version = "2-prior-knowledge" })
    local results = ms.map(list, function(url) return client:get(url) end, { concurrency = 40 })
    for i, entry in ipairs(results) do
      assert.is_true(entry.ok, tostring(entry.error))
      assert.equal(i, #entry.value.body)
      assert.equal(2, #entry.value.redirects)
    end
  end))

  it("can be cancelled while its body is read", async(function()
    local p <close> = peer.start({ { { "request" },
      { "send", "HTTP/1.1 302 There\r\nLocation: /b\r\nContent-Length: 5\r\n\r\nx" },
      { "hang" } } })
    local client <close> = ms.client()
    local handle = client:request(p:url("/a"), function() end)
    p:wait(function() return #p:requests() == 1 end, nil, function() ms.sleep(1) end)
    handle:cancel()
    assert.equal(0, client:stats().running)
    assert.equal(0, client:stats().connections)
    assert.equal(1, #p:requests())
  end))
end)
