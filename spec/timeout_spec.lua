-- SPDX-License-Identifier: MIT
--
-- The limits on time: each alone, and none moved by another.
local uv = require "luv"
local core = require "multisocket.core"
local luv = require "multisocket.luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"

local HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
local LONG = 60000
local SHORT = 500 -- enough for a peer that waits for a processor to have answered

local function timed_out(why, phase, res, err)
  assert.is_nil(res)
  assert.equal("timed_out", err.code, err.message)
  assert.equal("timeout", err.category)
  assert.equal(phase, err.phase)
  assert.matches(why, err.message, 1, true)
end

describe("timeout.first_byte", function()
  it("is from the request's last byte to the first of the response", async(function()
    local p <close> = peer.start({ { { "request" }, { "hang" } } })
    timed_out("first_byte", "headers", ms.fetch(p:url(), { timeout = { first_byte = 30 } }))
  end))

  it("is met by one byte, and then counts no more", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", "H" }, { "delay", 1500 },
      { "send", HEAD:sub(2) .. "0123456789" } } })
    local res = assert(ms.fetch(p:url(), { timeout = { first_byte = 1000 } }))
    assert.equal("0123456789", res.body)
  end))

  it("does not run while the request is being sent", async(function()
    local body = ("x"):rep(8 << 20)
    local p <close> = peer.start({ { { "head" }, { "stop_reading" }, { "delay", 300 }, { "read" },
      { "bytes", 1 }, { "delay", 50 }, { "eof" } } }, { record = false })
    timed_out("first_byte", "headers", ms.fetch(p:url(), { body = body,
      timeout = { first_byte = 200, total = 20000 } }))
  end))
end)

describe("timeout.idle", function()
  it("ends what stands still in the middle of the body", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", HEAD .. "01234" }, { "hang" } } })
    timed_out("idle", "body", ms.fetch(p:url(), { timeout = { idle = SHORT } }))
  end))

  it("begins anew with every byte", async(function()
    local p <close> = peer.start({ { { "request" }, { "split", HEAD .. "0123456789", 2, 50 } } })
    local res = assert(ms.fetch(p:url(), { timeout = { idle = 700 } }))
    assert.equal("0123456789", res.body)
  end))

  it("ends an upload that nobody reads", async(function()
    local p <close> = peer.start({ { { "stop_reading" }, { "hang" } } })
    timed_out("idle", "send", ms.fetch(p:url(), { body = ("x"):rep(16 << 20),
      timeout = { idle = SHORT } }))
  end))
end)

describe("a limit", function()
  it("of silence hears what came while the host was away", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", HEAD .. "01234" }, { "delay", 20 },
      { "send", "56789" } } })
    local got = {}
    local function stay_away(chunk)
      got[#got + 1] = chunk
      if #got > 1 then return end
      p:wait("end") -- now the rest is in the socket
      uv.sleep(SHORT + 200)
    end
    assert(ms.fetch(p:url(), { timeout = { idle = SHORT }, on_data = stay_away }))
    assert.equal("0123456789", table.concat(got))
  end))
end)

describe("the phase of a timeout", function()
  it("is headers until the head is whole", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", "HTTP/1.1 200 OK\r\nX: " },
      { "hang" } } })
    timed_out("", "headers", ms.fetch(p:url(), { timeout = SHORT }))
  end))
end)

describe("low_speed", function()
  it("ends what is slower on average", async(function()
    local head = HEAD:gsub("10", "1000")
    local p <close> = peer.start({ { { "request" }, { "send", head },
      { "split", ("x"):rep(1000), 1, 5 } } })
    timed_out("low_speed", "body", ms.fetch(p:url(), { low_speed = { limit = 100000, time = SHORT },
      timeout = { total = LONG } }))
  end))

  it("lets pass what is fast enough, whatever the bursts", async(function()
    local text = HEAD .. "0123456789"
    local p <close> = peer.start({ { { "request" }, { "split", text, 20, 30 } } })
    assert(ms.fetch(p:url(), { low_speed = { limit = 1, time = 20000 } }))
  end))

  it("is a table with limit and time", function()
    for _, bad in ipairs({ 100, "x", true, { limit = 0 }, { limit = 1, time = 0 },
      { speed = 1 } }) do
      local ok, err = pcall(ms.client, { low_speed = bad })
      assert.is_false(ok)
      assert.equal("bad_option", err.code)
    end
  end)
end)

describe("limits on time", function()
  it("are not moved by neighbours on the same client", async(function()
    local slow <close> = peer.start({ { { "request" }, { "hang" } } })
    local busy <close> = peer.start({ { { "request" },
      { "send", HEAD .. "0123456789" }, { "repeat" } } })
    local client <close> = ms.client()
    local over = false
    local t = ms.spawn(function()
      while not over do assert(client:fetch(busy:url())) end
    end)
    timed_out("idle", "headers", client:fetch(slow:url(), { timeout = { idle = SHORT } }))
    timed_out("first_byte", "headers", client:fetch(slow:url(), { timeout = { first_byte = 50 } }))
    timed_out("total", "headers", client:fetch(slow:url(), { timeout = SHORT }))
    over = true
    assert(t:wait())
  end))

  -- K6: all are armed, one of them short: that one ends it, whatever the peer
  -- does that the others would bear.
  it("are independent of each other", async(function()
    local head = HEAD:gsub("10", "100000")
    local PEERS = {
      silent = { { "request" }, { "hang" } },
      stuck = { { "request" }, { "send", HEAD .. "0" }, { "hang" } },
      ["dripping its head"] = { { "request" }, { "split", "HTTP/1.1 200 " .. ("x"):rep(8000),
        1, 5 } },
      ["dripping its body"] = { { "request" }, { "send", head },
        { "split", ("x"):rep(100000), 1, 5 } },
    }
    local function limits(short, time)
      local opts = { timeout = { total = LONG, connect = LONG, first_byte = LONG, idle = LONG },
        low_speed = { limit = 1, time = LONG } }
      if short == "low_speed" then
        opts.low_speed = { limit = 100000, time = time }
      else
        opts.timeout[short] = time
      end
      return opts
    end
    -- Which of them end it, by peer, and in which phase.
    local ENDS = {
      silent = { total = "headers", first_byte = "headers", idle = "headers",
        low_speed = "headers" },
      stuck = { total = "body", idle = "body", low_speed = "body" },
      ["dripping its head"] = { total = "headers", low_speed = "headers" },
      ["dripping its body"] = { total = "body", low_speed = "body" },
    }
    local client <close> = ms.client()
    local all, peers = {}, {}
    local function ends(p, why, phase, opts)
      all[#all + 1] = function() timed_out(why, phase, client:fetch(p:url(), opts)) end
    end
    for who, script in pairs(PEERS) do
      local p = peer.start({ script }, { record = false })
      peers[#peers + 1] = p
      for short, phase in pairs(ENDS[who]) do ends(p, short, phase, limits(short, SHORT)) end
      -- What does not end it would: the transfer outlives that by far.
      for _, short in ipairs({ "first_byte", "idle", "connect" }) do
        local opts = limits(short, 3 * SHORT)
        opts.timeout.total = 8 * SHORT
        if not ENDS[who][short] then ends(p, "total", ENDS[who].total, opts) end
      end
    end
    for _, entry in ipairs(ms.gather(all, { concurrency = #all })) do
      if not entry.ok then error(entry.error, 0) end
    end
    assert.equal(0, client:stats().running)
    for _, p in ipairs(peers) do p:stop() end
  end))

  it("of zero, fractions, NaN and less than nothing raise", function()
    for _, name in ipairs({ "total", "connect", "first_byte", "idle" }) do
      for _, bad in ipairs({ 0, -1, 1.5, 0 / 0, math.huge, "1" }) do
        local ok, err = pcall(ms.client, { timeout = { [name] = bad } })
        assert.is_false(ok)
        assert.equal("bad_option", err.code)
        assert.matches("timeout." .. name, err.message, 1, true)
      end
    end
  end)

  it("of a client are defaults that false switches off", async(function()
    local p <close> = peer.start({ { { "request" }, { "delay", 1000 },
      { "send", HEAD .. "0123456789" } } })
    local client <close> = ms.client({ timeout = { first_byte = 200, idle = 200 } })
    timed_out("timeout", "headers", client:fetch(p:url()))
    local res = assert(client:fetch(p:url(), { timeout = { first_byte = false, idle = false } }))
    assert.equal("0123456789", res.body)
  end))
end)

describe("K7: a body that nobody takes", function()
  -- What one read takes; the pool's buffers are no larger.
  local BUFFER = 64 * 1024

  it("stops the peer within one buffer when on_data pauses", async(function()
    local p <close> = peer.start({ { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" },
      { "fill", 1000000000 } } })
    local multi <close> = core.multi({})
    local driver <close> = luv.attach(multi, uv) -- luacheck: ignore
    local calls, easy = 0, nil
    easy = core.easy({ url = p:url(), on_data = function()
      calls = calls + 1
      easy:pause(core.PAUSE_RECV)
    end })
    multi:add_handle(easy)
    for round = 1, 5 do
      while calls < round do ms.sleep(1) end
      local before = multi:stats().bytes_in
      assert.is_true(before <= (round + 1) * BUFFER, before .. " bytes in " .. round .. " pieces")
      for _ = 1, 20 do uv.run("nowait") end
      ms.sleep(1)
      assert.equal(before, multi:stats().bytes_in)
      assert.equal(round, calls)
      easy:pause(core.PAUSE_CONT)
    end
  end))
end)
