-- SPDX-License-Identifier: MIT
--
-- Cookies over the wire: what responses bring and requests carry, over HTTP/1.1
-- and HTTP/2, on redirects and errors, by hand, and beside curl on the same
-- server.
local core = require "multisocket.core"
local ms = require "multisocket"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local drive = require "spec.support.drive"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local server = require "spec.support.server"

-- /set sends the field X-Set back as Set-Cookie, by whatever status is asked
-- for; everything else says what Cookie it got.
local LOCATIONS = [[
    location /set { add_header Set-Cookie $http_x_set always; return 200 "set"; }
    location /deny { add_header Set-Cookie $http_x_set always; return 401 "denied"; }
    location /fail { add_header Set-Cookie $http_x_set always; return 500 "failed"; }
    location /go { add_header Set-Cookie $http_x_set always; return 302 /show/it; }
    location /show { return 200 "$http_cookie"; }
    location /away { return 302 http://b.test:$server_port/show; }
]]

-- Names that stand for this machine.
local RESOLVE = {}
for _, name in ipairs({ "a.example.test", "b.example.test", "example.test", "b.test" }) do
  RESOLVE[name] = "127.0.0.1"
end

local nginx, secure, h2

setup(function()
  nginx = server.start({ locations = LOCATIONS, more = {
    { port = true, tls = certs.get("valid") },
    { port = true, tls = certs.get("valid"), listen = " http2" } } })
  secure = ("https://localhost:%d"):format(nginx.ports[1])
  h2 = ("https://localhost:%d"):format(nginx.ports[2])
end)

teardown(function() nginx:stop() end)

-- The same host, port and path by any name.
local function at(host, path) return ("http://%s:%d%s"):format(host, nginx.port, path) end

local A = "a.example.test"

local function client(opts)
  opts = opts or {}
  if opts.cookies == nil then opts.cookies = true end
  opts.resolve = RESOLVE
  opts.tls = { ca_file = certs.get("valid").ca }
  return ms.client(opts)
end

local function set(c, url, line)
  assert.equal(200, assert(c:fetch(url, { headers = { ["X-Set"] = line } })).status)
end

local function shown(c, url, opts) return assert(c:fetch(url, opts)).body end

-- ---- in and out ------------------------------------------------------------------

describe("cookies", function()
  it("come back to where they belong", async(function()
    local c <close> = client()
    assert.equal("", shown(c, at(A, "/show")))
    set(c, at(A, "/set"), "a=1")
    set(c, at(A, "/set"), "b=2; domain=example.test; path=/show")
    assert.equal("b=2; a=1", shown(c, at(A, "/show")))
    assert.equal("b=2", shown(c, at("b.example.test", "/show")))
    assert.equal("", shown(c, at("b.test", "/show")))
    set(c, at(A, "/set"), "a=; max-age=0")
    assert.equal("b=2", shown(c, at(A, "/show")))
  end))

  it("come with any status", async(function()
    local c <close> = client()
    for _, path in ipairs({ "/deny", "/fail" }) do
      assert(c:fetch(at(A, path), { headers = { ["X-Set"] = path:sub(2) .. "=1; path=/" } }))
    end
    assert.equal("deny=1; fail=1", shown(c, at(A, "/show")))
  end))

  it("go by HTTP/2 as by HTTP/1.1", async(function()
    local c <close> = client()
    for _, base in ipairs({ secure, h2 }) do
      set(c, base .. "/set", "a=1; secure; path=/")
      set(c, base .. "/set", "__Host-b=2; secure; path=/")
      local res = assert(c:fetch(base .. "/show"))
      assert.equal("a=1; __Host-b=2", res.body)
      assert.equal(base == h2 and "2" or "1.1", res.version)
      assert.equal("a=1; __Host-b=2", res.request.headers.cookie)
    end
  end))

  it("E3: that are Secure go by https only, and come by it only", async(function()
    local c <close> = client()
    set(c, secure .. "/set", "a=1; secure; path=/")
    assert.equal("a=1", shown(c, secure .. "/show"))
    assert.equal("", shown(c, at("localhost", "/show")))
    set(c, at("localhost", "/set"), "a=2; path=/") -- would hide it
    set(c, at("localhost", "/set"), "b=3; secure; path=/")
    assert.equal("a=1", shown(c, secure .. "/show"))
  end))

  it("E8: are the URL's host's, whatever Host is by hand", async(function()
    local c <close> = client()
    local host = { Host = "b.test" }
    assert(c:fetch(at(A, "/set"), { headers = { Host = "b.test", ["X-Set"] = "a=1; path=/" } }))
    assert.equal("a=1", shown(c, at(A, "/show"), { headers = host }))
    assert.equal("", shown(c, at("b.test", "/show")))
    assert(c:fetch(at(A, "/set"), { headers = { Host = "b.test",
      ["X-Set"] = "b=1; domain=b.test" } }))
    assert.equal("", shown(c, at("b.test", "/show")))
  end))

  it("are told by the response", async(function()
    local c <close> = client({ cookies = false })
    local res = assert(c:fetch(at(A, "/set"), { headers = {
      ["X-Set"] = "a=1; Path=/x; Domain=.Example.Test; Secure; SameSite=None; Max-Age=0" } }))
    assert.same({ name = "a", value = "1", path = "/x", domain = "Example.Test", secure = true,
      http_only = false, host_only = false, same_site = "none", expires = 0 }, res.cookies[1])
    assert.equal("1", res.cookies.a)
    assert.is_nil(res.cookies[2])
    assert.same({}, assert(c:fetch(at(A, "/show"))).cookies)
  end))

  it("that are several of a response are all told and kept, the first 50", async(function()
    local lines = {}
    for i = 1, 51 do lines[i] = ("Set-Cookie: c%d=%d; path=/\r\n"):format(i, i) end
    local p <close> = peer.start({ { { "request" }, { "send", "HTTP/1.1 200 OK\r\nset-cookie: =\r\n"
      .. table.concat(lines) .. "SET-COOKIE: c1=x\r\nContent-Length: 0\r\n\r\n" }, { "repeat" } } })
    local c <close> = client()
    local res = assert(c:fetch(p:url()))
    assert.equal(52, #res.cookies)
    assert.same({ "x", "2", "51" }, { res.cookies.c1, res.cookies.c2, res.cookies.c51 })
    local n = 0
    for cookie in c.cookies:each() do
      n = n + 1
      assert.equal("c" .. n, cookie.name)
    end
    assert.equal(49, n) -- the first line was none
  end))

  it("fill 8190 bytes of a request, not more", async(function()
    local p <close> = peer.start({ { { "request" }, { "send",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, { "repeat" } } })
    local c <close> = client()
    for _, name in ipairs({ "a", "b", "c" }) do
      c.cookies:set(p:url(), name .. "=" .. ("x"):rep(4000))
    end
    assert(c:fetch(p:url()))
    assert.equal(8 + 8006, #p:requests()[1]:match("Cookie: [^\r]*"))
  end))
end)
