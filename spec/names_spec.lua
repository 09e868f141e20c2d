-- SPDX-License-Identifier: MIT
--
-- What must hold of names and addresses, statement by statement, as a program
-- sees it (G7 and what needs a network of its own: spec/network_spec.lua; the
-- finer points: spec/unit/test_resolve*.c, test_dial*.c).
local uv = require "luv"
local ms = require "multisocket"
local asked = require "spec.support.asked"
local async = require "spec.support.async"
local dns = require "spec.support.dns"
local namespace = require "spec.support.namespace"
local peer = require "spec.support.peer"

local A, AAAA = 1, 28

local p

local function url(host) return ("http://%s:%d/"):format(host, p.port) end

local ok, fails, asking = asked.ok, asked.fails, asked.asking

-- One record: a name as DNS writes it, a type, data.
local function record(name, kind, data, length)
  return name .. (">I2I2I4I2"):pack(kind, 1, 60, length or #data) .. data
end

local function dns_name(text)
  return (text:gsub("[^.]+", function(label) return string.char(#label) .. label end)
    :gsub("%.", "")) .. "\0"
end

-- A whole answer: as many records as `count` says, whatever follows.
local function answer(packet, question, count, records)
  return packet:sub(1, 2) .. (">I2I2I2I2I2"):pack(0x8180, 1, count, 0, 0) .. question .. records
end

local SELF = "\xc0\x0c" -- the name that was asked for
local LOOPBACK = "\127\0\0\1"

describe("names:", function()
  setup(function() p = peer.start({ asked.SERVE }) end)
  teardown(function() p:stop() end)

  it("G1: NXDOMAIN, no data, SERVFAIL, REFUSED and silence have their errors", asking({
    ["nodata.test"] = {}, ["servfail.test"] = 2, ["refused.test"] = 5, ["silent.test"] = false,
    ["notimp.test"] = 4 }, function(client)
    for name, code in pairs({ ["nxdomain.test"] = "host_not_found",
      ["nodata.test"] = "host_not_found", ["servfail.test"] = "resolve_failed",
      ["refused.test"] = "resolve_failed", ["notimp.test"] = "resolve_failed" }) do
      local err = fails(code, client:fetch(url(name)))
      assert.equal("resolve", err.category)
      assert.equal("resolve", err.phase)
      assert.truthy(err.message:find(name, 1, true))
    end
    local err = fails("timed_out", client:fetch(url("silent.test")))
    assert.equal("resolve", err.phase)
    assert.is_true(err.retryable)
  end, asked.SHORT))

  it("G2: a truncated answer comes over TCP, and from nobody when TCP is dead", asking({
    ["big.test"] = { "127.0.0.1", truncated = true },
    ["more.test"] = { "127.0.0.1", truncated = true } }, function(client, server)
    ok(client:fetch(url("big.test")))
    assert.equal(1, server.asked["big.test A"])
    assert.equal(1, server.asked["tcp big.test A"])
    server.tcp_is_dead = true
    local _, err = client:fetch(url("more.test"))
    assert.equal("resolve", err.phase, tostring(err))
    assert.is_nil(server.asked["tcp more.test A"])
    server.tcp_is_dead = false
    client:network_changed()
    ok(client:fetch(url("more.test")))
  end, asked.SHORT))

  it("G3: 1500 addresses are bounded and tried in their order", asking({}, function(client, server)
    local many = { truncated = true }
    for i = 0, 1499 do many[i + 1] = ("127.1.%d.%d"):format(i // 250, i % 250 + 1) end
    server.records["many.test"] = { A = many, AAAA = {} }
    local tried = {}
    local _, err = client:fetch("http://many.test:1/", { allow_address = function(address)
      tried[#tried + 1] = address
      return true
    end })
    assert.equal("connection_refused", err.code, tostring(err))
    assert.is_true(#tried > 1 and #tried <= 32, #tried)
    for i, address in ipairs(tried) do assert.equal(many[i], address) end
  end))

  it("G4: an answer to another question, or of another number, is nobody's", asking({
    ["forged.test"] = { raw = function(packet, question, kind)
      local wrong = (">I2"):pack((">I2"):unpack(packet) ~ 1)
      local good = answer(packet, question, 1, record(SELF, A, LOOPBACK))
      if kind == "AAAA" then return answer(packet, question, 0, "") end
      local other = dns_name("other.test") .. (">I2I2"):pack(A, 1)
      return { answer(wrong .. packet:sub(3), question, 1, record(SELF, A, "\127\0\0\9")),
        answer(packet, other, 1, record(SELF, A, "\127\0\0\8")), good }
    end } }, function(client)
    local res, err = client:fetch(url("forged.test"))
    -- One that is never used; whether c-ares waits for the good one or gives up is its own affair.
    if not res then return assert.equal("resolve", err.phase, tostring(err)) end
    assert.equal("127.0.0.1:" .. p.port, res.remote_address)
  end))

  -- What servers that are broken, or bad, send.
  local BROKEN = {
    ["a loop of aliases"] = function(packet, question)
      return answer(packet, question, 2, record(SELF, 5, dns_name("loop.test"))
        .. record(dns_name("loop.test"), 5, SELF))
    end,
    ["an alias of itself"] = function(packet, question)
      return answer(packet, question, 1, record(SELF, 5, SELF))
    end,
    ["a pointer to itself"] = function(packet, question)
      local at = string.char(0xc0, 12 + #question)
      return answer(packet, question, 1, record(at, A, LOOPBACK))
    end,
    ["a pointer beyond the end"] = function(packet, question)
      return answer(packet, question, 1, record("\xff\xff", A, LOOPBACK))
    end,
    ["an address of three bytes"] = function(packet, question)
      return answer(packet, question, 1, record(SELF, A, "\127\0\0"))
    end,
    ["an IPv6 address of four bytes"] = function(packet, question)
      return answer(packet, question, 1, record(SELF, AAAA, LOOPBACK))
    end,
    ["data longer than the packet"] = function(packet, question)
      return answer(packet, question, 1, record(SELF, A, LOOPBACK, 60000))
    end,
    ["more records promised than there are"] = function(packet, question)
      return answer(packet, question, 65535, record(SELF, A, LOOPBACK))
    end,
    ["no question at all"] = function(packet)
      return packet:sub(1, 2) .. (">I2I2I2I2I2"):pack(0x8180, 0, 0, 0, 0)
    end,
    ["nothing but a head"] = function(packet) return packet:sub(1, 12) end,
    ["half a head"] = function(packet) return packet:sub(1, 6) end,
    ["nothing"] = function() return "" end,
    ["noise"] = function(packet) return packet:sub(1, 2) .. ("\xa5\x5a"):rep(250) end,
  }

  it("G5: loops, lengths that lie and packets that are cut do no harm", asking({}, function(client,
      server)
    local names = {}
    for what, raw in pairs(BROKEN) do
      local name = what:gsub(" ", "-") .. ".test"
      server.records[name] = { raw = raw }
      names[#names + 1] = { name = name, what = what }
    end
    for _, entry in ipairs(ms.map(names, function(n)
      local res, err = client:fetch(url(n.name))
      assert.is_nil(res, n.what)
      assert.is_true(err.phase == "resolve", n.what .. ": " .. tostring(err))
      return n
    end, { concurrency = #names })) do assert.is_true(entry.ok, tostring(entry.error)) end
    server.records["good.test"] = { "127.0.0.1" }
    ok(client:fetch(url("good.test")))
  end, asked.SHORT))

  -- No answer about the other family would come for ten seconds.
  it("G6: a family that is silent or fails delays nobody", async(function()
    local p6 <close> = peer.start({ asked.SERVE }, { host = "::1" })
    local server <close> = dns.start({
      ["four.test"] = { A = { "127.0.0.1" }, AAAA = false },
      ["six.test"] = { A = false, AAAA = { "::1" } },
      ["half.test"] = { A = { "127.0.0.1" }, AAAA = 2 } })
    local client <close> = ms.client({ timeout = { connect = 9000 },
      dns = { servers = server.address, timeout = 10000, tries = 1 } })
    ok(client:fetch(url("four.test")))
    ok(client:fetch(url("half.test")))
    ok(client:fetch(("http://six.test:%d/"):format(p6.port)))
  end))

  it("G8: no time to live is a short one, and the longest is bounded", asking({
    ["a.test"] = { "127.0.0.1" } }, function(client, server)
    for i, ttl in ipairs({ 0, 0x7fffffff, 0xffffffff }) do
      server.ttl = ttl
      client:network_changed()
      for _ = 1, 10 do ok(client:fetch(url("a.test"), { fresh_connection = true })) end
      assert.equal(i, server.asked["a.test A"])
    end
    -- That there is none is kept as well, not for ever (unit/test_resolve_cache.c).
    for _ = 1, 10 do fails("host_not_found", client:fetch(url("no.test"))) end
    assert.equal(1, server.asked["no.test A"])
  end))

  it("G9: one fetch asks once, and a kept connection keeps its address", async(function()
    local server <close> = dns.start({ ["a.test"] = { "127.0.0.1" } })
    local client <close> = ms.client({ dns = { servers = server.address, cache_ttl = false } })
    local first = ok(client:fetch(url("a.test")))
    assert.equal(1, server.asked["a.test A"])
    assert.equal(1, server.asked["a.test AAAA"])
    server.records["a.test"] = { "127.0.0.9" }
    local second = ok(client:fetch(url("a.test")))
    assert.is_true(second.reused)
    assert.equal(first.remote_address, second.remote_address)
    assert.equal(2, server.total)
    fails("connection_refused", client:fetch(url("a.test"), { fresh_connection = true }))
  end))

  -- a.test is an alias of evil.test, whose address it is.
  local function alias(packet, question, kind)
    if kind == "AAAA" then return answer(packet, question, 0, "") end
    local evil = dns_name("evil.test")
    return answer(packet, question, 2, record(SELF, 5, evil) .. record(evil, A, LOOPBACK))
  end

  it("G10: what a name is an alias of is told to no server", asking({ ["a.test"] = {
    raw = alias } }, function(client)
    local before = #p:requests()
    ok(client:fetch(url("a.test")))
    local request = p:requests()[before + 1]
    assert.truthy(request:find(("\r\nHost: a.test:%d\r\n"):format(p.port), 1, true))
    assert.is_nil(request:find("evil", 1, true))
    -- TLS: the server name is in the clear in the first bytes.
    local hello
    local server = uv.new_tcp()
    assert(server:bind("127.0.0.1", 0))
    server:listen(4, function()
      local conn = uv.new_tcp()
      server:accept(conn)
      conn:read_start(function(_, data)
        hello = hello or data
        if not conn:is_closing() then conn:close() end
      end)
    end)
    local _, err = client:fetch(("https://a.test:%d/"):format(server:getsockname().port))
    assert.equal("tls", err.phase, tostring(err))
    assert.truthy(hello:find("a.test", 1, true))
    assert.is_nil(hello:find("evil", 1, true))
    server:close()
  end))

  -- "connect" is in spec/network_spec.lua.
  it("G11: the time to connect covers all steps, each can be cancelled", async(function()
    local hanging <close> = peer.start({ { { "hang" } } })
    local server <close> = dns.start({ ["silent.test"] = false })
    local client <close> = ms.client({ dns = { servers = server.address } })
    for phase, address in pairs({ resolve = "http://silent.test/",
      tls = ("https://127.0.0.1:%d/"):format(hanging.port) }) do
      local err = fails("timed_out", client:fetch(address, { timeout = { connect = 50 } }))
      assert.equal(phase, err.phase)
      local ended
      local handle = client:request(address, {}, function(cancelled) ended = cancelled end)
      local accepted = hanging:connections()
      while phase == "tls" and hanging:connections() == accepted do ms.sleep(1) end
      handle:cancel()
      while not ended do ms.sleep(1) end
      assert.equal("cancelled", ended.code)
      assert.equal(0, client:stats().running)
    end
  end))

  it("G12: ports that cannot be are errors", async(function()
    for _, port in ipairs({ "65536", "99999999999999999999", "-1", "8o", "0x50" }) do
      fails("bad_url", ms.fetch(("http://127.0.0.1:%s/"):format(port)))
    end
    local err = select(2, ms.fetch("http://127.0.0.1:0/"))
    assert.equal("connect", err.category, tostring(err))
  end))

  -- luv aborts or fails when a handle is left on a number that is somebody else's by then.
  it("G13: the resolver's sockets come and go, and their numbers are used again", async(function()
    ms.use({ mode = "poll" })
    local server <close> = dns.start({})
    local client <close> = ms.client({ dns = { servers = server.address } })
    for round = 1, 10 do
      local names = {}
      for i = 1, 10 do
        names[i] = ("n%d-%d.test"):format(round, i)
        server.records[names[i]] = { "127.0.0.1", truncated = i % 2 == 0 }
      end
      for _, entry in ipairs(ms.map(names, function(name)
        return ok(client:fetch(url(name), { fresh_connection = true }))
      end)) do assert.is_true(entry.ok, tostring(entry.error)) end
      client:network_changed()
    end
    assert.is_true(server.asked["tcp n1-2.test A"] > 0)
  end))

  it("G14: hosts and resolv.conf are read again when they change", function()
    if not namespace.possible() then
      pending("this system lets no user make namespaces")
      return
    end
    local r = namespace.run([[
      local uv, ms, dns = require "luv", require "multisocket", require "spec.support.dns"
      local one = dns.start({ ["a.test"] = { "127.0.0.1" } }, { host = "127.0.0.53", port = 53 })
      local two = dns.start({ ["a.test"] = { "127.0.0.2" } }, { host = "127.0.0.54", port = 53 })
      local server = uv.new_tcp()
      assert(server:bind("0.0.0.0", 80))
      server:listen(16, function()
        local conn = uv.new_tcp()
        server:accept(conn)
        conn:read_start(function(_, data)
          if data then conn:write("HTTP/1.1 204 No Content\r\n\r\n") else conn:close() end
        end)
      end)
      server:unref()
      local function write(path, text)
        local f <close> = assert(io.open(path, "w"))
        f:write(text)
      end
      local client = ms.client()
      -- Waits until the name leads there.
      local function until_at(name, wanted)
        repeat
          local res, err = client:fetch("http://" .. name .. "/", { fresh_connection = true })
          local got = res and res.remote_address:match("^[%d.]+") or err.code
          if got ~= wanted then ms.sleep(50) end
        until got == wanted
      end
      until_at("a.test", "resolve_failed") -- nothing is configured, nobody at 127.0.0.1
      until_at("localhost", "127.0.0.1")
      write("/etc/resolv.conf", "nameserver 127.0.0.53\n")
      until_at("a.test", "127.0.0.1")
      write("/etc/resolv.conf", "# another one\nnameserver 127.0.0.54\n")
      until_at("a.test", "127.0.0.2")
      write("/etc/hosts", "127.0.0.3 a.test\n10.0.0.1 localhost\n")
      until_at("a.test", "127.0.0.3")
      until_at("localhost", "127.0.0.1") -- whatever the file says
      write("/etc/hosts", "# nothing\n")
      until_at("a.test", "127.0.0.2")
      assert(one.total > 0 and two.total > 0)
      client:close()
      io.write("ok")]], { timeout = 30000 })
    assert.equal("ok", r.stdout, r.stderr)
    assert.equal("", r.stderr)
  end)
end)
