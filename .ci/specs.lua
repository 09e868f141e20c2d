-- SPDX-License-Identifier: MIT
--
-- Runs every spec file in a process of its own, some at a time, and adds up
-- what they report.
--
--   lua5.4 .ci/specs.lua [FILE...]     default: all of spec/
--
-- A file of its own cannot hide what another one left behind, and a crash or a
-- hang costs no more than itself. Most specs wait most of the time, so more
-- than one may run on a core; but not so many that all become slow.
local uv = require "luv"

local LIMIT = 900 -- seconds for one file; the slowest takes 20, ten times that under a tool or
                  -- on a machine that has much else to do
local MOST = 3 -- at a time

local function find_files()
  local list = {}
  local found = assert(io.popen("find spec -name '*_spec.lua'"))
  for path in found:lines() do list[#list + 1] = path end
  found:close()
  -- The long ones first, so that nobody waits for one at the end.
  local size = {}
  for _, path in ipairs(list) do size[path] = uv.fs_stat(path).size end
  table.sort(list, function(a, b)
    if size[a] ~= size[b] then return size[a] > size[b] end
    return a < b
  end)
  return list
end

local running = {} -- process groups

local function end_all()
  for pid in pairs(running) do uv.kill(-pid, "sigkill") end
  os.exit(1)
end

for _, signal in ipairs({ "sigint", "sigterm", "sighup" }) do
  local handle = uv.new_signal()
  handle:start(signal, end_all)
  handle:unref()
end

local files = #arg > 0 and arg or find_files()
local next_file, passed, failed = 1, 0, 0

-- What a file said, without the line that counts; nil instead when that is not there.
local function counted(text)
  local before, p, f = text:match("^(.-)(%d+) passed, (%d+) failed%s*$")
  if not p then return nil end
  passed, failed = passed + tonumber(p), failed + tonumber(f)
  return before, tonumber(p), tonumber(f)
end

local function report(path, text, code, seconds)
  local said, p, f = counted(text)
  if not said or (code ~= 0 and f == 0) or p + f == 0 then
    failed = failed + 1
    print(("FAILED %s (exit %d)\n%s"):format(path, code, text))
    return
  end
  print(("%-40s %5d passed %5.1f s%s"):format(path, p, seconds,
    f > 0 and (" %d FAILED"):format(f) or ""))
  -- What follows the line of busted's that has a mark for each test.
  local rest = said:match("\n\n(.*)$") or ""
  if rest:find("%S") then print(rest) end
  io.flush()
end

local function collect(pipe, pieces, over)
  pipe:read_start(function(_, data)
    if data then pieces[#pieces + 1] = data return end
    pipe:close()
    over()
  end)
end

local start

-- Whatever else it started ends with its group.
local function run(path)
  local pieces, begin, waits, exit = {}, uv.hrtime(), 3, nil
  local out, err, timer = uv.new_pipe(), uv.new_pipe(), uv.new_timer()
  local pid
  local function over()
    waits = waits - 1
    if waits > 0 then return end
    timer:close()
    report(path, table.concat(pieces), exit, (uv.hrtime() - begin) / 1e9)
    start()
  end
  local handle
  handle, pid = uv.spawn(arg[-1], { args = { ".ci/busted.lua", path }, detached = true,
    stdio = { nil, out, err } }, function(code, signal)
    exit = signal ~= 0 and 128 + signal or code
    running[pid] = nil
    handle:close()
    over()
  end)
  assert(handle, pid)
  running[pid] = true
  timer:start(LIMIT * 1000, 0, function()
    pieces[#pieces + 1] = ("\nended after %d seconds\n"):format(LIMIT)
    uv.kill(-pid, "sigkill")
  end)
  collect(out, pieces, over)
  collect(err, pieces, over)
end

function start()
  local path = files[next_file]
  next_file = next_file + 1
  if path then run(path) end
end

for _ = 1, math.min(MOST, uv.available_parallelism and uv.available_parallelism()
  or #uv.cpu_info()) do start() end
uv.run()
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0)
