-- SPDX-License-Identifier: MIT
--
-- A client with a base_url: where relative URLs lead, and that its credentials
-- go to that origin and to no other, however a URL is written.
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local server = require "spec.support.server"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local SERVE = { { { "request" }, { "send", OK }, { "repeat" } } }
local REFUSED = 'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="1"\r\n'
  .. "Content-Length: 0\r\n\r\n"
local BASIC = "Basic YW5uYTpzZWNyZXQ=" -- anna:secret

describe("base_url", function()
  local home, other

  before_each(function() home, other = peer.start(SERVE), peer.start(SERVE) end)
  after_each(function()
    home:stop()
    other:stop()
  end)

  local function last(p, name)
    local list = p:requests()
    return list[#list]:match("\r\n" .. name .. ": ([^\r]*)\r\n")
  end

  -- Ways a client says who it is, and the header that does.
  local WAYS = {
    { { auth = { "anna", "secret" } }, "Authorization", BASIC },
    { { bearer = "t" }, "Authorization", "Bearer t" },
    { { headers = { authorization = "Mine x" } }, "authorization", "Mine x" },
    { { headers = { { "X-A", "1" }, { "COOKIE", "a=b" } } }, "COOKIE", "a=b" },
    { { headers = { ["Proxy-Authorization"] = "x" } }, "Proxy%-Authorization", "x" },
    { { headers = { Cookie = { "a=b" } } }, "Cookie", "a=b" },
    { { headers = { Host = "home.example" } }, "Host", "home.example" },
  }

  for _, row in ipairs(WAYS) do
    it(("has %s for its own origin"):format(next(row[1])) .. " " .. row[2], async(function()
      local opts = { base_url = home:url("/a/"), timeout = 30000, headers = { ["X-A"] = "1" } }
      for k, v in pairs(row[1]) do opts[k] = v end
      local client <close> = ms.client(opts)
      for _, url in ipairs({ "b", "/b", "?b", "", home:url("/b"),
        home:url("/b"):gsub("http", "HTTP"), (home:url("//x@y/")), "//127.0.0.1:" .. home.port,
        "@127.0.0.1:" .. other.port, "\t//127.0.0.1:" .. other.port, "/\\127.0.0.1:" .. other.port,
        " " .. other:url() }) do
        assert(client:fetch(url))
        assert.equal(row[3], last(home, row[2]), url)
      end
      assert.same({}, other:requests())
      local port = other.port
      for _, url in ipairs({ other:url("/b"), "//127.0.0.1:" .. port, "http:127.0.0.1:" .. port,
        "http:\\\\127.0.0.1:" .. port, "HTTP://0x7f.1:" .. port }) do
        for _, call in ipairs({ "fetch", "get", "post" }) do
          assert(client[call](client, url, call == "post" and { body = "x" } or nil))
          assert.not_equal(row[3], last(other, row[2]), url)
        end
      end
      assert(client:fetch(other:url(), { unrestricted_auth = true }))
      assert.equal(row[3], last(other, row[2]))
    end))
  end

  it("takes what else a client has everywhere", async(function()
    local client <close> = ms.client({ base_url = home:url(), bearer = "t", query = { k = 1 },
      headers = { ["X-Api-Key"] = "x", Authorization = false } })
    for _, p in ipairs({ home, other }) do
      assert(client:fetch(p:url("/b")))
      assert.equal("x", last(p, "X%-Api%-Key"))
      assert.is_nil(last(p, "Authorization"))
      assert.matches("^GET /b%?k=1 ", p:requests()[1])
    end
  end))

  it("is no matter for what a call says itself", async(function()
    local client <close> = ms.client({ base_url = home:url(), auth = { "otto", "x" } })
    assert(client:fetch(other:url(), { auth = { "anna", "secret" } }))
    assert.equal(BASIC, last(other, "Authorization"))
    assert(client:fetch((other:url():gsub("//", "//anna:secret@"))))
    assert.equal(BASIC, last(other, "Authorization"))
    assert(client:fetch(other:url(), { headers = { Authorization = "Mine" } }))
    assert.equal("Mine", last(other, "Authorization"))
  end))

  it("goes by unrestricted_auth of the call, then of the client", async(function()
    local client <close> = ms.client({ base_url = home:url(), bearer = "t",
      unrestricted_auth = true })
    assert(client:fetch(other:url()))
    assert.equal("Bearer t", last(other, "Authorization"))
    assert(client:fetch(other:url(), { unrestricted_auth = false }))
    assert.is_nil(last(other, "Authorization"))
  end))

  it("is what else calls go by", async(function()
    local client <close> = ms.client({ base_url = home:url(), bearer = "t" })
    local done = ms.semaphore(1)
    done:acquire()
    client:request(other:url(), function() done:release() end)
    done:acquire()
    assert(client:fetch({ url = other:url() }))
    assert(client:fetch(other:url(), { stream = true })):discard()
    local path = os.tmpname()
    assert(client:fetch(other:url(), { sink = path }))
    os.remove(path)
    assert(client:fetch(other:url(), { json = {} }))
    assert.equal(5, #other:requests())
    for _, request in ipairs(other:requests()) do
      assert.is_nil(request:find("Bearer", 1, true), request)
    end
  end))

  it("keeps Digest for who has no login of the client's", async(function()
    local asks <close> = peer.start { { { "request" }, { "send", REFUSED }, { "request" },
      { "send", OK }, { "hang" } } }
    local client <close> = ms.client({ base_url = home:url(),
      auth = { "otto", "geheim", digest = true } })
    assert(client:fetch((asks:url():gsub("//", "//anna:secret@"))))
    local requests = asks:requests()
    assert.is_nil(requests[1]:find("Authorization", 1, true), "no password in clear")
    assert.matches('Authorization: Digest username="anna"', requests[2], 1, true)
    assert.is_nil(requests[2]:find("otto", 1, true))
  end))

  it("stays behind it when a redirect leads home", async(function()
    local there <close> = peer.start { { { "request" }, { "send", "HTTP/1.1 302 Found\r\nLocation: "
      .. home:url() .. "\r\nContent-Length: 0\r\n\r\n" }, { "hang" } } }
    local client <close> = ms.client({ base_url = home:url(), bearer = "t" })
    assert.equal("ok", assert(client:fetch(there:url())).body)
    assert.is_nil(last(home, "Authorization"))
  end))

  it("has the client's certificate for its own origin", async(function()
    local own, theirs = certs.get("valid"), certs.get("valid")
    local first <close> = server.start({ tls = own })
    local second <close> = server.start({ tls = theirs })
    local client <close> = ms.client({ base_url = first:url("/"),
      tls = { ca_file = own.ca, cert = "/nonexistent", key = "/nonexistent" } })
    local _, err = client:fetch("/small")
    assert.equal("bad_option", err.code)
    assert.equal(200, assert(client:fetch(second:url("/small"))).status)
  end))
end)
