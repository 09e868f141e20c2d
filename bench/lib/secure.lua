-- SPDX-License-Identifier: MIT
--
-- What TLS costs besides requests: memory of connections that rest, and loading the certificates
-- that the system trusts.

local certificate = require "certificate"
local clients = require "clients"
local machine = require "machine"
local process = require "process"
local report = require "report"
local server = require "server"

local secure = {}

local TIMEOUT = 60000
local SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
local BUNDLE = "build/bench/tls/bundle.pem"

-- ---- tls-idle ----------------------------------------------------------

--- Our pool gives OpenSSL's buffers back when a connection has rested for a second.
local REST_MS = 2500
local IDLE = 1000
local MOST_KIB = 20 -- of heap that ours may keep, which is what bare OpenSSL keeps
local C_CLIENTS = { engine = true, curl = true, bare = true }

local function idle_job(scale)
  local n = IDLE // scale
  return { url = "", requests = n, concurrency = n, idle_ms = REST_MS }
end

local function idle_row(client, job, rounds)
  local heap, rss = {}, {}
  for round = 1, rounds do
    local r, why = clients.measure(client, job, server.get("nginx-tls"))
    if not r then return nil, ("%s: no row, %s"):format(client.name, why) end
    heap[round] = r.idle_heap / 1024 / job.requests
    rss[round] = r.idle_rss_kib / job.requests
  end
  local kept = report.median(heap)
  local row = { client.name, report.number(kept, 1), report.number(report.median(rss), 1) }
  if client.ours and job.requests == IDLE and kept > MOST_KIB then -- what all share is in it
    return row, ("%s keeps more than %d KiB"):format(client.name, MOST_KIB)
  end
  return row
end

local function run_idle(ready, options)
  local job = idle_job(options.quick and 10 or 1)
  local rows, notes = {}, {}
  for _, client in ipairs(ready) do
    if C_CLIENTS[client.key] then
      local row, why = idle_row(client, job, math.min(options.rounds, 3))
      rows[#rows + 1] = row
      notes[#notes + 1] = why
    end
  end
  report.table({ "client", "KiB of heap/connection", "KiB resident/connection" }, rows)
  return notes
end

-- ---- tls-trust ---------------------------------------------------------

local FIRST = 3

local function read_file(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

-- Everybody the system trusts, and the bench's own authority.
local function make_bundle()
  local file = assert(io.open(BUNDLE, "w"))
  assert(file:write(read_file(SYSTEM_BUNDLE), "\n",
    read_file(certificate.get(server.tls_addresses()).ca)))
  assert(file:close())
  return require("luv").fs_realpath(BUNDLE)
end

-- The CPU time of each connection of one process, in microseconds.
local function each(client, job, env)
  local copy = { url = server.next_url(server.get("nginx-tls")) }
  for key, value in pairs(job) do copy[key] = value end
  local child = process.must(client.argv(copy), {
    cpus = machine.layout().client,
    env = env,
    timeout = TIMEOUT,
  })
  local list = {}
  for us in child.out:gmatch("each_us=(%d+)") do list[#list + 1] = tonumber(us) end
  return list
end

local function trust_row(name, rounds, run)
  local by_turn = {}
  for i = 1, FIRST do by_turn[i] = {} end
  for _ = 1, rounds do
    for i, us in ipairs(run()) do table.insert(by_turn[i], us / 1000) end
  end
  local row = { name }
  for i = 1, FIRST do row[i + 1] = report.number(report.median(by_turn[i]), 2) end
  return row
end

local function by_key(ready)
  local found = {}
  for _, client in ipairs(ready) do found[client.key] = client end
  return found
end

local function run_trust(ready, options)
  local job = { requests = FIRST, concurrency = 1, new_connections = true, no_resume = true,
    each = true }
  local client, rows = by_key(ready), {}
  server.get("nginx-tls")
  local bundle = make_bundle()
  local function add(name, key, settings)
    if not client[key] then return end
    for field, value in pairs(job) do settings[field] = value end
    local env = { SSL_CERT_FILE = bundle, SSL_CERT_DIR = "/nowhere" }
    rows[#rows + 1] = trust_row(name, options.rounds, function()
      return each(client[key], settings, env)
    end)
  end
  add("multisocket, C, the system's trust", "engine", {})
  add("libcurl as Debian sets it", "curl", { ca = bundle, ca_path = true })
  add("libcurl without CURLOPT_CAPATH", "curl", { ca = bundle })
  add("bare OpenSSL, one SSL_CTX", "bare", {})
  report.table({ "CPU ms of the", "first connection", "second", "third" }, rows)
  return {}
end

--- Parts of inside.all. `run` prints a table and returns what went wrong.
secure.all = {
  {
    name = "tls-idle",
    title = "1000 TLS connections after their request and 2.5 s of rest",
    run = run_idle,
  },
  {
    name = "tls-trust",
    title = "connections of a new process that trusts the system's bundle, full handshakes",
    run = run_trust,
  },
}

return secure
