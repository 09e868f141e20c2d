-- SPDX-License-Identifier: MIT
--
-- Child processes that cannot be left behind: every one is started with the full number of file
-- descriptors, on the processors it is given, with a parent-death signal, and is ended by its
-- process id when the main function returns, fails or is interrupted. Every wait has an end.

local uv = require "luv"

local process = {}

--- How long a child may take to end after a polite request, in ms.
local GRACE = 3000
--- What one child may print before we stop keeping it: far above any report.
local OUTPUT_BYTES = 4 << 20

-- The limit is raised here because a Lua program cannot raise its own.
local LAUNCH = [[ulimit -n "$(ulimit -Hn)"; exec setpriv --pdeathsig TERM "$@"]]

local live = {}
local interrupted = false

---@class bench.child
---@field pid integer
---@field out string standard output so far
---@field err string standard error so far
---@field code integer? exit code, once it ended
---@field signal integer? the signal that ended it, 0 for none
---@field timed_out boolean? it was ended for taking too long

--- Pumps the loop until `condition()` is true. False when `timeout` ms went by first.
---@param condition fun(): any
---@param timeout integer
---@return boolean
function process.wait(condition, timeout)
  local expired = false
  local timer = uv.new_timer()
  timer:start(timeout, 0, function() expired = true end)
  while not (condition() or expired or interrupted) do uv.run("once") end
  timer:close()
  uv.run("nowait")
  if interrupted then error("interrupted", 0) end
  return not expired
end

local function environment(extra)
  local env = {}
  for name, value in pairs(uv.os_environ()) do
    if not extra[name] then env[#env + 1] = name .. "=" .. value end
  end
  for name, value in pairs(extra) do env[#env + 1] = name .. "=" .. value end
  return env
end

local function collect(pipe, child, field)
  pipe:read_start(function(_, data)
    if data and #child[field] < OUTPUT_BYTES then child[field] = child[field] .. data end
    if not data then
      child.open_pipes = child.open_pipes - 1
      pipe:close()
    end
  end)
end

--- Starts a program.
---@param argv string[]
---@param options { cpus: string?, env: table<string, string>? }?
---@return bench.child
function process.start(argv, options)
  options = options or {}
  local args = { "-c", LAUNCH, "sh" }
  if options.cpus then table.move({ "taskset", "-c", options.cpus }, 1, 3, 4, args) end
  table.move(argv, 1, #argv, #args + 1, args)
  local child = { out = "", err = "", open_pipes = 2 }
  local out, err = uv.new_pipe(), uv.new_pipe()
  local handle, pid
  handle, pid = uv.spawn("/bin/sh", {
    args = args,
    env = environment(options.env or {}),
    stdio = { nil, out, err },
  }, function(code, signal)
    child.code, child.signal = code, signal
    live[child] = nil
    handle:close()
  end)
  if not handle then error(("cannot start %s: %s"):format(argv[1], pid), 0) end
  child.pid = pid
  live[child] = true
  collect(out, child, "out")
  collect(err, child, "err")
  return child
end

local function has_ended(child)
  return function() return child.code and child.open_pipes == 0 end
end

--- Ends a child: asks, waits, insists. Harmless when it has ended already.
---@param child bench.child
function process.stop(child)
  if not live[child] then return end
  uv.kill(child.pid, "sigterm")
  if not process.wait(function() return child.code end, GRACE) then
    uv.kill(child.pid, "sigkill")
    process.wait(function() return child.code end, GRACE)
  end
end

--- Runs a program to its end, or for `timeout` ms.
---@param argv string[]
---@param options { cpus: string?, env: table<string, string>?, timeout: integer }
---@return bench.child
function process.run(argv, options)
  local child = process.start(argv, options)
  if not process.wait(has_ended(child), options.timeout) then
    child.timed_out = true
    process.stop(child)
  end
  return child
end

--- Runs a program that must succeed; raises what it printed when it does not.
---@param argv string[]
---@param options { cpus: string?, env: table<string, string>?, timeout: integer }
---@return bench.child
function process.must(argv, options)
  local child = process.run(argv, options)
  if child.timed_out then error(argv[1] .. ": took too long", 0) end
  if child.code == 0 then return child end
  local text = #child.err > 0 and child.err or child.out
  error(("%s failed (%s):\n%s"):format(argv[1], child.code, text), 0)
end

--- True when `name` is a program on the path.
---@param name string
---@return boolean
function process.exists(name)
  for dir in (os.getenv("PATH") or ""):gmatch("[^:]+") do
    if uv.fs_access(dir .. "/" .. name, "X") then return true end
  end
  return false
end

local function stop_all()
  interrupted = false
  for child in pairs(live) do process.stop(child) end
end

local function watch_signals()
  local signals = {}
  for i, name in ipairs({ "sigint", "sigterm", "sighup" }) do
    signals[i] = uv.new_signal()
    signals[i]:start(name, function() interrupted = true end)
  end
  return signals
end

--- Runs `main(...)`, ends every child whatever happens, and exits the process.
---@param main fun(...): integer? returns an exit code
function process.main(main, ...)
  local signals = watch_signals()
  local ok, code = xpcall(main, function(e)
    return type(e) == "string" and not e:find("^[^:]+%.lua:%d+:") and e or debug.traceback(e)
  end, ...)
  stop_all()
  for _, signal in ipairs(signals) do signal:close() end
  uv.run("nowait")
  if ok then os.exit(code or 0) end
  io.stderr:write(arg[0], ": ", tostring(code), "\n")
  os.exit(2)
end

return process
