-- SPDX-License-Identifier: MIT
--
-- The servers of the benchmark, on free loopback ports, on processors of their own.

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
    location / { return 200 "hello\n"; }
    location /file { root .; }
  }
}
]]

-- A large file to read and a place to write to, over TLS.
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
  ssl_certificate cert.pem;
  ssl_certificate_key key.pem;
  ssl_protocols TLSv1.2 TLSv1.3;
  server {
    LISTEN
    location / { root .; }
    location = /upload { root ./upload.d; dav_methods PUT; }
  }
}
]]
local BULK_SIZE = 1024 * 1024 * 1024
local NEW_CERTIFICATE = "cd '%s' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
  .. "-nodes -subj /CN=bench -days 2 -keyout key.pem -out cert.pem 2>error.log"

---@class bench.server
---@field secure boolean? speaks TLS
---@field child bench.child
---@field port integer
---@field turn integer how many runs it has served
---@field networks integer? it listens in so many

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

local function listen_lines(port, words)
  local lines = {}
  for x = 0, NETWORKS - 1 do
    lines[#lines + 1] = ("listen 127.%d.0.1:%d%s reuseport backlog=4096;"):format(x, port,
      words or "")
  end
  return table.concat(lines, "\n    ")
end

--- nginx with a six byte answer, and /file of 10 MiB.
---@param http2 boolean? HTTP/2 and nothing else
---@param requests integer? after so many it ends a connection
---@return bench.server
function server.nginx(http2, requests)
  local layout = machine.layout()
  local dir = ("%s/nginx%s%s"):format(uv.fs_realpath("build/bench"), http2 and "-h2" or "",
    requests or "")
  local port = free_port()
  uv.fs_mkdir(dir, tonumber("755", 8))
  write_file(dir .. "/nginx.conf", (NGINX:gsub("%u%u%u%u+", {
    WORKERS = tostring(layout.workers),
    LISTEN = listen_lines(port, http2 and " http2"),
    REQUESTS = tostring(requests or 1000000000),
  })))
  write_file(dir .. "/file", ("x"):rep(FILE_SIZE))
  local child = process.start(
    { "nginx", "-p", dir, "-e", dir .. "/error.log", "-c", dir .. "/nginx.conf" },
    { cpus = layout.server })
  wait_until_up(child, port)
  return { child = child, port = port, turn = 0 }
end

--- nginx with TLS, a file of 1 GiB to be fetched from /download, and /upload to be written.
---@return bench.server
function server.bulk()
  local layout = machine.layout()
  local dir = uv.fs_realpath("build/bench") .. "/nginx-bulk"
  local port = free_port()
  uv.fs_mkdir(dir, tonumber("755", 8))
  assert(os.execute(NEW_CERTIFICATE:format(dir)), "the openssl command made no certificate")
  uv.fs_mkdir(dir .. "/upload.d", tonumber("777", 8))
  uv.fs_chmod(dir .. "/upload.d", tonumber("777", 8)) -- the workers may be nobody
  write_file(dir .. "/nginx.conf", (BULK:gsub("%u%u%u%u+", {
    WORKERS = tostring(layout.workers),
    LISTEN = listen_lines(port, " ssl"),
  })))
  local file = assert(uv.fs_open(dir .. "/download", "w", tonumber("644", 8)))
  assert(uv.fs_ftruncate(file, BULK_SIZE)) -- no block of it is on the disk
  uv.fs_close(file)
  local child = process.start(
    { "nginx", "-p", dir, "-e", dir .. "/error.log", "-c", dir .. "/nginx.conf" },
    { cpus = layout.server })
  wait_until_up(child, port)
  return { child = child, port = port, turn = 0, secure = true }
end

-- A server that prints its port when it is up.
local function printing(argv)
  local child = process.start(argv, { cpus = machine.layout().server })
  process.wait(function() return child.code or child.out:find("\n") end, START_MS)
  local port = child.out:match("^port (%d+)\n")
  if not port then error(argv[#argv] .. " did not start: " .. child.err, 0) end
  return { child = child, port = math.tointeger(port), turn = 0 }
end

--- The delaying server: delay/MS and hold below its URL.
---@return bench.server
function server.hold()
  return printing({ "build/bench/hold_server", tostring(machine.layout().workers) })
end

--- The same for HTTP/2, with hold only, at one address.
---@return bench.server
function server.hold_h2()
  local s = printing({ "node", "bench/lib/hold_h2.js" })
  s.networks = 1
  return s
end

--- Where the next run finds the server, with a final slash.
---@param s bench.server
---@return string
function server.next_url(s)
  s.turn = s.turn + 1
  return ("%s://127.%d.0.1:%d/"):format(s.secure and "https" or "http",
    s.turn % (s.networks or NETWORKS), s.port)
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
