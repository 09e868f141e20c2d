-- SPDX-License-Identifier: MIT
--
-- N transfers wait at once in one Lua process, each with timeouts set, and all are answered: memory
-- and CPU time per transfer. Coroutines included. Exit code 1 when one was not answered.
--
--   held.lua --url URL/delay/MS [--concurrency N] [--hosts H] [--driver poll|epoll]

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local common = require "common"
local ms = require "multisocket"
local uv = require "luv"

--- Longer than any answer takes: they are there to be kept, not to strike.
local TIMEOUT = { connect = 60000, total = 120000 }

local options = common.options({ concurrency = 10000 })
options.requests = options.concurrency

-- What the process holds once every transfer has its connection and none is answered yet.
local function watch(client, before, result)
  repeat
    ms.sleep(20)
    local now = client:stats()
    if now.running == options.concurrency and now.connections == options.concurrency then
      result.kib = (uv.resident_set_memory() - before) / 1024 / options.concurrency
    end
  until now.done > 0
end

local function run()
  local client = ms.client({ max_idle = options.concurrency, timeout = TIMEOUT })
  collectgarbage()
  collectgarbage()
  local from, held = common.usage(), {}
  local watcher = ms.spawn(watch, client, uv.resident_set_memory(), held)
  local tally = common.fetch_all(client, options)
  local to = common.usage()
  watcher:wait()
  print(("held=%d answered=%d failed=%d cpu_us=%.2f kib_while_held=%.2f kib_peak=%.2f wall=%.2f")
    :format(options.concurrency, tally.ok, tally.failed,
      common.cpu_us(from, to, options.requests), held.kib or -1,
      (to.max_rss_kib - from.max_rss_kib) / options.concurrency, to.wall - from.wall))
  if tally.err then io.stderr:write(tostring(tally.err), "\n") end
  client:close()
  return tally.failed == 0
end

os.exit(ms.run(run))
