-- SPDX-License-Identifier: MIT
--
-- Sessions: resumed wherever they can be, and never where something that was
-- checked for them is not the same any more.
local ms = require "multisocket"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local files = require "spec.support.files"
local server = require "spec.support.server"
local tls_peer = require "spec.support.tls_peer"
local tls_relay = require "spec.support.tls_relay"

local LIMIT = 30000 -- ms
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

local function with_ca(more)
  local tls = { ca_file = certs.get("root").cert }
  for key, value in pairs(more or {}) do tls[key] = value end
  return tls
end

local function new_client(tls)
  return ms.client({ tls = with_ca(tls), timeout = LIMIT, version = "1.1" })
end

-- One on a connection of its own: whether its session was an earlier one.
local function resumed(client, url, tls)
  local res = assert(client:fetch(url, { fresh_connection = true, tls = tls }))
  assert.is_false(res.reused)
  return res.tls.resumed
end

local nginx
setup(function()
  nginx = server.start({ tls = certs.get("valid"), name = "localhost",
    config = "ssl_protocols TLSv1.2 TLSv1.3;" })
end)
teardown(function() nginx:stop() end)

describe("sessions are resumed:", function()
  for _, version in ipairs({ "1.2", "1.3" }) do
    it("again and again, TLS " .. version, async(function()
      local client <close> = new_client({ min_version = version, max_version = version })
      assert.is_false(resumed(client, nginx:url("/small")))
      for _ = 1, 5 do
        local res = assert(client:fetch(nginx:url("/small"), { fresh_connection = true }))
        assert.is_true(res.tls.resumed)
        assert.is_true(res.tls.verified)
        assert.equal("TLSv" .. version, res.tls.version)
        assert.equal("CN=valid", res.tls.peer_certificate.subject)
      end
    end))

    it("not when nobody wants to, TLS " .. version, async(function()
      local client <close> = new_client({ min_version = version, max_version = version,
        session_reuse = false })
      local r <close> = tls_relay.start({ to = nginx.port })
      for i = 1, 3 do
        assert.is_false(resumed(client, r:url()))
        assert.is_false(r:hello(i).ticket)
      end
    end))

    it("not when the server does not, TLS " .. version, async(function()
      local p <close> = tls_peer.start({ { { "request" }, { "send", OK }, { "close" } } },
        { tickets = 0, version = version == "1.2" and "tls1_2" or "tls1_3" })
      local client <close> = new_client()
      for _ = 1, 3 do assert.is_false(resumed(client, p:url())) end
    end))
  end

  -- Each answer comes when both connections are up.
  it("by a ticket of TLS 1.3 once, TLS 1.2's as often as one likes", async(function()
    for version, both in pairs({ tls1_2 = true, tls1_3 = false }) do
      local p <close> = tls_peer.start({ { { "request" }, { "send", OK }, { "close" } } },
        { tickets = 1, version = version })
      local client <close> = new_client()
      assert.is_false(resumed(client, p:url()))
      local a, b = table.unpack(ms.gather({ function() return resumed(client, p:url()) end,
        function() return resumed(client, p:url()) end }))
      assert.is_true(a.value)
      assert.equal(both, b.value)
    end
  end))

  it("by each of several tickets", async(function()
    local p <close> = tls_peer.start({ { { "request" }, { "send", OK }, { "close" } } },
      { tickets = 4, version = "tls1_3" })
    local client <close> = new_client()
    assert.is_false(resumed(client, p:url()))
    local fns = {}
    for i = 1, 5 do fns[i] = function() return resumed(client, p:url()) end end
    local n = 0
    for _, r in ipairs(ms.gather(fns)) do n = n + (r.value and 1 or 0) end
    assert.equal(4, n)
  end))

  -- There is one session only, and its connection is reset.
  it("after a connection that ended badly", async(function()
    for _, version in ipairs({ "tls1_2", "tls1_3" }) do
      local p <close> = tls_peer.start({ { { "request" },
        { "send", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok" }, { "reset" } },
        { { "request" }, { "send", OK }, { "close" } } }, { tickets = 1, version = version })
      local client <close> = new_client()
      assert.is_nil((client:fetch(p:url())))
      assert.is_true(resumed(client, p:url()))
    end
  end))
end)

-- Of the connections that had a predecessor, how many out of a hundred.
local function share(version, concurrency, requests)
  local client <close> = new_client({ max_version = version, min_version = version })
  local list, again = {}, 0
  for i = 1, requests do list[i] = i end
  local results = ms.map(list, function(i)
    return { i = i, resumed = resumed(client, nginx:url("/small")) }
  end, { concurrency = concurrency })
  for i, r in ipairs(results) do
    assert.is_true(r.ok, tostring(r.error))
    if i > concurrency and r.value.resumed then again = again + 1 end
  end
  return again * 100 // (requests - concurrency)
end

describe("of many connections, nearly all:", function()
  for _, version in ipairs({ "1.2", "1.3" }) do
    for _, concurrency in ipairs({ 20, 100 }) do
      it(("%d at a time, TLS %s"):format(concurrency, version), async(function()
        assert.is_true(share(version, concurrency, 300) >= 95)
      end))
    end
  end
end)

describe("C38 a session is never used where", function()
  local function copy_of(path)
    local copy = os.tmpname()
    files.write(copy, files.read(path))
    return copy
  end

  local function client_cert(name)
    local c = certs.get(name)
    return { cert = c.cert, key = c.key, key_password = c.password }
  end

  -- Each makes a difference to the options of the first connection.
  local OTHERS = {
    ca_file = function() return { ca_file = copy_of(certs.get("root").cert) } end,
    ca_path = function() return { ca_path = "/tmp" } end,
    crl_file = function() return { crl_file = certs.crl("good") } end,
    cert = function() return client_cert("client") end,
    key_password = function() return { key_password = "x" } end,
    min_version = function() return { min_version = "1.1" } end,
    max_version = function() return { max_version = "1.3" } end,
    ciphers = function() return { ciphers = "ALL" } end,
    alpn = function() return { alpn = { "http/1.1" } } end,
    pinned_public_key = function() return { pinned_public_key = certs.pin("valid") } end,
    server_name = function() return { server_name = "localhost" } end,
    verify = function() return { verify = false } end,
    verify_host = function() return { verify_host = false } end,
    session_reuse = function() return { session_reuse = false } end,
  }

  for name, make in pairs(OTHERS) do
    it("tls." .. name .. " differs", async(function()
      local client <close> = new_client()
      local other = make()
      assert.is_false(resumed(client, nginx:url("/small")))
      assert.is_false(resumed(client, nginx:url("/small"), other))
      if name ~= "session_reuse" then
        assert.is_true(resumed(client, nginx:url("/small"), other))
      end
      assert.is_true(resumed(client, nginx:url("/small")))
      if name == "ca_file" then os.remove(other.ca_file) end
    end))
  end

  it("the staple is required", async(function()
    local stapling <close> = server.start({ tls = certs.get("valid"),
      config = ("ssl_stapling on; ssl_stapling_file %s;"):format(certs.ocsp("good")) })
    local client <close> = new_client()
    assert.is_false(resumed(client, stapling:url("/small")))
    for _, expected in ipairs({ false, true }) do
      assert.equal(expected, resumed(client, stapling:url("/small"), { staple = "require" }))
    end
  end))

  it("client certificates differ", async(function()
    local client <close> = new_client()
    assert.is_false(resumed(client, nginx:url("/small"), client_cert("client")))
    assert.is_false(resumed(client, nginx:url("/small"), client_cert("client_encrypted")))
    assert.is_true(resumed(client, nginx:url("/small"), client_cert("client")))
  end))

  it("the host, the port or the HTTP version is another", async(function()
    local client <close> = new_client()
    local r <close> = tls_relay.start({ to = nginx.port })
    assert.is_false(resumed(client, nginx:url("/small")))
    assert.is_false(resumed(client, nginx:url("/small", "localhost")))
    assert.is_false(resumed(client, r:url("/small")))
    assert.is_false(r:hello().ticket)
    local res = assert(client:fetch(nginx:url("/small"), { version = "auto",
      fresh_connection = true }))
    assert.is_false(res.tls.resumed)
    assert.is_true(resumed(client, nginx:url("/small")))
  end))

  it("the client is another", async(function()
    local one <close> = new_client()
    local two <close> = new_client()
    assert.is_false(resumed(one, nginx:url("/small")))
    assert.is_false(resumed(two, nginx:url("/small")))
  end))

  -- What was not verified must not pass for verified later.
  it("it was made without verification", async(function()
    local bad <close> = server.start({ tls = certs.get("expired") })
    local client <close> = new_client()
    assert.is_false(resumed(client, bad:url("/small"), { verify = false }))
    local res = assert(client:fetch(bad:url("/small"), { fresh_connection = true,
      tls = { verify = false } }))
    assert.is_true(res.tls.resumed)
    assert.is_false(res.tls.verified)
    for _, fresh in ipairs({ true, false }) do
      local _, err = client:fetch(bad:url("/small"), { fresh_connection = fresh })
      assert.equal("certificate_expired", err.code)
    end
  end))
end)

-- The same of connections: one made under other options is not used.
describe("a connection is never used where", function()
  for name, tls in pairs({ verify = { verify = false }, verify_host = { verify_host = false },
    server_name = { server_name = "localhost" }, max_version = { max_version = "1.3" } }) do
    it("tls." .. name .. " differs", async(function()
      local client <close> = new_client()
      assert.is_false(assert(client:fetch(nginx:url("/small"), { tls = tls })).reused)
      assert.is_false(assert(client:fetch(nginx:url("/small"))).reused)
      assert.is_true(assert(client:fetch(nginx:url("/small"), { tls = tls })).reused)
      assert.is_true(assert(client:fetch(nginx:url("/small"))).reused)
    end))
  end
end)
