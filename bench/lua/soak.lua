-- SPDX-License-Identifier: MIT
--
-- Many fetches one after another, then as many 100 at a time: what Lua holds, what the process
-- holds and how many descriptors are open, at the start, in the middle and at the end of each.
-- Exit code 1 when anything grew from the middle to the end: by then all that may be kept is kept.
--
--   soak.lua --url URL [--requests N]

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local common = require "common"
local ms = require "multisocket"

--- Noise, not a leak: 50,000 requests that lost one byte each would show.
local MOST = { lua_kib = 16, rss_kib = 256, fds = 0 }

-- peak_kib is before a collection: what the process came to between two looks and earlier.
local LINE = "%-12s %-7s lua_kib=%.1f rss_kib=%.0f peak_kib=%d fds=%d"

local options = common.options({ requests = 100000 })
local failed = false

local function look(name, place)
  local now = common.footprint()
  local peak = common.usage().max_rss_kib
  print(LINE:format(name, place, now.lua_kib, now.rss_kib, peak, now.fds))
  return now
end

local function half(client, concurrency)
  local part = { requests = options.requests // 2, concurrency = concurrency, held = 0, hosts = 1 }
  part.url = options.url
  local tally = common.fetch_all(client, part)
  if tally.failed > 0 then
    failed = true
    io.stderr:write(("%d requests failed: %s\n"):format(tally.failed, tostring(tally.err)))
  end
end

local function soak(client, name, concurrency)
  look(name, "start")
  half(client, concurrency)
  local middle = look(name, "middle")
  half(client, concurrency)
  local last = look(name, "end")
  for what, most in pairs(MOST) do
    if last[what] - middle[what] > most then
      failed = true
      io.stderr:write(("%s: %s grew from %.1f to %.1f\n"):format(
        name, what, middle[what], last[what]))
    end
  end
end

local before, after
ms.run(function()
  before = common.footprint()
  local client = ms.client()
  soak(client, "sequential", 1)
  soak(client, "concurrent", 100)
  client:close()
  ms.sleep(1) -- luv closes its handles in the next turn of the loop
  after = look("client", "closed")
end)
if after.fds > before.fds + 1 then -- the loop's own descriptor may be new
  failed = true
  io.stderr:write(("%d descriptors are left\n"):format(after.fds - before.fds))
end
os.exit(not failed, true) -- closes the state, for leak checkers
