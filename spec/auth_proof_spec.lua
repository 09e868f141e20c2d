-- SPDX-License-Identifier: MIT
--
-- Authentication-Info (RFC 7616, 3.5): a server may prove that it knows the
-- password, too. Who does and does not is an impostor; who says nothing is
-- taken for what he is. Head or trailers, HTTP/1.1 or HTTP/2.
local apache = require "spec.support.apache"
local async = require "spec.support.async"
local digest = require "spec.support.digest"
local json = require "cjson"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local process = require "spec.support.process"

local ANNA = { "anna", "secret", digest = true }
local LIMIT = 30000 -- ms
local ALGORITHMS = { "MD5", "MD5-sess", "SHA-256", "SHA-512-256-sess" }
local QOPS = { "auth", "auth-int", "none" }
local node

setup(function() node = digest.start() end)
teardown(function() node:stop() end)

local function options(version, more)
  local t = { auth = ANNA, timeout = LIMIT,
    version = version == "2" and "2-prior-knowledge" or "1.1" }
  for k, v in pairs(more or {}) do t[k] = v end
  return t
end

local function each_kind(fn)
  for _, algorithm in ipairs(ALGORITHMS) do
    for _, qop in ipairs(QOPS) do
      for _, place in ipairs({ "", "/trailer" }) do fn(algorithm .. "/" .. qop, place, qop) end
    end
  end
end

describe("a server's proof", function()
  for _, version in ipairs({ "1.1", "2" }) do
    it("is right over HTTP/" .. version, async(function()
      each_kind(function(kind, place)
        local client <close> = ms.client({})
        local url = node:url(("/%s/proof%s?a=b"):format(kind, place), version)
        for i = 1, 2 do -- asked, and told at once
          local res = assert(client:fetch(url, options(version)))
          local from = place == "" and res.headers or res.trailers
          assert.matches("rspauth=", from["authentication-info"], 1, true)
          assert.equal("anna", json.decode(res.body).user, kind .. place .. i)
        end
      end)
    end))

    it("is wrong over HTTP/" .. version, async(function()
      each_kind(function(kind, place)
        local client <close> = ms.client({})
        local url = node:url(("/%s/lie/next%s"):format(kind, place), version)
        local seen = {}
        local res, err = client:fetch(url, options(version))
        assert.is_nil(res, kind .. place)
        assert.same({ "bad_response", "protocol", false }, { err.code, err.category,
          err.retryable })
        assert.matches("does not know the password (rspauth, Digest)", err.message, 1, true)
        seen[1] = json.decode(assert(client:fetch(node:url("/" .. kind, version),
          options(version))).body).seen
        seen[2] = json.decode(assert(client:fetch(node:url("/" .. kind, version),
          options(version))).body).seen
        assert.equal(seen[1] + 1, seen[2])
      end)
    end))

    it("is about the body as it was sent, over HTTP/" .. version, async(function()
      for _, place in ipairs({ "", "/trailer" }) do
        for _, more in ipairs({ {}, { decompress = false }, { on_progress = function() end },
          { method = "HEAD" }, { max_recv_speed = 100000 } }) do
          local client <close> = ms.client({})
          local url = node:url("/SHA-256/auth-int/gzip/proof" .. place, version)
          assert.equal(200, assert(client:fetch(url, options(version, more))).status)
        end
      end
    end))

    it("is not of a response that leads on over HTTP/" .. version, async(function()
      for _, qop in ipairs({ "auth", "auth-int" }) do
        local client <close> = ms.client({})
        local res = assert(client:fetch(node:url(("/MD5/%s/moved/proof"):format(qop), version),
          options(version)))
        assert.equal("open", res.body)
        res = assert(client:fetch(node:url(("/MD5/%s/moved/proof"):format(qop), version),
          options(version, { redirect = 0 })))
        assert.equal(302, res.status)
      end
    end))

    it("may name the next nonce in trailers over HTTP/" .. version, async(function()
      for _, word in ipairs({ "next", "next/proof" }) do
        local client <close> = ms.client({})
        local url = node:url(("/SHA-256/auth/%s/trailer"):format(word), version)
        local first = json.decode(assert(client:fetch(url, options(version))).body)
        for i = 1, 3 do
          local got = json.decode(assert(client:fetch(url, options(version))).body)
          assert.same({ first.seen + i, "00000001" }, { got.seen, got.nc })
        end
      end
    end))
  end

  it("is looked at before a body is delivered, and otherwise behind it", async(function()
    local client <close> = ms.client({})
    for word, want in pairs({ ["auth/lie"] = "", ["auth/lie/trailer"] = "{",
      ["auth-int/lie"] = "{" }) do
      local pieces = {}
      local _, err = client:fetch(node:url("/MD5/" .. word), options("1.1", {
        on_data = function(piece) pieces[#pieces + 1] = piece end }))
      assert.equal("bad_response", err.code)
      assert.equal(want, table.concat(pieces):sub(1, 1), word)
    end
    local res = assert(client:fetch(node:url("/MD5/auth/lie/trailer"),
      options("1.1", { stream = true })))
    local body, err = res:read("a")
    assert.is_nil(body)
    assert.equal("bad_response", err.code)
  end))

  it("is about the nonce that its request had, whatever came since", async(function()
    local client <close> = ms.client({ auth = ANNA, version = "2-prior-knowledge" })
    local url = node:url("/SHA-256/auth/proof", "2")
    assert(client:fetch(url))
    local results = ms.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i)
      return client:fetch(i % 2 == 0 and url or node:url("/SHA-256/auth/proof/next/both", "2"))
    end)
    for _, r in ipairs(results) do assert.equal(200, assert(r.value, tostring(r.error)).status) end
  end))

  it("is nothing to curl", async(function()
    local url = node:url("/MD5/auth/lie/next")
    local r = process.run({ "curl", "-s", "--digest", "-u", "anna:secret", "-w", "%{http_code} ",
      url, url }, { env = { LD_PRELOAD = false } })
    local seen = {}
    for n in r.stdout:gmatch('"seen":(%d+)') do seen[#seen + 1] = tonumber(n) end
    assert.equal(seen[1] + 2, seen[2], "asked again, with a nonce that was good once")
  end))

  it("is what Apache sends", async(function()
    local server <close> = apache.start()
    local client <close> = ms.client({ auth = ANNA, timeout = LIMIT })
    for _, version in ipairs({ "1.1", "2-prior-knowledge" }) do
      for _, path in ipairs({ "/digest/hello?a=b", "/once/hello", "/digest/hello" }) do
        local res = assert(client:fetch(server:url(path), { version = version }))
        assert.equal(200, res.status)
        assert.matches('rspauth="%x+"', res.headers["authentication-info"])
      end
    end
  end))
end)

-- What no server of good will says.
local CHALLENGE = 'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="1", qop=auth\r\n'
  .. "Content-Length: 0\r\n\r\n"

local ROWS = {
  { "an empty proof", 'Authentication-Info: rspauth=""\r\n', "bad_response" },
  { "a proof that is no hash", "Authentication-Info: rspauth=x, nextnonce=2\r\n", "bad_response" },
  { "a wrong proof in the second line",
    'Authentication-Info: qop=auth\r\nauthentication-info: RSPAUTH="00"\r\n', "bad_response" },
  { "two proofs", 'Authentication-Info: rspauth="00", rspauth="00"\r\n', "bad_response" },
  { "what is malformed", 'Authentication-Info: rspauth="00\r\n', nil },
  { "a proof of another's", 'Proxy-Authentication-Info: rspauth="00"\r\n', nil },
  { "nothing", "", nil },
}

describe("Authentication-Info with", function()
  for _, row in ipairs(ROWS) do
    it(row[1] .. (row[3] and " is refused" or " proves nothing, and need not"), async(function()
      local p <close> = peer.start { { { "request" }, { "send", CHALLENGE },
        { "request" }, { "send", "HTTP/1.1 200 OK\r\n" .. row[2] .. "Content-Length: 2\r\n\r\nok" },
        { "hang" } } }
      local res, err = ms.fetch(p:url(), { auth = ANNA, timeout = LIMIT })
      assert.equal(row[3], err and err.code)
      assert.equal(not row[3] and "ok" or nil, res and res.body)
    end))
  end

  it("a wrong proof is no matter where nobody was asked for one", async(function()
    local wrong = 'HTTP/1.1 200 OK\r\nAuthentication-Info: rspauth="00"\r\n'
      .. "Content-Length: 0\r\n\r\n"
    for _, opts in ipairs({ {}, { auth = { "anna", "secret" } }, { auth = ANNA } }) do
      local p <close> = peer.start { { { "request" }, { "send", wrong }, { "hang" } } }
      opts.timeout = LIMIT
      assert.equal(200, assert(ms.fetch(p:url(), opts)).status)
    end
  end))
end)
