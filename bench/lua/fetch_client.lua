-- SPDX-License-Identifier: MIT
--
-- Our fetch() from Lua on luv, with the command line and the report of the C clients: N long-lived
-- coroutines, each fetching one URL after another and reading status and body.

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local common = require "common"
local ms = require "multisocket"

local REPORT = "ok=%d failed=%d opened=%d user=%.6f sys=%.6f wall=%.6f "
  .. "rss_start_kib=%d rss_max_kib=%d"

local options = common.options()

-- HTTP/2 is agreed on in the handshake where there is one.
local function version()
  if options.http2 then return options.url:find("^https:") and "2" or "2-prior-knowledge" end
end

local function new_client()
  return ms.client({
    max_idle = options.concurrency + options.held,
    fresh_connection = options.new_connections,
    version = version(),
    tls = options.ca and { ca_file = options.ca, session_reuse = not options.no_resume } or nil,
    headers = options.new_connections and { connection = "close" } or nil,
  })
end

local function run()
  local before = common.usage()
  local client = new_client()
  if options.held > 0 then common.hold_open(client, options.held, options.held_url) end
  local from = common.usage()
  local tally = common.fetch_all(client, options)
  local to = common.usage()
  print(REPORT:format(tally.ok, tally.failed, client:stats().opened, to.user - from.user,
    to.sys - from.sys, to.wall - from.wall, before.max_rss_kib, to.max_rss_kib))
  client:close()
  if tally.err then io.stderr:write(tostring(tally.err), "\n") end
  return tally.failed == 0
end

os.exit(ms.run(run))
