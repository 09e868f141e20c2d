-- SPDX-License-Identifier: MIT
--
-- Has transfers that are paused and connections that are idle, and then does nothing for ten
-- seconds, between the lines "begin" and "end" on stderr. Whoever traces it sees what wakes it.
--
--   idle.lua --url URL [--driver poll|epoll] [--http2] [--held-url URL]
--
-- URL is a large body; with --held-url another client drives itself, without an event library.

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local common = require "common"
local core = require "multisocket.core"
local ms = require "multisocket"

local SETTLE = 3000 -- ms: buffers of TLS and HTTP/2 are given back after one second
local QUIET = 10000 -- ms

local options = common.options()
local version = options.http2 and "2-prior-knowledge" or nil

local function mark(word) io.stderr:write(word, "\n") end

-- With luv: one paused body, one connection that rests.
local function with_luv()
  local client = ms.client({ version = version })
  local paused = assert(client:fetch(options.url, { stream = true }))
  assert(client:fetch(options.url, { method = "HEAD" }))
  ms.sleep(SETTLE)
  mark("begin")
  ms.sleep(QUIET)
  mark("end")
  paused:cancel()
  client:close()
  return true
end

local function poll_for(multi, time)
  local deadline = common.usage().wall + time / 1000
  while common.usage().wall < deadline do
    multi:perform()
    multi:poll(math.ceil((deadline - common.usage().wall) * 1000))
  end
end

-- The same with perform and poll.
local function by_itself()
  local multi = core.multi {}
  local paused
  paused = core.easy { url = options.url, version = version,
    on_data = function() paused:pause(core.PAUSE_RECV) end }
  multi:add_handle(paused)
  multi:add_handle(core.easy { url = options.url, method = "HEAD", version = version })
  poll_for(multi, SETTLE)
  mark("begin")
  poll_for(multi, QUIET)
  mark("end")
  multi:close()
  return true
end

os.exit(options.held_url and by_itself() or ms.run(with_luv))
