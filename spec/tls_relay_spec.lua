-- SPDX-License-Identifier: MIT
--
-- The relay sees what goes by between a TLS client and server, and breaks it
-- at exactly the place it is told to.
local certs = require "spec.support.certs"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local process = require "spec.support.process"
local s_client = require "spec.support.s_client"
local server = require "spec.support.server"
local tls_relay = require "spec.support.tls_relay"
local tls_server = require "spec.support.tls_server"
local uv = require "luv"

local CLIENT_HELLO, SERVER_HELLO, CERTIFICATE = 1, 2, 11

describe("relay to a TLS server:", function()
  local s

  setup(function()
    s = server.start { tls = certs.get("valid"), config = "ssl_protocols TLSv1.2 TLSv1.3;" }
  end)
  teardown(function() s:stop() end)

  local function with(plan, fn)
    local r <close> = tls_relay.start { to = s.port, plan = plan }
    fn(r)
  end

  -- One GET through a relay with that plan.
  local function get(plan, opts)
    local result
    with(plan, function(r)
      result = s_client.run(r.port, opts)
      assert(r:wait("closed"))
      result.relay = r
    end)
    return result
  end

  it("changes nothing", function()
    local r = get({}, { quiet = true, path = "/bytes/1000000" })
    assert.equal(server.big_body():sub(1, 1000000), r.body)
    assert.equal(0, r.code)
    assert.is_true(r.relay:bytes("server") > 1000000)
    assert.equal(0, r.relay:count("act"))
    assert.equal(1, r.relay:connections())
  end)

  it("tells what the client offers", function()
    local hello = get({}, { host = "a.wild.test", args = { "-alpn", "h2,http/1.1" } }).relay:hello()
    assert.equal("a.wild.test", hello.sni)
    assert.same({ "h2", "http/1.1" }, hello.alpn)
    assert.equal(0x0304, hello.versions[1])
    assert.is_false(hello.ticket)
    assert.is_nil(hello.extensions[5])
    hello = get({}, { sni = false, args = { "-status", "-tls1_2" } }).relay:hello()
    assert.is_nil(hello.sni)
    assert.same({}, hello.alpn)
    assert.same({ 0x0303 }, hello.versions)
    assert.is_true(hello.extensions[5])
  end)

  it("tells whether a session is offered", function()
    for _, version in ipairs({ "-tls1_2", "-tls1_3" }) do
      local path = os.tmpname()
      local first = get({}, { args = { version, "-sess_out", path } })
      local second = get({}, { args = { version, "-sess_in", path } })
      assert.is_false(first.relay:hello().ticket)
      assert.is_true(second.relay:hello().ticket)
      assert.is_true(second.reused)
      os.remove(path)
    end
  end)

  it("tells the records and, while they are in the clear, the messages", function()
    local r = get({}, { args = { "-tls1_2" } }).relay
    assert.same({ CLIENT_HELLO }, r:records("client")[1].messages)
    local seen, types = {}, {}
    for _, record in ipairs(r:records("server")) do
      types[record.type] = true
      for _, message in ipairs(record.messages or {}) do seen[#seen + 1] = message end
    end
    assert.same({ SERVER_HELLO, CERTIFICATE, 12, 14 }, table.move(seen, 1, 4, 1, {}))
    assert.is_true(types[20] and types[22] and types[23])
    local new = get({}, { args = { "-tls1_3" } }).relay:records("server")
    assert.same({ SERVER_HELLO }, new[1].messages)
    assert.is_nil(new[3].messages)
  end)

  it("sees through a second ClientHello", function()
    local retried = tls_server.start { certs.get("valid"), args = { "-groups", "P-384" } }
    local r = tls_relay.start { to = retried.port }
    local o = s_client.run(r.port, { args = { "-groups", "P-256:P-384" } })
    assert.is_truthy(o.text:find("hello, world", 1, true), o.text)
    assert.equal(2, #r:all("hello"))
    r:stop()
    retried:stop()
  end)

  it("drips byte by byte", function()
    local r = get({ { "drip", from = "server" }, { "drip", from = "client", records = 1 } },
      { quiet = true, path = "/bytes/1000" })
    assert.equal(server.big_body():sub(1, 1000), r.body)
    local writes = r.relay:all("closed")[1].writes
    assert.is_true(writes.server >= r.relay:bytes("server"))
    -- the first record goes whole, and nginx does not wait for the last one
    local records, least = r.relay:records("client"), 1
    for i = 2, #records - 1 do least = least + 5 + records[i].size end
    assert.is_true(#records > 2 and writes.client >= least)
  end)

  for _, from in ipairs({ "server", "client" }) do
    it("injects and corrupts what comes from the " .. from, function()
      for _, name in ipairs({ "inject", "corrupt" }) do
        local r = get({ { name, from = from, records = 2 } })
        assert.is_nil(r.text:find("hello, world", 1, true), name)
        assert.same({ { connection = 1, event = "act", from = from, name = name } },
          r.relay:all("act"))
      end
    end)
  end

  it("injects what it is given, also before everything", function()
    local alert = "\x15\x03\x03\x00\x02\x02\x28" -- fatal, handshake_failure
    local r = get({ { "inject", from = "server", data = alert } })
    assert.is_truthy(r.text:find("alert handshake failure", 1, true), r.text)
  end)

  it("cuts and resets after so many records, in either direction", function()
    for _, from in ipairs({ "server", "client" }) do
      for _, name in ipairs({ "cut", "reset" }) do
        for n = 0, 3 do
          local r = get({ { name, from = from, records = n } })
          assert.is_nil(r.text:find("hello, world", 1, true))
          assert.equal(n, #r.relay:records(from), name)
          assert.equal(1, r.relay:count("act"))
        end
      end
    end
  end)

  it("stalls one direction only", function()
    with({ { "stall", from = "server", records = 1 } }, function(r)
      local client <close> = s_client.start(r.port)
      assert.is_truthy(r:wait("act"))
      assert.is_true(client:running())
      assert.equal(1, #r:records("server"))
      assert.equal(1, #r:records("client"))
      client:stop()
      assert.is_truthy(r:wait("closed"))
    end)
  end)

  it("has a plan for each connection", function()
    local r = tls_relay.start { to = s.port,
      plans = { { { "cut", from = "server", records = 1 } }, {} } }
    for i = 1, 3 do
      local o = s_client.run(r.port)
      assert.equal(i > 1, o.text:find("hello, world", 1, true) ~= nil)
      assert.equal("localhost", r:hello(i).sni)
    end
    assert.equal(3, r:connections())
    assert.equal(("https://127.0.0.1:%d/x"):format(r.port), r:url("/x"))
    r:stop()
    r:stop()
    assert.is_false(port.listening(r.port))
    assert.equal(3, r:connections())
  end)
end)

-- The exact bytes, told by a peer and a plain client: an act counts bytes
-- whatever they are.
describe("relay of bytes:", function()
  local DATA = "\x16\x03\x01\x00\x04abcd\x17\x03\x03\x00\x03efg" -- two records, 9 and 8 bytes

  -- Connects through a relay to a peer that sends DATA; returns what came,
  -- the error that ended it ("EOF" for a FIN), and the relay.
  local function receive(plan, script)
    local p = peer.start { script or { { "send", DATA }, { "eof" } } }
    local r = tls_relay.start { to = p.port, plan = plan }
    local socket, got, ended = uv.new_tcp(), "", nil
    socket:connect("127.0.0.1", r.port, function(failed)
      if failed then ended = failed return end
      socket:read_start(function(err, data)
        got = got .. (data or "")
        ended = err or not data and "EOF" or nil
      end)
    end)
    local function over() return ended or #got >= #DATA end
    assert(process.wait_until(over, 5000, function() uv.run("nowait") end))
    socket:close()
    uv.run("nowait")
    r:stop()
    p:stop()
    return got, ended, r
  end

  it("cuts after each byte", function()
    for n = 0, #DATA do
      local got, ended = receive({ { "cut", from = "server", bytes = n } })
      assert.equal(DATA:sub(1, n), got)
      assert.is_true(ended == "EOF" or n == #DATA)
    end
  end)

  it("counts records, and bytes beyond them", function()
    local got, ended, r = receive({ { "cut", from = "server", records = 1, bytes = 3 } })
    assert.equal(DATA:sub(1, 12), got)
    assert.equal("EOF", ended)
    assert.equal(1, #r:records("server"))
    assert.equal(9, r:bytes("server"))
  end)

  it("resets", function()
    local _, ended = receive({ { "reset", from = "server" } })
    assert.equal("ECONNRESET", ended)
    -- libuv says EOF when a reset is there together with the last data
    assert.equal(DATA:sub(1, 9), (receive({ { "reset", from = "server", records = 1 } })))
  end)

  it("passes a reset on", function()
    local _, ended = receive({}, { { "reset" } })
    assert.equal("ECONNRESET", ended)
  end)

  it("injects and corrupts at that byte", function()
    local got = receive({ { "inject", from = "server", bytes = 2, data = "!!" },
      { "cut", from = "server", bytes = 3 } })
    assert.equal("\x16\x03!!\x01", got)
    got = receive({ { "corrupt", from = "server", records = 1, bytes = 5 },
      { "cut", from = "server", records = 1, bytes = 7 } })
    assert.equal(DATA:sub(1, 14) .. "df", got)
  end)

  it("resets who comes when the server is not there", function()
    local r = tls_relay.start { to = port.free() }
    local o = s_client.run(r.port)
    assert.not_equal(0, o.code)
    assert.equal("ECONNREFUSED", r:all("error")[1].name)
    r:stop()
  end)
end)
