-- SPDX-License-Identifier: MIT
--
-- Certificates for specs, made with the openssl command the first time one
-- asks for them, in a temporary folder that lives as long as this process
-- (spec/support/helper.lua keeps this module over all spec files). What there
-- is, and how each differs from a good one: spec/support/cert_rows.lua.
--
--   local certs = require "spec.support.certs"
--   local c = certs.get("expired")
--   c.cert, c.key      -- PEM files
--   c.chain            -- what to send after it; nil: nothing
--   c.full             -- cert and chain in one file, as nginx wants it
--   c.ca               -- what a client should trust
--   c.password, c.seclevel   -- where the row has them
--   certs.crl("good")         -- CRL file: "good", "old" or "other"
--   certs.ocsp("revoked")     -- OCSP answer about "valid", DER file
--   certs.pin("valid")        -- "sha256//..." of the public key
--   certs.text("valid")       -- what `openssl x509 -text` says
local process = require "spec.support.process"
local rows = require "spec.support.cert_rows"
local uv = require "luv"

local certs = {}

local DAY = 24 * 60 * 60
local LONG_AGO = "2020-01-01 00:00:00" -- when the old OCSP answer was made
local LONG_CHAIN = 100 -- certificates a server sends in "long_chain"
local P256 = "ec -pkeyopt ec_paramgen_curve:P-256"

-- `openssl ca` is the only command of OpenSSL 3.0 that takes both dates.
local CONFIG = [[
[req]
distinguished_name = empty
[empty]
[ca]
default_ca = any
[any]
database = $DIR/issued
new_certs_dir = $DIR
rand_serial = yes
unique_subject = no
email_in_dn = no
default_crl_days = 30
policy = subject
[subject]
commonName = supplied
[revoking]
database = $DIR/revoked.index
default_crl_days = 30
]]

---@class spec.Cert
---@field cert string
---@field key string
---@field chain string?
---@field full string
---@field ca string
---@field password string?
---@field seclevel integer?

-- The folder of this process; a child made by fork must not remove it.
local Folder = {}
Folder.__index = Folder
Folder.__gc = function(self)
  if self.owner == uv.os_getpid() then os.execute("rm -rf '" .. self.path .. "'") end
end

local folder
local made = {}

local function write_file(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end

local function read_file(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

local function dir()
  if folder then return folder.path end
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir -m 700 '" .. path .. "'"))
  folder = setmetatable({ path = path, owner = uv.os_getpid() }, Folder)
  write_file(path .. "/config", (CONFIG:gsub("%$DIR", path)))
  write_file(path .. "/issued", "")
  return path
end

local function file(name, ending) return dir() .. "/" .. name .. "." .. ending end

-- Runs shell commands in the folder to their end; raises when one fails.
local function sh(commands)
  local r = process.run({ "sh", "-ec", commands }, { cwd = dir(), env = { LD_PRELOAD = false } })
  if r.code ~= 0 then error("certificates:\n" .. commands .. "\n" .. r.stderr, 0) end
  return r.stdout
end

-- UTCTime: OpenSSL's database takes no years of four digits.
local function date(offset) return os.date("!%y%m%d%H%M%SZ", os.time() + offset) end

-- Text of the extensions of a row.
local function extensions(row)
  local all = {}
  for name, value in pairs(rows.kinds[row.kind or "server"]) do all[name] = value end
  all.subjectAltName = row.kind ~= "ca" and row.names ~= false and (row.names or rows.HERE) or nil
  for name, value in pairs(row.ext or {}) do all[name] = value or nil end
  local lines = { "subjectKeyIdentifier=hash" }
  if row.issuer ~= "self" then lines[2] = "authorityKeyIdentifier=keyid" end
  for name, value in pairs(all) do lines[#lines + 1] = name .. "=" .. value end
  return table.concat(lines, "\n") .. "\n"
end

local function sign_command(name, row)
  local issuer = row.issuer or "intermediate"
  local by = issuer == "self" and ("-selfsign -keyfile %s.key"):format(name)
    or ("-cert %s.crt -keyfile %s.key"):format(issuer, issuer)
  return ("openssl ca -config config -batch -notext -in %s.csr -out %s.crt %s -extfile %s.ext "
    .. "-startdate %s -enddate %s -md %s -subj '/CN=%s' 2>%s.log || { cat %s.log >&2; exit 1; }\n")
    :format(name, name, by, name, row.from or date(-DAY), row.to or date(365 * DAY),
      row.md or "sha256", row.cn or name, name, name)
end

-- Makes NAME.key and NAME.crt.
local function issue(name, row)
  local request = ("openssl req -config config -new -nodes -newkey %s -subj '/CN=%s' "
    .. "-keyout %s.key -out %s.csr 2>/dev/null\n")
    :format(row.key or P256, row.cn or name, name, name)
  write_file(file(name, "ext"), extensions(row))
  sh(request .. sign_command(name, row))
end

local function issuers_below_root(row)
  local list, issuer = {}, row.issuer or "intermediate"
  while issuer ~= "self" and rows.list[issuer].issuer ~= "self" do
    list[#list + 1] = issuer
    issuer = rows.list[issuer].issuer or "intermediate"
  end
  return list
end

-- The last steps, by name. They may change the files and the entry.
local finish = {}

-- The signature is the last thing in a certificate: its last bit is wrong.
function finish.tamper(name)
  sh(("openssl x509 -in %s.crt -outform DER -out %s.der"):format(name, name))
  local der = read_file(file(name, "der"))
  write_file(file(name, "der"), der:sub(1, -2) .. string.char(der:byte(-1) ~ 1))
  sh(("openssl x509 -inform DER -in %s.der -out %s.crt"):format(name, name))
end

-- A key file has the public key in it, and a server compares only that one
-- with the certificate. So the file keeps it and gets another private number
-- (32 bytes, from offset 7 in DER of P-256).
function finish.swap_key(name)
  sh(("openssl ec -in %s.key -outform DER -out %s.der 2>/dev/null\n"):format(name, name)
    .. ("openssl ecparam -name prime256v1 -genkey -noout -outform DER -out %s.other"):format(name))
  local mine, other = read_file(file(name, "der")), read_file(file(name, "other"))
  write_file(file(name, "der"), mine:sub(1, 7) .. other:sub(8, 39) .. mine:sub(40))
  sh(("openssl ec -inform DER -in %s.der -out %s.key 2>/dev/null"):format(name, name))
end

function finish.encrypt(name, row)
  sh(("openssl pkey -in %s.key -aes256 -passout 'pass:%s' -out %s.locked && mv %s.locked %s.key")
    :format(name, row.password, name, name, name))
end

-- The certificate is issued once more, by the last of a row of authorities.
-- They share a key: nobody looks at it, and 98 more would take their time.
function finish.lengthen(name, row, entry)
  local commands, issuer, chain = {}, "intermediate", { "intermediate" }
  for i = 1, LONG_CHAIN - 2 do
    local link = "link" .. i
    write_file(file(link, "ext"), extensions({ kind = "ca" }))
    commands[i] = ("cp intermediate.csr %s.csr; cp intermediate.key %s.key\n"):format(link, link)
      .. sign_command(link, { issuer = issuer })
    table.insert(chain, 1, link)
    issuer = link
  end
  sh(table.concat(commands) .. sign_command(name, setmetatable({ issuer = issuer },
    { __index = row })))
  entry.send = chain
end

local function concatenate(names, path)
  local texts = {}
  for i, name in ipairs(names) do texts[i] = read_file(file(name, "crt")) end
  write_file(path, table.concat(texts))
end

---The certificate of that row; its issuers are made with it.
---@param name string
---@return spec.Cert
function certs.get(name)
  if made[name] then return made[name] end
  local row = rows.list[name] or error("no certificate called " .. tostring(name), 2)
  if row.issuer ~= "self" then certs.get(row.issuer or "intermediate") end
  if row.ca or name ~= "root" then certs.get(row.ca or "root") end
  issue(name, row)
  local entry = { cert = file(name, "crt"), key = file(name, "key"), full = file(name, "full"),
    ca = file(row.ca or "root", "crt"), password = row.password, seclevel = row.seclevel,
    send = row.send or issuers_below_root(row) }
  if row.finish then finish[row.finish](name, row, entry) end
  if #entry.send > 0 then
    entry.chain = file(name, "chain")
    concatenate(entry.send, entry.chain)
  end
  concatenate({ name, table.unpack(entry.send) }, entry.full)
  made[name] = entry
  return entry
end

---@return string[] every name, sorted
function certs.names()
  local list = {}
  for name in pairs(rows.list) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- A line of OpenSSL's database: V valid, R revoked, an hour ago.
local function index_line(name, state)
  local serial = sh(("openssl x509 -in %s.crt -noout -serial"):format(name)):match("=(%x+)")
  return ("%s\t%s\t%s\t%s\tunknown\t/CN=%s\n"):format(state, date(365 * DAY),
    state == "R" and date(-3600) or "", serial, name)
end

local CRL_DATES = {
  old = "-crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z",
}

---A CRL file that revokes "revoked": those of "intermediate" and of "root", as
---who checks every certificate of a chain needs. "good"; "old": its time is
---over; "other": the signer is another authority of the same name.
---@param kind? string default "good"
---@return string path
function certs.crl(kind)
  kind = kind or "good"
  if made["crl:" .. kind] then return made["crl:" .. kind] end
  certs.get("revoked")
  write_file(file("revoked", "index"), index_line("revoked", "R"))
  local key = kind == "other" and certs.get("other_root").key or file("intermediate", "key")
  local command = "openssl ca -config config -name %s -md sha256 -gencrl -cert %s -keyfile %s %s "
    .. "2>crl.log || { cat crl.log >&2; exit 1; }\n"
  local cert = file("intermediate", "crt")
  if kind == "other" then
    cert = file("intermediate", "twin")
    sh(("openssl req -config config -x509 -new -key %s -subj /CN=intermediate -out %s"):format(
      key, cert))
  end
  local dates = CRL_DATES[kind] or ""
  local path = file(kind, "crl")
  write_file(path, sh(command:format("revoking", cert, key, dates)
    .. command:format("any", "root.crt", "root.key", dates)))
  made["crl:" .. kind] = path
  return path
end

-- Answers of an OCSP responder about a certificate of "intermediate": what its
-- database says, who signs, and when.
local ANSWERS = {
  good = { state = "V" },
  revoked = { state = "R" },
  unknown = { state = false },
  old = { state = "V", at = LONG_AGO },
  delegated = { state = "V", signer = "responder" },
  wrong_signer = { state = "V", signer = "other_root" }, -- of an authority nobody asked
  not_a_signer = { state = "V", signer = "valid" }, -- of the same authority, but no responder
  other_cert = { state = "V", about = "rsa" }, -- good, but about another certificate
}

-- OCSPResponse with no answer in it: tryLater (RFC 6960, 4.2.1); and no
-- OCSPResponse at all.
local RAW_ANSWERS = { try_later = "\x30\x03\x0a\x01\x03", garbage = "not an OCSP response" }

local function answer(kind, name, path)
  local what = ANSWERS[kind] or error("no OCSP answer called " .. tostring(kind), 3)
  local about = what.about or name
  local signer = what.signer or "intermediate"
  certs.get(about)
  certs.get(signer)
  write_file(file("ocsp", "index"), what.state and index_line(about, what.state) or "")
  sh(("%s openssl ocsp -index ocsp.index -CA intermediate.crt -issuer intermediate.crt -cert %s.crt"
    .. " -rsigner %s.crt -rkey %s.key -ndays 7 -no_nonce -noverify -respout %s >ocsp.log 2>&1")
    :format(what.at and ("faketime '%s'"):format(what.at) or "", about, signer, signer, path))
end

---An OCSP response for `openssl s_server -status_file`. Kinds: good, revoked,
---unknown, old, delegated (good, by a proper responder), wrong_signer,
---not_a_signer, other_cert, try_later, garbage.
---@param kind string
---@param name? string the certificate, of "intermediate"; default "valid"
---@return string path
function certs.ocsp(kind, name)
  name = name or "valid"
  local path = file(kind .. "-" .. name, "ocsp")
  if made[path] then return path end
  if RAW_ANSWERS[kind] then
    write_file(path, RAW_ANSWERS[kind])
  else
    answer(kind, name, path)
  end
  made[path] = true
  return path
end

---@param name string
---@return string "sha256//" and the base64 of the public key's digest
function certs.pin(name)
  certs.get(name)
  return "sha256//" .. sh(("openssl x509 -in %s.crt -noout -pubkey | openssl pkey -pubin "
    .. "-outform DER | openssl dgst -sha256 -binary | openssl base64"):format(name)):match("%S+")
end

---@param name string
---@return string
function certs.text(name)
  certs.get(name)
  return sh(("openssl x509 -in %s.crt -noout -text"):format(name))
end

return certs
