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

  it("that are not valid now were, or will be", function()
    assert_good("expired", { "-attime", "1600000000" }) -- in 2020; the chain is younger
  end)
end)
