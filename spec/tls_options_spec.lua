-- SPDX-License-Identifier: MIT
--
-- Each option of TLS, good and bad: what it takes, what a wrong one is told,
-- what the environment adds.
local ms = require "multisocket"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local files = require "spec.support.files"
local process = require "spec.support.process"
local server = require "spec.support.server"
local tls_peer = require "spec.support.tls_peer"
local tls_relay = require "spec.support.tls_relay"
local tls_server = require "spec.support.tls_server"

local LIMIT = 30000 -- ms

local function root() return certs.get("root").cert end

local function with_ca(more)
  local tls = { ca_file = root() }
  for key, value in pairs(more or {}) do tls[key] = value end
  return tls
end

local function fetch(url, tls) return ms.fetch(url, { tls = tls, timeout = LIMIT }) end

-- Runs fn with a file of that content.
local function with_file(text, fn)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
  f:flush()
  local ok, err = pcall(fn, path)
  os.remove(path)
  if not ok then error(err, 0) end
end

local nginx
setup(function() nginx = server.start({ tls = certs.get("valid"), name = "localhost",
  config = "ssl_protocols TLSv1.2 TLSv1.3;" }) end)
teardown(function() nginx:stop() end)

-- One that is told why, without a connection of its own being any good.
local function assert_bad(tls, words)
  local res, err = fetch(nginx:url("/small"), tls)
  assert.is_nil(res)
  assert.equal("bad_option", err.code)
  assert.is_truthy(err.message:find(words, 1, true), err.message)
end

local function assert_good(tls)
  local res = assert(fetch(nginx:url("/small"), tls))
  assert.equal(200, res.status)
  return res
end

describe("tls options:", function()
  it("files that are not there", async(function()
    local none = "/nonexistent/file.pem"
    assert_bad({ ca_file = none }, "tls.ca_file cannot be read")
    assert_bad({ ca_path = none }, "tls.ca_path is no folder")
    assert_bad(with_ca({ crl_file = none }), "tls.crl_file cannot be read")
    assert_bad(with_ca({ cert = none }), "tls.cert cannot be read")
    assert_bad(with_ca({ cert = certs.get("client").cert, key = none }),
      "tls.key cannot be read")
    assert_bad(with_ca({ key = certs.get("client").key }), "tls.key needs tls.cert")
  end))

  it("files that hold something else", async(function()
    with_file("hello\n", function(path)
      assert_bad({ ca_file = path }, "tls.ca_file cannot be read")
      assert_bad({ ca_path = path }, "tls.ca_path is no folder")
      assert_bad(with_ca({ crl_file = path }), "holds no revocation list in PEM")
      assert_bad(with_ca({ cert = path }), "holds no certificate in PEM")
      assert_bad(with_ca({ cert = certs.get("client").cert, key = path }), "holds no key in PEM")
    end)
    with_file("", function(path)
      assert_bad({ ca_file = path }, "tls.ca_file cannot be read")
      assert_bad(with_ca({ crl_file = path }), "holds no revocation list")
    end)
    assert_bad(with_ca({ crl_file = root() }), "holds no revocation list")
    assert_bad({ ca_file = "" }, "tls.ca_file cannot be read")
  end))

  it("a folder of trusted certificates", async(function()
    local dir = os.tmpname()
    os.remove(dir)
    local done = process.run({ "sh", "-ec", ("mkdir '%s'; cp '%s' '%s/root.pem'; "
      .. "openssl rehash '%s'"):format(dir, root(), dir, dir) })
    assert.equal(0, done.code, done.stderr)
    local res = assert_good({ ca_path = dir })
    assert.is_true(res.tls.verified)
    os.execute("rm -r '" .. dir .. "'")
    local client <close> = ms.client({ tls = { ca_path = dir } })
    local _, err = client:fetch(nginx:url("/small"))
    assert.is_truthy(err.message:find("tls.ca_path is no folder", 1, true), err.message)
  end))

  it("a changed file is read again", async(function()
    with_file(io.open(certs.get("other_root").cert):read("a"), function(path)
      local _, err = fetch(nginx:url("/small"), { ca_file = path })
      assert.equal("certificate_untrusted", err.code)
      local f = assert(io.open(path, "ab"))
      f:write(io.open(root()):read("a"))
      f:close()
      local client <close> = ms.client()
      assert.equal(200, assert(client:fetch(nginx:url("/small"),
        { tls = { ca_file = path } })).status)
    end)
  end))

  it("versions", async(function()
    for min, max in pairs({ ["1.3"] = "1.2", ["1.2"] = "1.0" }) do
      assert_bad(with_ca({ min_version = min, max_version = max }),
        "tls.max_version is below tls.min_version")
    end
    for _, text in ipairs({ "1.4", "TLSv1.2", "1", "", "3" }) do
      assert_bad(with_ca({ min_version = text }), 'tls.min_version and tls.max_version are "1.0"')
      assert_bad(with_ca({ max_version = text }), 'tls.min_version and tls.max_version are "1.0"')
    end
    assert.equal("TLSv1.2", assert_good(with_ca({ max_version = "1.2" })).tls.version)
    assert.equal("TLSv1.3", assert_good(with_ca({ min_version = "1.3" })).tls.version)
  end))

  it("ciphers", async(function()
    local c = assert_good(with_ca({ ciphers = "TLS_CHACHA20_POLY1305_SHA256" })).tls
    assert.equal("TLS_CHACHA20_POLY1305_SHA256", c.cipher)
    c = assert_good(with_ca({ ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256", max_version = "1.2" })).tls
    assert.equal("ECDHE-ECDSA-AES128-GCM-SHA256", c.cipher)
    c = assert_good(with_ca({ max_version = "1.2", ciphers = "TLS_AES_128_GCM_SHA256:"
      .. "ECDHE-ECDSA-AES256-GCM-SHA384" })).tls
    assert.equal("ECDHE-ECDSA-AES256-GCM-SHA384", c.cipher)
    for _, text in ipairs({ "NONESUCH", "TLS_NONESUCH", "", ":", "aNULL", "eNULL", "ADH:eNULL" }) do
      assert_bad(with_ca({ ciphers = text }), "tls.ciphers names no cipher")
    end
  end))

  it("C29 ciphers cannot ask for nobody or for no encryption", async(function()
    local s <close> = tls_server.start({ certs.get("valid"), version = "tls1_2",
      ciphers = "aNULL:eNULL:ECDHE-ECDSA-AES128-GCM-SHA256", seclevel = 0 })
    local res = assert(fetch(s:url(), with_ca({ ciphers = "aNULL:eNULL:ALL:@SECLEVEL=0" })))
    assert.equal("ECDHE-ECDSA-AES128-GCM-SHA256", res.tls.cipher)
  end))

  it("lists as lists or as strings", async(function()
    local pin, other = certs.pin("valid"), certs.pin("rsa")
    for _, pins in ipairs({ pin, other .. ";" .. pin, { pin }, { other, pin } }) do
      assert_good(with_ca({ pinned_public_key = pins }))
    end
    for _, alpn in ipairs({ "foo,http/1.1", { "foo", "http/1.1" }, "http/1.1" }) do
      assert.equal("http/1.1", assert_good(with_ca({ alpn = alpn })).tls.alpn)
    end
    assert_bad(with_ca({ alpn = "" }), "tls.alpn is a list of names")
    assert_bad(with_ca({ alpn = { "a", "" } }), "tls.alpn is a list of names")
    assert_bad(with_ca({ alpn = ("x"):rep(256) }), "tls.alpn is a list of names")
  end))

  it("the rest of what is wrong", async(function()
    assert_bad(with_ca({ staple = "yes" }), 'tls.staple is "require"')
    assert_bad(with_ca({ server_name = "" }), "tls.server_name is empty")
    assert_bad(with_ca({ ciphers = "a\0b" }), "a tls option holds a NUL byte")
    for _, pin in ipairs({ "", "sha256//", "sha256//abc", "sha1//" .. ("a"):rep(44),
      certs.pin("valid") .. "x", certs.pin("valid") .. ";nonsense",
      "sha256//" .. ("*"):rep(44) }) do
      assert_bad(with_ca({ pinned_public_key = pin }), "tls.pinned_public_key is")
    end
  end))

  it("wrong types and names raise", async(function()
    for _, tls in ipairs({ { verify = "no" }, { verify_host = 1 }, { ca_file = true },
      { ca_file = {} }, { min_version = 1.2 }, { pinned_public_key = 5 }, { alpn = true },
      { pinned_public_key = { 5 } }, { session_reuse = "x" }, { veryfy = false }, { "x" },
      "x", false, true, 1 }) do
      local ok, err = pcall(fetch, nginx:url("/small"), tls)
      assert.is_false(ok)
      assert.equal("usage", err.category)
    end
    local _, err = pcall(fetch, nginx:url("/small"), { veryfy = false })
    assert.is_truthy(err.message:find('did you mean "tls.verify"?', 1, true), err.message)
  end))

  it("C41 verify = false is for one request, and for no other", async(function()
    local bad <close> = server.start({ tls = certs.get("self_signed") })
    local client <close> = ms.client({ timeout = LIMIT })
    for _ = 1, 2 do
      local res = assert(client:fetch(bad:url("/small"), { tls = { verify = false } }))
      assert.is_false(res.tls.verified)
      local _, err = client:fetch(bad:url("/small"))
      assert.equal("certificate_untrusted", err.code)
    end
    local careless <close> = ms.client({ timeout = LIMIT, tls = { verify = false } })
    assert(careless:fetch(bad:url("/small")))
    local _, err = careless:fetch(bad:url("/small"), { tls = { verify = true } })
    assert.equal("certificate_untrusted", err.code)
  end))

  it("matter only where there is TLS", async(function()
    local plain <close> = server.start()
    assert.equal(200, assert(fetch(plain:url("/small"), { ca_file = "/nonexistent" })).status)
  end))
end)

describe("pins:", function()
  local pins = { right = function() return certs.pin("valid") end,
    wrong = function() return certs.pin("rsa") end }

  local function assert_unpinned(res, err)
    assert.is_nil(res)
    assert.equal("certificate_pin_mismatch", err.code)
    assert.equal("tls", err.phase)
    assert.is_truthy(err.message:find("the key of 127.0.0.1 is " .. pins.right(), 1, true),
      err.message)
    assert.is_truthy(err.message:find("tls.pinned_public_key", 1, true), err.message)
  end

  it("the right one, the wrong one, and no verification beside it", async(function()
    assert_good(with_ca({ pinned_public_key = pins.right() }))
    assert_unpinned(fetch(nginx:url("/small"), with_ca({ pinned_public_key = pins.wrong() })))
    local res = assert_good({ verify = false, pinned_public_key = pins.right() })
    assert.is_false(res.tls.verified)
    assert_unpinned(fetch(nginx:url("/small"), { verify = false,
      pinned_public_key = pins.wrong() }))
  end))

  it("C39 hold on connections and sessions that are there already", async(function()
    for _, version in ipairs({ "1.2", "1.3" }) do
      local client <close> = ms.client({ timeout = LIMIT,
        tls = with_ca({ max_version = version }) })
      local function get(pin, fresh)
        return client:fetch(nginx:url("/small"), { fresh_connection = fresh,
          tls = pin and { pinned_public_key = pin } or nil })
      end
      assert(get(nil))
      assert.is_true(assert(get(nil)).reused)
      assert.is_true(assert(get(nil, true)).tls.resumed)
      assert_unpinned(get(pins.wrong()))
      local res = assert(get(pins.right()))
      assert.is_false(res.reused)
      assert.is_false(res.tls.resumed)
      res = assert(get(pins.right(), true))
      assert.is_true(res.tls.resumed)
      assert_unpinned(get(pins.wrong(), true))
    end
  end))

  it("are for the certificate's own key, not for an issuer's", async(function()
    assert_unpinned(fetch(nginx:url("/small"), with_ca({
      pinned_public_key = { certs.pin("intermediate"), certs.pin("root") } })))
  end))

  it("C39 refuse the key that came, on a resumed session as well", async(function()
    -- The session is of a server with the right key; the name is served by
    -- another later.
    local client <close> = ms.client({ timeout = LIMIT,
      tls = with_ca({ pinned_public_key = pins.right(), verify_host = false }) })
    local reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    local script = { { { "request" }, { "send", reply }, { "close" } } }
    local first = tls_peer.start(script)
    local port = first.port
    assert(client:fetch(first:url()))
    first:stop()
    local second <close> = tls_peer.start(script, { cert = certs.get("rsa"), port = port })
    local _, err = client:fetch(second:url())
    assert.equal("certificate_pin_mismatch", err.code)
  end))
end)

describe("what the server is asked for:", function()
  -- The hello of a connection to `host` with these tls options.
  local function hello(host, tls)
    local r <close> = tls_relay.start({ to = nginx.port })
    local res, err = ms.fetch(r:url("/small", host), { tls = with_ca(tls), timeout = LIMIT })
    assert.is_truthy(res, err and err.message)
    return r:hello()
  end

  it("C30 a name for names, none for addresses, no dot at the end", async(function()
    assert.equal("localhost", hello("localhost").sni)
    assert.equal("localhost", hello("localhost.").sni)
    assert.equal("localhost", hello("LOCALHOST").sni)
    assert.is_nil(hello("127.0.0.1").sni)
    assert.is_nil(hello("127.1").sni)
  end))

  it("C30 server_name in place of it, without verifying as well", async(function()
    assert.equal("localhost", hello("127.0.0.1", { server_name = "localhost" }).sni)
    assert.equal("other.test", hello("127.0.0.1", { server_name = "other.test.",
      verify_host = false }).sni)
    assert.equal("other.test", hello("127.0.0.1", { server_name = "other.test",
      verify = false }).sni)
    assert.is_nil(hello("localhost", { server_name = "127.0.0.1" }).sni)
  end))

  it("C31 its protocols, C28 versions, C36 an OCSP answer, and C42 nothing early", async(function()
    local h = hello("localhost")
    assert.same({ "h2", "http/1.1" }, h.alpn)
    assert.same({ 0x0304, 0x0303 }, h.versions)
    assert.is_true(h.extensions[5])
    assert.is_nil(h.extensions[42])
    assert.is_false(h.ticket)
    h = hello("localhost", { alpn = { "foo", "http/1.1" }, min_version = "1.3" })
    assert.same({ "foo", "http/1.1" }, h.alpn)
    assert.same({ 0x0304 }, h.versions)
    assert.is_nil(hello("localhost", { verify = false }).extensions[5])
  end))

  it("several sites on one port get their own certificate", async(function()
    local many <close> = server.start({ tls = certs.get("valid"), name = "localhost",
      more = { { tls = certs.get("wildcard"), name = "a.wild.test" } } })
    local res = assert(fetch(many:url("/small"), with_ca({ server_name = "a.wild.test" })))
    assert.equal("CN=wildcard", res.tls.peer_certificate.subject)
    res = assert(fetch(many:url("/small", "localhost"), with_ca()))
    assert.equal("CN=valid", res.tls.peer_certificate.subject)
  end))
end)

describe("the environment:", function()
  local CHILD = [[
    local ms = require "multisocket"
    local tls = arg[2] ~= "" and { ca_file = arg[2] } or nil
    local res, err = ms.fetch(arg[1], { tls = tls })
    print(res and res.status or err.code, res and res.tls.verified)
  ]]

  local BARE = { SSL_CERT_FILE = false, SSL_CERT_DIR = false, SSLKEYLOGFILE = false }

  local function fetch_in_child(env, ca, url)
    for name, value in pairs(BARE) do if env[name] == nil then env[name] = value end end
    local r
    with_file(CHILD, function(path)
      r = process.run({ "lua5.4", path, url or nginx:url("/small"), ca or "" }, { env = env })
    end)
    assert.equal(0, r.code, r.stderr)
    return (r.stdout:gsub("%s+$", ""))
  end

  it("SSL_CERT_FILE says whom to trust", async(function()
    assert.equal("certificate_untrusted\tnil", fetch_in_child({}))
    assert.equal("200\ttrue", fetch_in_child({ SSL_CERT_FILE = root() }))
    assert.equal("certificate_untrusted\tnil", fetch_in_child({
      SSL_CERT_FILE = certs.get("other_root").cert, SSL_CERT_DIR = "/nonexistent" }))
  end))

  it("SSL_CERT_DIR too", async(function()
    local dir = os.tmpname()
    os.remove(dir)
    local done = process.run({ "sh", "-ec", ("mkdir '%s'; cp '%s' '%s/root.pem'; "
      .. "openssl rehash '%s'"):format(dir, root(), dir, dir) })
    assert.equal(0, done.code, done.stderr)
    assert.equal("200\ttrue", fetch_in_child({ SSL_CERT_DIR = dir }))
    os.execute("rm -r '" .. dir .. "'")
  end))

  it("C12, C13, C28 openssl.cnf makes nothing good that is not", async(function()
    local weak <close> = server.start({ tls = certs.get("weak_key"), name = "weak", more = {
      { tls = certs.get("weak_digest"), port = true },
      { tls = certs.get("valid"), port = true,
        config = "ssl_protocols TLSv1.1; ssl_ciphers DEFAULT:@SECLEVEL=0;" },
    } })
    local lax = "openssl_conf = o\n[o]\nssl_conf = s\n[s]\nsystem_default = d\n[d]\n"
      .. "CipherString = DEFAULT@SECLEVEL=0\nMinProtocol = TLSv1\n"
    with_file(lax, function(path)
      local function code(port)
        return fetch_in_child({ OPENSSL_CONF = path }, root(),
          ("https://127.0.0.1:%d/small"):format(port)):match("^%S+")
      end
      assert.equal("200", code(nginx.port))
      assert.equal("certificate_invalid", code(weak.port))
      assert.equal("certificate_invalid", code(weak.ports[1]))
      assert.equal("tls_version", code(weak.ports[2]))
    end)
  end))

  it("tls.ca_file comes before them", async(function()
    assert.equal("certificate_untrusted\tnil",
      fetch_in_child({ SSL_CERT_FILE = root() }, certs.get("other_root").cert))
    assert.equal("200\ttrue",
      fetch_in_child({ SSL_CERT_FILE = certs.get("other_root").cert }, root()))
  end))

  it("C43 SSLKEYLOGFILE gets the secrets, and nothing without it", async(function()
    local path = os.tmpname()
    assert.equal("200\ttrue", fetch_in_child({}, root()))
    assert.equal("", files.read(path))
    assert.equal("200\ttrue", fetch_in_child({ SSLKEYLOGFILE = path }, root()))
    local text = files.read(path)
    for _, label in ipairs({ "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0" }) do
      assert.is_truthy(text:find(label .. " %x+ %x+\n"), text)
    end
    os.remove(path)
    assert.equal("200\ttrue", fetch_in_child({ SSLKEYLOGFILE = "/nonexistent/keys" }, root()))
    assert.equal("200\ttrue", fetch_in_child({ SSLKEYLOGFILE = "" }, root()))
  end))
end)
