-- SPDX-License-Identifier: MIT
--
-- Does an event cost more the more transfers wait, and does a transfer? From C with epoll: on
-- sockets of their own, as many as a process may have, and on streams of HTTP/2.

local clients = require "clients"
local report = require "report"
local server = require "server"

local scale = {}

--- With --quick everything is divided by this.
local QUICK = 10
local ROUNDS = 3
--- On one HTTP/2 connection, so that 50,000 take 250.
local STREAMS = 200
--- One at a time, among those that wait. Each is two events: it is sent and answered.
local REQUESTS = 20000
--- Opening 50,000 streams takes the server most of it.
local TIMEOUT = 180000

local SIZES = {
  { name = "sockets", server = "hold", held = { 1000, 10000, 19000 } },
  { name = "HTTP/2 streams", server = "hold-h2", held = { 1000, 10000, 50000 }, streams = STREAMS },
}

local function job_of(kind, held, divisor)
  return {
    url = "",
    held_url = "hold",
    held = held // divisor,
    streams = kind.streams,
    http2 = kind.streams ~= nil,
    concurrency = 1,
    requests = REQUESTS // divisor,
    timeout = TIMEOUT,
  }
end

-- Median over the rounds of CPU time per request, user alone, and memory per held transfer.
local function measure(client, kind, held, options)
  local all, user, kib, connections = {}, {}, {}, nil
  for _ = 1, math.min(options.rounds, ROUNDS) do
    local job = job_of(kind, held, options.quick and QUICK or 1)
    local r, why = clients.measure(client, job, server.get(kind.server))
    if not r then return nil, why end
    all[#all + 1] = (r.user + r.sys) / r.requests * 1e6
    user[#user + 1] = r.user / r.requests * 1e6
    kib[#kib + 1] = r.grown_kib / job.held
    connections = r.opened
  end
  return { connections = connections, all = report.median(all), user = report.median(user),
    kib = report.median(kib) }
end

local function add_kind(rows, notes, client, kind, options)
  local first
  for _, held in ipairs(kind.held) do
    local m, why = measure(client, kind, held, options)
    if m then
      first = first or m
      rows[#rows + 1] = { ("%d %s"):format(held, kind.name), tostring(m.connections),
        report.number(m.all, 2), report.number(m.user, 2), report.number(m.all / first.all, 2),
        report.number(m.kib, 2) }
    else
      notes[#notes + 1] = ("%d %s: %s"):format(held, kind.name, why)
    end
  end
end

local function run(ready, options)
  local rows, notes = {}, {}
  for _, client in ipairs(ready) do
    if client.key == "engine" then
      for _, kind in ipairs(SIZES) do add_kind(rows, notes, client, kind, options) end
    end
  end
  report.table({ "held at once", "connections", "µs/request", "user", "ratio", "KiB/transfer" },
    rows)
  return notes
end

--- Part of inside.all. `run` prints a table and returns what went wrong.
scale.all = {
  { name = "scale", title = "one request at a time among transfers that wait, from C", run = run },
}

return scale
