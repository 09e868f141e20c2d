-- SPDX-License-Identifier: MIT
--
-- Fetches over HTTP/2 from a server that ends every connection after some requests, as nginx does
-- (keepalive_requests): is any request lost? Exit code 1 when one is.
--
--   goaway.lua --url URL [--requests N] [--concurrency C]

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local common = require "common"
local ms = require "multisocket"

local LINE = "%d requests, %d at a time: ok=%d failed=%d opened=%d cpu_us=%.2f"

local options = common.options({ requests = 100000, concurrency = 100 })

local function run()
  local client = ms.client({ version = "2-prior-knowledge" })
  local from = common.usage()
  local tally = common.fetch_all(client, options)
  local cost = common.cpu_us(from, common.usage(), options.requests)
  print(LINE:format(options.requests, options.concurrency, tally.ok, tally.failed,
    client:stats().opened, cost))
  client:close()
  if tally.err then io.stderr:write(tostring(tally.err), "\n") end
  return tally.failed == 0
end

os.exit(ms.run(run))
