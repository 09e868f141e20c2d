-- SPDX-License-Identifier: MIT
--
-- What little input unpacks to is made in steps: in each turn of the loop so
-- much and not more, whoever takes it, so that others get on meanwhile.
local async = require "spec.support.async"
local codings = require "spec.support.codings"
local core = require "multisocket.core"
local ms = require "multisocket"
local peer = require "spec.support.peer"

local MiB = 1 << 20
local TURN = 512 * 1024 -- MS_DECODING_TURN
local PIECE = 16 * 1024 -- one may be made on top, and one wait from before
local VERSIONS = { "1.1", "2-prior-knowledge" }
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local SERVE = { { { "request" }, { "send", OK }, { "repeat" } } }

-- A response of so many zeros, gzipped.
local function coded(n)
  local body = codings.encode("gzip", ("\0"):rep(n))
  return ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"):format(
    #body) .. body
end

describe("a bomb", function()
  local node

  setup(function() node = codings.start() end)
  teardown(function() node:stop() end)

  -- Entry by entry, of which each has its turn; the most that came in one, and
  -- in how many anything did.
  local function turns(options)
    local multi <close> = core.multi({})
    local easy = core.easy(options)
    local now, most, busy, all = 0, 0, 0, 0
    if not options.collected then
      easy:setopt({ on_data = function(chunk) now = now + #chunk end })
    end
    multi:add_handle(easy)
    while multi:perform() > 0 do
      assert.is_nil(multi:check())
      all, most, busy = all + now, math.max(most, now), busy + (now > 0 and 1 or 0)
      now = 0
      multi:poll(1000)
    end
    local _, ok, err = multi:info_read()
    assert.is_true(ok, tostring(err))
    return all + now, math.max(most, now), busy, easy
  end

  it("is delivered in steps, however little of it there is", function()
    for _, version in ipairs(VERSIONS) do
      local all, most, busy = turns({ url = node:url(version, "/bomb/64"), version = version,
        max_body = false })
      assert.equal(64 * MiB, all)
      assert.is_true(most <= TURN + 2 * PIECE, ("%d bytes in one turn"):format(most))
      assert.is_true(busy >= 120)
    end
  end)

  it("is so in every coding, and in several", function()
    for _, how in ipairs { "gzip", "deflate", "bare-deflate", "br", "zstd", "gzip+gzip" } do
      local zeros = ("\0"):rep(3 * MiB + 1)
      local body = codings.encode(how, zeros)
      local known = ms.features()[({ br = "brotli", zstd = "zstd" })[how] or "http2"]
      local p <close> = peer.start { { { "request" }, { "send",
        ("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"):format(
          how:gsub("bare%-", ""):gsub("%+", ", "), #body) .. body }, { "hang" } } }
      local all, most = turns({ url = p:url() })
      assert.equal(known and #zeros or #body, all, how)
      assert.is_true(most <= TURN + 2 * PIECE, how)
    end
  end)

  it("is so when it comes in crumbs, none of which makes much", function()
    -- Raw deflate of 8 KiB of zeros, up to a byte's end: as often as one likes.
    local crumb = ("ecc1010d000000c2a0f74f6d0e37a0000000000000008077030000ffff"):gsub("..",
      function(hex) return string.char(tonumber(hex, 16)) end)
    local chunk = ("%x\r\n%s\r\n"):format(#crumb, crumb)
    local p <close> = peer.start { { { "request" }, { "send",
      "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      chunk:rep(2000) .. "2\r\n\3\0\r\n0\r\n\r\n" }, { "hang" } } }
    local all, most = turns({ url = p:url(), max_body = false })
    assert.equal(2000 * 8192, all)
    assert.is_true(most <= TURN + 2 * PIECE, ("%d bytes in one turn"):format(most))
  end)

  -- Starts a bomb that takes longer than anybody waits, and with its first piece
  -- a request for `url`; gives its body when it has come, while the bomb goes on.
  local function beside(client, version, url)
    local small, over, begun
    local bomb = client:request(node:url(version, "/bomb/16384"), { version = version,
      max_body = false, on_data = function()
        if begun then return end
        begun = client:request(url, function(err, res) small = res or { failed = err } end)
      end }, function(err, res) over = err or res end)
    while not small and not over do ms.sleep(1) end
    assert.is_nil(over, "the bomb was faster")
    bomb:cancel()
    return assert(small.body, small.failed)
  end

  it("leaves another transfer the time it takes", async(function()
    for _, version in ipairs(VERSIONS) do
      local p <close> = peer.start(SERVE)
      local client <close> = ms.client()
      assert.equal("ok", beside(client, version, p:url()))
    end
  end))

  it("shares a connection of HTTP/2", async(function()
    local client <close> = ms.client({ version = "2-prior-knowledge" })
    assert.equal(codings.TEXT, beside(client, VERSIONS[2], node:url(VERSIONS[2], "/gzip")))
    assert.equal(1, client:stats().opened)
  end))

  it("is not slow nor idle for the time that others take", async(function()
    local uv = require "luv"
    local coding = ms.features().brotli and "br" or "gzip" -- a hundred bytes, or 16 KiB
    local body = codings.encode(coding, ("\0"):rep(16 * MiB))
    local p <close> = peer.start { { { "request" }, { "send",
      ("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"):format(coding,
        #body) .. body }, { "repeat" } } }
    for _, opts in ipairs { { timeout = { idle = 500 } },
      { low_speed = { limit = 1000000, time = 500 } } } do
      local client <close> = ms.client()
      local n = 0
      -- All of it is here after a moment, and every second turn takes its time.
      opts.on_data = function(chunk)
        n = n + #chunk
        if n % (2 * TURN) == 0 then uv.sleep(70) end
      end
      opts.max_body = false
      assert(client:fetch(p:url(), opts))
      assert.equal(16 * MiB, n)
    end
  end))

  it("does not mind a host that takes long between two turns", async(function()
    local uv = require "luv"
    local p <close> = peer.start { { { "request" }, { "send", coded(8 * MiB) }, { "repeat" } } }
    for _, opts in ipairs { { timeout = { idle = 500 } },
      { low_speed = { limit = 1000000, time = 500 } } } do
      local client <close> = ms.client()
      local n, stalled = 0, false
      opts.on_data = function(chunk)
        n = n + #chunk
        if n < TURN or stalled then return end
        stalled = true
        uv.sleep(700)
      end
      opts.max_body = false
      assert(client:fetch(p:url(), opts))
      assert.equal(8 * MiB, n)
    end
  end))

  -- The time that is watched begins again with what comes after the rest.
  it("is idle when no more of it comes", async(function()
    local bytes = coded(8 * MiB)
    local p <close> = peer.start { { { "request" }, { "send", bytes:sub(1, -9) }, { "hang" } } }
    local client <close> = ms.client()
    local _, err = client:fetch(p:url(), { timeout = { idle = 100 }, max_body = false,
      on_data = function() end })
    assert.equal("timed_out", err.code)
    assert.truthy(err.message:find("idle", 1, true))
  end))

  it("may be paused, cancelled and ended while it rests", function()
    for _, version in ipairs(VERSIONS) do
      local multi <close> = core.multi({})
      local n = 0
      local easy = core.easy({ url = node:url(version, "/bomb/64"), version = version,
        max_body = false, on_data = function(chunk) n = n + #chunk end })
      local function drive(done)
        while not done() do
          assert.is_true(multi:perform() > 0, "it has ended")
          assert.is_nil(multi:check())
          multi:poll(100)
        end
      end
      multi:add_handle(easy)
      drive(function() return n >= TURN end)
      easy:pause(core.PAUSE_RECV)
      local stood = n
      for _ = 1, 5 do
        multi:perform()
        multi:poll(1)
      end
      assert.equal(stood, n)
      easy:pause(core.PAUSE_CONT)
      drive(function() return n > stood + TURN end)
      multi:remove_handle(easy)
      stood = n
      multi:perform()
      assert.equal(stood, n)
      multi:add_handle(easy)
      n = 0
      drive(function() return n >= TURN end)
      assert.equal(1, multi:running())
    end
  end)

  it("that is collected ends where it may", async(function()
    local client <close> = ms.client()
    local _, err = client:fetch(node:url("1.1", "/bomb/64"), { max_body = 20 * MiB })
    assert.equal("body_too_large", err.code)
    assert.equal(20 * MiB, #assert(client:fetch(node:url("1.1", "/bomb/20"),
      { max_body = 20 * MiB })).body)
  end))
end)
