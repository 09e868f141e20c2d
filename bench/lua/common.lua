-- SPDX-License-Identifier: MIT
--
-- What the benchmark's Lua programs share: the command line of the C clients, the kernel's and
-- Lua's books, and transfers that are held open while others are measured.

local ms = require "multisocket"
local uv = require "luv"

local common = {}

---@class bench.options
---@field url string
---@field requests integer
---@field concurrency integer
---@field hosts integer
---@field held integer
---@field held_url string?
---@field new_connections boolean
---@field http2 boolean
---@field ca string? file with the certificates to trust for https
---@field no_resume boolean every TLS handshake is a full one
---@field driver string? "poll" or "epoll": how the loop watches sockets
---@field with_options boolean every call has options of its own
---@field new_coroutines boolean every fetch runs in a coroutine of its own
---@field file string? what upload.lua sends
---@field string boolean or a string

local NUMBERS = { requests = true, concurrency = true, hosts = true, held = true }
local TEXTS = { url = true, held_url = true, driver = true, ca = true, file = true }
local SWITCHES = { new_connections = true, http2 = true, no_resume = true, with_options = true,
  new_coroutines = true, string = true }

local function usage()
  io.stderr:write("usage: ", arg[0], [[ --url URL [--requests N] [--concurrency C]
  [--new-connections] [--http2] [--hosts H] [--held N --held-url URL]
  [--ca FILE] [--no-resume]
  [--driver poll|epoll]
  [--with-options]    headers and a timeout with every call
  [--new-coroutines]  a coroutine for every fetch
  [--file FILE | --string]   what upload.lua sends
]])
  os.exit(2)
end

--- Reads the command line, and sets what it says about the loop; `defaults` are the program's own.
---@param defaults table?
---@return bench.options
function common.options(defaults)
  local options = { requests = 1000, concurrency = 1, hosts = 1, held = 0 }
  for name, value in pairs(defaults or {}) do options[name] = value end
  local i = 1
  while arg[i] do
    local name = (arg[i]:match("^%-%-(.+)$") or usage()):gsub("-", "_")
    if SWITCHES[name] then
      options[name] = true
    else
      i = i + 1
      options[name] = NUMBERS[name] and math.tointeger(tonumber(arg[i]))
        or TEXTS[name] and arg[i] or usage()
    end
    i = i + 1
  end
  if not options.url or options.held > 0 and not options.held_url then usage() end
  if options.driver then ms.use({ mode = options.driver }) end
  return options
end

--- The URL of the `i`-th of several workers: 127.x.0.1 becomes one of `hosts` addresses.
---@param options bench.options
---@param i integer from 0
---@return string
function common.host_url(options, i)
  local h = i % options.hosts
  if h == 0 then return options.url end
  return (options.url:gsub("%.0%.1:", (".%d.%d:"):format(h // 250, h % 250 + 1), 1))
end

local function seconds(t)
  return t.sec + t.usec / 1e6
end

---@class bench.usage
---@field user number CPU seconds of this process
---@field sys number
---@field wall number
---@field max_rss_kib integer

---@return bench.usage
function common.usage()
  local r = uv.getrusage()
  return {
    user = seconds(r.utime),
    sys = seconds(r.stime),
    wall = uv.hrtime() / 1e9,
    max_rss_kib = r.maxrss,
  }
end

--- CPU microseconds per request between two usages.
---@param from bench.usage
---@param to bench.usage
---@param requests integer
---@return number
function common.cpu_us(from, to, requests)
  return (to.user + to.sys - from.user - from.sys) / requests * 1e6
end

--- Memory and descriptors, after everything collectable is gone.
---@return { lua_kib: number, rss_kib: number, fds: integer }
function common.footprint()
  collectgarbage()
  collectgarbage()
  local fds = 0
  local scan = uv.fs_scandir("/proc/self/fd")
  while uv.fs_scandir_next(scan) do fds = fds + 1 end
  return {
    lua_kib = collectgarbage("count"),
    rss_kib = uv.resident_set_memory() / 1024,
    fds = fds,
  }
end

-- Status and body are read each time, as a caller would.
local function count(tally, res, err)
  if res and res.status == 200 and #res.body > 0 then
    tally.ok = tally.ok + 1
  else
    tally.failed = tally.failed + 1
    tally.err = tally.err or err or ("status %d with %d bytes"):format(res.status, #res.body)
  end
end

-- A worker's whole life is one of these: fetches until `tally.left` is used up.

local function work(client, url, tally)
  while tally.left > 0 do
    tally.left = tally.left - 1
    count(tally, client:fetch(url))
  end
end

local function work_with_options(client, url, tally)
  while tally.left > 0 do
    tally.left = tally.left - 1
    count(tally, client:fetch(url, { headers = { accept = "text/plain" }, timeout = 60000 }))
  end
end

-- Every coroutine makes its successor, so nothing but the coroutine comes on top of a fetch. They
-- are nobody's tasks, which is why the end is looked for: by one, and seldom.
local function work_in_new_coroutines(client, url, tally)
  local function one()
    if tally.left == 0 then return end
    tally.left = tally.left - 1
    count(tally, client:fetch(url))
    coroutine.wrap(one)()
  end
  coroutine.wrap(one)()
  if tally.watched then return end
  tally.watched = true
  repeat ms.sleep(50) until tally.ok + tally.failed == tally.requests
end

--- Runs `requests` fetches, `concurrency` at a time, in long-lived coroutines unless the options
--- say otherwise. In a task.
---@param client table
---@param options bench.options
---@return { ok: integer, failed: integer, err: any }
function common.fetch_all(client, options)
  local tally = { requests = options.requests, left = options.requests, ok = 0, failed = 0 }
  local body = options.with_options and work_with_options
    or options.new_coroutines and work_in_new_coroutines
    or work
  local tasks = {}
  for i = 1, options.concurrency do
    tasks[i] = ms.spawn(body, client, common.host_url(options, options.held + i - 1), tally)
  end
  for _, task in ipairs(tasks) do assert(task:wait()) end
  return tally
end

--- Opens `n` transfers that get the first byte of an answer and never the rest, and returns when
--- all have it. They end when the client is closed. In a task.
---@param client table
---@param n integer
---@param url string
function common.hold_open(client, n, url)
  local open, failure = 0, nil
  local function on_data() open = open + 1 end
  local function on_end(err) failure = failure or err end
  for _ = 1, n do client:request(url, { on_data = on_data }, on_end) end
  while open < n do
    if failure then error(failure) end
    ms.sleep(5)
  end
end

return common
