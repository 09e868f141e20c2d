-- SPDX-License-Identifier: MIT
--
-- The programs that are compared, how each is started for a job, and one measured run of one.

local build = require "build"
local machine = require "machine"
local process = require "process"
local server = require "server"

local clients = {}

---@class bench.job
---@field url string below a server's URL, "" for its root
---@field requests integer
---@field concurrency integer
---@field new_connections boolean?
---@field http2 boolean? all on one connection, or
---@field streams integer? so many on each
---@field ca string? the certificate to trust, for https
---@field no_resume boolean? every TLS handshake is a full one
---@field each boolean? print what each transfer cost
---@field ca_path boolean? libcurl: with Debian's folder of certificates, too
---@field idle_ms integer? weigh the connections afterwards, when they have rested that long
---@field hosts integer? addresses of the loopback it is spread over
---@field held integer? transfers that stay unanswered meanwhile
---@field held_url string? below the same server's URL
---@field seconds integer? how long a client runs that takes no number of requests
---@field timeout integer? ms before a run is given up

---@class bench.client
---@field key string
---@field name string as tables show it
---@field prepare fun(): string? builds it; returns a version where that is worth showing
---@field argv fun(job: bench.job): string[]
---@field env (fun(): table<string, string>)?
---@field counts (fun(out: string): table?) what its output says was done
---@field ours boolean? missing is a failure then

---@class bench.result
---@field requests integer transfers that went well
---@field user number CPU seconds
---@field sys number
---@field wall number
---@field rss_kib integer peak memory
---@field grown_kib integer? peak memory above that at the start
---@field opened integer? connections
---@field busy number fraction of the time the client had the processor
---@field server_busy number the same for the busiest process of the server

local TIMEOUT = 120000

-- The command line all our clients have.
local function arguments(program, job)
  local argv = table.pack(table.unpack(program))
  local function add(name, value)
    if value then table.move({ name, tostring(value) }, 1, 2, #argv + 1, argv) end
  end
  add("--url", job.url)
  add("--requests", job.requests)
  add("--concurrency", job.concurrency)
  add("--hosts", job.hosts)
  add("--streams", job.streams)
  add("--held", job.held)
  add("--held-url", job.held and job.held_url)
  if job.new_connections then argv[#argv + 1] = "--new-connections" end
  add("--ca", job.ca)
  add("--idle-ms", job.idle_ms)
  if job.http2 then argv[#argv + 1] = "--http2" end
  if job.no_resume then argv[#argv + 1] = "--no-resume" end
  if job.each then argv[#argv + 1] = "--each" end
  if job.ca_path then argv[#argv + 1] = "--ca-path" end
  return argv
end

-- The line that ends a run of one of our clients, as a table of numbers.
local function report_line(out)
  local line = out:match("(ok=[^\n]+)")
  if not line then return nil end
  local r = {}
  for key, value in line:gmatch("(%w[%w_]*)=(%S+)") do r[key] = tonumber(value) end
  return {
    idle_heap = tonumber(out:match("idle_heap=(%d+)")),
    idle_rss_kib = tonumber(out:match("idle_rss_kib=(%-?%d+)")),
    requests = math.tointeger(r.ok),
    failed = r.failed,
    opened = math.tointeger(r.opened),
    user = r.user,
    sys = r.sys,
    phase_wall = r.wall,
    grown_kib = r.rss_max_kib - r.rss_start_kib,
  }
end

local function wrk_report(out)
  local requests = out:match("(%d+) requests in")
  if not requests then return nil end
  local failed = tonumber(out:match("Non%-2xx or 3xx responses: (%d+)") or 0)
  for n in (out:match("Socket errors:([^\n]*)") or ""):gmatch("%d+") do
    failed = failed + tonumber(n)
  end
  return { requests = math.tointeger(tonumber(requests)), failed = failed }
end

local function wrk_argv(job)
  local argv = {
    "wrk", "-t1", "-c" .. job.concurrency, ("-d%ds"):format(job.seconds or 2), job.url,
  }
  if job.new_connections then
    table.move({ "-H", "Connection: close" }, 1, 2, #argv + 1, argv)
  end
  return argv
end

-- h2load takes no `base` of requests apart: it runs them all, on one connection.
local function h2load_argv(job)
  return { "h2load", "-t1", "-c1", "-m" .. job.concurrency, "-n" .. job.requests, job.url }
end

local function h2load_report(out)
  local ok = out:match("(%d+) succeeded")
  local failed = out:match("(%d+) failed")
  return ok and { requests = math.tointeger(tonumber(ok)), failed = tonumber(failed) }
end

local function needs(program)
  return function()
    if not process.exists(program) then error(program .. " is not installed", 0) end
  end
end

local function fetch_client(key, name, driver)
  local program = { "lua5.4", "bench/lua/fetch_client.lua" }
  if driver then table.move({ "--driver", driver }, 1, 2, #program + 1, program) end
  return {
    key = key,
    name = name,
    ours = true,
    prepare = build.module,
    argv = function(job) return arguments(program, job) end,
    env = build.lua_env,
    counts = report_line,
  }
end

---@type bench.client[]
clients.all = {
  {
    key = "engine",
    name = "multisocket, C",
    ours = true,
    prepare = build.engine,
    argv = function(job) return arguments({ "build/bench/engine_client" }, job) end,
    counts = report_line,
  },
  fetch_client("fetch", "multisocket, Lua fetch"),
  fetch_client("fetch-epoll", "multisocket, Lua, epoll", "epoll"),
  {
    key = "curl",
    name = "libcurl",
    prepare = build.curl,
    argv = function(job) return arguments({ "build/bench/curl_client" }, job) end,
    counts = report_line,
  },
  {
    key = "bare",
    name = "bare OpenSSL",
    prepare = build.openssl,
    argv = function(job) return arguments({ "build/bench/openssl_client" }, job) end,
    counts = report_line,
  },
  {
    key = "wrk",
    name = "wrk",
    prepare = needs("wrk"),
    argv = wrk_argv,
    counts = wrk_report,
  },
  {
    key = "h2load",
    name = "h2load",
    prepare = needs("h2load"),
    argv = h2load_argv,
    counts = h2load_report,
  },
}

--- The same program with one more argument, as a client of its own.
---@param client bench.client
---@param name string
---@param argument string
---@return bench.client
function clients.variant(client, name, argument)
  local variant = setmetatable({ key = name, name = name }, { __index = client })
  function variant.argv(job)
    local argv = client.argv(job)
    argv[#argv + 1] = argument
    return argv
  end
  return variant
end

-- A linker can complain at length.
local function first_lines(text)
  local head, rest = text:match("^([^\n]*\n[^\n]*\n[^\n]*)\n(.+)")
  return rest and head .. "\n..." or text
end

--- Builds every client in `keys` (all of them without it). Returns those that can run; says on
--- standard error what is left out and why.
---@param keys table<string, boolean>?
---@return bench.client[] ready
---@return boolean complete false when one of ours is missing
function clients.prepare(keys)
  local ready, complete = {}, true
  for _, client in ipairs(clients.all) do
    if not keys or keys[client.key] then
      local ok, version = pcall(client.prepare)
      if version == "interrupted" then error(version, 0) end
      if ok then
        if version then client.name = client.name .. " " .. version end
        ready[#ready + 1] = client
      else
        complete = complete and not client.ours
        io.stderr:write(client.name, " is left out: ", first_lines(tostring(version)), "\n")
      end
    end
  end
  return ready, complete
end

-- What cannot be compared is not a result: a run that hung, failed, or answered too few.
local function complaint(child, counts)
  if child.timed_out then return "did not finish" end
  if not counts then return "failed: " .. (child.err:match("[^\n]+") or "no report") end
  if counts.failed > 0 then
    return ("%d requests failed: %s"):format(counts.failed, child.err:match("[^\n]+") or "")
  end
  if child.code ~= 0 then return "exit code " .. child.code end
end

-- Fewer or more connections than the workload means: it was not the work of the row's name.
local function wrong_connections(counts, job)
  if not counts.opened then return nil end
  local expected = job.streams and job.held // job.streams + 1
    or job.http2 and 1
    or (job.new_connections and counts.requests or job.concurrency) + (job.held or 0)
  if math.abs(counts.opened - expected) > expected // 50 then
    return ("opened %d connections where %d were meant"):format(counts.opened, expected)
  end
end

-- With held transfers, only the measured phase counts; else the whole process, as the kernel
-- charged it, because that can be asked of any program.
local function result_of(child, counts, job)
  local m = {}
  for key, value in child.out:gmatch("measure_([%w_]+)=(%S+)") do m[key] = tonumber(value) end
  counts.rss_kib = m.rss_kib
  counts.wall = m.wall
  if not job.held then counts.user, counts.sys = m.user, m.sys end
  counts.busy = (m.user + m.sys) / m.wall
  return counts
end

-- The job with whole URLs.
local function placed(job, s)
  local copy = { ca = s.ca }
  local base = server.next_url(s)
  for key, value in pairs(job) do copy[key] = value end
  copy.url = base .. job.url
  copy.held_url = job.held_url and base .. job.held_url
  return copy
end

--- Runs one client once. nil and a reason when there is nothing to compare.
---@param client bench.client
---@param job bench.job
---@param s bench.server
---@return bench.result?
---@return string?
function clients.measure(client, job, s)
  local argv = client.argv(placed(job, s))
  table.insert(argv, 1, "build/bench/measure")
  local before = machine.cpu_of_family(s.child.pid)
  local child = process.run(argv, {
    cpus = machine.layout().client,
    env = client.env and client.env(),
    timeout = job.timeout or TIMEOUT,
  })
  local after = machine.cpu_of_family(s.child.pid)
  local counts = client.counts(child.out)
  local reason = complaint(child, counts) or wrong_connections(counts, job)
  if reason then return nil, reason end
  local result = result_of(child, counts, job)
  result.server_busy = server.busiest(before, after, result.wall)
  return result
end

return clients
