-- SPDX-License-Identifier: MIT
--
-- `openssl s_server` on loopback: OpenSSL's own idea of a TLS server, with
-- every switch it has. It serves one connection after the other, so one that
-- stalls delays the rest; nginx (spec.support.server) is the one for many.
--
--   local tls_server = require "spec.support.tls_server"
--   local s = tls_server.start { certs.get("expired"), version = "tls1_2" }
--   s.port, s.pid, s:url("/small")
--   s:stop()
--
-- Options of tls_server.start:
--   [1]         a spec.Cert; or by name: cert, key, chain, seclevel, password
--   host        address to listen on, default "127.0.0.1"; "::1" works too
--   version     the only one it speaks: tls1, tls1_1, tls1_2, tls1_3
--   seclevel    OpenSSL's security level; 0 for tls1, tls1_1 and weak
--               certificates, where it is the default
--   ciphers     for TLS 1.2 and below
--   alpn        names it accepts, "h2,http/1.1"; one that offers only others is
--               refused. Default: no ALPN at all
--   client_ca   asks for a client certificate of that authority (file) and
--               refuses who has none
--   client_optional   true: takes one that has none
--   staple      DER file of an OCSP response
--   tickets     how many TLS 1.3 tickets it sends; false: no resumption at
--               all, by ticket or by cache
--   names       { NAME, spec.Cert }: the certificate for that SNI, which is sent
--               without its chain
--   args        more arguments
--
-- It answers GET with files and closes the connection properly:
--   /small "hello, world\n"   /bytes/N  N of 0 1 1000 100000 of server.big_body
-- The answer is HTTP/1.0, without a length: it is close_notify that ends it.
local process = require "spec.support.process"
local server = require "spec.support.server"

local tls_server = {}

local START_TIMEOUT = 30000 -- ms
local SIZES = { 0, 1, 1000, 100000 }
local OLD = { tls1 = true, tls1_1 = true }

---@class spec.TlsServer
---@field host string
---@field port integer
---@field pid integer
local Server = {}
Server.__index = Server

local function write_file(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end

local function make_files(dir)
  assert(os.execute(("mkdir -p '%s/bytes'"):format(dir)))
  write_file(dir .. "/small", "hello, world\n")
  for _, n in ipairs(SIZES) do
    write_file(dir .. "/bytes/" .. n, server.big_body():sub(1, n))
  end
end

-- Adds words to argv when the first value is there.
local function add(argv, value, ...)
  if value then table.move({ ... }, 1, select("#", ...), #argv + 1, argv) end
end

local function ciphers(opts, cert)
  local level = opts.seclevel or cert.seclevel or OLD[opts.version] and 0
  if not level then return opts.ciphers end
  return (opts.ciphers or "DEFAULT") .. ":@SECLEVEL=" .. level
end

local function arguments(opts)
  local cert = opts[1] or opts
  local host = opts.host or "127.0.0.1"
  local argv = { "openssl", "s_server", "-WWW", "-accept",
    (host:find(":", 1, true) and "[" .. host .. "]" or host) .. ":0",
    "-cert", cert.cert, "-key", cert.key }
  local suites, names = ciphers(opts, cert), opts.names or {}
  add(argv, cert.chain, "-cert_chain", cert.chain)
  add(argv, cert.password, "-pass", "pass:" .. tostring(cert.password))
  add(argv, opts.version, "-" .. tostring(opts.version))
  add(argv, suites, "-cipher", suites)
  add(argv, opts.alpn, "-alpn", opts.alpn)
  add(argv, opts.client_ca, "-CAfile", opts.client_ca, opts.client_optional and "-verify"
    or "-Verify", "1", "-verify_return_error")
  add(argv, opts.staple, "-status_file", opts.staple)
  add(argv, opts.tickets, "-num_tickets", tostring(opts.tickets))
  add(argv, opts.tickets == false, "-no_ticket", "-no_cache", "-num_tickets", "0")
  add(argv, names[1], "-servername", names[1], "-cert2", names[2] and names[2].cert,
    "-key2", names[2] and names[2].key)
  add(argv, opts.args, table.unpack(opts.args or {}))
  return argv, host
end

---Starts a server and returns when it accepts connections; raises with
---OpenSSL's own words when it does not.
---@param opts table see the top of the file
---@return spec.TlsServer
function tls_server.start(opts)
  local dir = os.tmpname()
  os.remove(dir)
  make_files(dir)
  local argv, host = arguments(opts)
  local child = process.start(argv, { cwd = dir, env = { LD_PRELOAD = false } })
  local port
  process.wait_until(function()
    port = child:stdout():match("ACCEPT %S+:(%d+)\n")
    return port or not child:running()
  end, START_TIMEOUT)
  if not port then
    os.execute("rm -rf '" .. dir .. "'")
    error("s_server does not start: " .. child:stop().stderr, 2)
  end
  return setmetatable({ host = host, port = tonumber(port), pid = child.pid, child = child,
    dir = dir }, Server)
end

---@param path? string default "/small"
---@param host? string default the address it listens on
---@return string
function Server:url(path, host)
  host = host or self.host
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return ("https://%s:%d%s"):format(host, self.port, path or "/small")
end

---What it complained about so far: alerts it got, clients it refused.
---@return string
function Server:log() return self.child:stderr() end

---Ends it by its process id and removes its folder. Harmless twice.
function Server:stop()
  if self.stopped then return end
  self.stopped = true
  self.child:stop()
  os.execute("rm -rf '" .. self.dir .. "'")
end

Server.__gc = Server.stop
Server.__close = Server.stop

return tls_server
