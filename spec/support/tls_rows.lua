-- SPDX-License-Identifier: MIT
--
-- Who is let through and who is not: a row for each certificate of
-- spec/support/cert_rows.lua and each name it is asked for. The first word of
-- a row is the statement it shows; spec/tls_spec.lua tries all of them.
local ms = require "multisocket"

local OLD = "DEFAULT:@SECLEVEL=0" -- what weak keys and digests take
local UNVERIFIED, UNNAMED = { verify = false }, { verify_host = false }
local ASCII = "xn--mnchen-3ya.test" -- münchen.test

---One of the matrix.
---@class spec.TlsRow
---@field of string the statement
---@field cert string the certificate
---@field host string? in the URL, default 127.0.0.1
---@field at string? a name that leads to 127.0.0.1
---@field with table? tls options that lead to the refusal
---@field code string? of the error; nil: it is good
---@field says string[]? words of its message
---@field cause string? OpenSSL's words
---@field off table? tls options with which the same server answers; nil:
---      there are none
---@field verified boolean? what res.tls says then
---@field nginx string? what its server block needs for it

---@param text string the statement and the certificate
---@return spec.TlsRow
local function new(text, row)
  row.of, row.cert = text:match("^(%S+) (%S+)$")
  return row
end

-- One that is refused for its chain: nothing helps but not to look.
local function chain(text, code, cause, ...)
  return new(text, { code = code, cause = cause, says = { ... }, off = UNVERIFIED,
    verified = false })
end

-- One that is for another name.
local function name(text, asked, has)
  return new(text, { with = asked and { server_name = asked }, code = "certificate_host_mismatch",
    cause = asked and "hostname mismatch" or "IP address mismatch",
    says = { "certificate of " .. (asked or "127.0.0.1"), "another name", has },
    off = UNNAMED, verified = true })
end

-- One that is good, asked for by that name.
local function good(text, asked) return new(text, { with = { server_name = asked } }) end

-- Up to TLS 1.2 a server that keeps to its own certificate has no cipher for
-- it; in 1.3 nginx looks as little as s_server.
local function tls13(row)
  row.nginx = "ssl_protocols TLSv1.3;"
  return row
end

local rows = {
  chain("C1 expired", "certificate_expired", "certificate has expired",
    "the certificate of 127.0.0.1 expired on 2021-01-01 00:00 UTC"),
  chain("C2 not_yet_valid", "certificate_not_yet_valid", "certificate is not yet valid",
    "the certificate of 127.0.0.1 is not valid before 2040-01-01 00:00 UTC"),
  chain("C3 self_signed", "certificate_untrusted", "self-signed certificate",
    "nobody who is trusted", "ca_file"),
  chain("C4 unknown_root", "certificate_untrusted", "unable to get local issuer certificate",
    "nobody who is trusted", "ca_file"),
  chain("C5 missing_intermediate", "certificate_untrusted",
    "unable to get local issuer certificate", "nobody who is trusted"),
  chain("C6 expired_intermediate", "certificate_expired", "certificate has expired",
    "an issuer of 127.0.0.1 expired on 2021-01-01"),
  chain("C7 non_ca_intermediate", "certificate_invalid", "invalid CA certificate",
    "an issuer of 127.0.0.1"),
  chain("C8 path_length", "certificate_invalid", "path length constraint exceeded"),
  chain("C9 name_constraints", "certificate_invalid", "permitted subtree violation"),
  good("C9 name_constraints_kept", "www.only.test"),
  chain("C10 extended_key_usage", "certificate_invalid", "unsuitable certificate purpose"),
  tls13(chain("C10 key_usage", "certificate_invalid", "unsuitable certificate purpose")),
  chain("C11 critical_extension", "certificate_invalid", "unhandled critical extension"),
  chain("C12 weak_key", "certificate_invalid", "EE certificate key too weak"),
  new("C12 weak_key", { with = { ciphers = OLD } }),
  chain("C13 weak_digest", "certificate_invalid", "CA signature digest algorithm too weak"),
  new("C13 weak_digest", { with = { ciphers = OLD } }),
  chain("C14 tampered", "certificate_invalid", "certificate signature failure"),
  -- Whom the server is makes no difference: it must have its own key.
  new("C15 wrong_key", { code = "tls_handshake", cause = "bad signature" }),
  new("C15 wrong_key", { with = UNVERIFIED, code = "tls_handshake", cause = "bad signature" }),
}

local names = {
  new("C16 valid", { host = "localhost" }),
  new("C16 valid", { host = "localhost." }),
  good("C16 valid", "localhost."),
  name("C16 wrong_host", nil, "other.test, 127.9.9.9"),
  name("C16 wrong_host", "localhost", "other.test, 127.9.9.9"),
  name("C16 wrong_host", "another.test", "other.test, 127.9.9.9"),
  name("C16 wrong_host", "ther.test", "other.test, 127.9.9.9"),
  name("C16 wrong_host", "www.other.test", "other.test, 127.9.9.9"),
  name("C16 trailing_dot", "localhost", "localhost., dot.test."),
  new("C17 valid", { host = "LocalHost" }),
  good("C17 wildcard", "A.Wild.TEST"),
  good("C18 wildcard", "a.wild.test"),
  name("C18 wildcard_partial", "foo.wild.test", "f*.wild.test"),
  name("C18 wildcard_inner", "www.a.test", "www.*.test"),
  name("C19 wildcard", "wild.test", "*.wild.test"),
  name("C20 wildcard", "a.b.wild.test", "*.wild.test"),
  name("C20 wildcard_two", "a.b.test", "*.*.test"),
  name("C21 wildcard_tld", "a.test", "*.test"),
  name("C21 wildcard_bare", "localhost", "*"),
  new("C22 idn", { host = ASCII, at = ASCII }),
  new("C22 idn", { host = "XN--Mnchen-3YA.test", at = ASCII }),
  name("C22 idn", "www." .. ASCII, ASCII),
  name("C22 idn_raw", ASCII, "m??nchen.test"), -- as UTF-8: no name of DNS
  good("C22 wildcard_idn", "www." .. ASCII),
  name("C22 wildcard_idn", ASCII, "*." .. ASCII),
  name("C22 wildcard_in_idn", "xn--mnchen-3ya.wild.test",
    "xn--*.wild.test, xn--mnchen-*.wild.test"),
  name("C23 wildcard", nil, "*.wild.test"),
  name("C23 wildcard_ip", nil, "*.0.0.1, *"),
  new("C24 valid", {}),
  new("C24 valid", { host = "[::1]" }),
  new("C24 ip", {}),
  new("C24 ip", { host = "[::1]" }),
  name("C24 ip_wrong", nil, "127.9.9.9, 0:0:0:0:0:0:0:9"),
  name("C24 ip", "localhost", "127.0.0.1"),
  name("C25 ip_as_name", nil, "127.0.0.1"), -- but not as an address
  name("C26 nul_name", "localhost", "localhost?.evil.test"),
  name("C27 cn_only", nil, "no name at all"),
  name("C27 cn_only", "localhost", "no name at all"),
  name("C27 cn_beside", "localhost", "other.test"),

  -- What nothing is wrong with.
  new("C4 rsa", {}),
  new("C8 long_chain", {}),
  new("C36 revoked", {}), -- nobody asked
}

if ms.features().idn then
  names[#names + 1] = new("C22 idn", { host = "m\u{fc}nchen.test", at = ASCII })
end

return table.move(names, 1, #names, #rows + 1, rows)
