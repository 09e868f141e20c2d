-- SPDX-License-Identifier: MIT
--
-- Every certificate the specs make is what it says: OpenSSL accepts the good
-- ones and finds exactly the fault that each bad one has.
local certs = require "spec.support.certs"
local process = require "spec.support.process"

local function openssl(...)
  local r = process.run({ "openssl", ... }, { env = { LD_PRELOAD = false } })
  return r.code == 0, r.stdout .. r.stderr
end

-- Verifies as a client of `opts.host` or `opts.ip` would; more arguments in
-- opts.
local function verify(name, opts)
  opts = opts or {}
  local c = certs.get(name)
  local argv = { "verify", "-x509_strict", "-auth_level", "2", "-purpose",
    opts.purpose or "sslserver", "-CAfile", c.ca, "-no-CApath", "-no-CAstore" }
  if c.chain then table.move({ "-untrusted", c.chain }, 1, 2, #argv + 1, argv) end
  local subject = opts.ip and { "-verify_ip", opts.ip }
    or { "-verify_hostname", opts.host or "localhost" }
  if not opts.purpose then table.move(subject, 1, 2, #argv + 1, argv) end
  table.move(opts, 1, #opts, #argv + 1, argv)
  argv[#argv + 1] = c.cert
  return openssl(table.unpack(argv))
end

local function assert_good(name, opts)
  local ok, output = verify(name, opts)
  assert.is_true(ok, name .. ": " .. output)
end

local function assert_bad(name, fault, opts)
  local ok, output = verify(name, opts)
  assert.is_false(ok, name .. " is accepted")
  assert.is_truthy(output:find(fault, 1, true), name .. ": " .. output)
end

-- What OpenSSL says of each.
local FAULTS = {
  expired = "certificate has expired",
  not_yet_valid = "certificate is not yet valid",
  expired_intermediate = "error 10 at 1 depth lookup: certificate has expired",
  self_signed = "self-signed certificate",
  unknown_root = "unable to get local issuer certificate",
  missing_intermediate = "unable to get local issuer certificate",
  non_ca_intermediate = "at 1 depth lookup: invalid CA certificate",
  path_length = "path length constraint exceeded",
  tampered = "certificate signature failure",
  wrong_host = "hostname mismatch",
  name_constraints = "permitted subtree violation",
  key_usage = "unsuitable certificate purpose",
  extended_key_usage = "unsuitable certificate purpose",
  critical_extension = "unhandled critical extension",
  weak_key = "EE certificate key too weak",
  weak_digest = "CA signature digest algorithm too weak",
  nul_name = "hostname mismatch",
  wildcard_bare = "hostname mismatch",
}

describe("certificates:", function()
  for _, name in ipairs({ "valid", "rsa", "long_chain", "revoked", "wrong_key" }) do
    it(name .. " is good for this machine", function()
      assert_good(name)
      assert_good(name, { ip = "127.0.0.1" })
      assert_good(name, { ip = "::1" })
    end)
  end

  for name, fault in pairs(FAULTS) do
    it(name .. ": " .. fault, function() assert_bad(name, fault) end)
  end

  -- So that a spec that expects the fault cannot meet another one.
  it("have no second fault", function()
    for _, name in ipairs({ "expired", "not_yet_valid", "expired_intermediate" }) do
      assert_good(name, { "-no_check_time" })
    end
    for _, name in ipairs({ "self_signed", "unknown_root" }) do
      local issuer = name == "self_signed" and name or "other_root"
      assert_good(name, { "-CAfile", certs.get(issuer).cert })
    end
    assert_good("missing_intermediate", { "-untrusted", certs.get("intermediate").cert })
    assert_good("weak_key", { "-auth_level", "0" })
    assert_good("weak_digest", { "-auth_level", "0" })
    assert_good("wrong_host", { host = "other.test" })
    assert_good("extended_key_usage", { purpose = "sslclient" })
    assert_good("critical_extension", { "-ignore_critical" })
    assert_good("name_constraints_kept", { host = "www.only.test" })
  end)

  it("wildcards are for one whole label on the left", function()
    assert_good("wildcard", { host = "a.wild.test" })
    assert_bad("wildcard", "hostname mismatch", { host = "wild.test" })
    assert_bad("wildcard", "hostname mismatch", { host = "a.b.wild.test" })
    assert_bad("wildcard_two", "hostname mismatch", { host = "a.b.test" })
    assert_bad("wildcard_inner", "hostname mismatch", { host = "www.a.test" })
    assert_bad("wildcard_tld", "hostname mismatch", { host = "a.test" })
    assert_bad("wildcard_bare", "hostname mismatch")
  end)

  -- What X509_check_host accepts unless it is told not to.
  it("hold the traps of OpenSSL's defaults", function()
    assert_good("wildcard_partial", { host = "foo.wild.test" })
    assert_good("cn_only")
  end)

  it("with addresses are for these only, as addresses", function()
    assert_good("ip", { ip = "127.0.0.1" })
    assert_good("ip", { ip = "::1" })
    assert_bad("ip", "hostname mismatch")
    for _, ip in ipairs({ "127.0.0.1", "::1" }) do
      assert_bad("ip_wrong", "IP address mismatch", { ip = ip })
      assert_bad("ip_as_name", "IP address mismatch", { ip = ip })
    end
  end)

  it("with a dot at the end of the name", function()
    assert_good("trailing_dot", { host = "localhost." })
    assert_bad("trailing_dot", "hostname mismatch", { host = "localhost" })
  end)

  it("with a NUL in the name", function()
    assert.is_truthy(certs.text("nul_name"):find("localhost..evil.test", 1, true))
  end)

  it("with RSA and ECDSA keys", function()
    assert.is_truthy(certs.text("rsa"):find("Public-Key: (2048 bit)", 1, true))
    assert.is_truthy(certs.text("weak_key"):find("Public-Key: (1024 bit)", 1, true))
    assert.is_truthy(certs.text("valid"):find("NIST CURVE: P-256", 1, true))
    assert.is_truthy(certs.text("weak_digest"):find("ecdsa-with-SHA1", 1, true))
  end)

  it("a chain of a hundred", function()
    local f <close> = assert(io.open(certs.get("long_chain").full))
    assert.equal(100, select(2, f:read("a"):gsub("BEGIN CERTIFICATE", "")))
  end)
end)

describe("certificates of clients:", function()
  it("are for clients, of the authority a server trusts or of another", function()
    assert_good("client", { purpose = "sslclient" })
    assert_good("client_encrypted", { purpose = "sslclient" })
    assert_bad("client_other", "unable to get local issuer", { purpose = "sslclient" })
    assert_bad("client", "unsuitable certificate purpose", { purpose = "sslserver" })
  end)

  it("have a key that opens with the password only", function()
    local c = certs.get("client_encrypted")
    assert.is_true((openssl("pkey", "-noout", "-in", c.key, "-passin", "pass:" .. c.password)))
    assert.is_false((openssl("pkey", "-noout", "-in", c.key, "-passin", "pass:wrong")))
  end)
end)

describe("keys:", function()
  local function public_key(argv)
    local ok, output = openssl(table.unpack(argv))
    assert.is_true(ok, output)
    return output
  end

  it("belong to their certificates", function()
    for _, name in ipairs({ "valid", "rsa", "weak_key", "client", "long_chain", "wrong_key" }) do
      local c = certs.get(name)
      assert.equal(public_key({ "x509", "-in", c.cert, "-noout", "-pubkey" }),
        public_key({ "pkey", "-in", c.key, "-pubout" }), name)
    end
  end)

  it("except where the number behind the public key is another", function()
    local function consistent(name)
      return (openssl("pkey", "-in", certs.get(name).key, "-check", "-noout"))
    end
    assert.is_true(consistent("valid"))
    assert.is_false(consistent("wrong_key"))
  end)

  it("have pins, each its own", function()
    local pin = certs.pin("valid")
    assert.is_truthy(pin:match("^sha256//[%w+/]+=$"))
    assert.equal(#"sha256//" + 44, #pin)
    assert.equal(pin, certs.pin("valid"))
    assert.not_equal(pin, certs.pin("rsa"))
  end)
end)

describe("CRLs:", function()
  local function with(kind)
    return { "-crl_check_all", "-CRLfile", certs.crl(kind) }
  end

  it("revoke one certificate and no other", function()
    assert_bad("revoked", "certificate revoked", with("good"))
    assert_good("valid", with("good"))
  end)

  it("are looked at only when asked for", function() assert_good("revoked") end)

  it("can be too old, or of another authority", function()
    assert_bad("valid", "CRL has expired", with("old"))
    assert_bad("valid", "CRL signature failure", with("other"))
    assert_bad("unknown_root", "unable to get certificate CRL",
      { "-CAfile", certs.get("other_root").cert, table.unpack(with("good")) })
  end)
end)

-- What `openssl ocsp` says about an answer and the certificate "valid".
local ANSWERS = {
  good = { "Response verify OK", "valid.crt: good" },
  delegated = { "Response verify OK", "valid.crt: good" },
  revoked = { "Response verify OK", "valid.crt: revoked" },
  unknown = { "Response verify OK", "valid.crt: unknown" },
  old = { "Response verify OK", "Status times invalid", "status expired" },
  wrong_signer = { "Response Verify Failure", "self-signed certificate" },
  not_a_signer = { "Response Verify Failure", "missing ocspsigning usage" },
  other_cert = { "Response verify OK", "No Status found" },
  try_later = { "Responder Error: trylater (3)" },
  garbage = { "Error reading OCSP response" },
}

describe("OCSP answers:", function()
  local function look_at(path)
    local _, output = openssl("ocsp", "-respin", path, "-issuer", certs.get("intermediate").cert,
      "-cert", certs.get("valid").cert, "-CAfile", certs.get("root").cert, "-no_nonce")
    return output
  end

  for kind, expected in pairs(ANSWERS) do
    it(kind, function()
      local output = look_at(certs.ocsp(kind))
      for _, text in ipairs(expected) do
        assert.is_truthy(output:find(text, 1, true), text .. " is not in:\n" .. output)
      end
    end)
  end
end)

describe("the folder of the certificates", function()
  it("is made once, and goes with the process that made it", function()
    local r = process.run({ "lua5.4", "-e", [[
      package.path = "./?.lua;" .. package.path
      local certs = require "spec.support.certs"
      local c = certs.get("valid")
      assert(c == certs.get("valid"))
      assert(io.open(c.cert)):close()
      print(c.cert)
    ]] })
    assert.equal("", r.stderr)
    local path = r.stdout:match("(%S+)\n")
    assert.is_truthy(path:find("/valid.crt", 1, true))
    assert.is_nil(io.open(path))
    assert.is_nil((os.rename(path:match("^(.*)/"), "/tmp/never")))
  end)
end)
