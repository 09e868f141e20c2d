-- SPDX-License-Identifier: MIT
--
-- What becomes of a transfer when TLS breaks: the connection is cut, reset or
-- stalls behind every record the server sends, in the handshake and in each
-- kind of body; and what no good server does.
local ms = require "multisocket"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local server = require "spec.support.server"
local tls_peer = require "spec.support.tls_peer"
local tls_relay = require "spec.support.tls_relay"
local uv = require "luv"

local LIMIT = 30000 -- ms
local SHORT = 200 -- ms, for a transfer that is to run out of time
local PIECE = "0123456789"
local PIECES = 3

-- A loop with nothing but idle connections does not turn on its own.
local function turn() ms.sleep(1) end

-- How many sockets this process has.
local function sockets()
  local n, dir = 0, uv.fs_scandir("/proc/self/fd")
  local name = uv.fs_scandir_next(dir)
  while name do
    n = n + ((uv.fs_readlink("/proc/self/fd/" .. name) or ""):find("^socket:") and 1 or 0)
    name = uv.fs_scandir_next(dir)
  end
  return n
end

-- A client that resumes nothing, so that all its handshakes are alike.
local function new_client()
  return ms.client({ tls = { ca_file = certs.get("root").cert, session_reuse = false },
    version = "1.1" })
end

-- Runs fn(client); afterwards nothing of it is left, in the client or as a
-- socket.
local function with_client(fn)
  local client = new_client()
  local before = sockets()
  fn(client)
  process.wait_until(function()
    return client:stats().connections == 0 and sockets() <= before
  end, LIMIT, turn)
  local s = client:stats()
  assert.same({ 0, 0, 0, 0 }, { s.running, s.connecting, s.connections, sockets() - before })
  client:close()
end

-- The records of each kind of body: the head, then the rest.
local BODIES = {
  length = { ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#PIECE * PIECES) },
  chunked = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" },
  ["until close"] = { "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" },
}
for i = 2, PIECES + 1 do
  BODIES.length[i], BODIES["until close"][i] = PIECE, PIECE
  BODIES.chunked[i] = ("%x\r\n%s\r\n"):format(#PIECE, PIECE)
end
table.insert(BODIES.chunked, "0\r\n\r\n")

local function script_of(body)
  local steps = { { "request" } }
  for i, record in ipairs(body) do steps[i + 1] = { "send", record } end
  steps[#steps + 1] = { "close" }
  return steps
end

-- What a transfer gave: its error code or "ok", where, and the body so far.
local function get(client, url, timeout)
  local chunks = {}
  local res, err = client:fetch(url, { timeout = timeout, fresh_connection = true,
    on_data = function(chunk) chunks[#chunks + 1] = chunk end })
  return { code = res and "ok" or err.code, phase = err and err.phase, err = err,
    body = table.concat(chunks) }
end

---Which records the server sends when all goes well.
---@class spec.Flight
---@field handshake integer so many finish the handshake for the client
---@field first integer so many come before the response
---@field data integer so many have the response
---@field total integer with close_notify

local TICKETS = 2

local function flight_of(client, p, body, version)
  local r <close> = tls_relay.start({ to = p.port })
  local got = get(client, r:url("/"), LIMIT)
  assert.equal("ok", got.code)
  assert(r:wait("closed", LIMIT, turn))
  local total = #r:records("server")
  local first = total - 1 - #body
  return { total = total, data = #body, first = first,
    handshake = version == "tls1_3" and first - TICKETS or first }
end

local DURING = { cut = "tls_handshake", reset = "connection_reset", stall = "timed_out" }
local BEHIND = { cut = "tls_truncated", reset = "connection_reset", stall = "timed_out" }

-- What is to become of it when `act` comes behind `k` records.
local function expected(act, k, flight, kind)
  if k < flight.handshake then return DURING[act], "tls", 0 end
  local data = math.max(0, k - flight.first)
  local over = kind == "until close" and k == flight.total
    or kind ~= "until close" and data >= flight.data
  local pieces = math.max(0, math.min(data - 1, PIECES))
  if over then return "ok", nil, pieces end
  return BEHIND[act], data > 0 and "body" or nil, pieces
end

-- Connection k + 1 breaks behind k records. Each transfer begins when the one
-- before it has come to its fault, so that they wait for nothing together.
local function get_all(client, r, act, at)
  local list, ended = {}, 0
  for k = 0, at.flight.total do
    local code, phase = expected(act, k, at.flight, at.kind)
    ms.spawn(function()
      list[k] = get(client, r:url("/"), code ~= "timed_out" and LIMIT
        or phase == "tls" and { connect = SHORT } or { idle = SHORT })
      ended = ended + 1
    end)
    assert(process.wait_until(function() return list[k] or r:count("act", k + 1) > 0 end, LIMIT,
      turn))
  end
  assert(process.wait_until(function() return ended > at.flight.total end, LIMIT, turn))
  return list
end

local function check(got, act, k, at)
  local code, phase, pieces = expected(act, k, at.flight, at.kind)
  local where = ("%s behind record %d of %d: "):format(act, k, at.flight.total)
  assert.equal(where .. code, where .. got.code)
  -- A reset before anything else may be what ends the connect.
  local early = act == "reset" and k == 0 and got.phase == "connect"
  if phase and not early then assert.equal(where .. phase, where .. got.phase) end
  assert.equal(where .. PIECE:rep(pieces), where .. got.body)
  if code ~= "ok" and code ~= "timed_out" then
    assert.is_truthy(got.err.message:find("^127%.0%.0%.1:"), got.err.message)
  end
end

describe("C32, C33 behind every record the server sends", function()
  local function each_record(act, kind, version)
    local p <close> = tls_peer.start({ script_of(BODIES[kind]) }, { version = version,
      tickets = TICKETS })
    with_client(function(client)
      local flight = flight_of(client, p, BODIES[kind], version)
      local plans = {}
      for k = 0, flight.total do plans[k + 1] = { { act, from = "server", records = k } } end
      local r <close> = tls_relay.start({ to = p.port, plans = plans })
      local at = { flight = flight, kind = kind }
      local list = get_all(client, r, act, at)
      for k = 0, flight.total do check(list[k], act, k, at) end
    end)
  end

  for _, version in ipairs({ "tls1_2", "tls1_3" }) do
    for kind in pairs(BODIES) do
      for act in pairs(DURING) do
        it(("%s, %s, body %s"):format(act, version, kind), async.main(function()
          each_record(act, kind, version)
        end))
      end
    end
  end
end)

describe("C33 behind every record of an upload", function()
  local SIZE = 40000
  -- Who closes while the other still sends may well reset.
  local CODES = {
    cut = { tls_handshake = true, tls_truncated = true, connection_reset = true },
    reset = { connection_reset = true },
    stall = { timed_out = true },
  }

  local function put(client, url, timeout)
    local res, err = client:fetch(url, { method = "PUT", body = ("x"):rep(SIZE),
      fresh_connection = true, timeout = timeout })
    return res and "ok" or err.code
  end

  local function each_record(act, version)
    local p <close> = tls_peer.start({ { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, { "eof" } } },
      { version = version })
    with_client(function(client)
      local whole <close> = tls_relay.start({ to = p.port })
      assert.equal("ok", put(client, whole:url("/"), LIMIT))
      local plans = {}
      for k = 0, #whole:records("client") - 1 do
        plans[k + 1] = { { act, from = "client", records = k } }
      end
      local r <close> = tls_relay.start({ to = p.port, plans = plans })
      assert.is_true(#plans > 5)
      for k = 1, #plans do
        local code = put(client, r:url("/"), act == "stall" and { total = SHORT } or LIMIT)
        assert.is_true(CODES[act][code], ("%s behind record %d: %s"):format(act, k - 1, code))
      end
      assert.equal(1, #p:requests()) -- no other came whole
    end)
  end

  for _, version in ipairs({ "tls1_2", "tls1_3" }) do
    for act in pairs(CODES) do
      it(act .. ", " .. version, async.main(function() each_record(act, version) end))
    end
  end
end)

describe("C32, C33 inside a record", function()
  local function each_place(act, code)
    local p <close> = tls_peer.start({ script_of(BODIES.length) }, { tickets = TICKETS })
    with_client(function(client)
      local flight = flight_of(client, p, BODIES.length, "tls1_3")
      local plans = {}
      for k = 0, flight.first + flight.data - 1 do
        for _, bytes in ipairs({ 1, 5, 9 }) do
          plans[#plans + 1] = { { act, from = "server", records = k, bytes = bytes } }
        end
      end
      local r <close> = tls_relay.start({ to = p.port, plans = plans })
      for i = 1, #plans do
        local k = plans[i][1].records
        local got = get(client, r:url("/"), LIMIT)
        local wanted = k < flight.handshake and code[1] or code[2]
        assert.equal(i .. wanted, i .. got.code)
        local pieces = math.max(0, k - flight.first - 1)
        assert.equal(PIECE:rep(pieces), got.body)
      end
    end)
  end

  it("cut", async.main(function() each_place("cut", { "tls_handshake", "tls_truncated" }) end))

  it("reset", async.main(function()
    each_place("reset", { "connection_reset", "connection_reset" })
  end))
end)

describe("C33 wrong bytes:", function()
  -- Every byte of the server's, but for those of TLS 1.3's dummy record and of
  -- the heads' versions, which nobody looks at, is looked at.
  it("one turned over in every record", async.main(function()
    local p <close> = tls_peer.start({ script_of(BODIES.length) }, { tickets = TICKETS })
    with_client(function(client)
      local flight = flight_of(client, p, BODIES.length, "tls1_3")
      local plans = {}
      for k = 0, flight.first + flight.data - 1 do
        if k ~= 1 then
          plans[#plans + 1] = { { "corrupt", from = "server", records = k, bytes = 12 } }
        end
      end
      local r <close> = tls_relay.start({ to = p.port, plans = plans })
      for i = 1, #plans do
        local k = plans[i][1].records
        local got = get(client, r:url("/"), LIMIT)
        assert.equal(i .. (k < flight.handshake and "tls_handshake" or "tls_failed"),
          i .. got.code)
        assert.equal("string", type(got.err.cause))
        assert.equal(PIECE:rep(math.max(0, k - flight.first - 1)), got.body)
      end
    end)
  end))

  it("a record that does not exist", async.main(function()
    local p <close> = tls_peer.start({ script_of(BODIES.length) }, { tickets = TICKETS })
    with_client(function(client)
      local flight = flight_of(client, p, BODIES.length, "tls1_3")
      local plans = {}
      for k = 0, flight.first + flight.data - 1 do
        plans[k + 1] = { { "inject", from = "server", records = k } }
      end
      local r <close> = tls_relay.start({ to = p.port, plans = plans })
      for k = 0, #plans - 1 do
        local got = get(client, r:url("/"), LIMIT)
        assert.equal(k .. (k < flight.handshake and "tls_handshake" or "tls_failed"),
          k .. got.code)
      end
    end)
  end))
end)

describe("what no good server does:", function()
  local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

  -- Transfers from a peer that follows this script.
  local function with_script(steps, opts, fn)
    local p <close> = tls_peer.start({ steps }, opts)
    with_client(function(client) fn(client, p) end)
  end

  local function assert_code(code, steps, opts)
    with_script(steps, opts, function(client, p)
      local got = get(client, p:url("/"), LIMIT)
      assert.equal(code, got.code)
    end)
  end

  it("C34 it speaks HTTP in the clear", async.main(function()
    local p <close> = peer.start({ { { "send", "HTTP/1.1 400 Bad Request\r\n\r\n" },
      { "close" } } })
    with_client(function(client)
      local got = get(client, p:url("/"):gsub("^http:", "https:"), LIMIT)
      assert.equal("tls_handshake", got.code)
      assert.equal("tls", got.phase)
      assert.equal("wrong version number", got.err.cause)
      assert.is_truthy(got.err.message:find("127.0.0.1 does not speak TLS on this port", 1, true),
        got.err.message)
    end)
  end))

  it("C34 nginx without TLS, or with it and asked in the clear", async.main(function()
    local plain <close> = server.start()
    with_client(function(client)
      local got = get(client, plain:url("/small"):gsub("^http:", "https:"), LIMIT)
      assert.equal("tls_handshake", got.code)
    end)
    local secure <close> = server.start({ tls = certs.get("valid") })
    assert.equal(400, assert(ms.fetch((secure:url("/"):gsub("^https:", "http:")))).status)
  end))

  for label, data in pairs({ ["an alert"] = "\x15\x03\x03\x00\x02\x02\x28",
    ["an unknown alert"] = "\x15\x03\x03\x00\x02\x02\xfe", garbage = ("\xa5"):rep(100),
    ["a record too long"] = "\x16\x03\x03\xff\xff" .. ("x"):rep(65535),
    ["data before keys"] = "\x17\x03\x03\x00\x05hello" }) do
    it("C34 " .. label .. " for a ServerHello", async.main(function()
      assert_code("tls_handshake", { { "raw", data }, { "hang" } })
    end))
  end

  it("C33 a fatal alert says which", async.main(function()
    local p <close> = tls_peer.start({ { { "raw", "\x15\x03\x03\x00\x02\x02\x28" },
      { "hang" } } })
    with_client(function(client)
      local got = get(client, p:url("/"), LIMIT)
      assert.equal("sslv3 alert handshake failure", got.err.cause)
    end)
  end))

  -- Alerts in the body are encrypted in TLS 1.3: what is not is no record.
  for _, version in ipairs({ "tls1_2", "tls1_3" }) do
    it("C33 bytes past TLS in the body, " .. version, async.main(function()
      assert_code("tls_failed", { { "request" }, { "send", "HTTP/1.1 200 OK\r\n\r\nhal" },
        { "raw", "\x15\x03\x03\x00\x02\x02\x28" }, { "hang" } }, { version = version })
      assert_code("tls_failed", { { "request" }, { "send", "HTTP/1.1 200 OK\r\n\r\nhal" },
        { "raw", "HTTP/1.1 200 OK\r\n\r\n" }, { "hang" } }, { version = version })
    end))

    it("C34 everything byte by byte is fine, " .. version, async.main(function()
      local p <close> = tls_peer.start({ script_of(BODIES.chunked) }, { version = version })
      local r <close> = tls_relay.start({ to = p.port, plan = { { "drip", from = "server" },
        { "drip", from = "client" } } })
      with_client(function(client)
        local got = get(client, r:url("/"), LIMIT)
        assert.equal("ok", got.code)
        assert.equal(PIECE:rep(PIECES), got.body)
      end)
    end))
  end

  it("C32 close_notify in the middle of a body", async.main(function()
    local head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"
    assert_code("unexpected_eof", { { "request" }, { "send", head }, { "close" } })
    assert_code("unexpected_eof", { { "request" }, { "send", "HTTP/1.1 200 OK\r\n" ..
      "Transfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n" }, { "close" } })
    assert_code("unexpected_eof", { { "request" }, { "close" } })
    assert_code("tls_truncated", { { "request" }, { "truncate" } })
  end))

  it("C32 no close_notify matters exactly where nothing else ends the body", async.main(function()
    assert_code("ok", { { "request" }, { "send", OK }, { "truncate" } })
    assert_code("ok", { { "request" }, { "send", "HTTP/1.1 204 No Content\r\n\r\n" },
      { "truncate" } })
    assert_code("ok", { { "request" }, { "send", "HTTP/1.1 200 OK\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" }, { "truncate" } })
    assert_code("tls_truncated", { { "request" }, { "send", "HTTP/1.1 200 OK\r\n\r\nok" },
      { "truncate" } })
    assert_code("ok", { { "request" }, { "send", "HTTP/1.1 200 OK\r\n\r\nok" }, { "close" } })
    assert_code("ok", { { "request" }, { "send", "HTTP/1.1 200 OK\r\n\r\nok" },
      { "shutdown" }, { "hang" } })
  end))

  it("data behind close_notify is nobody's", async.main(function()
    with_script({ { "request" }, { "send", OK }, { "shutdown" },
      { "raw", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" }, { "hang" } }, {},
      function(client, p)
        for _ = 1, 2 do
          local res = assert(client:fetch(p:url("/"), { timeout = LIMIT }))
          assert.equal("ok", res.body)
          assert.is_false(res.reused)
        end
      end)
  end))

  it("a response behind the response is nobody's either", async.main(function()
    local evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    with_script({ { "request" }, { "send", OK .. evil },
      { "request" }, { "send", OK }, { "hang" } }, {}, function(client, p)
        for _ = 1, 2 do
          local res = assert(client:fetch(p:url("/"), { timeout = LIMIT }))
          assert.equal("ok", res.body)
          assert.is_false(res.reused)
        end
      end)
  end))

  it("C37 new keys and tickets all through a long body", async.main(function()
    local steps = { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 1600000\r\n\r\n" } }
    for _ = 1, 4 do
      for _, step in ipairs({ { "fill", 200000 }, { "key_update" }, { "ticket" },
        { "fill", 200000 }, { "key_update", true } }) do
        steps[#steps + 1] = step
      end
    end
    table.move({ { "request" }, { "send", OK }, { "close" } }, 1, 3, #steps + 1, steps)
    with_script(steps, { version = "tls1_3" }, function(client, p)
      local res = assert(client:fetch(p:url("/"), { timeout = LIMIT }))
      assert.equal(("x"):rep(1600000), res.body)
      res = assert(client:fetch(p:url("/"), { timeout = LIMIT }))
      assert.equal("ok", res.body)
      assert.is_true(res.reused)
    end)
  end))

  it("C37 it wants to renegotiate, and is told no", async.main(function()
    with_script({ { "request" }, { "send", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhal" },
      { "renegotiate" }, { "send", "fed" }, { "hang" } }, { version = "tls1_2" },
      function(client, p)
        local got = get(client, p:url("/"), LIMIT)
        assert.equal("ok", got.code)
        assert.equal("halfed", got.body)
        assert.is_truthy(p:wait("error", LIMIT, turn))
        assert.equal("no renegotiation", p:all("error")[1].name)
      end)
  end))

  it("C37 it renegotiates on a connection that is idle", async.main(function()
    with_script({ { "request" }, { "send", OK }, { "renegotiate" }, { "hang" } },
      { version = "tls1_2" }, function(client, p)
        assert(client:fetch(p:url("/"), { timeout = LIMIT }))
        assert(client:fetch(p:url("/"), { timeout = LIMIT }))
        assert.is_truthy(p:wait("error", LIMIT, turn))
        assert.equal("no renegotiation", p:all("error")[1].name)
      end)
  end))
end)
