-- SPDX-License-Identifier: MIT
--
-- Digest with servers that check it: a program of node's crypto for all that
-- RFC 7616 has, over HTTP/1.1 and HTTP/2, and Apache. What a server does that
-- no real one does is in auth_spec.lua.
local apache = require "spec.support.apache"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local digest = require "spec.support.digest"
local json = require "cjson"
local ms = require "multisocket"
local process = require "spec.support.process"
local wire = require "spec.support.wire"

local JASON = "J\xc3\xa4s\xc3\xb8n Doe"
local ANNA = { "anna", "secret", digest = true }
local node

setup(function() node = digest.start() end)
teardown(function() node:stop() end)

local function options(version, more)
  local t = { auth = ANNA, timeout = 30000,
    version = version == "2" and "2-prior-knowledge" or "1.1" }
  for k, v in pairs(more or {}) do t[k] = v end
  return t
end

-- What the server says of the request it accepted.
local function accepted(client, path, version, more)
  local res = assert(client:fetch(node:url(path, version), options(version, more)))
  assert.equal(200, res.status, path)
  return json.decode(res.body)
end

describe("Digest, checked by node", function()
  local ALGORITHMS = { "MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256",
    "SHA-512-256-sess" }

  for _, version in ipairs({ "1.1", "2" }) do
    it("has every algorithm and qop over HTTP/" .. version, async(function()
      for _, algorithm in ipairs(ALGORITHMS) do
        for _, qop in ipairs({ "auth", "auth-int", "both", "none" }) do
          local client <close> = ms.client({})
          local path = ("/%s/%s"):format(algorithm, qop)
          local first = accepted(client, path .. "?a=b", version)
          local second = accepted(client, path, version, { body = "hello, \0 world" })
          assert.equal("hello, \0 world", second.body)
          assert.equal(first.seen + 1, second.seen, "the second is taken at once")
          if qop ~= "none" then
            assert.same({ "00000001", "00000002" }, { first.nc, second.nc })
          end
        end
      end
    end))

    it("has all kinds of names over HTTP/" .. version, async(function()
      for _, words in ipairs({ "", "/utf8", "/userhash", "/utf8/userhash", "/opaque" }) do
        local client <close> = ms.client({})
        for _, login in ipairs({ ANNA, { JASON, "geheim", digest = true } }) do
          local path = "/SHA-256/auth" .. words
          assert.equal(login[1], accepted(client, path, version, { auth = login }).user)
        end
      end
    end))

    it("follows a nonce that the server names over HTTP/" .. version, async(function()
      local client <close> = ms.client({})
      local first = accepted(client, "/MD5/auth/next", version)
      for i = 1, 3 do
        local got = accepted(client, "/MD5/auth/next", version)
        assert.same({ first.seen + i, "00000001" }, { got.seen, got.nc })
        assert.not_equal(first.cnonce, got.cnonce)
      end
    end))

    it("repeats a request whose nonce grew old over HTTP/" .. version, async(function()
      local client <close> = ms.client({})
      local first = accepted(client, "/MD5/auth/stale", version, { body = "1" })
      local second = accepted(client, "/MD5/auth/stale", version, { body = "2" })
      assert.same({ "2", first.seen + 2 }, { second.body, second.seen })
    end))
  end

  -- What curl does not get into: docs/differences.md. Over HTTP/1.1: node has
  -- no TLS here, and curl 7.88 no second request without.
  it("lets us in where it lets curl in", async(function()
    local function curl(path)
      local r = process.run({ "curl", "-s", "--http1.1", "--digest", "-u", "anna:secret", "-d",
        "hello", "-o", "/dev/null", "-w", "%{http_code}", node:url(path) },
        { env = { LD_PRELOAD = false } })
      return tonumber(r.stdout)
    end
    for _, algorithm in ipairs(ALGORITHMS) do
      for _, qop in ipairs({ "auth", "auth-int", "both", "none" }) do
        local path = ("/%s/%s"):format(algorithm, qop)
        local client <close> = ms.client({})
        assert.equal("hello", accepted(client, path, "1.1", { body = "hello" }).body)
        local is_less = qop == "auth-int" or algorithm:find("512")
          or algorithm:find("sess") and qop == "none"
        if not is_less then assert.equal(200, curl(path), path) end
      end
    end
    for _, words in ipairs({ "/utf8", "/userhash", "/opaque", "/next", "/stale", "/close",
      "/big" }) do
      assert.equal(200, curl("/SHA-256/auth" .. words), words)
    end
  end))

  it("goes on where the 401 ends the connection, or is large", async(function()
    for _, word in ipairs({ "close", "big" }) do
      local client <close> = ms.client({})
      local got = accepted(client, "/SHA-256/auth/" .. word, "1.1", { body = "hello" })
      assert.equal("hello", got.body)
    end
  end))

  it("is not given a wrong password twice", async(function()
    local client <close> = ms.client({})
    local before = accepted(client, "/MD5/auth", "1.1").seen
    for _ = 1, 2 do
      local res = assert(client:fetch(node:url("/MD5/auth"),
        options("1.1", { auth = { "anna", "wrong", digest = true } })))
      assert.same({ 401, "who are you?\n" }, { res.status, res.body })
    end
    -- Each time: without, and with; nothing was learnt from what failed.
    assert.equal(before + 5, accepted(client, "/MD5/auth", "1.1").seen)
  end))

  it("asks once for many requests at a time", async(function()
    local client <close> = ms.client({ auth = ANNA })
    accepted(client, "/MD5/auth", "2")
    local first = accepted(client, "/MD5/auth", "2").seen
    for _, r in ipairs(ms.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function()
      return accepted(client, "/MD5/auth", "2")
    end)) do assert.is_true(r.ok, tostring(r.error)) end
    assert.equal(first + 9, accepted(client, "/MD5/auth", "2").seen)
  end))
end)

for _, v in ipairs(wire.VERSIONS) do

describe("Digest with Apache " .. v.over, function()
  local server

  setup(function() server = apache.start(certs.get("valid")) end)
  teardown(function() server:stop() end)

  local function line_of(entry)
    return ("%d %s %s"):format(entry.status, entry.user, entry.request)
  end

  -- What the server logged of requests number `from` and up, of `count`. Over
  -- HTTP/2 they have threads of their own, so it is in the order of their lines;
  -- and the last one may be logged only when its connection has ended.
  local function logged(from, count)
    local log
    process.wait_until(function()
      log = server:log()
      return #log >= from + count - 1
    end)
    local list = table.move(log, from, #log, 1, {})
    table.sort(list, function(a, b) return line_of(a) < line_of(b) end)
    return list
  end

  local function ours(row)
    local client <close> = v:client({})
    local res = assert(client:fetch(server:url(row.path), { body = row.body,
      auth = { row.user, row.password, digest = true } }))
    assert.equal(v.name, res.version)
    return res.status, res.body
  end

  local function curl(row)
    local argv = { "-L", "--digest", "-u", row.user .. ":" .. row.password, "-w", "\n%{http_code}",
      server:url(row.path) }
    if row.body then
      argv[#argv + 1] = "--data-binary"
      argv[#argv + 1] = row.body
    end
    local r = v:curl(table.unpack(argv))
    local body, status = r.stdout:match("^(.*)\n(%d+)$")
    return tonumber(status), body, r.code
  end

  -- What curl gets, and what the server logs of it. curl 7.88 now and then sends
  -- no body on a connection of HTTP/2 that it uses again, and fails: then that
  -- was nothing, on a server of its own, and it may try again.
  local function by_curl(row, from)
    local status, body, code = curl(row)
    for _ = 1, 20 do
      if code == 0 then break end
      server:stop()
      server, from = apache.start(certs.get("valid")), 1
      status, body, code = curl(row)
    end
    return { status, body }, logged(from, row.requests)
  end

  local ROWS = {
    { path = "/open/hello", user = "anna", password = "secret", requests = 1 },
    { path = "/digest/hello", user = "anna", password = "secret", requests = 2 },
    { path = "/digest/hello?a=b&c", user = "anna", password = "secret", requests = 2 },
    { path = "/digest/hello", user = "anna", password = "wrong", requests = 2 },
    { path = "/digest/hello", user = "otto", password = "secret", requests = 2 },
    { path = "/digest/hello", user = "j\xc3\xbcrgen", password = "geheim", requests = 2 },
    { path = "/digest/hello", user = "anna", password = "secret", body = "hello", requests = 2 },
    -- Over HTTP/2 mod_reflector answers without having read.
    { path = "/digest/echo", user = "anna", password = "secret", body = "hello", requests = 2,
      only = "1.1" },
    { path = "/once/hello", user = "anna", password = "secret", requests = 2 },
    { path = "/digest/moved", user = "anna", password = "secret", requests = 3 },
    { path = "/basic/hello", user = "anna", password = "secret", requests = 1 },
  }

  local function is_for_all(row) return not row.only or row.only == v.name end

  for _, row in ipairs(ROWS) do
    local what = (row.body and "POST " or "") .. row.path
    local name = ("does as curl does: %s as %s:%s"):format(what, row.user, row.password)
    if is_for_all(row) then
      it(name, async(function()
        local from = #server:log() + 1
        local status, body = ours(row)
        local by_us = logged(from, row.requests)
        assert.equal(row.requests, #by_us)
        local got, by_them = by_curl(row, from + row.requests)
        assert.same(got, { status, body })
        assert.same(by_us, by_them)
      end))
    end
  end

  it("authenticates once for many requests", async(function()
    local client = v:client({ auth = ANNA })
    local from = #server:log() + 1
    for _ = 1, 3 do
      assert.equal("hello, world\n", assert(client:fetch(server:url("/digest/hello"))).body)
    end
    client:close()
    local log = logged(from, 4)
    assert.same({ 200, 200, 200, 401 }, { log[1].status, log[2].status, log[3].status,
      log[4].status })
  end))

  it("has a nonce for every request", async(function()
    local client = v:client({ auth = ANNA })
    local from = #server:log() + 1
    for _ = 1, 3 do assert.equal(200, assert(client:fetch(server:url("/once/hello"))).status) end
    client:close()
    assert.same({ "anna", "anna", "anna", "-" }, (function()
      local users = {}
      for i, line in ipairs(logged(from, 4)) do users[i] = line.user end
      return users
    end)())
  end))
end)

end
