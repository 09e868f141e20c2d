-- SPDX-License-Identifier: MIT
--
-- What `make demo` shows: thousands of transfers in one thread of one Lua
-- process, against examples/server.lua in a process of its own.
--
--   part 1   5,000 fetches, 500 at a time, every body checked against its URL
--   part 2   10,000 transfers held open at once, and what each of them costs
--
-- The exit code is 1 when anything failed or was wrong.
--
--   lua5.4 examples/demo.lua [--requests N] [--concurrency N] [--held N] [--hold MS]
local uv = require "luv"
local ms = require "multisocket"

local HOSTS = 16 -- 127.0.0.1 to 127.0.0.16: an address pair has 28,000 ports
local SPARE_FILES = 200 -- of `ulimit -n`: for everything that is no transfer
local BAR = 40 -- columns
local REDRAW = 50 -- ms between two drawings of the bar
local SAMPLE = 50 -- ms between two looks at the number of connections
local PATIENCE = 4 -- times longer the second try of part 2 holds

local options = { requests = 5000, concurrency = 500, held = 10000, hold = 5000 }
local is_terminal = uv.guess_handle(1) == "tty"

-- ---- measuring -------------------------------------------------------------

-- A number from a file of /proc, e.g. ("self/status", "VmRSS:%s*(%d+)").
local function from_proc(path, pattern)
  local f = assert(io.open("/proc/" .. path))
  local text = f:read("a")
  f:close()
  return tonumber(text:match(pattern)) or math.huge
end

local function rss_kib() return from_proc("self/status", "VmRSS:%s*(%d+)") end
local function peak_kib() return from_proc("self/status", "VmHWM:%s*(%d+)") end

local function open_files(pid)
  return from_proc(pid .. "/limits", "Max open files%s+(%d+)")
end

local function cpu_us()
  local usage = uv.getrusage()
  local u, s = usage.utime, usage.stime
  return (u.sec + s.sec) * 1000000 + u.usec + s.usec
end

local function now_ms() return uv.hrtime() / 1000000 end

-- 1234567 -> "1,234,567"
local function grouped(n)
  local text = ("%d"):format(math.floor(n + 0.5))
  local more
  repeat text, more = text:gsub("^(%d+)(%d%d%d)", "%1,%2") until more == 0
  return text
end

local function percentile(sorted, p)
  return sorted[math.max(1, math.ceil(#sorted * p))] or 0
end

local function row(name, fmt, ...)
  print(("  %-26s " .. fmt):format(name, ...))
end

-- ---- progress --------------------------------------------------------------

-- A bar on a terminal, a line every fifth of the way elsewhere.
local function progress(total)
  local drawn, told = 0, 0
  return function(done)
    if not is_terminal then
      if done * 5 // total > told then
        told = done * 5 // total
        print(("  %3d %%  %s of %s"):format(told * 20, grouped(done), grouped(total)))
      end
    elseif done == total or now_ms() - drawn >= REDRAW then
      drawn = now_ms()
      local filled = done * BAR // total
      io.write("\r  [", ("#"):rep(filled), ("."):rep(BAR - filled), "] ", grouped(done), " of ",
        grouped(total), done == total and "\n" or "")
      io.flush()
    end
  end
end

-- ---- checking --------------------------------------------------------------

local function fill(text, size)
  return text:rep(size // #text + 1):sub(1, size)
end

-- The body examples/server.lua gives for a URL.
local function expected_body(url)
  local size = url:match("/chunked/(%d+)$")
  if size then return fill("0123456789", tonumber(size)) end
  local text
  text, size = url:match("/echo/([^?]+)%?size=(%d+)$")
  if text then return fill(text, tonumber(size)) end
  return url:match("/delay/%d+/(.+)$")
end

-- A name for what is wrong with the outcome of a fetch; nil when it is right.
local function fault(url, res, err)
  if not res then return err.code, tostring(err) end
  if res.status ~= 200 then return "status " .. res.status, url end
  if res.body ~= expected_body(url) then return "wrong body", url end
end

local function new_tally()
  return { done = 0, failed = 0, faults = {}, bytes = 0, opened = 0, latencies = {} }
end

local function count(tally, url, res, err)
  local name, detail = fault(url, res, err)
  tally.done = tally.done + 1
  if name then
    tally.failed = tally.failed + 1
    tally.faults[name] = tally.faults[name] or { n = 0, example = detail }
    tally.faults[name].n = tally.faults[name].n + 1
  end
  if not res then return end
  tally.bytes = tally.bytes + #(res.body or "")
  if not res.reused then tally.opened = tally.opened + 1 end
  tally.latencies[#tally.latencies + 1] = res.timings.total
end

local function report_faults(tally)
  row("failed or wrong", "%s", grouped(tally.failed))
  for name, f in pairs(tally.faults) do
    row("  " .. name, "%s, e.g. %s", grouped(f.n), f.example)
  end
end

-- ---- the server ------------------------------------------------------------

local server = {}

-- Starts examples/server.lua and waits for its first line, the port.
function server.start()
  local folder = arg[0]:match("^(.*/)") or "./"
  local args = { folder .. "server.lua", "--port", "0", "--stdin" }
  for i = 1, HOSTS do
    args[#args + 1] = "--host"
    args[#args + 1] = "127.0.0." .. i
  end
  server.stdin, server.stdout = uv.new_pipe(false), uv.new_pipe(false)
  server.process, server.pid = uv.spawn(arg[-1] or "lua5.4", {
    args = args, stdio = { server.stdin, server.stdout, 2 },
  }, function() server.ended = true end)
  assert(server.process, "cannot start the server: " .. tostring(server.pid))

  local text = ""
  server.stdout:read_start(function(_, data) text = text .. (data or "") end)
  repeat uv.run("once") until server.ended or text:find("\n")
  server.port = assert(tonumber(text:match("^(%d+)\n")), "the server does not start")
  server.stdout:close()
end

function server.stop()
  if not server.ended then server.process:kill("sigterm") end
  while not server.ended do uv.run("once") end
  server.process:close()
  server.stdin:close()
  uv.run("nowait")
end

local function url_of(i, path)
  return ("http://127.0.0.%d:%d%s"):format(i % HOSTS + 1, server.port, path)
end

-- An iterator over `total` URLs that `make_url` makes from 1, 2, 3, and the
-- list they are kept in.
local function url_list(total, make_url)
  local urls = {}
  return function()
    local i = #urls + 1
    if i > total then return nil end
    urls[i] = make_url(i)
    return urls[i]
  end, urls
end

-- ---- part 1 ----------------------------------------------------------------

local function page(i)
  local size = 64 + i * 37 % 4000
  if i % 4 == 0 then return url_of(0, "/chunked/" .. size) end
  return url_of(0, ("/echo/page-%d?size=%d"):format(i, size))
end

local function report_fetches(tally, wall_ms, cpu)
  table.sort(tally.latencies)
  row("requests", "%s in %.2f s", grouped(tally.done), wall_ms / 1000)
  report_faults(tally)
  row("bytes of bodies", "%s", grouped(tally.bytes))
  row("requests per second", "%s", grouped(tally.done / wall_ms * 1000))
  row("client CPU per request", "%.0f us, checking the body included", cpu / tally.done)
  row("latency p50 / p95 / p99", "%.1f / %.1f / %.1f ms", percentile(tally.latencies, 0.50),
    percentile(tally.latencies, 0.95), percentile(tally.latencies, 0.99))
  row("connections opened", "%s", grouped(tally.opened))
  row("peak memory", "%.1f MiB", peak_kib() / 1024)
end

local function part_one()
  local concurrency = options.concurrency
  print(("Part 1: %s fetches, %s at a time, every body checked against its URL")
    :format(grouped(options.requests), grouped(concurrency)))
  local requests, urls = url_list(options.requests, page)
  local tally, draw = new_tally(), progress(options.requests)
  local wall, cpu = now_ms(), cpu_us()
  for i, res, err in ms.each(requests, { concurrency = concurrency }) do
    count(tally, urls[i], res, err)
    draw(tally.done)
  end
  report_fetches(tally, now_ms() - wall, cpu_us() - cpu)
  return tally.failed == 0 and tally.done == options.requests
end

-- ---- part 2 ----------------------------------------------------------------

-- How many transfers the open file limits of both processes allow.
local function allowed()
  local own, theirs = open_files("self"), open_files(server.pid)
  local most = math.floor(math.min(own, theirs) - SPARE_FILES)
  if options.held <= most then return options.held end
  print(("  The limit of open files (ulimit -n) is %d here and %d in the server: scaled down "
    .. "from %s to %s transfers."):format(own, theirs, grouped(options.held), grouped(most)))
  return most
end

-- The number of delayed answers that the server owes.
local function owed()
  local res, err = ms.fetch(url_of(0, "/held"))
  if not res then return nil, err end
  return assert(tonumber(res.body), "the server's answer is no number")
end

-- Looks until all `total` are held, or the first answers have come. Fills
-- `seen`; an error comes back as nil, err.
local function watch(total, tally, seen)
  while seen.held < total and tally.done == 0 do
    ms.sleep(SAMPLE)
    local held, err = owed()
    if not held then return nil, err end
    if held > seen.held and tally.done == 0 then seen.held, seen.rss = held, rss_kib() end
  end
  local started = now_ms()
  local held, err = owed()
  if not held then return nil, err end
  seen.latency = now_ms() - started
  return true
end

local function hold(total, hold_ms)
  local requests, urls = url_list(total, function(i)
    return url_of(i, ("/delay/%d/held-%d"):format(hold_ms, i))
  end)
  local tally, seen, draw = new_tally(), { held = 0, rss = 0, latency = 0 }, progress(total)
  local wall, cpu = now_ms(), cpu_us()
  seen.rss_before = rss_kib()
  ms.run(function()
    local watcher = ms.spawn(watch, total, tally, seen)
    for i, res, err in ms.each(requests, { concurrency = total }) do
      count(tally, urls[i], res, err)
      draw(tally.done)
    end
    local _, err = watcher:wait()
    seen.err = err ~= true and err or nil
  end)
  seen.wall, seen.cpu = now_ms() - wall, cpu_us() - cpu
  return tally, seen
end

local function report_held(tally, seen)
  row("transfers", "%s in %.2f s", grouped(tally.done), seen.wall / 1000)
  report_faults(tally)
  row("open at once, at most", "%s, counted by the server", grouped(seen.held))
  row("another fetch meanwhile", "%s", seen.err or ("%.1f ms"):format(seen.latency))
  row("memory per held transfer", "%.2f KiB", (seen.rss - seen.rss_before) / math.max(seen.held, 1))
  row("client CPU per transfer", "%.0f us", seen.cpu / tally.done)
  row("peak memory", "%.1f MiB", peak_kib() / 1024)
end

local function part_two()
  print(("\nPart 2: %s transfers held open at once by one thread"):format(grouped(options.held)))
  local total = allowed()
  if total < 1 then
    print("  There is no room for a single one.")
    return false
  end
  local tally, seen = hold(total, options.hold)
  if seen.held < total and tally.failed == 0 then
    print("  This machine needs longer to open them all: once more, held longer.")
    tally, seen = hold(total, options.hold * PATIENCE)
  end
  report_held(tally, seen)
  return tally.failed == 0 and tally.done == total and seen.held >= total and not seen.err
end

-- ---- the program -----------------------------------------------------------

local function parse_arguments()
  for i = 1, #arg, 2 do
    local name, value = arg[i]:match("^%-%-(%l+)$"), math.tointeger(tonumber(arg[i + 1]))
    if not options[name] or not value or value < 1 then
      io.stderr:write("usage: demo.lua [--requests N] [--concurrency N] [--held N] [--hold MS]\n")
      os.exit(2)
    end
    options[name] = value
  end
end

parse_arguments()
io.stdout:setvbuf("line") -- also into a pipe
server.start()
local first, second = part_one(), part_two()
server.stop()
print(first and second and "\nEverything came back, and came back right."
  or "\nSomething failed or was wrong: see above.")
os.exit(first and second and 0 or 1)
