-- SPDX-License-Identifier: MIT
--
-- A real nginx on loopback, as one foreground process with a configuration of
-- its own in a temporary folder; dies with this process.
--
--   local server = require("spec.support.server").start()
--   server.port, server.pid, server.host, server:url("/small")
--   server:stop()
--
-- With certificates of spec.support.certs it speaks TLS, and has as many server
-- blocks as wanted, on one port (told apart by SNI) or each on its own:
--
--   server.start { tls = certs.get("valid"), more = {
--     { tls = certs.get("wildcard"), name = "a.wild.test" },  -- same port
--     { tls = certs.get("expired"), port = true, config = "ssl_protocols TLSv1.2;" },
--     { port = true },                                        -- plain HTTP
--   } }
--   server.ports[2]   -- of the second of `more`
--
-- Every answer carries `X-Connection` (serial number of the TCP connection)
-- and `X-Requests` (how many requests it has had), to assert on reuse.
--
--   /small            "hello, world\n" (file: Last-Modified, ETag, ranges)
--   /empty            200 with Content-Length: 0
--   /big              file of server.BIG_SIZE bytes equal to server.big_body()
--   /bytes/N          N bytes of big_body(), N of 0 1 100 1000 10000 100000
--                     1000000
--   /slow             the 100000 byte file at 20000 bytes a second
--   /status/NNN       that status, 200 to 599 except 444 and 499; body
--                     "status NNN\n" except 204 and 304; 301 302 303 307 308
--                     go to /small
--   /chunked/N        as /bytes/N with Transfer-Encoding: chunked
--   /close            "bye\n", the server closes the connection after it
--   /limit            "ok\n", the server closes at a connection's third request
--   /short            "ok\n", the server closes 1 s after the last request
--   /inspect          what came in, one "name: value" a line: method, uri,
--                     protocol, host, user-agent, accept, accept-encoding,
--                     content-type, content-length, connection, x-test
--   PUT /upload/NAME  201 (204 when replaced); server:uploaded(NAME) is the
--                     body that arrived
--   POST /sink        reads the body, answers "read NNN bytes\n"
--   /gzip             /bytes/10000 with Content-Encoding: gzip if accepted
--   /auth             "secret\n" for Basic user:password, else 401
--   HEAD works everywhere, and so does If-None-Match on files.
local files = require "spec.support.files"
local port = require "spec.support.port"
local process = require "spec.support.process"

local server = {}

server.BIG_SIZE = 8 * 1024 * 1024

local SIZES = { 0, 1, 100, 1000, 10000, 100000, 1000000 }
local START_TIMEOUT = 30000 -- ms
local ATTEMPTS = 5 -- ports tried: another process may take one before us

local CONFIG = [[
daemon off;
master_process off;
pid $DIR/nginx.pid;
error_log $DIR/error.log warn;
worker_rlimit_nofile $FILES;
events { worker_connections $CONNECTIONS; }
http {
  log_format each '$connection $connection_requests $status $request';
  access_log $DIR/access.log each;
  client_body_temp_path $DIR/body;
  proxy_temp_path $DIR/proxy;
  fastcgi_temp_path $DIR/fastcgi;
  uwsgi_temp_path $DIR/uwsgi;
  scgi_temp_path $DIR/scgi;
  types { text/plain txt; }
  default_type application/octet-stream;
  client_max_body_size 0;
  keepalive_requests 1000000;
  keepalive_timeout 60s;
  add_header X-Connection $connection always;
  add_header X-Requests $connection_requests always;
  $HTTP
  ssl_session_cache shared:spec:1m;
  server {
    listen unix:$DIR/sink;
    location / { return 200 "read $http_content_length bytes\n"; }
  }
$SERVERS
}
]]

-- What each server block answers.
local SITE = [[
    root $DIR/root;
    location = /small { alias $DIR/root/small.txt; }
    location = /empty { default_type text/plain; return 200 ""; }
    location = /big { alias $DIR/root/big; }
    location /bytes/ { alias $DIR/root/bytes/; }
    location = /slow { limit_rate 20000; alias $DIR/root/bytes/100000; }
    location /chunked/ { ssi on; ssi_types *; alias $DIR/root/bytes/; }
    location = /close { keepalive_timeout 0; return 200 "bye\n"; }
    location = /limit { keepalive_requests 3; return 200 "ok\n"; }
    location = /short { keepalive_timeout 1s; return 200 "ok\n"; }
    location = /inspect {
      default_type text/plain;
      return 200 "method: $request_method
uri: $request_uri
protocol: $server_protocol
host: $http_host
user-agent: $http_user_agent
accept: $http_accept
accept-encoding: $http_accept_encoding
content-type: $http_content_type
content-length: $http_content_length
connection: $http_connection
x-test: $http_x_test
";
    }
    location /upload/ { dav_methods PUT DELETE; create_full_put_path on; }
    location = /sink {
      proxy_pass http://unix:$DIR/sink:/;
      proxy_hide_header X-Connection; proxy_hide_header X-Requests;
    }
    location = /gzip {
      gzip on; gzip_types *; gzip_min_length 1; alias $DIR/root/bytes/10000;
    }
    location = /auth {
      auth_basic "spec"; auth_basic_user_file $DIR/users;
      alias $DIR/root/secret.txt;
    }
    location = / { default_type text/plain; return 200 "root\n"; }
$STATUS
$LOCATIONS
]]

---@class spec.Server
---@field host string
---@field port integer
---@field ports integer[] those of the blocks in `more`
---@field scheme string "http" or "https"
---@field pid integer
---@field dir string
local Server = {}
Server.__index = Server

local body -- made once, 8 MiB

---@return string the bytes of /big; /bytes/N are its first N
function server.big_body()
  if body then return body end
  local lines = {}
  for i = 1, server.BIG_SIZE // 16 do lines[i] = ("%015d\n"):format(i) end
  body = table.concat(lines)
  return body
end

local function status_locations()
  local redirect = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
  local special = { [204] = true, [304] = true }
  local list = {}
  for code = 200, 599 do
    local reply = redirect[code] and " /small"
      or special[code] and "" or (' "status %d\\n"'):format(code)
    if code ~= 444 and code ~= 499 then
      list[#list + 1] = ("    location = /status/%d { return %d%s; }"):format(code, code, reply)
    end
  end
  return table.concat(list, "\n")
end

local function make_files(dir)
  assert(os.execute(("mkdir -p '%s/root/bytes' '%s/root/upload'"):format(dir, dir)))
  local text = server.big_body()
  files.write(dir .. "/root/big", text)
  for _, n in ipairs(SIZES) do files.write(dir .. "/root/bytes/" .. n, text:sub(1, n)) end
  files.write(dir .. "/root/small.txt", "hello, world\n")
  files.write(dir .. "/root/secret.txt", "secret\n")
  files.write(dir .. "/users", "user:{PLAIN}password\n")
end

local function write_site(dir, opts)
  local values = { DIR = dir, STATUS = status_locations(), LOCATIONS = opts.locations or "" }
  files.write(dir .. "/site.conf", (SITE:gsub("%$(%u+)", values)))
end

-- Lines that give a block its certificate. nginx looks at the security level
-- when it loads one, and has it with the ciphers.
local function tls_lines(dir, cert)
  if not cert then return "" end
  local lines = { ("ssl_certificate %s; ssl_certificate_key %s;"):format(cert.full, cert.key) }
  if cert.seclevel then
    lines[#lines + 1] = ('ssl_ciphers "DEFAULT:@SECLEVEL=%d";'):format(cert.seclevel)
  end
  if cert.password then
    files.write(dir .. "/password", cert.password .. "\n")
    lines[#lines + 1] = ("ssl_password_file %s/password;"):format(dir)
  end
  return table.concat(lines, "\n    ")
end

-- One server block. Options of a socket (backlog) may be given only once.
local function render_block(dir, block, hosts, first)
  local listen = {}
  for _, host in ipairs(hosts) do
    listen[#listen + 1] = ("listen %s:%d%s %s%s;"):format(host, block.number,
      block.tls and " ssl" or "", block.listen or "", first and " backlog=4096" or "")
  end
  return ("  server {\n    %s\n    server_name %s;\n    %s\n    %s\n    include %s/site.conf;\n  }")
    :format(table.concat(listen, "\n    "), block.name or "localhost", tls_lines(dir, block.tls),
      block.config or "", dir)
end

-- Gives each block its port: its own, or that of the first.
local function blocks_of(opts, number)
  local list, taken = { setmetatable({ number = number }, { __index = opts }) }, {}
  for i, block in ipairs(opts.more or {}) do
    local own = number
    while block.port and (own == number or taken[own]) do own = port.free() end
    taken[own] = true
    list[i + 1] = setmetatable({ number = own }, { __index = block })
  end
  return list
end

local function render(dir, blocks, opts)
  local texts, seen = {}, {}
  for i, block in ipairs(blocks) do
    texts[i] = render_block(dir, block, opts.hosts, not seen[block.number])
    seen[block.number] = true
  end
  local values = {
    DIR = dir,
    CONNECTIONS = opts.connections or 4096,
    FILES = (opts.connections or 4096) + 256,
    HTTP = opts.http or "",
    SERVERS = table.concat(texts, "\n"),
  }
  return (CONFIG:gsub("%$(%u+)", values))
end

local function all_listen(blocks)
  for _, block in ipairs(blocks) do
    if not port.listening(block.number) then return false end
  end
  return true
end

local function try_start(dir, opts)
  local blocks = blocks_of(opts, opts.port or port.free())
  files.write(dir .. "/nginx.conf", render(dir, blocks, opts))
  os.remove(dir .. "/sink")
  os.remove(dir .. "/nginx.pid")
  local child = process.start({ "/usr/sbin/nginx", "-c", dir .. "/nginx.conf", "-p", dir,
    "-e", dir .. "/error.log" }, { env = { LD_PRELOAD = false } })
  -- It says its number when it has all its ports; another process's may listen there before.
  local function is_up() return files.read(dir .. "/nginx.pid") and all_listen(blocks) end
  process.wait_until(function() return is_up() or not child:running() end, START_TIMEOUT)
  if child:running() and is_up() then return child, blocks end
  local result = child:stop()
  return nil, result.stderr .. (files.read(dir .. "/error.log") or "")
end

local function adopt(child, blocks, opts, dir)
  local ports = {}
  for i = 2, #blocks do ports[i - 1] = blocks[i].number end
  return setmetatable({ host = opts.hosts[1], port = blocks[1].number, ports = ports,
    scheme = opts.tls and "https" or "http", pid = child.pid, dir = dir, child = child }, Server)
end

---Starts nginx and returns when it accepts connections; raises with nginx'
---own words when it does not.
---@param opts? table
---hosts: addresses to listen on, default { "127.0.0.1" }, IPv6 as "[::1]";
---port: instead of a free one (to restart on it); connections: most at once,
---default 4096; http, locations: more configuration at those places; tls: its
---certificate; name: server_name, default "localhost"; config: of the first
---server block; listen: words after its address ("http2"); more: a list of
---further blocks, each { tls, name, config, listen, port = true for its own }
---@return spec.Server
function server.start(opts)
  opts = setmetatable({}, { __index = opts })
  opts.hosts = opts.hosts or { "127.0.0.1" }
  local dir = os.tmpname()
  os.remove(dir)
  make_files(dir)
  write_site(dir, opts)
  local why
  for _ = 1, opts.port and 1 or ATTEMPTS do
    local child, blocks = try_start(dir, opts)
    if child then return adopt(child, blocks, opts, dir) end
    why = blocks
  end
  os.execute("rm -rf '" .. dir .. "'")
  error("nginx does not start: " .. why, 2)
end

---@param path? string default "/"
---@param host? string default the address it listens on
---@return string
function Server:url(path, host)
  return ("%s://%s:%d%s"):format(self.scheme, host or self.host, self.port, path or "/")
end

---The body that PUT /upload/NAME stored, nil when there is none.
---@param name string
---@return string?
function Server:uploaded(name)
  return files.read(self.dir .. "/root/upload/" .. name)
end

---Requests answered so far, oldest first; nginx writes an entry when the last
---byte of an answer is handed to the kernel, so wait for it
---(process.wait_until) before asserting on its absence.
---@return { connection: integer, requests: integer, status: integer, line: string }[]
function Server:log()
  local list = {}
  for line in (files.read(self.dir .. "/access.log") or ""):gmatch("[^\n]+") do
    local c, n, status, request = line:match("^(%d+) (%d+) (%d+) (.*)$")
    list[#list + 1] = { connection = tonumber(c), requests = tonumber(n),
      status = tonumber(status), line = request }
  end
  return list
end

---Ends nginx by its process id and removes the folder. Harmless twice.
function Server:stop()
  if self.stopped then return end
  self.stopped = true
  self.child:stop()
  os.execute("rm -rf '" .. self.dir .. "'")
end

Server.__gc = Server.stop
Server.__close = Server.stop

return server
