-- SPDX-License-Identifier: MIT
--
-- Who is let through and who is not: every certificate of
-- spec/support/cert_rows.lua against `openssl s_server` and nginx, the code and
-- the words of each refusal, and what becomes of it with that check off.
local ms = require "multisocket"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local rows = require "spec.support.tls_rows"
local server = require "spec.support.server"
local tls_peer = require "spec.support.tls_peer"
local tls_server = require "spec.support.tls_server"

local OLD = "DEFAULT:@SECLEVEL=0" -- what weak keys, digests and versions take
local LIMIT = 30000 -- ms

-- The tls options of a row: trust as the certificate has it, and more.
local function tls_of(name, more)
  local tls = { ca_file = certs.get(name).ca }
  for key, value in pairs(more or {}) do tls[key] = value end
  return tls
end

local function fetch(url, tls, at)
  return ms.fetch(url, { tls = tls, timeout = LIMIT, resolve = at and { [at] = "127.0.0.1" } })
end

local UNVERIFIED = { verify = false }

local function title(row)
  local words = { row.of and row.of .. " " .. row.cert or row.cert }
  if row.host then words[#words + 1] = "as " .. row.host end
  for key, value in pairs(row.with or {}) do words[#words + 1] = key .. " " .. tostring(value) end
  return table.concat(words, ", ") .. ": " .. (row.code or "ok")
end

local function assert_refused(row, res, err)
  assert.is_nil(res, title(row) .. " is let through")
  assert.equal(row.code, err.code, err.message)
  assert.equal("tls", err.category)
  assert.equal("tls", err.phase)
  assert.equal(row.cause, err.cause)
  assert.is_false(err.retryable)
  for _, words in ipairs(row.says or {}) do
    assert.is_truthy(err.message:find(words, 1, true), err.message)
  end
end

local function assert_served(res, err, verified)
  assert.is_nil(err, err and err.message)
  assert.equal(200, res.status)
  assert.equal("hello, world\n", res.body)
  assert.equal(verified, res.tls.verified)
end

-- A row against a server that has its certificate.
local function check(row, url_of)
  local url = url_of(row.host)
  local res, err = fetch(url, tls_of(row.cert, row.with), row.at)
  if not row.code then
    assert_served(res, err, true)
    return
  end
  assert_refused(row, res, err)
  if not row.off and not row.without then return end
  local off = tls_of(row.cert, row.with)
  for key, value in pairs(row.off or {}) do off[key] = value end
  for _, key in ipairs(row.without or {}) do off[key] = nil end
  res, err = fetch(url, off, row.at)
  assert_served(res, err, row.verified)
end

describe("certificates against s_server:", function()
  for _, row in ipairs(rows) do
    it(title(row), async(function()
      local v6 = row.host == "[::1]"
      local s <close> = tls_server.start({ certs.get(row.cert), host = v6 and "::1" or nil })
      check(row, function(host) return s:url("/small", not v6 and host or nil) end)
    end))
  end
end)

describe("certificates against nginx:", function()
  local nginx
  local ports = {}

  -- A server block of its own for each certificate.
  setup(function()
    local more, seen = {}, {}
    for _, row in ipairs(rows) do
      if not seen[row.cert] then
        more[#more + 1] = { tls = certs.get(row.cert), port = true, config = row.nginx }
      end
      seen[row.cert] = seen[row.cert] or #more
    end
    nginx = server.start({ hosts = { "127.0.0.1", "[::1]" }, tls = certs.get("valid"),
      more = more })
    for name, i in pairs(seen) do ports[name] = nginx.ports[i] end
  end)
  teardown(function() nginx:stop() end)

  for _, row in ipairs(rows) do
    it(title(row), async(function()
      check(row, function(host)
        return ("https://%s:%d/small"):format(host or "127.0.0.1", ports[row.cert])
      end)
    end))
  end
end)

-- The row against s_server and against nginx, each with `opts` on top.
local function check_both(row, opts, config)
  local s <close> = tls_server.start(setmetatable(opts or {},
    { __index = { certs.get(row.cert) } }))
  check(row, function(host) return s:url("/small", host) end)
  if config == false then return end
  local nginx <close> = server.start({ tls = certs.get(row.cert), config = config })
  check(row, function(host) return nginx:url("/small", host) end)
end

describe("C36 revocation:", function()
  local function crl(kind) return { crl_file = certs.crl(kind) } end

  it("a list has the certificate", async(function()
    check_both({ cert = "revoked", with = crl("good"), code = "certificate_revoked",
      cause = "certificate revoked", says = { "certificate of 127.0.0.1 was revoked" },
      without = { "crl_file" }, verified = true })
  end))

  it("a list has others", async(function() check_both({ cert = "valid", with = crl("good") }) end))

  it("a list is too old to say", async(function()
    check_both({ cert = "valid", with = crl("old"), code = "certificate_invalid",
      cause = "CRL has expired", without = { "crl_file" }, verified = true })
  end))

  it("a list comes from somebody else", async(function()
    check_both({ cert = "valid", with = crl("other"), code = "certificate_invalid",
      cause = "CRL signature failure", without = { "crl_file" }, verified = true })
  end))
end)

describe("C36 stapled answers:", function()
  local FAILED, UNKNOWN = "OCSP verification failed", "OCSP unknown cert"
  local ANSWERS = {
    revoked = { "certificate_revoked", "certificate revoked", "was revoked" },
    unknown = { "certificate_invalid", UNKNOWN, "does not know the certificate" },
    old = { "certificate_invalid", FAILED, "is out of date" },
    wrong_signer = { "certificate_invalid", FAILED, "is not signed by its issuer" },
    not_a_signer = { "certificate_invalid", FAILED, "is not signed by its issuer" },
    other_cert = { "certificate_invalid", UNKNOWN, "is about another certificate" },
    try_later = { "certificate_invalid", FAILED, "cannot be read" },
  }

  local function config_of(kind)
    return ("ssl_stapling on; ssl_stapling_file %s;"):format(certs.ocsp(kind))
  end

  for kind, expected in pairs(ANSWERS) do
    it(kind .. " is refused, required or not", async(function()
      local row = { cert = "valid", code = expected[1], cause = expected[2],
        says = { "OCSP answer for 127.0.0.1", expected[3] }, off = UNVERIFIED, verified = false }
      check_both(row, { staple = certs.ocsp(kind) }, config_of(kind))
      row.with = { staple = "require" }
      check_both(row, { staple = certs.ocsp(kind) }, config_of(kind))
    end))
  end

  for _, kind in ipairs({ "good", "delegated" }) do
    it(kind .. " is what staple = \"require\" wants", async(function()
      for _, with in ipairs({ {}, { staple = "require" } }) do
        check_both({ cert = "valid", with = with }, { staple = certs.ocsp(kind) }, config_of(kind))
      end
    end))
  end

  it("one that is missing matters where it is required", async(function()
    check_both({ cert = "valid", with = { staple = "require" }, code = "certificate_invalid",
      cause = "OCSP verification needed", says = { "did not come", "tls.staple" },
      without = { "staple" }, verified = true })
  end))

  it("one that is no answer at all", async(function()
    local p <close> = tls_peer.start({ { { "request" }, { "close" } } },
      { staple = certs.ocsp("garbage") })
    local _, err = fetch(p:url(), tls_of("valid"))
    assert.equal("certificate_invalid", err.code)
    assert.is_truthy(err.message:find("cannot be read", 1, true), err.message)
  end))
end)

describe("versions:", function()
  local NUMBERS = { tls1 = "1.0", tls1_1 = "1.1", tls1_2 = "1.2", tls1_3 = "1.3" }
  local NGINX = { tls1 = "TLSv1", tls1_1 = "TLSv1.1", tls1_2 = "TLSv1.2", tls1_3 = "TLSv1.3" }

  local function config_of(version)
    return ("ssl_protocols %s; ssl_ciphers %s;"):format(NGINX[version], OLD)
  end

  for _, version in ipairs({ "tls1", "tls1_1" }) do
    it("C28 " .. version .. " takes a min_version and a lower security level", async(function()
      check_both({ cert = "valid", code = "tls_version", cause = "tlsv1 alert protocol version",
        says = { "127.0.0.1 has no TLS version that is allowed here: TLS 1.2 to 1.3",
          "tls.min_version" },
        off = { min_version = NUMBERS[version], ciphers = OLD }, verified = true },
        { version = version }, config_of(version))
    end))
  end

  it("C28 one above max_version", async(function()
    check_both({ cert = "valid", with = { max_version = "1.2" }, code = "tls_version",
      cause = "tlsv1 alert protocol version", says = { "TLS 1.2 to 1.2", "tls.max_version" },
      without = { "max_version" }, verified = true }, { version = "tls1_3" },
      config_of("tls1_3"))
  end))

  it("C28 one below min_version", async(function()
    check_both({ cert = "valid", with = { min_version = "1.3" }, code = "tls_version",
      cause = "tlsv1 alert protocol version", says = { "TLS 1.3 to 1.3" },
      without = { "min_version" }, verified = true }, { version = "tls1_2" },
      config_of("tls1_2"))
  end))

  for version, number in pairs(NUMBERS) do
    it(number .. " is what res.tls says", async(function()
      local s <close> = tls_server.start({ certs.get("valid"), version = version })
      local tls = tls_of("valid", { min_version = number, max_version = number, ciphers = OLD })
      local res = assert(fetch(s:url(), tls))
      assert.equal(number == "1.0" and "TLSv1" or "TLSv" .. number, res.tls.version)
    end))
  end
end)

describe("C31 protocols (ALPN):", function()
  local REPLY = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nhello, world\n"
  local SCRIPT = { { { "request" }, { "send", REPLY }, { "close" } } }

  -- A peer with these options gets a request with these.
  local function ask(peer_opts, opts)
    local p <close> = tls_peer.start(SCRIPT, peer_opts)
    opts.tls = tls_of("valid", opts.tls)
    opts.timeout = LIMIT
    local res, err = ms.fetch(p:url(), opts)
    return res, err, p:all("handshake")[1]
  end

  it("what was agreed on is in res.tls", async(function()
    local res, _, seen = ask({ alpn = { "http/1.1" } }, {})
    assert_served(res, nil, true)
    assert.equal("http/1.1", res.tls.alpn)
    assert.equal("http/1.1", seen.alpn)
  end))

  it("a server that knows nothing of it is spoken to in HTTP/1.1", async(function()
    local res = ask({}, {})
    assert_served(res, nil, true)
    assert.is_nil(res.tls.alpn)
    assert.equal("1.1", res.version)
  end))

  it("none in common", async(function()
    local _, err = ask({ alpn = { "http/1.1" }, alpn_strict = true },
      { tls = { alpn = { "foo" } } })
    assert.equal("tls_handshake", err.code)
    assert.equal("tls", err.phase)
    assert.equal("tlsv1 alert no application protocol", err.cause)
    assert.is_truthy(err.message:find("127.0.0.1 speaks none of the protocols offered: foo", 1,
      true), err.message)
  end))

  it("none in common with nginx, and one that is", async(function()
    local nginx <close> = server.start({ tls = certs.get("valid") })
    local _, err = fetch(nginx:url("/small"), tls_of("valid", { alpn = { "foo", "bar" } }))
    assert.equal("tls_handshake", err.code)
    assert.is_truthy(err.message:find("foo,bar", 1, true), err.message)
    local res = assert(fetch(nginx:url("/small"), tls_of("valid", { alpn = "foo,http/1.1" })))
    assert.equal("http/1.1", res.tls.alpn)
    assert.equal("http/1.1", fetch(nginx:url("/small"), tls_of("valid")).tls.alpn)
  end))

  it("none in common with s_server, and one that is", async(function()
    local s <close> = tls_server.start({ certs.get("valid"), alpn = "http/1.1" })
    local _, err = fetch(s:url(), tls_of("valid", { alpn = { "foo" } }))
    assert.equal("tls_handshake", err.code)
    assert.is_truthy(err.message:find("offered: foo", 1, true), err.message)
    assert.equal("http/1.1", assert(fetch(s:url(), tls_of("valid"))).tls.alpn)
  end))

  it("one that was not offered is refused", async(function()
    for _, name in ipairs({ "h2", "foo" }) do
      local _, err = ask({ alpn = { name }, alpn_force = true }, { version = "1.1" })
      assert.equal("tls_handshake", err.code)
      assert.equal("bad extension", err.cause)
    end
  end))

  it("HTTP/2 demanded of a server without it", async(function()
    local _, err = ask({}, { version = "2" })
    assert.equal("http2_required", err.code)
    _, err = ask({ alpn = { "http/1.1" }, alpn_strict = true }, { version = "2" })
    assert.equal("tls_handshake", err.code)
    assert.is_truthy(err.message:find("offered: h2", 1, true), err.message)
  end))

  it("HTTP/2 with nginx", async(function()
    local nginx <close> = server.start({ tls = certs.get("valid"), listen = "http2" })
    for version, alpn in pairs({ auto = "h2", ["2"] = "h2", ["1.1"] = "http/1.1" }) do
      local res = assert(ms.fetch(nginx:url("/small"), { version = version, timeout = LIMIT,
        tls = tls_of("valid") }))
      assert.equal(alpn, res.tls.alpn)
      assert.equal(alpn == "h2" and "2" or "1.1", res.version)
    end
  end))
end)

describe("C35 client certificates:", function()
  local function as(name, more)
    local c = certs.get(name)
    local with = { cert = c.cert, key = c.key, key_password = c.password }
    for key, value in pairs(more or {}) do with[key] = value end
    return with
  end

  local function with_server(version, fn)
    local s <close> = tls_server.start({ certs.get("valid"), version = version,
      client_ca = certs.get("client").ca })
    fn(function(with) return fetch(s:url(), tls_of("valid", with)) end)
  end

  local MISSING = { tls1_2 = "sslv3 alert handshake failure",
    tls1_3 = "tlsv13 alert certificate required" }

  -- In TLS 1.3 the refusal comes when the request is on its way.
  for _, version in ipairs({ "tls1_2", "tls1_3" }) do
    it("given, with a key in the clear or encrypted, " .. version, async(function()
      with_server(version, function(try)
        for _, name in ipairs({ "client", "client_encrypted" }) do
          local res, err = try(as(name))
          assert_served(res, err, true)
        end
      end)
    end))

    it("missing or of somebody else, " .. version, async(function()
      with_server(version, function(try)
        local row = { cert = "valid", code = "tls_handshake", cause = MISSING[version],
          says = { "127.0.0.1 wants a certificate of the client (tls.cert)" } }
        assert_refused(row, try({}))
        row.cause = "tlsv1 alert unknown ca"
        row.says = { "127.0.0.1 refused the client's certificate (unknown_ca)" }
        assert_refused(row, try(as("client_other")))
      end)
    end))
  end

  it("with a key that cannot be had", async(function()
    local s <close> = tls_server.start({ certs.get("valid") })
    for password, words in pairs({ [false] = "needs tls.key_password",
      wrong = "cannot be read with this tls.key_password" }) do
      local with = as("client_encrypted", { key_password = password or nil })
      if not password then with.key_password = nil end
      local _, err = fetch(s:url(), tls_of("valid", with))
      assert.equal("bad_option", err.code)
      assert.is_truthy(err.message:find("tls.key ", 1, true), err.message)
      assert.is_truthy(err.message:find(words, 1, true), err.message)
    end
    for _, name in ipairs({ "rsa", "valid" }) do -- of another kind, and of the same
      local _, err = fetch(s:url(), tls_of("valid", as("client", { key = certs.get(name).key })))
      assert.equal("bad_option", err.code)
      assert.is_truthy(err.message:find("does not belong to tls.cert", 1, true), err.message)
    end
  end))

  it("nginx takes one or says 400 itself", async(function()
    local nginx <close> = server.start({ tls = certs.get("valid"),
      config = "ssl_verify_client on; ssl_client_certificate " .. certs.get("client").ca .. ";" })
    local res, err = fetch(nginx:url("/small"), tls_of("valid", as("client")))
    assert_served(res, err, true)
    assert.equal(400, fetch(nginx:url("/small"), tls_of("valid")).status)
    assert.equal(400, fetch(nginx:url("/small"), tls_of("valid", as("client_other"))).status)
  end))

  it("the peer sees whose it is", async(function()
    local p <close> = tls_peer.start({ { { "request" }, { "close" } } },
      { client_ca = certs.get("client").ca })
    fetch(p:url(), tls_of("valid", as("client")))
    assert.equal("client", p:all("handshake")[1].client)
  end))
end)

describe("res.tls", function()
  local function words(text) return (text:gsub("[%s:]", ""):lower()) end

  it("tells of the connection", async(function()
    local nginx <close> = server.start({ tls = certs.get("valid"),
      config = "ssl_protocols TLSv1.3;" })
    local tls = assert(fetch(nginx:url("/small"), tls_of("valid"))).tls
    assert.equal("TLSv1.3", tls.version)
    assert.equal("TLS_AES_256_GCM_SHA384", tls.cipher)
    assert.equal("http/1.1", tls.alpn)
    assert.is_true(tls.verified)
    assert.is_false(tls.resumed)
  end))

  it("tells of the certificate what openssl does", async(function()
    local s <close> = tls_server.start({ certs.get("valid") })
    local cert = assert(fetch(s:url(), tls_of("valid"))).tls.peer_certificate
    local text = certs.text("valid")
    assert.equal("CN=valid", cert.subject)
    assert.equal("CN=intermediate", cert.issuer)
    assert.same({ "localhost", "127.0.0.1", "0:0:0:0:0:0:0:1" }, cert.names)
    assert.equal(certs.pin("valid"), cert.public_key_pin)
    assert.is_truthy(words(text):find("serialnumber" .. cert.serial, 1, true), cert.serial)
    assert.is_truthy(cert.not_before:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"))
    assert.is_true(cert.not_before < os.date("!%Y-%m-%dT%H:%M:%SZ"))
    assert.is_true(cert.not_after > os.date("!%Y-%m-%dT%H:%M:%SZ"))
    assert.equal(64, #cert.fingerprint)
    local file <close> = assert(io.open(certs.get("valid").cert))
    assert.equal(file:read("a"), cert.pem)
  end))

  it("is not there in the clear", async(function()
    local nginx <close> = server.start()
    assert.is_nil(assert(ms.fetch(nginx:url("/small"))).tls)
  end))

  it("outlives its connection and its client", async(function()
    local nginx <close> = server.start({ tls = certs.get("valid") })
    local client = ms.client({ tls = tls_of("valid") })
    local res = assert(client:fetch(nginx:url("/small")))
    client:close()
    client = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.equal("CN=valid", res.tls.peer_certificate.subject)
  end))
end)
