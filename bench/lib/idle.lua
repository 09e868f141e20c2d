-- SPDX-License-Identifier: MIT
--
-- A paused transfer and an idle connection wake nobody: strace counts how often the process
-- returns from waiting in ten seconds. Once is the program's own timer.

local build = require "build"
local machine = require "machine"
local process = require "process"
local report = require "report"
local server = require "server"

local idle = {}

local FOLDER = "build/bench" -- the traces stay, to be looked at
local WAITS = "epoll_wait,epoll_pwait,epoll_pwait2,poll,ppoll,select,pselect6,write"
local TIMEOUT = 60000

local WAYS = {
  { key = "poll", name = "luv, a handle per socket", argv = { "--driver", "poll" } },
  { key = "epoll", name = "luv, one epoll set", argv = { "--driver", "epoll" } },
  { key = "perform", name = "perform and poll", argv = { "--held-url", "-" } },
}

local PROTOCOLS = {
  { name = "HTTP/1", server = "nginx", argv = {} },
  { name = "HTTP/2", server = "nginx-h2", argv = { "--http2" } },
}

-- A look that does not wait is no wake-up.
local function is_look(line)
  return line:find(", 0%)%s+= 0") or line:find(", 0, NULL, %d+%)%s+= 0")
end

-- The waits that returned between the two marks.
local function count_waits(path)
  local quiet, n = false, 0
  for line in io.lines(path) do
    if line:find('write(2, "end', 1, true) then return n end
    if quiet and not line:find("write(", 1, true) and not is_look(line) then n = n + 1 end
    quiet = quiet or line:find('write(2, "begin', 1, true) ~= nil
  end
  error("the trace has no end", 0)
end

local function wakeups(way, protocol)
  local trace = ("%s/idle.%s.%s.strace"):format(FOLDER, way.key, protocol.server)
  local url = server.next_url(server.get(protocol.server)) .. "file"
  local argv = { "strace", "-f", "-e", "trace=" .. WAITS, "-o", trace, "lua5.4",
    "bench/lua/idle.lua", "--url", url }
  table.move(way.argv, 1, #way.argv, #argv + 1, argv)
  table.move(protocol.argv, 1, #protocol.argv, #argv + 1, argv)
  process.must(argv, { cpus = machine.layout().client, env = build.lua_env(), timeout = TIMEOUT })
  return count_waits(trace) - 1
end

local function run()
  local rows, notes = {}, {}
  for _, way in ipairs(WAYS) do
    local row = { way.name }
    for _, protocol in ipairs(PROTOCOLS) do
      local n = wakeups(way, protocol)
      row[#row + 1] = tostring(n)
      if n > 0 then
        notes[#notes + 1] = ("%s, %s: it does not rest"):format(way.name, protocol.name)
      end
    end
    rows[#rows + 1] = row
  end
  report.table({ "wake-ups in 10 s", "HTTP/1", "HTTP/2" }, rows)
  return notes
end

--- Part of inside.all. `run` prints a table and returns what went wrong.
idle.all = {
  { name = "idle", title = "a paused transfer and an idle connection", run = run },
}

return idle
