-- SPDX-License-Identifier: MIT
--
-- Cookies over the wire: what responses bring and requests carry, over HTTP/1.1
-- and HTTP/2, on redirects and errors, by hand. What comes back of which cookie is
-- in cookie_rows_spec.lua.
local core = require "multisocket.core"
local ms = require "multisocket"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local drive = require "spec.support.drive"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local redirects = require "spec.support.redirects"
local wire = require "spec.support.wire"

local header = redirects.header

-- /set sends the field X-Set back as Set-Cookie, by whatever status is asked
-- for; everything else says what Cookie it got.
local LOCATIONS = [[
    location /set { add_header Set-Cookie $http_x_set always; return 200 "set"; }
    location /deny { add_header Set-Cookie $http_x_set always; return 401 "denied"; }
    location /fail { add_header Set-Cookie $http_x_set always; return 500 "failed"; }
    location /go { add_header Set-Cookie $http_x_set always; return 302 /show/it; }
    location /show { return 200 "$http_cookie"; }
    location /far {
      add_header Set-Cookie $http_x_set always;
      return 302 http://b.test:$server_port/set/there;
    }
    location /away { return 302 http://b.test:$server_port/show; }
]]

-- Names that stand for this machine.
local RESOLVE = {}
for _, name in ipairs({ "a.example.test", "b.example.test", "example.test", "b.test" }) do
  RESOLVE[name] = "127.0.0.1"
end

describe("cookies over HTTP/1.1", function()
  it("come with the head that counts, and only with it", async(function()
    for text, kept in pairs({
      ["103 Early\r\nSet-Cookie: no=1\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\n"
        .. "Content-Length: 0\r\n\r\n"] = "a",
      ["200 OK\r\nSet-Cookie: a=1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        .. "Set-Cookie: no=1\r\n\r\n"] = "a",
      ["200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 9\r\n\r\ncut"] = "a",
      ["204 None\r\nSet-Cookie: a=1\r\n\r\n"] = "a",
      ["200 OK\r\nSet-Cookie: a=1\r\nContent-Length: x\r\n\r\n"] = "",
      ["200 OK\r\nSet-Cookie2: a=1\r\nContent-Length: 0\r\n\r\n"] = "",
    }) do
      local p <close> = peer.start({ { { "request" }, { "send", "HTTP/1.1 " .. text } } })
      local c <close> = ms.client({ cookies = true, retry = false })
      c:fetch(p:url())
      local names = {}
      for cookie in c.cookies:each() do names[#names + 1] = cookie.name end
      assert.equal(kept, table.concat(names, " "), text)
    end
  end))
end)

for _, v in ipairs(wire.VERSIONS) do

describe("over HTTP/" .. v.name, function()

local nginx, secure

setup(function()
  nginx = v:nginx({ locations = LOCATIONS, more = { { port = true, tls = certs.get("valid") } } })
  secure = ("https://localhost:%d"):format(nginx.ports[1])
end)

teardown(function() nginx:stop() end)

-- The same host, port and path by any name.
local function at(host, path) return ("http://%s:%d%s"):format(host, nginx.port, path) end

local A = "a.example.test"

local function client(opts)
  opts = opts or {}
  if opts.cookies == nil then opts.cookies = true end
  opts.resolve = RESOLVE
  return v:client(opts)
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

  it("may be for TLS alone, and have names that say so", async(function()
    local c <close> = client()
    set(c, secure .. "/set", "a=1; secure; path=/")
    set(c, secure .. "/set", "__Host-b=2; secure; path=/")
    local res = assert(c:fetch(secure .. "/show"))
    assert.equal("a=1; __Host-b=2", res.body)
    assert.equal(v.name, res.version)
    assert.equal("a=1; __Host-b=2", res.request.headers.cookie)
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
    local p <close> = v:peer({ { { "request" }, { "send", "HTTP/1.1 200 OK\r\nset-cookie: =\r\n"
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
    local p <close> = v:peer({ { { "request" }, { "send",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, { "repeat" } } })
    local c <close> = client()
    for _, name in ipairs({ "a", "b", "c" }) do
      c.cookies:set(p:url(), name .. "=" .. ("x"):rep(4000))
    end
    assert(c:fetch(p:url()))
    assert.equal(8006, #header(p:requests()[1], "cookie"))
  end))
end)

describe("a refused cookie", function()
  it("is told in the trace, with why and without what it is", function()
    local p <close> = peer.start({ { { "request" }, { "send", "HTTP/1.1 200 OK\r\n"
      .. "Set-Cookie: a=SECRET; secure\r\nSet-Cookie: b=FINE\r\nContent-Length: 0\r\n\r\n" } } })
    local r = process.run({ "lua5.4", "-" }, { env = { MULTISOCKET_TRACE = "xfer" },
      stdin = ([[
        local ms = require "multisocket"
        ms.run(function() assert(ms.get("%s", { cookies = true })) end)]]):format(p:url()) })
    assert.equal(0, r.code, r.stderr)
    local _, n = r.stderr:gsub("cookie refused: it is Secure and came without TLS", "")
    assert.equal(1, n)
    assert.equal(1, select(2, r.stderr:gsub("cookie refused", "")))
    assert.is_nil(r.stderr:find("SECRET", 1, true))
  end)
end)

-- ---- redirects -------------------------------------------------------------------

describe("on a redirect, cookies", function()
  it("of each answer are there for the next request", async(function()
    for _, base in ipairs({ at(A, ""), secure }) do
      local c <close> = client()
      local res = assert(c:fetch(base .. "/go", { headers = { ["X-Set"] = "a=1; path=/show" } }))
      assert.equal(1, #res.redirects)
      assert.equal("a=1", res.body)
      assert.is_nil(res.cookies.a) -- that was another response's
    end
  end))

  it("D1: go to the other host only if they are its own", async(function()
    local c <close> = client()
    set(c, at(A, "/set"), "a=1; path=/")
    set(c, at("b.test", "/set"), "b=2; path=/")
    local res = assert(c:fetch(at(A, "/away"), { headers = { Cookie = "hand=3" } }))
    assert.equal("http://b.test:" .. nginx.port .. "/show", res.url)
    assert.equal("b=2", res.body)
    assert.equal("a=1; hand=3", shown(c, at(A, "/show"), { headers = { Cookie = "hand=3" } }))
  end))

  it("are those of the host that set them", async(function()
    local c <close> = client()
    set(c, at(A, "/far"), "a=1; path=/")
    set(c, at(A, "/set"), "of=A; path=/")
    set(c, at("b.test", "/set"), "of=B; path=/")
    assert.equal("a=1; of=A", shown(c, at(A, "/show")))
    assert.equal("a=1; of=B", shown(c, at("b.test", "/show")))
    set(c, at(A, "/far"), "b=2; domain=b.test; path=/")
    assert.equal("a=1; of=A", shown(c, at(A, "/show")))
    assert.equal("a=1; of=B; b=2", shown(c, at("b.test", "/show")))
    set(c, at(A, "/far"), "c=3; domain=" .. A .. "; path=/")
    assert.equal("a=1; of=A; c=3", shown(c, at(A, "/show")))
    assert.equal("a=1; of=B; b=2", shown(c, at("b.test", "/show")))
  end))

  it("by hand go along where everything may", async(function()
    local c <close> = client()
    local opts = { headers = { Cookie = "hand=3" }, unrestricted_auth = true }
    assert.equal("hand=3", shown(c, at(A, "/away"), opts))
  end))

  it("that one answer sets last for a run that has no jar", async(function()
    local opts = { cookies = true, resolve = RESOLVE, headers = { ["X-Set"] = "a=1; path=/show" } }
    for _ = 1, 2 do
      assert.equal("a=1", assert(v:fetch(at(A, "/go"), opts)).body)
      opts.headers["X-Set"] = nil
      assert.equal("", assert(v:fetch(at(A, "/show"), opts)).body)
      opts.headers["X-Set"] = "a=1; path=/show"
    end
  end))
end)

describe("with credentials, cookies", function()
  it("of the 401 go with the request that follows", async(function()
    local p <close> = v:peer({ { { "request" }, { "send", "HTTP/1.1 401 No\r\n"
      .. 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5\r\n'
      .. "Set-Cookie: a=1\r\nContent-Length: 0\r\n\r\n" }, { "request" }, { "send",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, { "repeat" } } })
    local c <close> = client()
    local res = assert(c:fetch(p:url(), { auth = { "user", "password", digest = true } }))
    assert.equal(200, res.status)
    local requests = p:requests()
    assert.equal(2, #requests)
    assert.is_nil(header(requests[1], "cookie"))
    assert.equal("a=1", header(requests[2], "cookie"))
    assert.matches("^Digest ", header(requests[2], "authorization"))
  end))
end)

-- ---- the option ------------------------------------------------------------------

describe("the option cookies", function()
  it("is off by default, and false switches a client's off", async(function()
    local off <close> = client({ cookies = false })
    local on <close> = client()
    assert.is_nil(off.cookies)
    set(off, at(A, "/set"), "a=1; path=/")
    assert.equal("", shown(off, at(A, "/show")))
    set(on, at(A, "/set"), "a=1; path=/")
    assert.equal("", shown(on, at(A, "/show"), { cookies = false }))
    assert(on:fetch(at(A, "/set"), { cookies = false, headers = { ["X-Set"] = "b=2; path=/" } }))
    assert.equal("a=1", shown(on, at(A, "/show"), { cookies = true }))
  end))

  it("that is off keeps none for the redirects of a run either", async(function()
    local opts = { resolve = RESOLVE, headers = { ["X-Set"] = "a=1; path=/show" } }
    local off <close> = client({ cookies = false })
    assert.equal("", shown(off, at(A, "/go"), { headers = opts.headers }))
    assert.equal("", assert(v:fetch(at(A, "/go"), opts)).body)
    opts.cookies = false
    assert.equal("", assert(v:fetch(at(A, "/go"), opts)).body)
    opts.headers.Cookie = "hand=1"
    assert.equal("hand=1", assert(v:fetch(at(A, "/go"), opts)).body)
  end))

  it("is a jar that several clients and requests share", async(function()
    local jar = ms.jar()
    local one <close> = client({ cookies = jar })
    local two <close> = client()
    assert.equal(jar, one.cookies)
    set(one, at(A, "/set"), "a=1; path=/")
    assert.equal("", shown(two, at(A, "/show")))
    assert.equal("a=1", shown(two, at(A, "/show"), { cookies = jar }))
    assert(two:fetch(at(A, "/set"), { cookies = jar, headers = { ["X-Set"] = "b=2; path=/" } }))
    assert.equal("a=1; b=2", shown(one, at(A, "/show")))
    assert.equal("a=1; b=2", shown(one, at(A, "/show"), { method = "POST", body = "x" }))
  end))

  it("keeps the jar as long as anything has it", async(function()
    local c <close> = client()
    set(c, at(A, "/set"), "a=1; path=/")
    c.cookies = nil
    collectgarbage()
    collectgarbage()
    assert.equal("a=1", shown(c, at(A, "/show")))
  end))

  it("is one of an easy handle too, whose jar outlives no run", function()
    local jar = core.jar()
    local d <close> = drive.new()
    local function run(easy)
      d.multi:add_handle(easy)
      d:run()
      local _, ok, err = d.multi:info_read()
      d.multi:remove_handle(easy)
      assert(ok, tostring(err))
      return easy:response().body
    end
    local easy = core.easy({ url = at(A, "/go"), version = v.version, resolve = RESOLVE,
      cookies = jar, headers = { ["X-Set"] = "a=1; path=/" } })
    assert.equal("a=1", run(easy))
    assert.same({ a = "1" }, { [jar:get(at(A, "/"))[1].name] = "1" })
    easy:setopt({ url = at(A, "/show") })
    assert.equal("a=1", run(easy))
    easy:setopt({ cookies = false })
    assert.equal("", run(easy))
    easy:setopt({ url = at(A, "/go"), cookies = true }) -- the jar again
    assert.equal("a=1", run(easy))
    local other = core.easy({ url = at(A, "/go"), version = v.version, resolve = RESOLVE,
      cookies = true, headers = { ["X-Set"] = "b=1; path=/" } })
    assert.equal("b=1", run(other))
    other:setopt({ url = at(A, "/show") })
    assert.equal("", run(other))
    assert.same({}, easy:getinfo("cookies"))
  end)
end)

describe("a Cookie header by hand", function()
  it("goes behind the jar's in one line", async(function()
    local p <close> = v:peer({ { { "request" }, { "send",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, { "repeat" } } })
    local c <close> = client()
    c.cookies:set(p:url(), "a=1")
    assert(c:fetch(p:url(), { headers = { { "cOOkie", "a=2" }, { "Cookie", { "b", "c=3" } } } }))
    assert(c:fetch(p:url(), { headers = { Cookie = false } }))
    assert(c:fetch(p:url(), { cookies = false, headers = { Cookie = "d=4" } }))
    local lines = {}
    for i, request in ipairs(p:requests()) do
      lines[i] = {}
      for value in request:gmatch("\r\n[Cc]ookie: ([^\r]*)") do
        table.insert(lines[i], value)
      end
    end
    assert.same({ { "a=1; a=2; b; c=3" }, { "a=1" }, { "d=4" } }, lines)
  end))
end)

end)

end
