-- SPDX-License-Identifier: MIT
--
-- As many large bodies at a time as HTTP/2 has streams, and one more whose reader takes nothing
-- until the others are done: how fast are those, what memory does it take, and does the last one
-- go on? Exit code 1 when a byte is missing.
--
--   paused.lua --url URL [--concurrency C]

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local common = require "common"
local ms = require "multisocket"

local SIZE = 10 * 1024 * 1024 -- of the server's file
local LINE = "%d bodies of 10 MiB and one paused: %.0f MB/s, cpu_ms=%.0f, grown_mib=%.1f"

local options = common.options({ concurrency = 99 })

-- The kernel's high-water mark of this program; getrusage() knows the one before exec too.
local function peak_mib()
  local file = assert(io.open("/proc/self/status"))
  local text = file:read("a")
  file:close()
  return text:match("VmHWM:%s*(%d+)") / 1024
end

local function read_all(client)
  local n = 0
  assert(client:fetch(options.url, { on_data = function(data) n = n + #data end }))
  assert(n == SIZE, "a body is not complete")
end

local function run()
  local client = ms.client({ version = "2-prior-knowledge" })
  local from, before = common.usage(), peak_mib()
  local paused = assert(client:fetch(options.url, { stream = true }))
  local tasks = {}
  for i = 1, options.concurrency do tasks[i] = ms.spawn(read_all, client) end
  for _, task in ipairs(tasks) do assert(task:wait()) end
  local to = common.usage()
  local n = 0
  for chunk in paused:chunks() do n = n + #chunk end
  assert(n == SIZE, "the paused body is not complete")
  print(LINE:format(options.concurrency, options.concurrency * SIZE / 1e6 / (to.wall - from.wall),
    (to.user + to.sys - from.user - from.sys) * 1000, peak_mib() - before))
  assert(client:stats().opened == 1)
  client:close()
  return true
end

os.exit(ms.run(run))
