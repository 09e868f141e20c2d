-- SPDX-License-Identifier: MIT
--
-- A real Apache httpd on loopback, for Digest as a server has it; dies with
-- this process. It speaks HTTP/1.1 and HTTP/2, without TLS by prior knowledge.
--
--   local s <close> = require("spec.support.apache").start([cert])
--   s:url("/path"), s:stop()
--   s:log()   list of { status =, user = "-" or a name, request = line }, as
--             the server wrote them down, a moment after it answered
--
--   /open/hello       "hello, world\n" for everybody
--   /digest/hello     the same for anna:secret and jürgen:geheim (MD5, auth)
--   /digest/echo      answers with the body of a POST
--   /digest/moved     302 to /digest/hello
--   /once/hello       as /digest; every nonce is good for one request, and an
--                     answer names the next one (Authentication-Info)
--   /basic/hello      for anna:secret by Basic
local files = require "spec.support.files"
local port = require "spec.support.port"
local process = require "spec.support.process"

local apache = {}

local START_TIMEOUT = 30000 -- ms
local ATTEMPTS = 5 -- ports tried: another process may take one before us
local MODULES = "/usr/lib/apache2/modules"
local REALM = "the spec"
local USERS = { anna = "secret", ["j\xc3\xbcrgen"] = "geheim" }

local CONFIG = [[
ServerName localhost
ServerRoot $DIR
PidFile $DIR/pid
DefaultRuntimeDir $DIR
ErrorLog $DIR/error.log
LogFormat "%>s %u %r" who
CustomLog $DIR/access.log who
Listen 127.0.0.1:$PORT
User nobody
Group nogroup
DocumentRoot $DIR/root
Protocols h2 h2c http/1.1
H2Direct on
$TLS
KeepAlive on
MaxKeepAliveRequests 0
<Directory $DIR/root>
  Require all granted
</Directory>
<Location /digest>
  AuthType Digest
  AuthName "$REALM"
  AuthDigestProvider file
  AuthUserFile $DIR/digest
  Require valid-user
</Location>
<Location /digest/echo>
  SetHandler reflector
</Location>
Redirect 302 /digest/moved /digest/hello
<Location /once>
  AuthType Digest
  AuthName "$REALM"
  AuthDigestProvider file
  AuthDigestNonceLifetime 0
  AuthUserFile $DIR/digest
  Require valid-user
</Location>
<Location /basic>
  AuthType Basic
  AuthName "$REALM"
  AuthBasicProvider file
  AuthUserFile $DIR/basic
  Require valid-user
</Location>
]]

local LOADED = { "mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic",
  "auth_digest", "alias", "http2", "reflector", "ssl" }

local Server = {}
Server.__index = Server

function Server:url(path)
  return ("%s://127.0.0.1:%d%s"):format(self.tls and "https" or "http", self.port, path or "/")
end

function Server:stop()
  if not self.child then return end
  self.child:kill("sigterm")
  self.child:wait()
  self.child = nil
  os.execute("rm -r " .. self.dir)
end
Server.__close = Server.stop

function Server:log()
  local list = {}
  for line in io.lines(self.dir .. "/access.log") do
    local status, user, request = line:match("^(%d+) (%S+) (.*)$")
    list[#list + 1] = { status = tonumber(status), user = user, request = request }
  end
  return list
end

local function md5(text)
  local path = os.tmpname()
  files.write(path, text)
  local r = process.run({ "openssl", "dgst", "-md5", "-r", path })
  os.remove(path)
  return (assert(r.stdout:match("^%x+"), r.stderr))
end

local function make_folder()
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute(("mkdir -p '%s/root/open' '%s/root/digest' '%s/root/once' '%s/root/basic'")
    :format(dir, dir, dir, dir)))
  local lines = {}
  for user, password in pairs(USERS) do
    lines[#lines + 1] = ("%s:%s:%s\n"):format(user, REALM,
      md5(("%s:%s:%s"):format(user, REALM, password)))
  end
  files.write(dir .. "/digest", table.concat(lines))
  local hash = process.run({ "openssl", "passwd", "-apr1", "-salt", "spec", USERS.anna }).stdout
  files.write(dir .. "/basic", "anna:" .. hash)
  for _, folder in ipairs({ "open", "digest", "once", "basic" }) do
    files.write(("%s/root/%s/hello"):format(dir, folder), "hello, world\n")
  end
  return dir
end

local function config(dir, number, cert)
  local lines = {}
  for i, name in ipairs(LOADED) do
    lines[i] = ("LoadModule %s_module %s/mod_%s.so"):format(name, MODULES, name)
  end
  local tls = cert and ("SSLEngine on\nSSLCertificateFile %s\nSSLCertificateKeyFile %s")
    :format(cert.full, cert.key) or ""
  local values = { DIR = dir, PORT = number, REALM = REALM, TLS = tls }
  return table.concat(lines, "\n") .. "\n" .. CONFIG:gsub("%$(%u+)", values)
end

---Starts a server and returns when it accepts connections.
---@param cert? table of spec.support.certs
function apache.start(cert)
  local dir, said = make_folder(), nil
  for _ = 1, ATTEMPTS do
    local n = port.free()
    files.write(dir .. "/httpd.conf", config(dir, n, cert))
    local child = process.start({ "/usr/sbin/apache2", "-X", "-f", dir .. "/httpd.conf" },
      { env = { LD_PRELOAD = false } })
    process.wait_until(function() return port.listening(n) or not child:running() end,
      START_TIMEOUT)
    if child:running() then
      return setmetatable({ child = child, port = n, dir = dir, tls = cert ~= nil }, Server)
    end
    said = child:wait().stderr
  end
  os.execute("rm -r " .. dir)
  error("Apache does not start: " .. said)
end

return apache
