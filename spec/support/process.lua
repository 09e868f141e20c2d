-- SPDX-License-Identifier: MIT
--
-- Child processes for specs. Everything here is synchronous and owns no luv
-- handle, so it works inside and outside of a loop and leaves nothing for a
-- handle check to find. A child is a program started directly (no shell stays
-- between), its stdout and stderr go to files, and it dies with this process
-- (parent death signal), so a crashed spec leaves nobody behind.
--
--   local process = require "spec.support.process"
--   local r = process.run({ "lua5.4", "x.lua" }, { timeout = 5000 })
--   r.code, r.signal, r.stdout, r.stderr, r.timed_out
--
--   local child = process.start({ "lua5.4", "server.lua" })
--   child:first_line(5000)          -- waits for a whole first line of stdout
--   child:kill("sigint")
--   local r = child:wait(5000)      -- as above; killed when the time is over
local uv = require "luv"

local process = {}

local DEFAULT_TIMEOUT = 30000 -- ms; a spec's child that takes longer hangs
local POLL = 1 -- ms between two looks at a child

---@class spec.Result
---@field code integer? exit code, nil when a signal ended it
---@field signal integer? the signal that ended it, e.g. 9
---@field stdout string
---@field stderr string
---@field timed_out boolean the watchdog killed it

---@class spec.Process
---@field pid integer
local Process = {}
Process.__index = Process

local function quote(s)
  return "'" .. tostring(s):gsub("'", "'\\''") .. "'"
end

local function read_file(path)
  local f = io.open(path, "rb")
  if not f then return "" end
  local text = f:read("a")
  f:close()
  return text
end

-- A variable set to false is removed.
local function env_words(env)
  local words = {}
  for name, value in pairs(env or {}) do
    if value == false then
      table.insert(words, 1, "-u " .. quote(name)) -- options come first
    else
      words[#words + 1] = quote(name .. "=" .. tostring(value))
    end
  end
  return #words > 0 and "env " .. table.concat(words, " ") .. " " or ""
end

local function command_line(argv, opts, files)
  local words = {}
  for i, word in ipairs(argv) do words[i] = quote(word) end
  return (opts.cwd and "cd " .. quote(opts.cwd) .. " && " or "")
    .. (opts.files and ("ulimit -n %d && "):format(opts.files) or "")
    .. "echo $$ && exec setpriv --pdeathsig KILL -- " .. env_words(opts.env)
    .. table.concat(words, " ")
    .. " >" .. quote(files.out) .. " 2>" .. quote(files.err)
    .. " <" .. quote(opts.input or files.inp or "/dev/null")
end

local function write_input(text)
  local path = os.tmpname()
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  return path
end

---Starts a program without waiting for it.
---@param argv string[] the program (searched in PATH) and its arguments
---@param opts? { env: table?, cwd: string?, stdin: string?, input: string?, files: integer? }
---env: map of variables, false removes one; stdin: its whole input; input: path
---of its input instead, e.g. a pipe with a name; files: soft limit of open files
---@return spec.Process
function process.start(argv, opts)
  opts = opts or {}
  local files = { out = os.tmpname(), err = os.tmpname() }
  files.inp = opts.stdin and write_input(opts.stdin)
  local pipe = assert(io.popen(command_line(argv, opts, files), "r"))
  local pid = pipe:read("l")
  local self = setmetatable({ pid = tonumber(pid), pipe = pipe, files = files }, Process)
  if not self.pid then error("cannot start " .. argv[1], 2) end
  return self
end

---True until the program ended (a zombie has ended).
function Process:running()
  if self.result then return false end
  local stat = read_file("/proc/" .. self.pid .. "/stat")
  local state = stat:match("^.*%) (%a)")
  return state ~= nil and state ~= "Z"
end

---What it wrote so far.
function Process:stdout() return self.result and self.result.stdout or read_file(self.files.out) end
function Process:stderr() return self.result and self.result.stderr or read_file(self.files.err) end

---Waits for a complete first line of stdout and returns it; raises when the
---program ends or `timeout` ms pass before.
---@param timeout? integer
---@return string
function Process:first_line(timeout)
  local line
  local came = process.wait_until(function()
    line = self:stdout():match("^(.-)\n")
    return line or not self:running()
  end, timeout)
  line = line or self:stdout():match("^(.-)\n")
  if line then return line end
  error(("no line from the program (%s): %s"):format(came and "it ended" or "timeout",
    self:stderr()), 2)
end

---@param signal? string|integer default "sigterm"
function Process:kill(signal)
  if self:running() then uv.kill(self.pid, signal or "sigterm") end
end

---Waits for the end; after `timeout` ms (default 30000) the program is killed.
---May be called again: the result is kept.
---@param timeout? integer
---@return spec.Result
function Process:wait(timeout)
  if self.result then return self.result end
  local ended = process.wait_until(function() return not self:running() end, timeout)
  if not ended then uv.kill(self.pid, "sigkill") end
  local _, how, code = self.pipe:close()
  self.result = {
    code = how == "exit" and code or nil,
    signal = how == "signal" and code or nil,
    timed_out = not ended,
    stdout = read_file(self.files.out),
    stderr = read_file(self.files.err),
  }
  for _, path in pairs(self.files) do os.remove(path) end
  return self.result
end

---Ends it now, whatever it does. Harmless when it has ended.
---@return spec.Result
function Process:stop()
  self:kill("sigkill")
  return self:wait()
end

Process.__gc = function(self)
  if not self.result and self.pid then self:stop() end
end
Process.__close = Process.__gc

---Runs a program to its end. `opts` as for `start`, and `timeout` in ms.
---@param argv string[]
---@param opts? table
---@return spec.Result
function process.run(argv, opts)
  return process.start(argv, opts):wait(opts and opts.timeout)
end

---Looks at `condition` every millisecond until it gives something true, which
---is returned; false after `timeout` ms. Blocks, unless `pump` is given: it is
---called between two looks (e.g. `function() uv.run("nowait") end`).
---@param condition fun(): any
---@param timeout? integer default 30000
---@param pump? fun()
---@return any
function process.wait_until(condition, timeout, pump)
  local deadline = uv.hrtime() + (timeout or DEFAULT_TIMEOUT) * 1000000
  repeat
    local got = condition()
    if got then return got end
    if pump then pump() end
    uv.sleep(POLL)
  until uv.hrtime() > deadline
  return false
end

---@return integer open file descriptors of a process, of this one by default
function process.fd_count(pid)
  local n, dir = 0, uv.fs_scandir("/proc/" .. (pid or "self") .. "/fd")
  while dir and uv.fs_scandir_next(dir) do n = n + 1 end
  return pid and n or n - 1 -- without the directory's own
end

---@return integer resident KiB of a process, of this one by default
function process.rss_kib(pid)
  local text = read_file("/proc/" .. (pid or "self") .. "/status")
  return tonumber(text:match("VmRSS:%s*(%d+)")) or 0
end

---The most memory in use, since the last call of process.forget_peak.
---@return integer
function process.peak_kib()
  return tonumber(read_file("/proc/self/status"):match("VmHWM:%s*(%d+)"))
end

---From now on what is in use counts as the most that was (proc(5), clear_refs).
function process.forget_peak()
  local f <close> = assert(io.open("/proc/self/clear_refs", "w"))
  f:write("5")
end

return process
