-- SPDX-License-Identifier: MIT
--
-- The certificate matrix as data: what spec.support.certs can make. A row
-- says only how its certificate differs from a good one for this machine,
-- which comes from "intermediate", which comes from "root".
--
--   issuer    name of the row that signs; "self" signs itself
--   kind      "server" (default), "client" or "ca": the usual extensions
--   cn        common name, default the row's own name
--   names     subjectAltName, default rows.HERE; false for none
--   ext       extensions by name, added to the usual ones; false removes one
--   key       argument of `openssl req -newkey`, default a P-256 key
--   from, to  validity, default yesterday to a year from now
--   md        digest of the signature, default sha256
--   send      rows the server sends after the certificate, in order; default
--             its issuers below the root
--   ca        row to be trusted, default "root"
--   finish    name of a last step in spec.support.certs
--   password  of the private key
--   seclevel  what an OpenSSL server needs to be willing to use it
local rows = {}

-- What a client of these specs connects to.
rows.HERE = "DNS:localhost,IP:127.0.0.1,IP:::1"

-- A name with bytes that no configuration of openssl's takes: GeneralNames with
-- one dNSName, in DER.
local function raw_name(name)
  local bytes = ("\x30%s\x82%s"):format(string.char(#name + 2), string.char(#name)) .. name
  return "DER:" .. bytes:gsub(".", function(c) return ("%02x:"):format(c:byte()) end):sub(1, -2)
end

local PAST = { from = "20200101000000Z", to = "20210101000000Z" }
local FUTURE = { from = "20400101000000Z", to = "20410101000000Z" }

local function ca(row)
  row.kind = "ca"
  return row
end

rows.list = {
  -- authorities
  root = ca { issuer = "self" },
  intermediate = ca { issuer = "root" },
  other_root = ca { issuer = "self" },
  client_ca = ca { issuer = "self" },
  old_ca = ca { issuer = "root", from = PAST.from, to = PAST.to },
  not_a_ca = ca { issuer = "root", ext = { basicConstraints = "critical,CA:FALSE",
    keyUsage = "critical,digitalSignature" } },
  last_ca = ca { issuer = "root", ext = { basicConstraints = "critical,CA:TRUE,pathlen:0" } },
  beyond_ca = ca { issuer = "last_ca" },
  narrow_ca = ca { issuer = "root",
    ext = { nameConstraints = "critical,permitted;DNS:only.test" } },

  -- good ones
  valid = {},
  rsa = { key = "rsa:2048",
    ext = { keyUsage = "critical,digitalSignature,keyEncipherment" } },
  wildcard = { names = "DNS:*.wild.test" },
  ip = { names = "IP:127.0.0.1,IP:::1" },
  trailing_dot = { names = "DNS:localhost.,DNS:dot.test." },
  name_constraints_kept = { issuer = "narrow_ca", names = "DNS:only.test,DNS:www.only.test" },
  long_chain = { finish = "lengthen" },

  -- time
  expired = { from = PAST.from, to = PAST.to },
  not_yet_valid = { from = FUTURE.from, to = FUTURE.to },
  expired_intermediate = { issuer = "old_ca" },

  -- trust
  self_signed = { issuer = "self" },
  unknown_root = { issuer = "other_root" },
  missing_intermediate = { send = {} },
  non_ca_intermediate = { issuer = "not_a_ca" },
  path_length = { issuer = "beyond_ca" },
  tampered = { finish = "tamper" },
  wrong_key = { finish = "swap_key" },
  revoked = {},

  -- names
  wrong_host = { names = "DNS:other.test,IP:127.9.9.9" },
  wildcard_two = { names = "DNS:*.*.test" },
  wildcard_partial = { names = "DNS:f*.wild.test" },
  wildcard_inner = { names = "DNS:www.*.test" },
  wildcard_tld = { names = "DNS:*.test" },
  wildcard_bare = { names = "DNS:*" },
  ip_wrong = { names = "IP:127.9.9.9,IP:::9" },
  ip_as_name = { names = "DNS:127.0.0.1,DNS:::1" },
  cn_only = { cn = "localhost", names = false },
  cn_beside = { cn = "localhost", names = "DNS:other.test" },
  nul_name = { cn = "evil.test", names = raw_name("localhost\0.evil.test") }, -- ends early in C
  idn = { names = "DNS:xn--mnchen-3ya.test" },
  idn_raw = { names = raw_name("m\u{fc}nchen.test") },
  wildcard_idn = { names = "DNS:*.xn--mnchen-3ya.test" },
  wildcard_in_idn = { names = "DNS:xn--*.wild.test,DNS:xn--mnchen-*.wild.test" },
  wildcard_ip = { names = "DNS:*.0.0.1,DNS:*" },
  name_constraints = { issuer = "narrow_ca" },

  -- use
  key_usage = { ext = { keyUsage = "critical,dataEncipherment" } },
  extended_key_usage = { ext = { extendedKeyUsage = "clientAuth" } },
  critical_extension = { ext = { ["1.3.6.1.4.1.55555.1"] = "critical,DER:05:00" } },
  weak_key = { key = "rsa:1024", seclevel = 0,
    ext = { keyUsage = "critical,digitalSignature,keyEncipherment" } },
  weak_digest = { md = "sha1", seclevel = 0 },

  -- clients
  client = { kind = "client", issuer = "client_ca", ca = "client_ca", names = false },
  client_encrypted = { kind = "client", issuer = "client_ca", ca = "client_ca", names = false,
    finish = "encrypt", password = "open sesame" },
  client_other = { kind = "client", issuer = "other_root", ca = "client_ca", names = false },

  -- signs OCSP answers for the intermediate
  responder = { kind = "responder", names = false },
}

-- The usual extensions of each kind.
rows.kinds = {
  ca = {
    basicConstraints = "critical,CA:TRUE",
    keyUsage = "critical,keyCertSign,cRLSign,digitalSignature",
  },
  server = {
    basicConstraints = "critical,CA:FALSE",
    keyUsage = "critical,digitalSignature",
    extendedKeyUsage = "serverAuth",
  },
  client = {
    basicConstraints = "critical,CA:FALSE",
    keyUsage = "critical,digitalSignature",
    extendedKeyUsage = "clientAuth",
  },
  responder = {
    basicConstraints = "critical,CA:FALSE",
    keyUsage = "critical,digitalSignature",
    extendedKeyUsage = "OCSPSigning",
  },
}

return rows
