-- SPDX-License-Identifier: MIT
--
-- The body of flat.lua and sequential.lua: the same requests twice in one process, alone and among
-- held transfers.

local common = require "common"
local ms = require "multisocket"

local compare = {}

local function block(client, options)
  local from = common.usage()
  local tally = common.fetch_all(client, options)
  local to = common.usage()
  if tally.failed > 0 then error(tally.err) end
  return common.cpu_us(from, to, tally.ok)
end

-- Connections, caches and the collector's pace settle before anything counts.
local function warm_up(client, options)
  local few = setmetatable({ requests = options.requests // 10 }, { __index = options })
  common.fetch_all(client, few)
end

local function run(options)
  local client = ms.client({
    max_idle = options.concurrency + options.held,
    version = options.http2 and "2-prior-knowledge" or nil,
    max_concurrent_streams = options.http2 and options.concurrency + options.held + 1 or nil,
  })
  warm_up(client, options)
  local alone = block(client, options)
  local before = common.footprint()
  common.hold_open(client, options.held, options.held_url)
  local after = common.footprint()
  warm_up(client, options)
  local among = block(client, options)
  client:close()
  print(("concurrency=%d alone_us=%.2f held=%d among_us=%.2f ratio=%.3f held_kib=%.2f"):format(
    options.concurrency, alone, options.held, among, among / alone,
    (after.rss_kib - before.rss_kib) / math.max(options.held, 1)))
end

--- Measures and prints one line.
---@param defaults table of common.options
function compare.alone_and_among(defaults)
  ms.run(run, common.options(defaults))
end

return compare
