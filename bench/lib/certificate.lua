-- SPDX-License-Identifier: MIT
--
-- What the TLS servers show: an authority of our own and a P-256 certificate that it signed for
-- addresses of the loopback, made by the openssl program for this run.

local process = require "process"

local certificate = {}

local TIMEOUT = 30000
local DIR = "build/bench/tls"

local CONFIG = [[
[req]
prompt = no
distinguished_name = name
[name]
O = multisocket bench
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = ]]

local function openssl(...)
  process.must({ "openssl", ... }, { timeout = TIMEOUT })
end

local function new_key(name)
  openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
    DIR .. "/" .. name .. ".key")
end

local function write_file(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
end

local function make(addresses)
  local names = {}
  for i, address in ipairs(addresses) do names[i] = "IP:" .. address end
  process.must({ "mkdir", "-p", DIR }, { timeout = TIMEOUT })
  write_file(DIR .. "/openssl.cnf", CONFIG .. table.concat(names, ", ") .. "\n")
  new_key("ca")
  openssl("req", "-new", "-x509", "-days", "7", "-config", DIR .. "/openssl.cnf", "-extensions",
    "authority", "-key", DIR .. "/ca.key", "-subj", "/CN=multisocket bench authority", "-out",
    DIR .. "/ca.pem")
  new_key("server")
  openssl("req", "-new", "-config", DIR .. "/openssl.cnf", "-key", DIR .. "/server.key", "-subj",
    "/CN=multisocket bench server", "-out", DIR .. "/server.csr")
  openssl("x509", "-req", "-days", "7", "-in", DIR .. "/server.csr", "-CA", DIR .. "/ca.pem",
    "-CAkey", DIR .. "/ca.key", "-CAcreateserial", "-extfile", DIR .. "/openssl.cnf",
    "-extensions", "server", "-out", DIR .. "/server.pem")
end

local made

--- Paths of the certificate to trust, and of the server's with its key; made when first asked for.
---@param addresses string[] the same at every call
---@return { ca: string, cert: string, key: string }
function certificate.get(addresses)
  if not made then
    make(addresses)
    local root = require("luv").fs_realpath(DIR)
    made = { ca = root .. "/ca.pem", cert = root .. "/server.pem", key = root .. "/server.key" }
  end
  return made
end

return certificate
