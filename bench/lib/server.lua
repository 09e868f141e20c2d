-- SPDX-License-Identifier: MIT
--
-- The servers of the benchmark, on free loopback ports, on processors of their own.

local certificate = require "certificate"
local machine = require "machine"
local process = require "process"
local uv = require "luv"

local server = {}

local START_MS = 10000
local FILE_SIZE = 10 * 1024 * 1024

--- Every run gets a loopback network of its own, 127.x, in turn: the ports that an earlier client
--- left in TIME_WAIT make the kernel search longer for free ones to the same address, and the next
--- client would pay. By the time a network comes again, a minute has passed or few ports were used.
local NETWORKS = 60
--- After so many requests nginx-h2-goaway ends a connection, as nginx does by default.
local GOAWAY_EVERY = 1000
--- With TLS there are fewer connections, and every network is a name in the certificate.
local TLS_NETWORKS = 4

-- Nothing but what answering costs: no log, no file, no limit that a run would reach. Workers have
-- sockets of their own, or one of them would take all the connections and the other sleep.
local NGINX = [[
daemon off;
pid nginx.pid;
error_log error.log error;
worker_processes WORKERS;
worker_rlimit_nofile 20000;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests REQUESTS;
  keepalive_timeout 3600;
  default_type text/plain;
  server {
    LISTEN
    SECURITY
    location / { return 200 "hello\n"; }
    location /file { root .; }
  }
}
]]

-- A large file to read and a place to write to.
local BULK = [[
daemon off;
pid nginx.pid;
error_log error.log error;
worker_processes WORKERS;
events { worker_connections 100; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  client_max_body_size 0;
  SECURITY
  server {
    LISTEN
    location / { root .; }
    location = /upload { root ./upload.d; dav_methods PUT; }
  }
}
]]
local BULK_SIZE = 1024 * 1024 * 1024

-- Tickets, which need no memory here, let clients resume.
local SECURITY = [[
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_protocols TLSv1.2 TLSv1.3;]]

---@class bench.server
---@field child bench.child
---@field port integer
---@field turn integer how many runs it has served
---@field networks integer it listens in so many
---@field dir string? of the large files
---@field ca string? for TLS: the certificate to trust

local function free_port()
  local tcp = uv.new_tcp()
  assert(tcp:bind("127.0.0.1", 0))
  local port = tcp:getsockname().port
  tcp:close()
  uv.run("nowait")
  return port
end

local function accepts(port)
  local state
  local tcp = uv.new_tcp()
  tcp:connect("127.0.0.1", port, function(err) state = err and "refused" or "open" end)
  process.wait(function() return state end, START_MS)
  tcp:close()
  uv.run("nowait")
  return state == "open"
end

local function wait_until_up(child, port)
  local deadline = uv.hrtime() + START_MS * 1000000
  while not accepts(port) do
    if child.code or uv.hrtime() > deadline then
      error("the server did not start: " .. child.err, 0)
    end
    process.wait(function() return false end, 10)
  end
end

local function write_file(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
end

local function networks_of(kind)
  return kind.tls and TLS_NETWORKS or NETWORKS
end

local function listen_lines(port, kind)
  local lines = {}
  for x = 0, networks_of(kind) - 1 do
    lines[#lines + 1] = ("listen 127.%d.0.1:%d%s%s reuseport backlog=4096;"):format(x, port,
      kind.tls and " ssl" or "", kind.http2 and " http2" or "")
  end
  return table.concat(lines, "\n    ")
end

--- What the servers' certificate is good for.
---@return string[]
function server.tls_addresses()
  local addresses = {}
  for x = 0, TLS_NETWORKS - 1 do addresses[#addresses + 1] = ("127.%d.0.1"):format(x) end
  return addresses
end

local function tls_files()
  return certificate.get(server.tls_addresses())
end

local function directory(name)
  local dir = uv.fs_realpath("build/bench") .. "/" .. name
  uv.fs_mkdir(dir, tonumber("755", 8))
  return dir
end

-- nginx with a six byte answer.
local function nginx(name, kind)
  local layout = machine.layout()
  local dir = directory(name)
  local port = free_port()
  local files = kind.tls and tls_files() or {}
  write_file(dir .. "/nginx.conf", (NGINX:gsub("%u%u%u%u+", {
    WORKERS = tostring(layout.workers),
    LISTEN = listen_lines(port, kind),
    SECURITY = kind.tls and SECURITY:format(files.cert, files.key) or "",
    REQUESTS = tostring(kind.requests or 1000000000),
  })))
  write_file(dir .. "/file", ("x"):rep(FILE_SIZE))
  local child = process.start(
    { "nginx", "-p", dir, "-e", dir .. "/error.log", "-c", dir .. "/nginx.conf" },
    { cpus = layout.server })
  wait_until_up(child, port)
  return { child = child, port = port, turn = 0, ca = files.ca, networks = networks_of(kind) }
end

-- HTTP/2 over TLS with a six byte answer, all answers of a turn in one write. nginx writes each
-- answer by itself, in a record of its own, so that a client cannot save much there.
local function nghttpd(name)
  if not process.exists("nghttpd") then error("nghttpd is not installed (nghttp2-server)", 0) end
  local dir = directory(name)
  local port = free_port()
  local files = tls_files()
  write_file(dir .. "/index.html", "hello\n")
  local argv = { "nghttpd", "-n1", "-d", dir, tostring(port), files.key, files.cert }
  local child = process.start(argv, { cpus = machine.layout().server })
  wait_until_up(child, port)
  return { child = child, port = port, turn = 0, ca = files.ca, networks = TLS_NETWORKS }
end

-- nginx with a file of 1 GiB to be fetched from /download, and /upload to be written.
local function bulk(name, kind)
  local layout = machine.layout()
  local dir = directory(name)
  local port = free_port()
  local files = kind.tls and tls_files() or {}
  uv.fs_mkdir(dir .. "/upload.d", tonumber("777", 8))
  uv.fs_chmod(dir .. "/upload.d", tonumber("777", 8)) -- the workers may be nobody
  write_file(dir .. "/nginx.conf", (BULK:gsub("%u%u%u%u+", {
    WORKERS = tostring(layout.workers),
    LISTEN = listen_lines(port, kind),
    SECURITY = kind.tls and SECURITY:format(files.cert, files.key) or "",
  })))
  local file = assert(uv.fs_open(dir .. "/download", "w", tonumber("644", 8)))
  assert(uv.fs_ftruncate(file, BULK_SIZE)) -- no block of it is on the disk
  uv.fs_close(file)
  local child = process.start(
    { "nginx", "-p", dir, "-e", dir .. "/error.log", "-c", dir .. "/nginx.conf" },
    { cpus = layout.server })
  wait_until_up(child, port)
  return { child = child, port = port, turn = 0, ca = files.ca, networks = networks_of(kind),
    dir = dir }
end

-- A server that prints its port when it is up.
local function printing(argv, networks)
  local child = process.start(argv, { cpus = machine.layout().server })
  process.wait(function() return child.code or child.out:find("\n") end, START_MS)
  local port = child.out:match("^port (%d+)\n")
  if not port then error(argv[#argv] .. " did not start: " .. child.err, 0) end
  return { child = child, port = math.tointeger(port), turn = 0, networks = networks }
end

-- The delaying server: delay/MS and hold below its URL.
local function hold()
  return printing({ "build/bench/hold_server", tostring(machine.layout().workers) }, NETWORKS)
end

-- The same for HTTP/2, with hold only, at one address.
local function hold_h2()
  if not process.exists("node") then error("node is not installed", 0) end
  return printing({ "node", "bench/lib/hold_h2.js" }, 1)
end

local KINDS = {
  nginx = function(name) return nginx(name, {}) end,
  ["nginx-h2"] = function(name) return nginx(name, { http2 = true }) end,
  ["nginx-tls"] = function(name) return nginx(name, { tls = true }) end,
  ["nginx-h2-tls"] = function(name) return nginx(name, { http2 = true, tls = true }) end,
  ["nginx-h2-goaway"] = function(name)
    return nginx(name, { http2 = true, requests = GOAWAY_EVERY })
  end,
  nghttpd = nghttpd,
  bulk = function(name) return bulk(name, { tls = true }) end,
  ["bulk-h2"] = function(name) return bulk(name, { tls = true, http2 = true }) end,
  ["bulk-plain"] = function(name) return bulk(name, {}) end,
  hold = hold,
  ["hold-h2"] = hold_h2,
}

local running = {}

--- The server called `name`, started when it is first asked for: "nginx", "nginx-h2" (in the
--- clear), "nginx-h2-goaway", "nginx-tls", "nginx-h2-tls", "nghttpd" (HTTP/2 and TLS), "hold",
--- "hold-h2" or "bulk" (TLS), "bulk-h2", "bulk-plain".
---@param name string
---@return bench.server
function server.get(name)
  running[name] = running[name] or KINDS[name](name)
  return running[name]
end

--- Where the next run finds the server, with a final slash.
---@param s bench.server
---@return string
function server.next_url(s)
  s.turn = s.turn + 1
  return ("%s://127.%d.0.1:%d/"):format(s.ca and "https" or "http", s.turn % s.networks, s.port)
end

--- What fraction of the time each of the server's processes worked, between two snapshots of
--- machine.cpu_of_family(); the busiest.
---@param before table<integer, number>
---@param after table<integer, number>
---@param wall number seconds
---@return number
function server.busiest(before, after, wall)
  local most = 0
  for pid, seconds in pairs(after) do
    most = math.max(most, (seconds - (before[pid] or 0)) / wall)
  end
  return most
end

return server
