-- SPDX-License-Identifier: MIT
--
-- What TLS wants of the socket is what the host is told: a transfer that waits
-- costs no turn of the loop, in either direction, and no byte stays inside TLS
-- of which no event would tell.
local core = require "multisocket.core"
local certs = require "spec.support.certs"
local drive = require "spec.support.drive"
local tls_peer = require "spec.support.tls_peer"
local uv = require "luv"

local MIB = 1 << 20
local SIZE = 16 * MIB -- more than two sockets hold, whatever they grow to
local TURNS = 5
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

-- The loop calls the multi only when it was told to: its calls can be counted.
local function new_drive(opts)
  local kind = drive.kind
  drive.kind = "raw"
  local d = drive.new(opts)
  drive.kind = kind
  return d
end

local function start(d, url, opts)
  local all = { url = url, tls = { ca_file = certs.get("root").cert }, version = "1.1" }
  for key, value in pairs(opts or {}) do all[key] = value end
  local easy = core.easy(all)
  d.multi:add_handle(easy)
  return easy
end

-- Turns until some of them go by in which the multi has nothing to do. One
-- that is called for nothing never comes to that.
local function assert_quiet(d)
  d:run(function()
    local before = d.multi:stats().actions
    for _ = 1, TURNS do d.mode.turn(5) end
    return d.multi:stats().actions == before
  end)
end

local function assert_ok(d, easy)
  local ended, ok, err = d.multi:info_read()
  assert.equal(easy, ended)
  assert.is_true(ok, err and err.message)
  d.multi:remove_handle(easy)
end

describe("C40 a paused transfer", function()
  local function head(n) return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(n) end

  -- Pauses at the first bytes, goes on when everything is still.
  local function pause_once(d, url)
    local got, paused = 0, false
    local easy
    easy = start(d, url, { on_data = function(chunk)
      got = got + #chunk
      if paused then return end
      paused = true
      easy:pause(core.PAUSE_RECV)
    end })
    d:run(function() return paused end)
    assert_quiet(d)
    local before = got
    easy:pause(core.PAUSE_CONT)
    return easy, before, function() return got end
  end

  for _, version in ipairs({ "tls1_2", "tls1_3" }) do
    it("costs nothing, and comes whole, " .. version, function()
      local p <close> = tls_peer.start({ { { "request" }, { "send", head(SIZE) },
        { "fill", SIZE }, { "hang" } } }, { version = version })
      local d <close> = new_drive()
      local easy, before, got = pause_once(d, p:url())
      assert.is_true(before < SIZE)
      d:run()
      assert.equal(SIZE, got())
      assert_ok(d, easy)
    end)

    -- All of it was read and decrypted together: the peer has no more to say.
    it("has what came with the bytes before, " .. version, function()
      local p <close> = tls_peer.start({ { { "request" },
        { "send", head(20000) .. ("x"):rep(20000), 1000 }, { "hang" } } }, { version = version })
      local d <close> = new_drive()
      local easy, _, got = pause_once(d, p:url())
      d:run()
      assert.equal(20000, got())
      assert_ok(d, easy)
    end)
  end

  it("costs nothing while keys and tickets come", function()
    local p <close> = tls_peer.start({ { { "request" }, { "send", head(4) .. "ha" },
      { "key_update", true }, { "ticket" }, { "key_update" }, { "send", "lf" }, { "hang" } } },
      { version = "tls1_3" })
    local d <close> = new_drive()
    local easy, _, got = pause_once(d, p:url())
    d:run()
    assert.equal(4, got())
    assert_ok(d, easy)
  end)
end)

describe("C40 an upload whose peer stands still", function()
  -- Stops the peer when the upload is under way, and lets it go on when
  -- everything is still.
  local function stand_still(script, version)
    local p <close> = tls_peer.start({ script }, { version = version, record = false })
    local d <close> = new_drive()
    local easy = start(d, p:url(), { method = "PUT", body = ("x"):rep(SIZE) })
    d:run(function() return p:count("handshake") == 1 and d.multi:stats().bytes_out > 0 end)
    uv.kill(p.pid, "sigstop")
    assert_quiet(d)
    assert.is_true(d.multi:stats().bytes_out < SIZE)
    local _, what = next(d.watched)
    assert.equal(core.POLL_INOUT, what)
    uv.kill(p.pid, "sigcont")
    d:run()
    assert_ok(d, easy)
    assert.equal("ok", easy:response().body)
  end

  for _, version in ipairs({ "tls1_2", "tls1_3" }) do
    it("costs nothing, and goes on, " .. version, function()
      stand_still({ { "handshake" }, { "request" }, { "send", OK }, { "hang" } }, version)
    end)
  end

  -- What TLS wants to say in between goes behind what the socket did not take.
  it("changes its keys in the middle", function()
    local script = { { "handshake" } }
    for i = 1, 8 do
      script[2 * i] = { "key_update", true }
      script[2 * i + 1] = { "bytes", SIZE // 16 }
    end
    -- All of the body but as much as the head has.
    table.move({ { "bytes", SIZE // 2 }, { "send", OK }, { "hang" } }, 1, 3, #script + 1, script)
    stand_still(script, "tls1_3")
  end)
end)

describe("C41 a certificate that is refused", function()
  it("runs no callback but the last", function()
    local p <close> = tls_peer.start({ { { "request" }, { "send", OK }, { "close" } } },
      { cert = certs.get("expired") })
    local calls = {}
    local function note(name) return function() calls[#calls + 1] = name end end
    local d <close> = new_drive({ donefunction = note("done") })
    start(d, p:url(), { on_data = note("data"), on_headers = note("headers") })
    d:run()
    assert.same({ "done" }, calls)
  end)
end)
