-- SPDX-License-Identifier: MIT
--
-- The TLS servers of the specs do what their options say, as OpenSSL's own
-- client sees it.
local certs = require "spec.support.certs"
local port = require "spec.support.port"
local s_client = require "spec.support.s_client"
local server = require "spec.support.server"
local tls_server = require "spec.support.tls_server"

local OLD = { "-cipher", "DEFAULT:@SECLEVEL=0" } -- what a client of old servers needs

local function root() return certs.get("root").cert end

describe("s_server:", function()
  -- Runs fn with a server of these options.
  local function with(opts, fn)
    local s <close> = tls_server.start(opts)
    fn(s)
  end

  it("answers with files, and is over when it is stopped", function()
    local s = tls_server.start { certs.get("valid") }
    local r = s_client.run(s.port, { ca = root() })
    assert.is_true(r.verified, r.text)
    assert.equal("TLSv1.3", r.protocol)
    assert.is_nil(r.alpn)
    for _, n in ipairs({ 0, 1, 1000, 100000 }) do
      local got = s_client.run(s.port, { quiet = true, path = "/bytes/" .. n })
      assert.equal(0, got.code)
      assert.equal(server.big_body():sub(1, n), got.body)
    end
    assert.equal(("https://127.0.0.1:%d/small"):format(s.port), s:url())
    s:stop()
    s:stop()
    assert.is_false(port.listening(s.port))
  end)

  it("listens on ::1", function()
    with({ certs.get("valid"), host = "::1" }, function(s)
      assert.is_true(s_client.run(s.port, { ca = root(), address = "::1" }).verified)
      assert.equal(("https://[::1]:%d/x"):format(s.port), s:url("/x"))
    end)
  end)

  it("raises with OpenSSL's words when it cannot start", function()
    local ok, err = pcall(tls_server.start, { cert = certs.get("valid").cert,
      key = certs.get("rsa").key })
    assert.is_false(ok)
    assert.is_truthy(err:find("s_server does not start: ", 1, true))
    assert.is_truthy(err:find("does not match", 1, true), err)
  end)

  for _, version in ipairs({ "tls1", "tls1_1", "tls1_2", "tls1_3" }) do
    it("speaks " .. version .. " only", function()
      with({ certs.get("valid"), version = version }, function(s)
        local other = version == "tls1_3" and "-tls1_2" or "-tls1_3"
        assert.is_nil(s_client.run(s.port, { args = { other } }).protocol)
        local r = s_client.run(s.port, { ca = root(), args = OLD })
        assert.equal("TLSv" .. version:sub(4):gsub("_", "."), r.protocol)
        assert.is_true(r.verified, r.text)
      end)
    end)
  end

  it("serves the weak, the tampered and those with a wrong key", function()
    for _, name in ipairs({ "weak_key", "weak_digest", "tampered", "wrong_key", "nul_name" }) do
      with({ certs.get(name) }, function(s)
        local r = s_client.run(s.port, { ca = root(), args = OLD })
        assert.is_truthy(r.text:find("BEGIN CERTIFICATE", 1, true), name .. r.text)
        assert.equal(name == "wrong_key", r.text:find("bad signature", 1, true) ~= nil, name)
        assert.equal(name == "wrong_key" or name:find("weak") ~= nil, r.verified)
      end)
    end
  end)

  it("sends a chain of a hundred", function()
    with({ certs.get("long_chain") }, function(s)
      local r = s_client.run(s.port, { ca = root() })
      assert.is_true(r.verified, r.text)
      assert.is_truthy(r.text:find("\n99 s:CN = intermediate", 1, true))
    end)
  end)

  it("picks the certificate by SNI", function()
    with({ certs.get("valid"), names = { "a.wild.test", certs.get("wildcard") } }, function(s)
      assert.is_true(s_client.run(s.port, { ca = root() }).verified)
      local r = s_client.run(s.port, { ca = root(), host = "a.wild.test" })
      assert.is_truthy(r.text:find("subject=CN = wildcard", 1, true), r.text)
    end)
  end)

  it("asks for a client certificate, or insists on it", function()
    local c = certs.get("client")
    local mine = { "-cert", c.cert, "-key", c.key }
    with({ certs.get("valid"), client_ca = c.ca }, function(s)
      local without = s_client.run(s.port)
      assert.is_nil(without.text:find("hello, world", 1, true))
      assert.is_truthy(without.text:find("alert certificate required", 1, true), without.text)
      assert.is_truthy(s_client.run(s.port, { args = mine }).text:find("hello, world", 1, true))
      local other = certs.get("client_other")
      local refused = s_client.run(s.port, { args = { "-cert", other.cert, "-key", other.key } })
      assert.is_nil(refused.text:find("hello, world", 1, true))
      assert.is_truthy(s:log():find("verify error", 1, true))
    end)
    with({ certs.get("valid"), client_ca = c.ca, client_optional = true }, function(s)
      assert.is_truthy(s_client.run(s.port).text:find("hello, world", 1, true))
    end)
  end)

  it("agrees on a protocol (ALPN), or does not", function()
    with({ certs.get("valid"), alpn = "http/1.1" }, function(s)
      assert.equal("http/1.1", s_client.run(s.port, { args = { "-alpn", "h2,http/1.1" } }).alpn)
      assert.is_nil(s_client.run(s.port, { args = { "-alpn", "h2" } }).alpn)
    end)
  end)

  it("staples an OCSP answer", function()
    for _, kind in ipairs({ "good", "revoked" }) do
      with({ certs.get("valid"), staple = certs.ocsp(kind) }, function(s)
        local r = s_client.run(s.port, { args = { "-status" } })
        assert.is_truthy(r.text:find("Cert Status: " .. kind, 1, true), r.text)
      end)
    end
    with({ certs.get("valid") }, function(s)
      local r = s_client.run(s.port, { args = { "-status" } })
      assert.is_truthy(r.text:find("OCSP response: no response sent", 1, true))
    end)
  end)

  it("lets sessions be resumed, or not", function()
    local function resumed(opts, version)
      local session, reused = os.tmpname(), nil
      with(opts, function(s)
        s_client.run(s.port, { args = { version, "-sess_out", session } })
        reused = s_client.run(s.port, { args = { version, "-sess_in", session } }).reused
      end)
      os.remove(session)
      return reused
    end
    for _, version in ipairs({ "-tls1_2", "-tls1_3" }) do
      assert.is_true(resumed({ certs.get("valid") }, version))
      assert.is_false(resumed({ certs.get("valid"), tickets = false }, version))
    end
  end)

  it("sends as many tickets as it is told to", function()
    for _, n in ipairs({ 0, 1, 4 }) do
      with({ certs.get("valid"), tickets = n }, function(s)
        local text = s_client.run(s.port).text
        -- standard output is in the text once
        assert.equal(n, select(2, text:gsub("New Session Ticket arrived", "")))
      end)
    end
  end)
end)

describe("nginx with TLS:", function()
  it("has server blocks by SNI and by port", function()
    local s <close> = server.start { tls = certs.get("valid"), more = {
      { tls = certs.get("wildcard"), name = "a.wild.test" },
      { tls = certs.get("rsa"), port = true, config = "ssl_protocols TLSv1.2;" },
      { port = true },
    } }
    assert.equal(("https://127.0.0.1:%d/small"):format(s.port), s:url("/small"))
    assert.equal(("https://localhost:%d/"):format(s.port), s:url("/", "localhost"))
    assert.is_true(s_client.run(s.port, { ca = root() }).verified)
    assert.equal(s.port, s.ports[1])
    local wild = s_client.run(s.port, { ca = root(), host = "a.wild.test" })
    assert.is_true(wild.verified, wild.text)
    local old = s_client.run(s.ports[2], { ca = root() })
    assert.is_true(old.verified, old.text)
    assert.equal("TLSv1.2", old.protocol)
    assert.is_nil(s_client.run(s.ports[3]).protocol)
    local got = s_client.run(s.ports[2], { quiet = true, path = "/bytes/100000" })
    assert.equal(server.big_body():sub(1, 100000), got.body)
    assert.is_truthy(got.received:find("X-Connection: ", 1, true))
  end)

  it("serves chains, weak certificates and locked keys", function()
    for _, name in ipairs({ "long_chain", "weak_key", "weak_digest", "client_encrypted" }) do
      local s <close> = server.start { tls = certs.get(name) }
      local r = s_client.run(s.port, { ca = root(), args = OLD })
      assert.is_truthy(r.text:find("hello, world", 1, true), name .. r.text)
      assert.equal(name ~= "client_encrypted", r.verified, name)
    end
  end)

  it("reads a body to its end", function()
    local s <close> = server.start { tls = certs.get("valid") }
    local r = s_client.run(s.port, { quiet = true,
      request = "POST /sink HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello" })
    assert.equal("read 5 bytes\n", r.body)
  end)

  it("asks for client certificates", function()
    local c = certs.get("client")
    local s <close> = server.start { tls = certs.get("valid"),
      config = ("ssl_client_certificate %s; ssl_verify_client on;"):format(c.ca) }
    assert.is_truthy(s_client.run(s.port).text:find("400 No required SSL certificate", 1, true))
    local r = s_client.run(s.port, { args = { "-cert", c.cert, "-key", c.key } })
    assert.is_truthy(r.text:find("hello, world", 1, true), r.text)
  end)
end)
