-- SPDX-License-Identifier: MIT
--
-- The machine the benchmark runs on: which processors are whose, and what the kernel has charged
-- to a family of processes.

local uv = require "luv"

local machine = {}

local function allowed_cpus()
  local cpus = {}
  for line in io.lines("/proc/self/status") do
    local list = line:match("^Cpus_allowed_list:%s*(%S+)")
    for first, last in (list or ""):gmatch("(%d+)%-?(%d*)") do
      for cpu = tonumber(first), tonumber(last) or tonumber(first) do cpus[#cpus + 1] = cpu end
    end
  end
  return cpus
end

--- Keeps client and server apart. With four processors the first is left to everybody else.
---@return { client: string?, server: string?, workers: integer, count: integer }
function machine.layout()
  local cpus = allowed_cpus()
  local client, server = cpus[2], { cpus[3], cpus[4] }
  if #cpus == 2 then client, server = cpus[1], { cpus[2] } end
  if #cpus == 1 then return { workers = 1, count = 1 } end
  return {
    client = tostring(client),
    server = table.concat(server, ","),
    workers = #server,
    count = #cpus,
  }
end

-- Fields of /proc/PID/stat after the name, which may hold spaces: state, parent, ...
local function stat(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  local text = file and file:read("a")
  if file then file:close() end
  local fields = {}
  for field in (text or ""):gsub("^.*%)%s*", ""):gmatch("%S+") do fields[#fields + 1] = field end
  return #fields > 13 and fields or nil
end

-- One process's CPU seconds, to the nanosecond where the kernel keeps them.
local function cpu_seconds(pid)
  local file = io.open("/proc/" .. pid .. "/schedstat")
  local ns = file and file:read("n")
  if file then file:close() end
  return (ns or 0) / 1e9
end

--- CPU seconds of `root` and its descendants, each by process id.
---@param root integer
---@return table<integer, number>
function machine.cpu_of_family(root)
  local parent = {}
  local scan = uv.fs_scandir("/proc")
  for name in function() return uv.fs_scandir_next(scan) end do
    local fields = name:find("^%d+$") and stat(name)
    if fields then parent[tonumber(name)] = tonumber(fields[2]) end
  end
  local family = {}
  for pid in pairs(parent) do
    local p = pid
    while p and p ~= root do p = parent[p] end
    if p then family[pid] = cpu_seconds(pid) end
  end
  return family
end

--- One line for the head of a report.
---@return string
function machine.describe()
  local model = "unknown processor"
  for line in io.lines("/proc/cpuinfo") do
    model = line:match("^model name%s*:%s*(.*)") or model
  end
  local layout = machine.layout()
  local uname = uv.os_uname()
  return ("%d x %s, %s %s; client on processor %s, server on %s"):format(layout.count, model,
    uname.sysname, uname.release, layout.client or "any", layout.server or "any")
end

return machine
