-- SPDX-License-Identifier: MIT
--
-- What it costs to send 1 GiB: files and other bodies through Lua, curl's program, and the least
-- there can be. Whole processes, in turns; ratios are taken inside a round.

local build = require "build"
local machine = require "machine"
local process = require "process"
local report = require "report"
local server = require "server"

local upload = {}

local TIMEOUT = 120000
local MIB = 1 << 20
local SIZE_MIB = 1024
local QUICK = 10
--- Of curl's CPU time, for a file: above that the exit code is 1. Over TLS most is OpenSSL's.
local MOST = 1.15

local function lua(kind)
  return function(to)
    local argv = { "lua5.4", "bench/lua/upload.lua", "--url", to.url, "--requests",
      tostring(to.mib) }
    local function add(...) table.move({ ... }, 1, select("#", ...), #argv + 1, argv) end
    if to.ca then add("--ca", to.ca) end
    if to.http2 then add("--http2") end
    if kind == "file" then add("--file", to.file) end
    if kind == "string" then add("--string") end
    return argv
  end
end

local function curl(to)
  return { "curl", "-s", "-S", "-f", "-o", "/dev/null", to.http2 and "--http2" or "--http1.1",
    "--cacert", to.ca or "/dev/null", "-T", to.file, to.url }
end

local function bare(to)
  if to.ca then return nil end
  local address, port = to.url:match("^http://([%d.]+):(%d+)/")
  return { "build/bench/send_file", address, port, "/upload", to.file }
end

local CLIENTS = {
  { name = "multisocket, a file", argv = lua("file"), limited = true },
  { name = "multisocket, a string", argv = lua("string") },
  { name = "multisocket, a function", argv = lua("pieces") },
  { name = "curl -T", argv = curl, base = true },
  { name = "bare sendfile", argv = bare },
}

local WAYS = {
  { name = "HTTP/1.1", server = "bulk-plain" },
  { name = "HTTP/1.1, TLS", server = "bulk" },
  { name = "HTTP/2, TLS", server = "bulk-h2", http2 = true },
}

-- ---- one run -----------------------------------------------------------

-- A file of zeros whose pages are in memory, so that nobody has to be the first to read it.
local function make_file(dir, mib)
  local uv, path = require "luv", dir .. "/to-send"
  local file = assert(uv.fs_open(path, "w", tonumber("644", 8)))
  assert(uv.fs_ftruncate(file, mib * MIB))
  uv.fs_close(file)
  process.must({ "cksum", path }, { timeout = TIMEOUT })
  return path
end

-- CPU seconds and memory of one upload; nil and why there are none.
local function measure(client, to)
  local argv = client.argv(to)
  table.insert(argv, 1, "build/bench/measure")
  local child = process.run(argv, { cpus = machine.layout().client, env = build.lua_env(),
    timeout = TIMEOUT })
  if child.code ~= 0 or child.timed_out then
    return nil, child.err:match("[^\n]+") or "exit code " .. tostring(child.code)
  end
  local m = {}
  for key, value in child.out:gmatch("measure_([%w_]+)=(%S+)") do m[key] = tonumber(value) end
  m.cpu = m.user + m.sys
  return m
end

-- rounds[i][client]; what fails is left out and told of.
local function take_turns(way, options, notes)
  local s, rounds = server.get(way.server), {}
  local to = { ca = s.ca, http2 = way.http2, mib = SIZE_MIB // (options.quick and QUICK or 1) }
  to.file = make_file(s.dir, to.mib)
  for i = 1, options.rounds do
    rounds[i] = {}
    for _, client in ipairs(CLIENTS) do
      to.url = server.next_url(s) .. "upload"
      if client.argv(to) then
        local m, why = measure(client, to)
        rounds[i][client] = m
        if not m then notes[#notes + 1] = ("%s, %s: %s"):format(way.name, client.name, why) end
      end
    end
  end
  return rounds
end

-- ---- the table ---------------------------------------------------------

local function median(rounds, value)
  local list = {}
  for _, round in ipairs(rounds) do list[#list + 1] = value(round) end
  return report.median(list)
end

local function base_of(round)
  for client, m in pairs(round) do
    if client.base then return m end
  end
end

local function row(way, client, rounds)
  local function field(name, scale)
    return median(rounds, function(round)
      return round[client] and round[client][name] / (scale or 1)
    end)
  end
  local ratio = median(rounds, function(round)
    local base = base_of(round)
    return base and round[client] and round[client].cpu / base.cpu
  end)
  return { way.name .. ": " .. client.name, report.number(field("cpu"), 2),
    report.number(field("user"), 2), report.number(field("sys"), 2), report.number(ratio, 2),
    report.number(field("wall"), 2), report.number(field("rss_kib", 1024), 0) }, ratio
end

local function run(_, options)
  local rows, notes = {}, {}
  for _, way in ipairs(WAYS) do
    local rounds = take_turns(way, options, notes)
    for _, client in ipairs(CLIENTS) do
      if rounds[1][client] then
        local cells, ratio = row(way, client, rounds)
        rows[#rows + 1] = cells
        if client.limited and ratio and ratio > MOST and not options.quick then
          notes[#notes + 1] = ("%s is above %.2f of curl's CPU time"):format(cells[1], MOST)
        end
      end
    end
  end
  report.table({ "client", "CPU s", "user", "sys", "÷ curl", "wall s", "RSS MiB" }, rows)
  return notes
end

--- Part of inside.all. `run` prints a table and returns what went wrong.
upload.all = {
  { name = "upload", title = "1 GiB up, a process each", run = run },
}

return upload
