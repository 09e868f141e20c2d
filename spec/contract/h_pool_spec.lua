-- SPDX-License-Identifier: MIT
--
-- The contract, part H: connection pool, limits, shutdown.
local certs = require "spec.support.certs"
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local h2 = require "spec.support.h2_peer"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local servers = require "spec.support.h2_servers"
local tls_peer = require "spec.support.tls_peer"

local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local SERVE = { { { "request" }, { "send", ANSWER }, { "repeat" } } }
local H2 = { version = "2-prior-knowledge" }

local function tls(more)
  local options = { ca_file = certs.get("valid").ca }
  for name, value in pairs(more or {}) do options[name] = value end
  return { tls = options }
end

describe("contract H:", function()
  local item = contract.begin(_ENV)

  -- Runs one transfer to its end; true when it was served on a used connection.
  local function reused(d, url, opts)
    local easy = d:add(url, opts)
    d:run()
    assert.is_true(d:ended(easy))
    return easy:response().reused
  end

  item(105, "Keep-alive reuse: second request to the same origin opens no connection.", function(d)
    assert.is_false(reused(d, "/small"))
    for _ = 1, 5 do assert.is_true(reused(d, "/bytes/1000")) end
    assert.same({ 1, 5 }, { d.multi:stats().opened, d.multi:stats().reused })
  end)

  item(106, "No reuse across differing TLS use, TLS verification, CA, client certificate, "
    .. "server name, HTTP version constraint, socket options.", function(d)
    local p <close> = tls_peer.start(SERVE)
    local plain <close> = peer.start(SERVE)
    local other = certs.get("valid").cert
    local function apart(url, first, second)
      assert.is_false(reused(d, url, first))
      assert.is_true(reused(d, url, first))
      assert.is_false(reused(d, url, second))
      d.multi:network_changed()
    end
    apart(p:url("/"), tls(), tls { verify = false })
    apart(p:url("/"), tls { verify = false }, tls { verify = false, ca_file = other })
    apart(p:url("/"), tls(), tls { verify_host = false })
    apart(p:url("/"), tls(), tls { max_version = "1.2" })
    apart(p:url("/"), tls(), tls { verify_host = false, server_name = "x.example" })
    apart(plain:url("/"), {}, { tcp_nodelay = false })
    assert.is_false(reused(d, plain:url("/")))
    assert.is_false(reused(d, p:url("/"), tls())) -- another origin
    assert.is_true(reused(d, plain:url("/"), { headers = { a = "b" }, timeout = 5000 }))
  end)

  item(107, "Before reuse, an idle connection with pending input (non-multiplexed) or closed "
    .. "by the peer is discarded.", function(d)
    local p <close> = peer.start { { { "request" }, { "send", ANSWER .. "HTTP/1.1 200 OK\r\n\r\n" },
      { "hang" } }, { { "request" }, { "send", ANSWER }, { "close" } }, { { "request" },
      { "send", ANSWER }, { "hang" } } }
    for _ = 1, 2 do assert.is_false(reused(d, p:url("/"))) end
    assert.is_truthy(p:wait(function() return p:count("closed", 2) > 0 end))
    assert.is_false(reused(d, p:url("/")))
    assert.equal(3, p:connections())
    -- Nobody told of the close: the socket is looked at, or the request, which
    -- must not be repeated, would fail.
    local serve = { { { "request" }, { "send", ANSWER }, { "hang" } } }
    local q, others = peer.start(serve), {}
    for _, socket in ipairs(d.multi:sockets()) do others[socket.fd] = true end
    assert.is_false(reused(d, q:url("/")))
    local fd
    for _, socket in ipairs(d.multi:sockets()) do fd = others[socket.fd] and fd or socket.fd end
    q:stop()
    local poller <close> = core.multi {}
    assert.equal(1, poller:poll(5000, { { fd = fd, events = core.POLL_IN } }))
    local again <close> = peer.start(serve, { port = q.port })
    local easy = d:add(again:url("/"), { method = "POST", body = "x" })
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    d:run()
    assert.is_true(d:ended(easy))
  end, { resets = true })

  item(108, "MAXAGE_CONN (idle) and MAXLIFETIME_CONN are enforced. Decision: `idle_timeout`, "
    .. "`max_age`.", function(d)
    d.multi:setopt { idle_timeout = 10 }
    assert.is_false(reused(d, "/small"))
    d:run(function() return d.multi:stats().connections == 0 end)
    assert.is_false(reused(d, "/small"))
    d.multi:setopt { idle_timeout = 60000, max_age = 30 }
    d:run(function() return not reused(d, "/small") end) -- not for ever, however busy
    d.multi:setopt { max_age = 60000 }
    reused(d, "/small")
    assert.is_true(reused(d, "/small"))
  end)

  item(109, "FORBID_REUSE / FRESH_CONNECT / Connection: close respected; HTTP/1.0 without "
    .. "keep-alive closes.", function(d)
    assert.is_false(reused(d, "/small"))
    assert.is_false(reused(d, "/small", { fresh_connection = true }))
    d.multi:network_changed()
    for _ = 1, 2 do assert.is_false(reused(d, "/close")) end
    assert.is_false(reused(d, "/small", { headers = { connection = "close" } }))
    assert.equal(0, d.multi:stats().connections)
    local old <close> = peer.start { { { "request" },
      { "send", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok" }, { "hang" } } }
    for _ = 1, 2 do assert.is_false(reused(d, old:url("/"))) end
    assert.equal(0, d.multi:stats().connections)
  end)

  item(110, "MAXCONNECTS: pool never exceeds it after a transfer ends; oldest idle closed.",
  function(d)
    d.multi:setopt { max_idle = 2 }
    local peers = {}
    for i = 1, 4 do peers[i] = peer.start(SERVE) end
    for i = 1, 4 do
      assert.is_false(reused(d, peers[i]:url("/")))
      assert.is_true(d.multi:stats().idle <= 2)
    end
    assert.is_true(reused(d, peers[3]:url("/")))
    assert.is_true(reused(d, peers[4]:url("/")))
    assert.is_false(reused(d, peers[1]:url("/")))
    for _, p in ipairs(peers) do p:stop() end
  end)

  item(111, "MAX_HOST_CONNECTIONS and MAX_TOTAL_CONNECTIONS are never exceeded by live + "
    .. "shutting-down sockets.", function(d)
    local p <close> = tls_peer.start(SERVE)
    local plain <close> = peer.start(SERVE)
    d.multi:setopt { max_connections = 3, max_connections_per_host = 2 }
    local most = 0
    d.on.socket = function() most = math.max(most, #d.multi:sockets()) end
    for i = 1, 12 do
      d:add(i % 2 == 0 and p:url("/") or plain:url("/"), i % 2 == 0 and tls() or nil)
    end
    d:run(function()
      most = math.max(most, #d.multi:sockets())
      local s = d.multi:stats()
      assert.is_true(s.connections + s.connecting <= 3)
      return d.multi:running() == 0
    end)
    assert.is_true(most <= 3, most .. " sockets")
    for _, e in ipairs(d:events("done")) do assert.is_true(e.ok, tostring(e.err)) end
  end)

  item(112, "At the limit transfers queue; all finish eventually; order is fair (no starvation of "
    .. "late ones).", function(d)
    d.multi:setopt { max_connections_per_host = 2 }
    local place, easies = {}, {}
    d.on.done = function(easy) place[easy] = #d:events("done") end
    for i = 1, 30 do easies[i] = d:add("/bytes/10000") end
    d:run()
    assert.equal(2, d.multi:stats().opened)
    for i, easy in ipairs(easies) do -- first come, first served
      assert.is_true(math.abs(place[easy] - i) <= 2, ("%d ended as %d."):format(i, place[easy]))
    end
  end)

  item(113, "Better: a dead host's queue does not delay other hosts' transfers.", function(d)
    d.multi:setopt { max_connections_per_host = 2 }
    local full <close> = peer.start({ { { "hang" } } }, { full = true })
    local dead = {}
    for i = 1, 50 do dead[i] = d:add(full:url("/")) end
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    local easy = d:add("/small")
    d:run(function() return d.multi:running() == 50 end)
    assert.is_true(d:ended(easy))
    -- Not even where it has all the connections there may be.
    d.multi:network_changed()
    for i = 2, 50 do d.multi:remove_handle(dead[i]) end
    d.multi:setopt { max_connections = 2 }
    local full_too <close> = peer.start({ { { "hang" } } }, { full = true })
    dead = { dead[1], d:add(full_too:url("/")) }
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    easy = d:add("/small")
    d:run(function() return d.multi:running() == 2 end)
    assert.is_true(d:ended(easy))
    for _, waiting in ipairs(dead) do d.multi:remove_handle(waiting) end
  end)

  item(114, "Queued time counts against total and connect timeout, and a queued transfer can "
    .. "time out. Decision: it counts in `total`, not in `connect`.", function(d)
    local full <close> = peer.start({ { { "hang" } } }, { full = true })
    local waits = d:add(full:url("/"), H2)
    local shares = d:add(full:url("/"), { version = H2.version, timeout = { total = 30 } })
    d:run(function() return d.multi:running() == 1 end)
    assert.equal("timed_out", d:ended(shares)) -- it waited for the other's connection
    assert.equal(1, d.multi:stats().connecting)
    d.multi:remove_handle(waits)
  end)

  item(115, "Several new requests to an h2 origin: one connection, others wait and multiplex.",
  function(d)
    local s <close> = servers.node()
    for _ = 1, 30 do d:add(s:url("/bytes/1000"), H2) end
    d:run()
    assert.equal(1, d.multi:stats().opened)
    for _, e in ipairs(d:events("done")) do assert.is_true(e.ok) end
  end)

  item(116, "If the origin turns out to be HTTP/1.1 the waiters are released and open their "
    .. "own connections.", function(d)
    local p <close> = tls_peer.start(SERVE, { alpn = { "http/1.1" } })
    for _ = 1, 5 do d:add(p:url("/"), tls()) end
    d:run()
    assert.equal(5, #d:events("done"))
    for _, e in ipairs(d:events("done")) do
      assert.is_true(e.ok, tostring(e.err))
      assert.equal("1.1", e.easy:response().version)
    end
    assert.is_true(d.multi:stats().opened >= 2)
  end)

  item(117, "NETWORK_CHANGED: idle connections closed, busy ones not reused later, DNS cache "
    .. "emptied.", function(d)
    local busy = d:add("/bytes/1000000")
    d:add("/small")
    d:run(function() return d.multi:stats().connections == 2 and d.multi:stats().bytes_in > 0 end)
    d.multi:network_changed()
    assert.equal(0, d.multi:stats().idle)
    d:run()
    assert.equal(1000000, #busy:response().body)
    assert.equal(0, d.multi:stats().connections)
    assert.is_false(reused(d, "/small"))
    assert.is_true(reused(d, "/small")) -- it does not last
  end)

  item(118, "Graceful close: HTTP/2 GOAWAY, TLS close_notify, bounded, without blocking "
    .. "anything. Decision: one second, TLS and h2 only; plain h1 just closes.", function(d)
    local p <close> = tls_peer.start { { { "request" }, { "send", ANSWER }, { "eof" } } }
    local two <close> = h2.peer { h2.answer(1, "ok"), { "hang" } }
    reused(d, p:url("/"), tls())
    reused(d, two:url("/"), H2)
    reused(d, "/small")
    d.multi:network_changed()
    assert.is_true(d.multi:timeout() <= 1000)
    assert.is_false(reused(d, "/small")) -- goes on beside it
    d:run(function() return d.multi:stats().idle == 1 and #d.multi:sockets() == 1 end)
    assert.is_truthy(p:wait("close_notify"))
    assert.is_truthy(two:wait("eof"))
    assert.equal(1, h2.count(two, h2.GOAWAY))
  end)

  item(119, "Aborted transfers skip close_notify (the peer can see truncation).", function(d)
    local p <close> = tls_peer.start { { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf" }, { "eof" } } }
    local easy = d:add(p:url("/"), tls())
    d:run(function() return easy:getinfo("status") == 200 end)
    d.multi:remove_handle(easy)
    assert.same({}, d.multi:sockets())
    assert.is_truthy(p:wait(function() return p:count("eof") + p:count("error") > 0 end))
    assert.equal(0, p:count("close_notify"))
  end)

  item(120, "A peer that never answers close_notify is dropped at the deadline.", function(d)
    local p <close> = tls_peer.start { { { "request" }, { "send", ANSWER }, { "delay", 60000 } } }
    reused(d, p:url("/"), tls())
    d.multi:network_changed()
    assert.is_true(d.multi:timeout() <= 1000 and d.multi:timeout() > 0)
    assert.equal(1, #d.multi:sockets())
    d:run(function() return #d.multi:sockets() == 0 end)
    assert.equal(0, p:count("closed"))
  end)

  item(121, "Cleanup never blocks, announces no new sockets (Better), leaves no descriptor "
    .. "open.", function(d, kind)
    local p <close> = tls_peer.start { { { "request" }, { "send", ANSWER }, { "delay", 60000 } } }
    collectgarbage()
    collectgarbage()
    local other = contract.drive(kind, { logged = true })
    other.server = d.server
    other:turn() -- whatever the mode needs for itself is there
    other.multi:wakeup()
    other.multi:poll(0)
    local before = process.fd_count()
    reused(other, p:url("/"), tls())
    reused(other, "/small")
    other:add("/slow")
    other:run(function() return other.multi:stats().connections >= 2 end)
    local from = #other.log + 1
    other.multi:close()
    for _, e in ipairs(other:events("socket", from)) do assert.equal(core.POLL_REMOVE, e.what) end
    assert.same({}, other.watched)
    assert.equal(0, #other.multi:sockets())
    if kind ~= "luv" and kind ~= "switch" then assert.equal(before, process.fd_count()) end
    other:close()
  end)
end)
