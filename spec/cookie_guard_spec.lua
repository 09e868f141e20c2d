-- SPDX-License-Identifier: MIT
--
-- What a jar keeps strangers from, over HTTP/1.1 and HTTP/2: whose cookies are
-- taken, where they go, and how many. The same table by table is in
-- spec/unit/test_jar.c and test_cookie.c.
local ms = require "multisocket"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local h2_peer = require "spec.support.h2_peer"
local peer = require "spec.support.peer"
local server = require "spec.support.server"

-- /set sends the field X-Set back as Set-Cookie; everything else says what
-- Cookie it got.
local LOCATIONS = [[
    location /set { add_header Set-Cookie $http_x_set always; return 200 "set"; }
    location /show { return 200 "$http_cookie"; }
]]

-- Names that stand for this machine.
local NAMES = { "a.example.test", "example.test", "badexample.test", "b.a.example.test",
  "a.co.uk", "b.co.uk", "co.uk" }

local nginx
local sites = {} -- by version, then scheme: the port

setup(function()
  local tls = certs.get("valid")
  nginx = server.start({ more = {
    { port = true, config = LOCATIONS }, { port = true, config = LOCATIONS, listen = " http2" },
    { port = true, config = LOCATIONS, tls = tls },
    { port = true, config = LOCATIONS, tls = tls, listen = " http2" } } })
  local p = nginx.ports
  sites["1.1"] = { http = p[1], https = p[3] }
  sites["2-prior-knowledge"] = { http = p[2], https = p[4] }
end)

teardown(function() nginx:stop() end)

-- Calls with a client that has a jar, and with words for what it does:
-- set(scheme, host, line, headers), shown(scheme, host, path, headers).
local function each_version(fn)
  for version, ports in pairs(sites) do
    local resolve = {}
    for _, name in ipairs(NAMES) do resolve[name] = "127.0.0.1" end
    local client <close> = ms.client({ version = version, cookies = true, resolve = resolve,
      tls = { ca_file = certs.get("valid").ca } })
    local function go(scheme, host, path, headers)
      local url = ("%s://%s:%d%s"):format(scheme, host, ports[scheme], path)
      local res = assert(client:fetch(url, { headers = headers }))
      assert.equal(200, res.status)
      return res
    end
    local function set(scheme, host, line, more)
      local headers = { ["X-Set"] = line }
      for name, value in pairs(more or {}) do headers[name] = value end
      go(scheme, host, "/set/here", headers)
    end
    local function shown(scheme, host, path, headers)
      return go(scheme, host, path or "/show", headers).body
    end
    fn(client, set, shown)
    client.cookies:clear()
  end
end

describe("a jar keeps strangers out:", function()
  it("E2: cookies of other hosts and of public suffixes", async(function()
    each_version(function(_, set, shown)
      for _, domain in ipairs({ "b.a.example.test", "badexample.test", "test", ".TEST", "org",
        "a.example.test.", "..example.test", "xample.test" }) do
        set("http", "a.example.test", "no=1; path=/; domain=" .. domain)
      end
      set("http", "badexample.test", "no=1; path=/; domain=example.test")
      set("http", "a.example.test", "a=1; path=/; domain=.eXample.TEST")
      set("http", "A.example.test", "b=2; path=/")
      assert.equal("a=1; b=2", shown("http", "a.example.test"))
      assert.equal("a=1", shown("http", "b.a.example.test"))
      assert.equal("a=1", shown("http", "example.test"))
      assert.equal("", shown("http", "badexample.test"))
      if not ms.features().psl then return end
      set("http", "a.co.uk", "no=1; path=/; domain=co.uk")
      set("http", "a.co.uk", "no=1; path=/; domain=.CO.uK")
      set("http", "co.uk", "own=1; path=/; domain=co.uk")
      assert.equal("", shown("http", "b.co.uk"))
      assert.equal("own=1", shown("http", "co.uk"))
    end)
  end))

  it("E2: domains of an address", async(function()
    each_version(function(client, set, shown)
      for _, domain in ipairs({ "0.0.1", ".1", "1", "127.0.0.2", "127.0.0.1." }) do
        set("http", "127.0.0.1", "no=1; path=/; domain=" .. domain)
      end
      set("http", "127.0.0.1", "a=1; path=/; domain=127.0.0.1")
      assert.equal("a=1", shown("http", "127.0.0.1"))
      assert.equal("a=1", shown("http", "0x7f.1"))
      assert.same({}, client.cookies:get("http://127.0.0.2/"))
      assert.same({}, client.cookies:get("http://1.127.0.0.1.example.test/"))
      for cookie in client.cookies:each() do assert.is_true(cookie.host_only) end
    end)
  end))

  it("E3: Secure and the prefixes", async(function()
    each_version(function(_, set, shown)
      local lines = { "a=1; secure; path=/", "__Secure-b=2; secure; path=/",
        "__Host-c=3; secure; path=/" }
      for _, line in ipairs(lines) do set("https", "localhost", line) end
      for _, line in ipairs({ "__Secure-no=1", "__sEcure-no=1; path=/", "__Host-no=1; path=/",
        "__Host-no=1; secure", "__Host-no=1; secure; path=/show",
        "=__Host-no=1; secure; path=/", "__Secure-no; secure; path=/" }) do
        set("https", "localhost", line)
      end
      set("https", "127.0.0.1", "__HOST-no=1; secure; path=/; domain=127.0.0.1")
      for _, line in ipairs({ "a=no; path=/", "a=; path=/; max-age=0", "no=1; secure; path=/",
        "__Secure-b=no; secure; path=/", "__Host-c=no; secure; path=/" }) do
        set("http", "localhost", line)
      end
      assert.equal("a=1; __Secure-b=2; __Host-c=3", shown("https", "localhost"))
      assert.equal("", shown("http", "localhost"))
      assert.equal("", shown("https", "127.0.0.1"))
    end)
  end))

  it("E4: paths that only begin alike", async(function()
    each_version(function(_, set, shown)
      set("http", "a.example.test", "a=1; path=/show")
      set("http", "a.example.test", "b=2; path=/show/")
      set("http", "a.example.test", "c=3; path=/sho")
      set("http", "a.example.test", "d=4") -- of /set
      assert.equal("a=1", shown("http", "a.example.test", "/show"))
      assert.equal("b=2; a=1", shown("http", "a.example.test", "/show/it"))
      assert.equal("", shown("http", "a.example.test", "/showing"))
    end)
  end))

  it("E8: those of another Host by hand", async(function()
    each_version(function(_, set, shown)
      local by_hand = { Host = "badexample.test" }
      set("http", "a.example.test", "a=1; path=/", by_hand)
      set("http", "a.example.test", "no=1; path=/; domain=badexample.test", by_hand)
      assert.equal("a=1", shown("http", "a.example.test"))
      assert.equal("", shown("http", "badexample.test"))
      set("http", "badexample.test", "b=2; path=/")
      assert.equal("a=1", shown("http", "a.example.test", nil, by_hand))
    end)
  end))
end)

describe("a jar is bounded:", function()
  it("E5: each cookie, its life and its attributes", async(function()
    each_version(function(client, set, shown)
      local longest = "a=" .. ("x"):rep(4095)
      set("http", "a.example.test", longest .. "; path=/; max-age=99999999999")
      set("http", "a.example.test", "no=" .. ("x"):rep(4095) .. "; path=/")
      set("http", "a.example.test", "b=2; path=/; max-age=9; max-age=" .. ("9"):rep(1025))
      set("http", "a.example.test", "c=3; path=/; expires=Fri, 31 Dec 2199 00:00:00 GMT")
      assert.equal(longest .. "; b=2; c=3", shown("http", "a.example.test"))
      local list = client.cookies:get("http://a.example.test/")
      for i, most in ipairs({ 400 * 86400, 9, 400 * 86400 }) do
        local rest = list[i].expires - os.time()
        assert.is_true(rest <= most and rest > most - 86400, rest)
      end
    end)
  end))

  it("E5: 50 of a response, 180 of a host, 8190 bytes of a request", async(function()
    local fields, lines = { { ":status", "200" } }, {}
    for i = 1, 60 do
      fields[i + 1] = { "set-cookie", ("c%d=%s"):format(i, ("x"):rep(200)) }
      lines[i] = ("Set-Cookie: %s\r\n"):format(fields[i + 1][2])
    end
    local h1 = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" .. table.concat(lines) .. "\r\n"
    local peers = {
      ["1.1"] = peer.start({ { { "request" }, { "send", h1 }, { "repeat" } } }),
      ["2-prior-knowledge"] = h2_peer.peer({ { "send", h2_peer.headers(1, fields,
        h2_peer.END_HEADERS + h2_peer.END_STREAM) }, { "hang" } }) }
    for version, p in pairs(peers) do
      local client <close> = ms.client({ version = version, cookies = true })
      assert(client:fetch(p:url()))
      local list = client.cookies:get(p:url())
      assert.equal(50, #list)
      assert.equal("c50", list[50].name)
      for i = 1, 200 do client.cookies:set(p:url(), ("d%d=%s"):format(i, ("x"):rep(400))) end
      assert.equal(180, #client.cookies:get(p:url()))
      p:stop()
      local q <close> = peer.start({ { { "request" }, { "send", h1 }, { "repeat" } } })
      assert(client:fetch(q:url(), { version = "1.1" }))
      local line = q:requests()[1]:match("\r\nCookie: ([^\r]*)")
      assert.is_true(#line <= 8190 and #line > 7700, #line)
    end
  end))
end)

describe("a jar refuses what is no cookie:", function()
  -- A NUL, and a line break by itself, are no field's; the response is refused.
  it("E6: control characters", async(function()
    for byte = 0, 31 do
      local value = ("a=1%s; path=/"):format(string.char(byte))
      local p <close> = peer.start({ { { "request" }, { "send", ("HTTP/1.1 200 OK\r\n"
        .. "Content-Length: 0\r\nSet-Cookie: %s\r\n\r\n"):format(value) }, { "hang" } } })
      local q <close> = h2_peer.peer({ { "send", h2_peer.headers(1, { { ":status", "200" },
        { "set-cookie", value } }, h2_peer.END_HEADERS + h2_peer.END_STREAM) }, { "hang" } })
      for version, url in pairs({ ["1.1"] = p:url(), ["2-prior-knowledge"] = q:url() }) do
        local client <close> = ms.client({ version = version, cookies = true })
        local res, err = client:fetch(url)
        assert.is_true(res ~= nil or err.code == "bad_response", tostring(err))
        local kept = client.cookies:get(url)
        assert.equal(byte == 9 and res and 1 or 0, #kept, ("%s, byte %d"):format(version, byte))
      end
    end
    local jar = ms.jar()
    for byte = 0, 127 do
      local ok, err = jar:set("http://a.test/", "a=1" .. string.char(byte))
      local control = byte < 32 and byte ~= 9 or byte == 127
      assert.equal(control, not ok)
      if control then assert.matches("a control character", err.message) end
    end
  end))
end)
