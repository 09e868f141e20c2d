-- SPDX-License-Identifier: MIT
--
-- From a name to a connection, as programs see it: DNS by a server of our own,
-- and the options about the way to a host. The finer points are spec/unit's.
local uv = require "luv"
local ms = require "multisocket"
local asked = require "spec.support.asked"
local async = require "spec.support.async"
local peer = require "spec.support.peer"


local p

local function url(host) return ("http://%s:%d/"):format(host, p.port) end

local ok, fails, asking = asked.ok, asked.fails, asked.asking

describe("names", function()
  setup(function() p = peer.start({ asked.SERVE }) end)
  teardown(function() p:stop() end)

  it("are looked up once and kept", asking({ ["a.test"] = { "127.0.0.1" } },
    function(client, server)
      for _ = 1, 5 do
        ok(client:fetch(url("a.test"), { fresh_connection = true }))
      end
      assert.equal(1, server.asked["a.test A"])
      assert.equal(1, server.asked["a.test AAAA"])
      assert.equal(1, client:stats().lookups)
    end))

  it("are looked up once by all who ask at the same time",
    asking({ ["a.test"] = { "127.0.0.1" } }, function(client, server)
      local fetches = {}
      for i = 1, 20 do fetches[i] = function() return client:fetch(url("a.test")) end end
      for _, result in ipairs(ms.gather(fetches)) do ok(result.value, result.error) end
      assert.equal(2, server.total)
    end))

  -- 10,000 fetches of 1,000 names: no more than one lookup for each and family.
  it("by the thousand cost one lookup each", asking({}, function(client, server)
    local requests = {}
    for i = 0, 9999 do
      local name = ("n%d.test"):format(i % 1000)
      server.records[name] = { "127.0.0.1" }
      requests[#requests + 1] = { url = url(name) }
    end
    for _, res, err in client:each(requests, { concurrency = 50 }) do ok(res, err) end
    for question, count in pairs(server.asked) do assert.equal(1, count, question) end
    assert.equal(1000, client:stats().lookups)
    assert.equal(2000, server.total)
  end))

  it("that do not exist, or whose server is no help", asking({ ["s.test"] = 2, ["r.test"] = 5,
    ["silent.test"] = false, ["empty.test"] = {} }, function(client)
    assert.equal("resolve", fails("host_not_found", client:fetch(url("no.test"))).phase)
    fails("host_not_found", client:fetch(url("empty.test")))
    fails("resolve_failed", client:fetch(url("s.test")))
    fails("resolve_failed", client:fetch(url("r.test")))
    local err = fails("timed_out", client:fetch(url("silent.test")))
    assert.equal("resolve", err.phase)
  end, asked.SHORT))

  it("that nobody answers for end with the connect timeout, or when cancelled",
    asking({ ["silent.test"] = false }, function(client)
      local err = fails("timed_out",
        client:fetch(url("silent.test"), { timeout = { connect = 20 } }))
      assert.equal("resolve", err.phase)
      local handle = client:request(url("silent.test"), {}, function(cancelled)
        err = cancelled
      end)
      handle:close()
      ms.sleep(1)
      assert.equal("cancelled", err.code)
      assert.equal(0, client:stats().running)
    end))

  it("below localhost never leave the machine", asking({ ["localhost"] = { "127.0.0.3" } },
    function(client, server)
      for _, name in ipairs({ "localhost", "a.localhost", "LOCALHOST", "localhost." }) do
        ok(client:fetch(url(name)))
      end
      assert.equal(0, server.total)
    end))

  local THREE = { "127.0.0.2", "::1", "127.0.0.1" }

  it("with an address that fails go on to the next, and begin with what worked",
    asking({ ["a.test"] = THREE, ["b.test"] = THREE }, function(client)
    local res = ok(client:fetch(url("a.test")))
    assert.equal("127.0.0.1:" .. p.port, res.remote_address)
    local err = fails("connection_refused",
      client:fetch("http://b.test:1/"))
    assert.equal("b.test:1: connection refused (tried [::1]:1, 127.0.0.2:1, 127.0.0.1:1)",
      err.message)
    err = fails("connection_refused", client:fetch("http://a.test:1/"))
    assert.equal("a.test:1: connection refused (tried 127.0.0.1:1, [::1]:1, 127.0.0.2:1)",
      err.message)
  end))
end)

describe("the way to a host", function()
  setup(function() p = peer.start({ asked.SERVE }) end)
  teardown(function() p:stop() end)

  it("may be given by resolve", asking({}, function(client, server)
    ok(client:fetch(url("a.test"), { resolve = { ["a.test"] = "127.0.0.1" } }))
    ok(client:fetch(url("a.test"), { resolve = { ["A.test:" .. p.port] = { "127.0.0.9",
      "127.0.0.1" }, ["a.test"] = "127.0.0.8" } }))
    assert.equal(0, server.total)
    fails("bad_option", client:fetch(url("a.test"), { resolve = { ["a.test"] = "127.1" } }))
  end))

  -- As long as that is: then DNS is asked, which is told nothing before. One second is the least,
  -- so the fetches go on until it is over, whenever that is.
  it("may be given for a time", asking({ ["a.test"] = { "127.0.0.1" } }, function(client, server)
    local opts = { fresh_connection = true, resolve = { ["a.test"] = { "127.0.0.1", ttl = 1 } } }
    local short <close> = ms.client({ dns = { servers = server.address }, resolve = opts.resolve })
    ok(short:fetch(url("a.test"), { fresh_connection = true }))
    assert.equal(0, server.total)
    repeat
      ms.sleep(50)
      ok(short:fetch(url("a.test"), { fresh_connection = true }))
    until server.total > 0
    assert.equal(1, server.asked["a.test A"])
    -- Said anew, it begins anew.
    ok(client:fetch(url("a.test"), opts))
    assert.equal(1, server.asked["a.test A"])
    fails("bad_option", client:fetch(url("a.test"),
      { connect_to = { ["a.test"] = { "b.test", ttl = 1 } } }))
  end))

  it("may be another one by connect_to, and the server is not told", async(function()
    local client <close> = ms.client({ connect_to = { ["a.test:80"] = "127.0.0.1:" .. p.port } })
    local before = #p:requests()
    ok(client:fetch("http://a.test/"))
    assert.truthy(p:requests()[before + 1]:find("\r\nHost: a.test\r\n", 1, true))
  end))

  it("makes connections of its own", async(function()
    local client <close> = ms.client()
    local to = { resolve = { ["a.test"] = "127.0.0.1", ["b.test"] = "::1" } }
    assert.is_false(ok(client:fetch(url("a.test"), to)).reused)
    assert.is_true(ok(client:fetch(url("a.test"), { resolve = { ["b.test"] = "::1",
      ["a.test"] = "127.0.0.1" } })).reused)
    assert.is_false(ok(client:fetch(url("a.test"), { resolve = { ["a.test"] = "127.0.0.1" } }))
      .reused)
    assert.is_false(ok(client:fetch(url("127.0.0.1"))).reused)
    assert.is_false(ok(client:fetch(url("127.0.0.1"), { tcp_keepalive = false })).reused)
    assert.is_true(ok(client:fetch(url("127.0.0.1"), { tcp_keepalive = true })).reused)
  end))

  it("may be of one family, and nobody is asked about the other", asking({
    ["a.test"] = { "127.0.0.1", "::1" } }, function(client, server)
    ok(client:fetch(url("a.test"), { ip = 4 }))
    assert.is_nil(server.asked["a.test AAAA"])
    local err = fails("connection_refused", client:fetch(url("a.test"), { ip = 6 }))
    assert.truthy(err.message:find("tried [::1]:" .. p.port, 1, true))
    assert.equal(1, server.asked["a.test A"])
    fails("host_not_found", client:fetch(url("127.0.0.1"), { ip = 6 }))
  end))

  it("may begin at an interface, an address or a port", async(function()
    local client <close> = ms.client({ fresh_connection = true })
    ok(client:fetch(url("127.0.0.1"), { interface = "lo" }))
    ok(client:fetch(url("127.0.0.1"), { interface = "127.0.0.7" }))
    local err = fails("connect_failed", client:fetch(url("127.0.0.1"), { interface = "ms-none" }))
    assert.equal(19, err.errno) -- ENODEV
    ok(client:fetch(url("127.0.0.1"), { local_port = { 31000, 31999 } }))
  end))

  it("may be a Unix socket", async(function()
    local path = os.tmpname()
    os.remove(path)
    local server = uv.new_pipe(false)
    assert(server:bind(path))
    server:listen(8, function()
      local conn = uv.new_pipe(false)
      server:accept(conn)
      conn:read_start(function(_, data)
        if data then conn:write("HTTP/1.1 204 No Content\r\n\r\n") else conn:close() end
      end)
    end)
    local client <close> = ms.client({ unix_socket = path })
    local res = ok(client:fetch("http://a.test/"))
    assert.is_nil(res.remote_address)
    assert.is_true(ok(client:fetch("http://a.test/again")).reused)
    assert.is_false(ok(client:fetch("http://b.test/")).reused)
    server:close()
    os.remove(path)
  end))

  it("may be a Unix socket that is not there", async(function()
    local err = fails("connect_failed", ms.fetch("http://a.test/", { unix_socket = "/no/where" }))
    assert.equal(2, err.errno) -- ENOENT
    assert.matches("No such file or directory", err.message, 1, true)
    fails("connection_refused", ms.fetch("http://a.test/", { unix_socket = "@ms-nobody" }))
    fails("bad_option", ms.fetch("http://a.test/", { unix_socket = ("x"):rep(200) }))
  end))

  it("bad texts fail the request", async(function()
    for _, opts in ipairs({ { resolve = { a = "b" } }, { connect_to = { a = "b:0" } },
      { allow_address = "publik" } }) do
      fails("bad_option", ms.fetch("http://a.test/", opts))
    end
    fails("resolve_failed", ms.fetch("http://a.test/", { dns = { servers = "nobody" } }))
  end))
end)

describe("another network", function()
  setup(function() p = peer.start({ asked.SERVE }) end)
  teardown(function() p:stop() end)

  it("has other addresses and no connections yet", asking({ ["a.test"] = { "127.0.0.1" } },
    function(client, server)
      ok(client:fetch(url("a.test")))
      client:network_changed()
      assert.equal(0, client:stats().idle)
      assert.is_false(ok(client:fetch(url("a.test"))).reused)
      assert.equal(2, server.asked["a.test A"])
    end))
end)

describe("a resolver", function()
  setup(function() p = peer.start({ asked.SERVE }) end)
  teardown(function() p:stop() end)

  it("is asked for both families and may answer at once", async(function()
    local wanted = {}
    local client <close> = ms.client({ resolver = function(host, family, done)
      wanted[#wanted + 1] = host .. " " .. family
      assert.is_true(done({ "::1", "127.0.0.1" }))
      assert.is_false(done({ "127.0.0.1" }), "only the first answer counts")
    end })
    ok(client:fetch(url("A.test")))
    assert.same({ "a.test 4", "a.test 6" }, wanted)
    ok(client:fetch(url("localhost")))
    ok(client:fetch(url("127.0.0.1")))
    assert.equal(2, #wanted)
  end))

  it("may answer later, in any order, to all who wait", async(function()
    local waiting = {}
    local client <close> = ms.client({ resolver = function(_, family, done)
      waiting[family] = done
    end })
    local tasks = {}
    for i = 1, 5 do tasks[i] = ms.spawn(function() return client:fetch(url("a.test")) end) end
    while not waiting[6] do ms.sleep(1) end
    waiting[6](nil)
    ms.sleep(1)
    waiting[4]({ "127.0.0.1" })
    for _, task in ipairs(tasks) do
      local fine, res, err = task:wait()
      assert.is_true(fine)
      ok(res, err)
    end
    assert.equal(1, client:stats().lookups)
  end))

  it("may know nothing, fail or raise", async(function()
    local client <close> = ms.client()
    local function with(fn) return client:fetch(url("a.test"), { resolver = fn }) end
    fails("host_not_found", with(function(_, _, done) done({}) end))
    fails("resolve_failed", with(function(_, _, done) done(nil) end))
    local planted = {}
    local err = fails("callback_error", with(function() error(planted) end))
    assert.equal(planted, err.cause)
    err = fails("callback_error", with(function(_, _, done) done({ "nonsense" }) end))
    assert.equal("bad_argument", err.cause.code)
    fails("timed_out", client:fetch(url("a.test"), { resolver = function() end,
      timeout = { connect = 20 } }))
    assert.equal(0, client:stats().running)
  end))

  it("may answer when nobody waits any more, or the client is gone", async(function()
    local kept
    local client = ms.client({ resolver = function(_, _, done) kept = done end })
    fails("timed_out", client:fetch(url("a.test"), { timeout = { connect = 20 } }))
    kept({ "127.0.0.1" })
    fails("timed_out", client:fetch(url("b.test"), { timeout = { connect = 20 } }))
    client:close()
    assert.is_false(kept({ "127.0.0.1" }) or false)
  end))

  it("may be the system's", async(function()
    local client <close> = ms.client({ resolver = "system" })
    local name = uv.os_gethostname()
    local _, err = client:fetch("http://no-such-name.invalid/")
    assert.equal("resolve", err.category, tostring(err))
    -- The machine knows its own name, if anybody does.
    local known = uv.getaddrinfo(name, nil, { socktype = "stream" })
    _, err = client:fetch(("http://%s:1/"):format(name))
    if known and #known > 0 then assert.equal("connect", err.category, tostring(err)) end
  end))

  it("is guarded", async(function()
    local _, err = ms.fetch(url("a.test"), { allow_address = "public",
      resolver = function(_, _, done) done({ "127.0.0.1", "::1" }) end })
    assert.equal("address_refused", err.code)
  end))
end)
