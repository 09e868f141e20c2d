-- SPDX-License-Identifier: MIT
--
-- B10: HTTP/2 peers that send frames without end. Whether a limit ends them or
-- the deadline does: memory stays flat, and other transfers of the same client
-- go on meanwhile.
local async = require "spec.support.async"
local h2 = require "spec.support.h2_peer"
local ms = require "multisocket"
local process = require "spec.support.process"
local servers = require "spec.support.h2_servers"

local ENDLESS = 1 << 40 -- bytes; no flood gets that far
local WRITE = 65536 -- bytes that the peer sends at a time
local DEADLINE = 400 -- ms; a flood that no limit stops fills it
local LONG = 15000 -- ms; a flood that a limit stops does not come near
local MOST_KIB = 24 * 1024 -- what floods may add to the memory, all buffers and garbage included
local TOOL = os.getenv("SPEC_TOOL") -- which keeps memory that was freed

local function flood(frames) return { "fill", ENDLESS, frames:rep(WRITE // #frames + 1) } end

local OVER = h2.ok(1) .. h2.data(1, "", 1)
local HALF = h2.headers(3, { { ":status", "200" } }, 0) -- a head that goes on
local FIELDS = h2.block { { "name", ("v"):rep(48) } }:rep(16384 // 56)

local DATA = h2.data(1, "x")

-- name, frames, what comes before them, and what is said
local STOPPED = {
  { "PING", h2.ping },
  { "PING answers", h2.frame(h2.PING, 1, 0, "12345678") },
  { "SETTINGS", h2.settings() },
  { "SETTINGS that say much", h2.frame(h2.SETTINGS, 0, 0, ("\0\3\0\0\0\x64"):rep(2000)) },
  { "SETTINGS answers", h2.settings_ack, "", "PROTOCOL_ERROR" },
  { "WINDOW_UPDATE", h2.window(0, 1) },
  { "WINDOW_UPDATE of a stream", h2.window(1, 1) },
  { "PRIORITY", h2.frame(h2.PRIORITY, 0, 3, "\0\0\0\0\1") },
  { "RST_STREAM", h2.rst(1, 8), OVER },
  { "GOAWAY", h2.goaway(0x7fffffff, 0) },
  { "unknown", h2.frame(250, 0, 0, "abc") },
  { "unknown and full", h2.frame(250, 0, 0, ("x"):rep(16384)) },
  { "empty DATA", h2.data(1, ""), h2.ok(1) },
  { "DATA that is padding", h2.data(1, "\xff" .. ("\0"):rep(255), 8), h2.ok(1) },
  { "DATA of a stream that is over", h2.data(1, "x"), OVER },
  { "empty CONTINUATION", h2.frame(h2.CONTINUATION, 0, 3, ""), HALF },
  { "full CONTINUATION", h2.frame(h2.CONTINUATION, 0, 3, FIELDS), HALF, "too large" },
  -- What DATA makes up for is no flood, but so many answers are in one read:
  { "DATA and PING", DATA .. h2.ping, h2.ok(1) },
  { "DATA and SETTINGS", DATA .. h2.settings(), h2.ok(1) },
}

-- What a well-behaved peer could send too, only not so much of it.
local TOLERATED = {
  { "DATA of a byte", flood(DATA) },
  { "full DATA", flood(h2.data(1, ("x"):rep(16384))) },
  { "DATA and WINDOW_UPDATE", flood(DATA .. h2.window(0, 1)) },
  { "PING now and then", { "split", h2.ping:rep(1000), #h2.ping, 25 } },
}

-- Fetches from another server until the flood's victim has ended.
local function meanwhile(client, server, victim)
  local done = 0
  repeat
    local res = assert(client:fetch(server:url("/hello.txt")))
    assert.equal("hello\n", res.body)
    done = done + 1
  until victim.status ~= "running"
  return done
end

local function used()
  collectgarbage()
  collectgarbage()
  return process.rss_kib()
end

describe("B10 a flood of HTTP/2 frames", function()
  local server
  setup(function() server = servers.nghttpd() end)
  teardown(function() server:stop() end)

  -- One fetch on stream 1, one on stream 3 that the flood takes with it.
  local function play(steps, timeout)
    local p <close> = h2.peer { { "frame", h2.HEADERS }, table.unpack(steps) }
    local client <close> = ms.client { version = "2-prior-knowledge" }
    local opts = { timeout = timeout, on_data = function() end }
    local first = ms.spawn(function() return client:fetch(p:url("/"), opts) end)
    local second = ms.spawn(function() return client:fetch(p:url("/"), opts) end)
    local before = used()
    local done = meanwhile(client, server, second)
    local grown = used() - before
    first:wait()
    assert.is_true(grown < MOST_KIB or TOOL ~= nil, grown .. " KiB")
    return done, second:wait()
  end

  for _, case in ipairs(STOPPED) do
    it("ends the connection: " .. case[1], async(function()
      local _, ok, err = play({ { "send", case[3] or "" }, flood(case[2]) }, LONG)
      assert.is_false(ok)
      assert.equal(case[4] == "too large" and "headers_too_large" or "http2_error", err.code)
      assert.matches(case[4] or "ENHANCE_YOUR_CALM", err.message, 1, true)
    end))
  end

  for _, case in ipairs(TOLERATED) do
    it("lasts until the deadline: " .. case[1], async(function()
      local done, ok, err = play({ { "send", h2.ok(1) }, case[2], { "hang" } }, DEADLINE)
      assert.is_false(ok)
      assert.equal("timed_out", err.code, err.message)
      assert.is_true(done > 1, "only " .. done .. " others")
    end))
  end
end)
