-- SPDX-License-Identifier: MIT
--
-- The contract, parts I and J: retry, errors, HTTP/2; names and connecting.
local certs = require "spec.support.certs"
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local dns = require "spec.support.dns"
local h2 = require "spec.support.h2_peer"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local servers = require "spec.support.h2_servers"
local tls_peer = require "spec.support.tls_peer"
local two_hosts = require "spec.support.two_hosts"
local uv = require "luv"

local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local H2 = { version = "2-prior-knowledge" }

describe("contract I:", function()
  local item = contract.begin(_ENV)

  local function run_one(d, url, opts)
    local easy = d:add(url, opts)
    d:run()
    return d:ended(easy), easy
  end

  item(122, "Request on a reused connection that dies before any response byte is retried on a "
    .. "fresh one, at most 5 times, body rewound; otherwise error. Decision: one retry.",
  function(d)
    local once = { { "request" }, { "send", ANSWER }, { "request" }, { "close" } }
    local p <close> = peer.start { once, { { "request" }, { "send", ANSWER }, { "hang" } } }
    assert.is_true((run_one(d, p:url("/"))))
    local post = { method = "PUT", body = "the body" }
    local ended, easy = run_one(d, p:url("/"), post)
    assert.is_true(ended)
    assert.is_false(easy:response().reused)
    assert.is_truthy(p:requests(2)[1]:find("the body", 1, true))
    local dies <close> = peer.start { once, { { "request" }, { "close" } } }
    assert.is_true((run_one(d, dies:url("/"))))
    assert.equal("unexpected_eof", (run_one(d, dies:url("/"))))
    assert.equal(2, dies:connections())
  end)

  item(123, "Not retried on a fresh connection: GOT_NOTHING.", function(d)
    local p <close> = peer.start { { { "request" }, { "close" } } }
    assert.equal("unexpected_eof", (run_one(d, p:url("/"))))
    assert.equal(1, p:connections())
  end)

  item(124, "REFUSED_STREAM / GOAWAY beyond last-stream-id: retried on a new connection; "
    .. "HTTP_1_1_REQUIRED: retried as 1.1.", function(d)
    local refuses <close> = h2.peers({ { "send", h2.rst(1, 7) }, { "frame", h2.HEADERS },
      h2.answer(3, "ok"), { "hang" } }) -- this one may be asked again
    local leaves <close> = h2.peers({ { "send", h2.goaway(0, 0) }, { "hang" } },
      { h2.answer(1, "ok"), { "hang" } })
    for connections, p in ipairs { refuses, leaves } do
      local ended, easy = run_one(d, p:url("/"), H2)
      assert.is_true(ended)
      assert.equal("ok", easy:response().body)
      assert.equal(connections, p:connections())
    end
    local old <close> = tls_peer.start({
      { { "bytes", 24 }, { "send", h2.settings() .. h2.settings_ack }, { "bytes", 70 },
        { "send", h2.rst(1, 13) }, { "hang" } },
      { { "request" }, { "send", ANSWER } },
    }, { alpn = { "h2", "http/1.1" } })
    local ended, easy = run_one(d, old:url("/"), { tls = { ca_file = certs.get("valid").ca } })
    assert.is_true(ended)
    assert.same({ "1.1", "ok" }, { easy:response().version, easy:response().body })
  end)

  item(125, "GOAWAY: connection takes no new streams, existing ones finish.", function(d)
    local s <close> = servers.node()
    local slow = d:add(s:url("/slow/300"), H2)
    d:run(function() return d.multi:stats().opened == 1 and d.multi:stats().queued == 0 end)
    assert.is_true((run_one(d, s:url("/bytes/1"), H2))) -- and slow with it
    assert.is_true(slow:response().status == 200)
    local going = d:add(s:url("/slow/300"), H2)
    local goaway = d:add(s:url("/goaway"), H2)
    d:run(function() return d.multi:running() == 1 end)
    assert.equal(200, goaway:response().status)
    local before = d.multi:stats().reused
    local late = d:add(s:url("/bytes/1"), H2)
    d:run()
    assert.equal(before, d.multi:stats().reused) -- not even tried
    assert.same({ 200, 200 }, { going:response().status, late:response().status })
    assert.is_false(late:response().reused)
    assert.equal(2, d.multi:stats().opened)
  end)

  item(126, "Stream reset fails only that transfer.", function(d)
    local s <close> = servers.node()
    local good, bad = d:add(s:url("/slow/50"), H2), d:add(s:url("/rst/2"), H2)
    local other = d:add(s:url("/bytes/100000"), H2)
    d:run()
    local ends = d:ends()
    assert.same({ true, true }, { ends[good], ends[other] })
    assert.equal("stream_reset", ends[bad].code)
    assert.equal(1, d.multi:stats().opened)
  end)

  item(127, "Flow control: one paused/slow stream never stalls others.", function(d)
    local s <close> = servers.node()
    local stopped, got = nil, 0
    stopped = d:easy(s:url("/bytes/20000000"), { version = H2.version, on_data = function(chunk)
      got = got + #chunk
      if got == #chunk then stopped:pause(core.PAUSE_RECV) end
    end })
    d.multi:add_handle(stopped)
    d:run(function() return got > 0 end)
    local others = {}
    for i = 1, 5 do others[i] = d:add(s:url("/bytes/1000000"), H2) end
    d:run(function() return d.multi:running() == 1 end)
    for _, easy in ipairs(others) do assert.equal(1000000, #easy:response().body) end
    assert.equal(1, d.multi:stats().opened)
    assert.is_true(got < 1000000)
    stopped:pause(core.PAUSE_CONT)
    d:run()
    assert.equal(20000000, got)
  end)

  item(128, "Server's MAX_CONCURRENT_STREAMS respected, raised/lowered at run time.", function(d)
    local s <close> = servers.node(2)
    for round = 1, 2 do
      local easies = {}
      for i = 1, 8 do easies[i] = d:add(s:url("/bytes/1000"), H2) end
      d:run()
      local ends = d:ends()
      for _, easy in ipairs(easies) do assert.is_true(ends[easy]) end -- none was refused
      if round == 1 then assert.is_true((run_one(d, s:url("/settings/50"), H2))) end
    end
  end)

  item(129, "Push: denied by default.", function(d)
    local p <close> = h2.peer { h2.answer(1, "ok"), { "hang" } }
    assert.is_true((run_one(d, p:url("/"), H2)))
    local settings = h2.frames(p:received())[1]
    assert.equal(h2.SETTINGS, settings.kind)
    local push
    for at = 1, #settings.payload, 6 do
      local id, value = (">I2I4"):unpack(settings.payload, at)
      if id == 2 then push = value end
    end
    assert.equal(0, push)
  end)

  item(130, "Early hints / 1xx delivered as headers, not final.", function(d)
    local s <close> = servers.node()
    local p <close> = peer.start { { { "request" },
      { "send", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" .. ANSWER } } }
    for url, version in pairs { [s:url("/hints")] = "2-prior-knowledge", [p:url("/")] = "1.1" } do
      local seen = {}
      local ended = run_one(d, url, { version = version, on_headers = function(head)
        seen[#seen + 1] = { head.status, head.informational }
      end })
      assert.is_true(ended)
      assert.same({ { 103, true }, { 200, false } }, seen)
    end
  end)

  item(131, "Resolving never blocks the loop; completion wakes it without polling.", function(d)
    local named = d:add("http://name.invalid/")
    local easy = d:add("/small")
    d:run()
    local ends = d:ends()
    assert.equal("resolve", ends[named].category)
    assert.is_true(ends[easy])
  end)

  item(132, "Results cached 60 s; negative answers half of it, only for authoritative \"no such "
    .. "name\"; given ones permanent. Decision: TTLs of the records.", function(d)
    local p <close> = peer.start { { { "request" }, { "send", ANSWER }, { "close" } } }
    local names <close> = dns.start { ["a.test"] = { "127.0.0.1" } }
    local options = { dns = { servers = names.address } }
    local alive = uv.new_timer() -- or the server's loop does not turn
    alive:start(60000, 0, function() end)
    local function ask(host, opts)
      local easy = d:add(("http://%s:%d/"):format(host, p.port), opts or options)
      d:run(function()
        uv.run("nowait") -- the server is here
        return d.multi:running() == 0
      end)
      return d:ended(easy)
    end
    for _ = 1, 3 do assert.is_true(ask("a.test")) end
    assert.equal(1, names.asked["a.test A"])
    for _ = 1, 3 do assert.equal("host_not_found", ask("none.test")) end
    assert.is_true(names.asked["none.test A"] >= 1)
    d.multi:network_changed()
    assert.is_true(ask("a.test"))
    assert.equal(2, names.asked["a.test A"])
    local total = names.total
    assert.is_true(ask("b.test", { resolve = { ["b.test"] = "127.0.0.1" }, dns = options.dns }))
    assert.equal(total, names.total)
    alive:close()
  end, { resets = true })

  item(133, "Two transfers to one host share one lookup (Better).", function(d)
    for _ = 1, 10 do d:add("http://name.invalid/") end
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    assert.equal(1, d.multi:stats().lookups)
    d:run()
    assert.equal(10, #d:events("done"))
  end)

  item(134, "Happy eyeballs: IPv6 first, next attempt after a delay or at once on failure, "
    .. "families alternate, at most 6 in flight, first success wins, losers REMOVE+close. "
    .. "Decision: 250 ms.", function(_, kind)
    two_hosts.run(kind, "both", [[
      assert.is_true(easy:response().remote_address:find("[::1]", 1, true) == 1)
    ]])
    two_hosts.run(kind, "slow", [[
      assert.is_true(easy:response().remote_address:find("127.0.0.1", 1, true) == 1)
      assert.is_true(easy:getinfo("connect") >= 250)
      assert.equal(1, #d.multi:sockets())
    ]])
    two_hosts.run(kind, "refused", [[
      assert.is_true(easy:getinfo("connect") < 250) -- at once
    ]])
  end)

  item(135, "All attempts failed: COULDNT_CONNECT with the last error; deadline: "
    .. "OPERATION_TIMEDOUT.", function(d)
    local easy = d:add("http://127.0.0.1:1/")
    d:run()
    local err = d:ends()[easy]
    assert.same({ "connect", "connection_refused", 111 }, { err.category, err.code, err.errno })
    local full <close> = peer.start({ { { "hang" } } }, { full = true })
    easy = d:add(full:url("/"), { timeout = { connect = 20 } })
    d:run()
    err = d:ends()[easy]
    assert.same({ "timeout", "timed_out", "connect" }, { err.category, err.code, err.phase })
  end)

  item(136, "Descriptor exhaustion fails that transfer only.", function(d, kind)
    local r = process.run({ "lua5.4", "-e", ([[
      local contract = require "spec.support.contract"
      local d = contract.drive(%q)
      d:add(%q)
      d:run() -- the driver has what it needs
      d.log = {}
      for i = 1, 60 do d:add(%q) end
      d:run()
      local ok, full, other = 0, 0, 0
      for _, e in ipairs(d:events("done")) do
        if e.ok then ok = ok + 1
        elseif e.err.code == "too_many_files" then full = full + 1
        elseif e.err.cause and e.err.cause.code == "too_many_files" then -- luv's
          full = full + 1
        else other = other + 1 end
      end
      print(ok > 0, full > 0, other, ok + full)
      d:add(%q)
      d:run()
      print(d:events("done")[61].ok)
    ]]):format(kind, d.server:url("/small"), d.server:url("/bytes/100000"),
      d.server:url("/small")) },
      { files = 40, timeout = 60000 })
    assert.equal("true\ttrue\t0\t60\ntrue\n", r.stdout, r.stderr)
  end)
end)
