-- SPDX-License-Identifier: MIT
--
-- Measurements that need no rival: what waiting transfers cost the others, and what stays behind
-- after many requests.

local build = require "build"
local clients = require "clients"
local idle = require "idle"
local machine = require "machine"
local process = require "process"
local report = require "report"
local held_at_once = require "scale"
local secure = require "secure"
local server = require "server"
local upload = require "upload"

local inside = {}

local TIMEOUT = 300000
--- Clients that cannot hold transfers open meanwhile.
local NO_FLAT = { wrk = true, h2load = true, bare = true }
--- With --quick a run is shortened by this.
local QUICK = 10

inside.all = {
  { name = "flat", title = "one keep-alive request at a time, among held transfers, one host" },
  {
    name = "flat-lua",
    title = "the same inside one Lua process, 100 at a time",
    script = "flat",
    requests = 50000,
    held = 10000,
  },
  {
    name = "sequential-lua",
    title = "the same inside one Lua process, one at a time",
    script = "sequential",
    requests = 20000,
    held = 10000,
  },
  {
    name = "held-lua",
    title = "10,000 fetches with timeouts wait 3 s in one Lua process, 100 hosts",
    script = "held",
    path = "delay/3000",
    concurrency = 10000,
    hosts = 100,
  },
  {
    name = "names",
    title = "10,000 names in the cache beside one: CPU per request, kept and new connections",
    script = "names",
    hosts = 10000,
    server = "nginx",
  },
  {
    name = "soak",
    title = "memory and descriptors, sequential and 100 at a time",
    script = "soak",
    requests = 100000,
    server = "nginx",
  },
  {
    name = "h2-flat",
    title = "HTTP/2 inside one Lua process, 100 at a time among idle streams, one connection",
    script = "flat",
    requests = 20000,
    held = 5000,
    http2 = true,
    server = "hold-h2",
  },
  {
    name = "h2-paused",
    title = "HTTP/2, 99 bodies of 10 MiB on one connection beside one that is paused",
    script = "paused",
    path = "file",
    server = "nginx-h2",
  },
  {
    name = "h2-goaway",
    title = "HTTP/2, the server ends a connection every 1,000 requests: none may be lost",
    script = "goaway",
    requests = 100000,
    concurrency = 100,
    server = "nginx-h2-goaway",
  },
  {
    name = "bulk-tls",
    title = "1 GiB down and 256 MiB up over TLS: memory may not pass 32 MiB",
    script = "bulk",
    requests = 1024,
    server = "bulk",
  },
}

table.move(idle.all, 1, #idle.all, #inside.all + 1, inside.all)
table.move(held_at_once.all, 1, #held_at_once.all, #inside.all + 1, inside.all)
table.move(secure.all, 1, #secure.all, #inside.all + 1, inside.all)
table.move(upload.all, 1, #upload.all, #inside.all + 1, inside.all)

-- ---- the Lua programs, which report themselves -------------------------

local function script_argv(w, scale)
  local base = server.next_url(server.get(w.server or "hold"))
  local argv = { "lua5.4", "bench/lua/" .. w.script .. ".lua", "--url", base .. (w.path or "") }
  local function add(name, value)
    if value then table.move({ name, tostring(value) }, 1, 2, #argv + 1, argv) end
  end
  add("--requests", w.requests and w.requests // scale)
  add("--concurrency", w.concurrency and w.concurrency // scale)
  add("--hosts", w.hosts)
  add("--held", w.held and w.held // scale)
  add("--held-url", w.held and base .. "hold")
  if w.http2 then argv[#argv + 1] = "--http2" end
  return argv
end

local function run_script(w, options)
  local child = process.run(script_argv(w, options.quick and QUICK or 1), {
    cpus = machine.layout().client,
    env = build.lua_env(),
    timeout = TIMEOUT,
  })
  print(("\n### %s: %s\n"):format(w.name, w.title))
  print("```\n" .. child.out .. child.err .. "```")
  if child.timed_out then print("did not finish") end
  return child.code == 0 and not child.timed_out
end

-- ---- flat, side by side ------------------------------------------------

local function flat_job(held, scale)
  return {
    url = "",
    held_url = "hold",
    held = held // scale,
    concurrency = 1,
    requests = 10000 // scale,
  }
end

local function cpu_us(r)
  return (r.user + r.sys) / r.requests * 1e6
end

-- One client, alone and among the held ones, in the same round.
local function flat_pair(client, scale)
  local alone, why = clients.measure(client, flat_job(0, scale), server.get("hold"))
  if not alone then return nil, why end
  local among
  among, why = clients.measure(client, flat_job(10000, scale), server.get("hold"))
  if not among then return nil, why end
  return {
    alone = cpu_us(alone),
    among = cpu_us(among),
    ratio = cpu_us(among) / cpu_us(alone),
    kib = among.grown_kib / flat_job(10000, scale).held,
  }
end

local function flat_row(client, rounds)
  local row = { client.name }
  for i, field in ipairs({ "alone", "among", "ratio", "kib" }) do
    local values = {}
    for k, pair in ipairs(rounds) do values[k] = pair[field] end
    row[i + 1] = report.number(report.median(values), 2)
  end
  return row
end

local function run_flat(w, ready, options)
  local scale = options.quick and QUICK or 1
  local results, notes = {}, {}
  for round = 1, math.min(options.rounds, 3) do
    for _, client in ipairs(ready) do
      if not NO_FLAT[client.key] then
        results[client] = results[client] or {}
        local pair, why = flat_pair(client, scale)
        table.insert(results[client], pair)
        if why then notes[#notes + 1] = ("%s, round %d: %s"):format(client.name, round, why) end
      end
    end
  end
  local rows = {}
  for _, client in ipairs(ready) do
    if results[client] and #results[client] > 0 then
      rows[#rows + 1] = flat_row(client, results[client])
    end
  end
  print(("\n### %s: %s\n"):format(w.name, w.title))
  report.table({
    "client", "µs/request alone", ("among %d"):format(10000 // scale), "ratio", "KiB/held",
  }, rows)
  if #notes > 0 then print("\n* " .. table.concat(notes, "\n* ")) end
  return #notes == 0
end

local function run_table(w, ready, options)
  print(("\n### %s: %s\n"):format(w.name, w.title))
  local notes = w.run(ready, options)
  if #notes > 0 then print("\n* " .. table.concat(notes, "\n* ")) end
  return #notes == 0
end

-- Whether the server of a workload can be had; says why not.
local function is_served(w)
  local ok, why = pcall(server.get, w.server or "hold")
  if why == "interrupted" then error(why, 0) end
  if not ok then io.stderr:write(w.name, " is left out: ", why, "\n") end
  return ok
end

--- Runs one of inside.all and prints it. False when something failed.
---@param w table
---@param ready bench.client[]
---@param options { rounds: integer, quick: boolean? }
---@return boolean
function inside.run(w, ready, options)
  if not w.run and not is_served(w) then return true end
  local ok
  if w.run then
    ok = run_table(w, ready, options)
  elseif w.script then
    ok = run_script(w, options)
  else
    ok = run_flat(w, ready, options)
  end
  io.stdout:flush()
  return ok
end

return inside
