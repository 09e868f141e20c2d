-- SPDX-License-Identifier: MIT
--
-- Redirects: where they lead, what of the request goes there, and where they
-- end; over HTTP/1.1 and HTTP/2.
local ms = require "multisocket"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local redirects = require "spec.support.redirects"
local server = require "spec.support.server"
local wire = require "spec.support.wire"

local OK, SERVE, redirect = redirects.OK, redirects.SERVE, redirects.redirect
local line_of, header, body_of, failure = redirects.line_of, redirects.header, redirects.body_of,
  redirects.failure

-- ---- methods ---------------------------------------------------------------

local GET, POST, PUT, HEAD, DELETE = "GET", "POST", "PUT", "HEAD", "DELETE"

-- By method and status: what the second request asks with (Fetch, 4.4; RFC
-- 9110, 15.4). A body goes along where the method stays.
local METHODS = {
  [GET] = { [301] = GET, [302] = GET, [303] = GET, [307] = GET, [308] = GET },
  [HEAD] = { [301] = HEAD, [302] = HEAD, [303] = HEAD, [307] = HEAD, [308] = HEAD },
  [POST] = { [301] = GET, [302] = GET, [303] = GET, [307] = POST, [308] = POST },
  [PUT] = { [301] = PUT, [302] = PUT, [303] = GET, [307] = PUT, [308] = PUT },
  [DELETE] = { [301] = DELETE, [302] = DELETE, [303] = GET, [307] = DELETE, [308] = DELETE },
  PATCH = { [301] = "PATCH", [302] = "PATCH", [303] = GET, [307] = "PATCH", [308] = "PATCH" },
}
local HAS_BODY = { [POST] = true, [PUT] = true, PATCH = true }

local STATUSES = { 301, 302, 303, 307, 308 }

local function each_method(fn)
  for method, row in pairs(METHODS) do
    for _, status in ipairs(STATUSES) do fn(method, status, row[status]) end
  end
end

for _, v in ipairs(wire.VERSIONS) do

local function chain(locations, status) return redirects.chain(locations, status, v) end

describe("D6: a redirect " .. v.over, function()
  it("keeps the method, or makes it GET and drops the body", async(function()
    each_method(function(method, status, expected)
      local p <close> = chain({ "/to" }, status)
      local body = HAS_BODY[method] and "the body" or nil
      local res = assert(v:fetch(p:url("/from"), { method = method, body = body,
        headers = { ["Content-Type"] = "text/x", ["Content-Language"] = "de", Digest = "d",
          ["Repr-Digest"] = "r", ["Last-Modified"] = "m", ["X-Kept"] = "1" } }))
      local what = ("%s, %d"):format(method, status)
      local second = p:requests()[2]
      local kept = method == expected
      assert.equal(expected .. " /to", line_of(second), what)
      assert.equal(body and kept and body or "", body_of(second), what)
      assert.equal(kept and "text/x" or nil, header(second, "content-type"), what)
      assert.equal(kept and "de" or nil, header(second, "content-language"), what)
      assert.equal(kept and "d" or nil, header(second, "digest"), what)
      assert.equal(kept and "r" or nil, header(second, "repr-digest"), what)
      assert.equal(kept and "m" or nil, header(second, "last-modified"), what)
      assert.equal(body and kept and "8" or nil, header(second, "content-length"), what)
      assert.equal("1", header(second, "x-kept"), what)
      assert.equal(expected, res.request.method, what)
      assert.equal(header(second, "content-type"), res.request.headers["content-type"], what)
      assert.equal(header(second, "content-length"), res.request.headers["content-length"], what)
      assert.equal(1, p:connections(), what)
    end)
  end))

  it("keeps a POST with redirect_post, but for 303", async(function()
    for _, status in ipairs(STATUSES) do
      local p <close> = chain({ "/to" }, status)
      assert(v:fetch(p:url(), { body = "x", redirect_post = true }))
      assert.equal(status == 303 and "GET /to" or "POST /to", line_of(p:requests()[2]))
      assert.equal(status == 303 and "" or "x", body_of(p:requests()[2]))
    end
  end))

  it("stays a GET behind one that made it one", async(function()
    local p <close> = v:peer({ {
      { "request" }, { "send", redirect(303, "/b") },
      { "request" }, { "send", redirect(307, "/c") },
      { "request" }, { "send", OK }, { "hang" } } })
    local res = assert(v:fetch(p:url("/a"), { method = "PUT", body = "x" }))
    assert.equal("GET /b", line_of(p:requests()[2]))
    assert.equal("GET /c", line_of(p:requests()[3]))
    assert.equal("", body_of(p:requests()[3]))
    assert.equal("GET", res.request.method)
  end))
end)

-- ---- where to ----------------------------------------------------------------

-- Locations seen from /a/b/c?d, and the request line they lead to.
local TARGETS = {
  ["/x"] = "/x", ["x"] = "/a/b/x", ["./x"] = "/a/b/x", ["../x"] = "/a/x",
  ["../../../x"] = "/x", ["?y"] = "/a/b/c?y", ["x?y=z#f"] = "/a/b/x?y=z", ["#f"] = "/a/b/c?d",
  ["/a b"] = "/a%20b", ["/a\tb"] = "/ab", ["/\u{e4}\u{20ac}"] = "/%C3%A4%E2%82%AC",
  ["/\xe4"] = "/%E4", ["/%7e%zz"] = "/%7e%zz", ["\\x\\y"] = "/x/y", ["/a/./b/../c"] = "/a/c",
  ["/\"<>"] = "/%22%3C%3E", ["  /x  "] = "/x", ["/;p=1"] = "/;p=1", ["//$HOST/x"] = "/x",
  ["http://$HOST"] = "/", ["HTTP://$HOST/x"] = "/x", ["http:x"] = "/a/b/x", ["http:/x"] = "/x",
  ["http://u:p@$HOST/x"] = "/x",
}

describe("D7: Location " .. v.over, function()
  it("is resolved as a browser does", async(function()
    for location, target in pairs(TARGETS) do
      -- The host is known when the peer listens: two hops.
      local to <close> = v:peer({ { { "request" }, { "send", OK }, { "hang" } } })
      local host = ("%s:%d"):format(to.host, to.port)
      local from <close> = chain({ (location:gsub("%$HOST", function() return host end)) })
      local res = assert(v:fetch(from:url("/a/b/c?d#old")))
      local second = from:requests()[2] or to:requests()[1]
      assert.equal("GET " .. target, line_of(second), location)
      local fragment = location:match("#.*$") or "#old"
      assert.equal(fragment, res.url:match("#.*$"), location)
      assert.equal(target, res.url:match("^http://[^/]*([^#]*)"), location)
      assert.same({ { status = 302, url = from:url("/a/b/c?d#old"),
        location = res.redirects[1].location } }, res.redirects)
    end
  end))

  it("inherits the fragment over several hops", async(function()
    local p <close> = chain({ "/b", "/c", "/d#new", "/e" })
    assert.equal(p:url("/e#new"), assert(v:fetch(p:url("/a#old"))).url)
  end))

  it("that is missing or empty makes the 3xx the response", async(function()
    for _, line in ipairs({ "", "Location:\r\n", "Location: \t \r\n",
      "Location:\r\nLocation:\r\n" }) do
      local p <close> = v:peer({ { { "request" },
        { "send", "HTTP/1.1 302 Found\r\n" .. line .. "Content-Length: 4\r\n\r\nbody" },
        { "hang" } } })
      local res = assert(v:fetch(p:url()))
      assert.equal(302, res.status)
      assert.equal("body", res.body)
      assert.same({}, res.redirects)
    end
  end))

  it("D8: that differs from another one is an error, the same twice is not", async(function()
    for second, code in pairs({ ["/b"] = "bad_response", ["/a"] = false }) do
      local p <close> = v:peer({ { { "request" },
        { "send", redirect(302, "/a", "Location: " .. second .. "\r\n") },
        { "request" }, { "send", OK }, { "hang" } } })
      local res, err = v:fetch(p:url())
      if code then
        assert.matches("two different Location", failure(code, res, err).message)
        assert.equal(p:url(), err.url)
      else
        assert.equal(200, res.status)
      end
    end
  end))

  it("that is no URL is an error", async(function()
    for _, location in ipairs({ "http://", "http://a b/", "http://[::1/", "http://h:99999/",
      "http://%00/", "http://1.2.3.4.5/" }) do
      local p <close> = chain({ location })
      local err = failure("bad_response", v:fetch(p:url()))
      assert.matches("Location is not a valid URL", err.message)
      assert.equal(1, #p:requests())
    end
  end))

  it("never puts a line break into a request", async(function()
    local p <close> = chain({ "/a%0d%0aX-Bad:%201" })
    assert(v:fetch(p:url()))
    assert.equal("GET /a%0d%0aX-Bad:%201", line_of(p:requests()[2]))
    assert.is_nil(header(p:requests()[2], "x-bad"))
  end))
end)

-- ---- where it ends -----------------------------------------------------------

describe("a real server's redirects " .. v.over, function()
  it("are followed", async(function()
    local nginx <close> = v:nginx()
    local client <close> = v:client()
    for _, status in ipairs(STATUSES) do
      for _, method in ipairs({ "GET", "HEAD" }) do
        local res = assert(client:fetch(nginx:url("/status/" .. status), { method = method }))
        assert.equal(200, res.status)
        assert.equal(method == "GET" and "hello, world\n" or "", res.body)
        assert.equal(nginx:url("/small"), res.url)
        assert.equal(status, res.redirects[1].status)
      end
    end
    assert.equal(1, client:stats().opened)
  end))
end)

describe("D5: the number of redirects " .. v.over, function()
  it("is ten at most, or what redirect says", async(function()
    local p <close> = v:peer({ { { "request" }, { "send", redirect(302, "/more") },
      { "repeat" } } })
    for limit, requests in pairs({ [false] = 11, [1] = 2, [3] = 4, [25] = 26 }) do
      local before = #p:requests()
      local err = failure("too_many_redirects", v:fetch(p:url(), { redirect = limit or nil,
        timeout = 30000 }))
      assert.equal("redirect", err.category)
      assert.equal("headers", err.phase)
      assert.is_false(err.retryable)
      assert.equal(p:url("/more"), err.url)
      assert.equal(requests, #p:requests() - before)
    end
  end))

  it("is none with 0 and false: the 3xx is the response", async(function()
    local p <close> = v:peer({ { { "request" }, { "send", redirect(302, "/x") },
      { "repeat" } } })
    for _, off in ipairs({ 0, false }) do
      local res = assert(v:fetch(p:url(), { redirect = off }))
      assert.equal(302, res.status)
      assert.equal("/x", res.headers.location)
      assert.equal(p:url(), res.url)
      assert.same({}, res.redirects)
    end
    local client <close> = v:client({ redirect = false })
    assert.equal(302, assert(client:get(p:url())).status)
  end))

  it("does not outlive timeout.total", async(function()
    local p <close> = v:peer({ { { "request" }, { "delay", 30 },
      { "send", redirect(302, "/more") }, { "repeat" } } })
    local err = failure("timed_out", v:fetch(p:url(), { timeout = 200, redirect = 20 }))
    assert.equal(p:url("/more"), err.url)
  end))

  it("D9: counts 301 302 303 307 308 and no other status", async(function()
    for _, status in ipairs({ 201, 300, 304, 305, 306, 309, 399, 400, 503 }) do
      local p <close> = chain({ "/to" }, status)
      assert.equal(status, assert(v:fetch(p:url())).status)
      assert.equal(1, #p:requests())
    end
  end))
end)

describe("D3, D4: a redirect " .. v.over, function()
  it("to another scheme is refused", async(function()
    for _, location in ipairs({ "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
      "data:text/plain,x", "javascript:alert(1)", "ws://127.0.0.1/", "about:blank", "x:" }) do
      local p <close> = chain({ location })
      local err = failure("redirect_blocked", v:fetch(p:url("/from")))
      assert.equal("redirect", err.category)
      assert.equal(p:url("/from"), err.url)
      assert.matches("another scheme", err.message)
    end
  end))

  it("from https to http is refused unless allow_downgrade is set", async(function()
    local plain <close> = v:peer({ SERVE })
    local nginx <close> = v:nginx({ tls = certs.get("valid"),
      more = { { port = true, tls = certs.get("valid"),
        config = "location /down { return 302 " .. plain:url("/x") .. "; }" } } })
    local url = ("https://127.0.0.1:%d/down"):format(nginx.ports[1])
    local tls = { ca_file = certs.get("valid").ca }
    local err = failure("redirect_blocked", v:fetch(url, { tls = tls }))
    assert.matches("from https to http", err.message)
    assert.equal(0, #plain:requests())
    local res = assert(v:fetch(url, { tls = tls, allow_downgrade = true,
      headers = { Authorization = "secret", Cookie = "secret" } }))
    assert.equal(plain:url("/x"), res.url)
    assert.is_nil(plain:requests()[1]:find("secret", 1, true))
    assert.is_nil(res.tls)
  end))

  it("goes to the next hop by itself: a refused connection is that one's", async(function()
    local gone = peer.start({ SERVE })
    gone:stop()
    local p <close> = chain({ gone:url("/x") })
    local err = failure("connection_refused", v:fetch(p:url()))
    assert.equal(gone:url("/x"), err.url)
    assert.matches(tostring(gone.port), err.message)
    assert.equal("connect", err.phase)
  end))
end)

describe("a redirect whose own body stands still " .. v.over, function()
  it("is followed all the same", async(function()
    local p <close> = v:peer { { { "request" }, { "send",
      "HTTP/1.1 302 There\r\nLocation: /next\r\nContent-Length: 10\r\n\r\n01" }, { "hang" } },
      redirects.SERVE }
    local slow = { limit = 1, time = 50 }
    for _, limits in ipairs { { timeout = { idle = 50 } }, { low_speed = slow } } do
      assert.equal("ok", assert(v:fetch(p:url(), limits)).body)
    end
  end))
end)

end

-- ---- credentials, addresses; with servers and curl in redirect_wire_spec.lua -----

local SECRETS = { Authorization = "Bearer secret-a", ["Proxy-Authorization"] = "Basic secret-b",
  Cookie = "a=secret-c", Cookie2 = "secret-d", ["WWW-Authenticate"] = "secret-e",
  Host = "by.hand.test", ["X-Kept"] = "kept" }

local function has_secrets(request)
  return request:find("secret", 1, true) ~= nil
end

describe("a redirect's Referer", function()
  -- By HTTP/1.1 and HTTP/2, and whatever else may go along.
  it("D3: takes no Referer along from https to http", async(function()
    local good = certs.get("valid")
    local plain <close> = peer.start({ SERVE })
    local block = "location /down { return 302 " .. plain:url("/x") .. "; }"
      .. "location = /again { return 302 /who; }"
      .. "location = /who { return 200 'from: $http_referer'; }"
    local nginx <close> = server.start({ tls = good, more = {
      { port = true, tls = good, config = block },
      { port = true, tls = good, config = block, listen = " http2" } } })
    local page = "https://localhost/page?key"
    for i, port in ipairs(nginx.ports) do
      local base = ("https://127.0.0.1:%d"):format(port)
      for _, trusts in ipairs({ false, true }) do
        local options = { tls = { ca_file = good.ca }, headers = { Referer = page },
          allow_downgrade = true, unrestricted_auth = trusts }
        local res = assert(ms.fetch(base .. "/again", options))
        assert.equal(i == 2 and "2" or "1.1", res.version)
        assert.equal("from: " .. page, res.body)
        res = assert(ms.fetch(base .. "/down", options))
        assert.equal(plain:url("/x"), res.url)
        assert.is_nil(header(plain:requests()[#plain:requests()], "referer"))
        assert.is_nil(res.request.headers.referer)
      end
    end
    -- curl sends it: docs/differences.md.
    assert.equal(0, process.run({ "curl", "-sLk", "--max-time", "20", "-o", "/dev/null", "-H",
      "Referer: " .. page, ("https://127.0.0.1:%d/down"):format(nginx.ports[1]) },
      { env = { LD_PRELOAD = false } }).code)
    assert.equal(page, header(plain:requests()[5], "referer"))
    assert(ms.fetch(plain:url(), { headers = { Referer = page } })) -- what the caller wants
    assert.equal(page, header(plain:requests()[6], "referer"))
  end))
end)

describe("a redirect's address", function()
  it("D11: leads to no address that allow_address refuses", async(function()
    local asked = {}
    local inner <close> = peer.start({ SERVE }, { host = "127.0.0.2" })
    local p <close> = redirects.chain({ inner:url("/metadata"),
      ("http://inner.test:%d/"):format(inner.port) })
    local function allow(address)
      asked[#asked + 1] = address
      return address ~= "127.0.0.2"
    end
    for _ = 1, 2 do
      local err = failure("address_refused", ms.fetch(p:url(), { allow_address = allow,
        resolve = { ["inner.test"] = "127.0.0.2" } }))
      assert.equal(inner.port, tonumber(err.url:match(":(%d+)/")))
    end
    assert.equal(0, inner:connections())
    assert.same("127.0.0.2", asked[#asked])
  end))
end)

describe("D1, D2: credentials", function()
  it("go along to the same origin, and so does a Host by hand", async(function()
    local p <close> = redirects.chain({ "/b" })
    assert(ms.fetch(p:url("/a"), { headers = SECRETS }))
    local second = p:requests()[2]
    assert.equal("Bearer secret-a", header(second, "authorization"))
    assert.equal("Basic secret-b", header(second, "proxy-authorization"))
    assert.equal("a=secret-c", header(second, "cookie"))
    assert.equal("by.hand.test", header(second, "host"))
  end))

  -- The same host by another name is another one.
  it("stay behind when host or port changes (CVE-2018-1000007, CVE-2022-27774)", async(function()
    for _, host in ipairs({ "127.0.0.1", "localhost" }) do
      local other <close> = peer.start({ SERVE })
      local p <close> = redirects.chain({ ("http://%s:%d/b"):format(host, other.port) })
      local res = assert(ms.fetch(p:url("/a"), { headers = SECRETS }))
      assert.is_true(has_secrets(p:requests()[1]))
      local second = other:requests()[1]
      assert.is_false(has_secrets(second), second)
      assert.equal(("%s:%d"):format(host, other.port), header(second, "host"))
      assert.equal("kept", header(second, "x-kept"))
      assert.is_nil(res.request.headers.authorization)
      assert.equal(header(second, "host"), res.request.headers.host)
    end
  end))

  it("stay behind when only the host changes, on one port", async(function()
    local p <close> = redirects.chain({ "http://two.test/b" })
    local address = ("127.0.0.1:%d"):format(p.port)
    assert(ms.fetch("http://one.test/a", { headers = SECRETS,
      connect_to = { ["one.test"] = address, ["two.test"] = address } }))
    assert.equal(2, p:connections())
    assert.is_true(has_secrets(p:requests(1)[1]))
    for _, request in ipairs(p:requests(2)) do assert.is_false(has_secrets(request)) end
  end))

  -- nginx sends who speaks plain HTTP to its TLS port to https, on that port.
  it("stay behind when only the scheme changes", async(function()
    local good = certs.get("valid")
    local nginx <close> = server.start({ more = { { port = true, tls = good, config =
      "error_page 497 =302 https://localhost:$server_port/who;"
      .. "location = /who { return 200 'sent: $http_authorization'; }" } } })
    local where = ("://localhost:%d/who"):format(nginx.ports[1])
    local options = { tls = { ca_file = good.ca }, headers = { Authorization = "secret" } }
    assert.equal("sent: secret", assert(ms.fetch("https" .. where, options)).body)
    local res = assert(ms.fetch("http" .. where, options))
    assert.equal("https" .. where, res.url)
    assert.equal("sent: ", res.body)
  end))

  it("do not come back on the way back (CVE-2024-45336)", async(function()
    local other <close> = redirects.chain({ "http://there.test/c" })
    local p <close> = peer.start({ { { "request" }, { "send", redirect(302, other:url("/b")) },
      { "request" }, { "send", redirect(302, "/d") }, { "request" }, { "send", OK },
      { "hang" } } })
    local res = assert(ms.fetch("http://there.test/a", { headers = SECRETS,
      connect_to = { ["there.test"] = ("127.0.0.1:%d"):format(p.port) } }))
    assert.equal("http://there.test/d", res.url)
    assert.is_true(has_secrets(p:requests()[1]))
    assert.is_false(has_secrets(other:requests()[1]))
    for i = 2, 3 do
      assert.is_false(has_secrets(p:requests()[i]))
      assert.equal("there.test", header(p:requests()[i], "host"))
    end
  end))

  it("go along with unrestricted_auth, but not the Host by hand", async(function()
    local other <close> = peer.start({ SERVE })
    local p <close> = redirects.chain({ other:url("/b") })
    assert(ms.fetch(p:url("/a"), { headers = SECRETS, unrestricted_auth = true }))
    local second = other:requests()[1]
    assert.equal("Bearer secret-a", header(second, "authorization"))
    assert.equal("a=secret-c", header(second, "cookie"))
    assert.equal(("127.0.0.1:%d"):format(other.port), header(second, "host"))
  end))

  it("are sent again by the next run of the same easy", async(function()
    local other <close> = peer.start({ SERVE })
    local p <close> = peer.start({ { { "request" }, { "send", redirect(302, other:url("/b")) },
      { "request" }, { "send", OK }, { "hang" } } })
    local client <close> = ms.client({ headers = SECRETS })
    assert(client:fetch(p:url("/a")))
    assert(client:fetch(p:url("/a")))
    assert.is_false(has_secrets(other:requests()[1]))
    assert.is_true(has_secrets(p:requests()[2]))
    assert.equal("GET /a", line_of(p:requests()[2]))
  end))

  it("of TLS stay behind: certificate and server_name", async(function()
    local good = certs.get("valid")
    local block = "ssl_verify_client optional_no_ca;"
      .. "location = /who { return 200 '$ssl_client_serial $ssl_server_name'; }"
    local function go(location)
      return ("location = /go { return 302 %s; }"):format(location)
    end
    local last <close> = server.start({ more = { { port = true, tls = good, config = block } } })
    local target = ("https://localhost:%d/who"):format(last.ports[1])
    local first <close> = server.start({ more = { { port = true, tls = good,
      config = block .. go(target) .. "location = /same { return 302 /who; }" } } })
    local base = ("https://localhost:%d"):format(first.ports[1])
    local tls = { ca_file = good.ca, cert = good.cert, key = good.key, server_name = "localhost" }
    local function body(path, more)
      return assert(ms.fetch(base .. path, { tls = tls, unrestricted_auth = more })).body
    end
    assert.matches("^%x+ localhost$", body("/same"))
    assert.equal(" localhost", body("/go"))
    assert.matches("^%x+ localhost$", body("/go", true))
    -- The name to expect of the first is not to be expected of the second.
    target = ("https://127.0.0.1:%d/who"):format(last.ports[1])
    local third <close> = server.start({ more = { { port = true, tls = good,
      config = block .. go(target) } } })
    local res = assert(ms.fetch(("https://localhost:%d/go"):format(third.ports[1]), { tls = tls }))
    assert.equal(" ", res.body)
  end))
end)
