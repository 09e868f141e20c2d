-- SPDX-License-Identifier: MIT
--
-- Real HTTP/2 servers on loopback, without TLS unless told; each dies with this
-- process.
--
--   local s <close> = servers.node()          h2_server.js, which see
--   local s <close> = servers.node(100, certs.get("valid"))   with TLS
--   local s <close> = servers.nghttpd { ... } more of its options; serves a
--                                             folder with hello.txt and big
--   local s <close> = servers.nginx { keepalive_requests = 1000 }
--                                             /small, /big; SETTINGS say 128
--   local s <close> = servers.h2o()           the folder; SETTINGS say 100
--   local s <close> = servers.haproxy(port)   a proxy before 127.0.0.1:port, in
--                                             HTTP/1; SETTINGS say 10; /421 is
--                                             answered with that; "any": before
--                                             whoever the authority names
--   s:url("/path"), s:stop()
--   s:signal("sigterm"), s:running()
local ms = require "multisocket"
local port = require "spec.support.port"
local process = require "spec.support.process"
local uv = require "luv"

local servers = { BIG = 3000000 }

local START_TIMEOUT = 30000 -- ms
local ATTEMPTS = 5 -- ports tried: another process may take one before us
local HERE = debug.getinfo(1, "S").source:match("^@(.*)h2_servers%.lua$")

local Server = {}
Server.__index = Server

function Server:url(path)
  return ("%s://127.0.0.1:%d%s"):format(self.tls and "https" or "http", self.port, path or "/")
end

function Server:stop()
  if self.child then
    self.child:kill("sigkill")
    self.child:wait()
    self.child = nil
  end
  if self.dir then os.execute("rm -r " .. self.dir) end
  self.dir = nil
end
Server.__close = Server.stop

function Server:signal(name) self.child:kill(name) end
function Server:running() return self.child:running() end

---@param streams? integer what it takes at a time
---@param cert? table of spec.support.certs
function servers.node(streams, cert)
  local child = process.start({ "node", HERE .. "h2_server.js", tostring(streams or 100),
    cert and cert.key, cert and cert.full })
  local n = tonumber(child:first_line(START_TIMEOUT))
  return setmetatable({ child = child, port = n, tls = cert ~= nil }, Server)
end

local function folder()
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute("mkdir " .. dir))
  local function write(name, text)
    local f = assert(io.open(dir .. "/" .. name, "wb"))
    f:write(text)
    f:close()
  end
  write("hello.txt", "hello\n")
  write("small", "hello, world\n")
  write("big", ("0123456789"):rep(servers.BIG // 10))
  return dir, write
end

-- Starts argv(port) until it listens.
local function start(dir, argv)
  for _ = 1, ATTEMPTS do
    local n = port.free()
    local child = process.start(argv(n))
    process.wait_until(function() return port.listening(n) or not child:running() end,
      START_TIMEOUT)
    if child:running() then
      return setmetatable({ child = child, port = n, dir = dir }, Server)
    end
    child:wait()
  end
  error("the server does not start")
end

function servers.nghttpd(options)
  local dir = folder()
  return start(dir, function(n)
    return { "nghttpd", "--no-tls", "-d", dir, tostring(n), table.unpack(options or {}) }
  end)
end

local CONFIG = [[
daemon off; master_process off; pid $DIR/pid; error_log $DIR/error.log;
events { worker_connections 1024; }
http { access_log off; keepalive_requests $REQUESTS;
  server { listen 127.0.0.1:$PORT http2; root $DIR; } }
]]

function servers.nginx(options)
  local dir, write = folder()
  return start(dir, function(n)
    write("conf", (CONFIG:gsub("%$(%u+)", { DIR = dir, PORT = tostring(n),
      REQUESTS = tostring(options and options.keepalive_requests or 1000) })))
    return { "nginx", "-c", dir .. "/conf" }
  end)
end

-- As root it would become somebody who may not read our folder.
local H2O = [[
listen: { host: 127.0.0.1, port: $PORT }
num-threads: 1
$USER
hosts: { default: { paths: { "/": { file.dir: $DIR } } } }
]]

function servers.h2o()
  local dir, write = folder()
  local user = uv.getuid() == 0 and "user: root" or ""
  return start(dir, function(n)
    write("conf", (H2O:gsub("%$(%u+)", { DIR = dir, PORT = tostring(n), USER = user })))
    return { "h2o", "-m", "worker", "-c", dir .. "/conf" }
  end)
end

local HAPROXY = [[
global
  tune.h2.max-concurrent-streams 10
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:$PORT proto h2
  http-request return status 421 if { path /421 }
  default_backend back
backend back
  $BACK
]]

-- Goes where the authority says, an address and a port.
local ANY = [[http-request set-dst hdr(host),field(1,:)
  http-request set-dst-port hdr(host),field(2,:)
  server any 0.0.0.0:0]]

function servers.haproxy(back)
  local dir, write = folder()
  return start(dir, function(n)
    write("conf", (HAPROXY:gsub("%$(%u+)", { PORT = tostring(n),
      BACK = back == "any" and ANY or ("server one 127.0.0.1:%d"):format(back) })))
    return { "haproxy", "-db", "-q", "-f", dir .. "/conf" }
  end)
end

---`n` fetches of the URL at the same time.
---@return multisocket.Response[]
function servers.many(client, n, url)
  local jobs, list = {}, {}
  for i = 1, n do
    jobs[i] = function() return assert(client:fetch(url)) end
  end
  for i, entry in ipairs(ms.gather(jobs, { concurrency = n })) do
    list[i] = entry.ok and entry.value or error(entry.error)
  end
  return list
end

return servers
