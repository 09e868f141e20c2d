-- SPDX-License-Identifier: MIT
--
-- The contract, part G: other ways of driving.
local certs = require "spec.support.certs"
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local peer = require "spec.support.peer"
local servers = require "spec.support.h2_servers"
local tls_peer = require "spec.support.tls_peer"
local uv = require "luv"

local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local HANG = { { { "request" }, { "hang" } } }

local function tls() return { tls = { ca_file = certs.get("valid").ca } } end

local function perform_all(d)
  while d.multi:perform() > 0 do d.multi:poll(1000) end
end

describe("contract G:", function()
  local item = contract.begin(_ENV)

  item(99, "perform+poll alone completes any mix of transfers.", function(d)
    local secure <close> = tls_peer.start { { { "request" }, { "send", ANSWER } } }
    local h2 <close> = servers.node()
    local hang <close> = peer.start(HANG)
    local good = { d:add("/small"), d:add("/big"), d:add("/chunked/100000"),
      d:add("/upload/mix", { method = "PUT", body = ("x"):rep(1000000) }),
      d:add(secure:url("/"), tls()),
      d:add(h2:url("/bytes/100000"), { version = "2-prior-knowledge" }) }
    local bad = { connection_refused = d:add("http://127.0.0.1:1/"), bad_url = d:add("http://"),
      timed_out = d:add(hang:url(), { timeout = 50 }) }
    perform_all(d)
    local ends = d:ends()
    for _, easy in ipairs(good) do assert.is_true(ends[easy]) end
    for code, easy in pairs(bad) do assert.equal(code, ends[easy].code) end
  end, { bare = true })

  item(100, "poll waits even without sockets; with 0 it returns at once; both honour the "
    .. "nearest internal deadline and extra fds.", function(d)
    local before = uv.hrtime()
    assert.equal(0, d.multi:poll(20))
    assert.is_true(uv.hrtime() - before >= 20 * 1000000)
    assert.equal(0, d.multi:poll(0))
    local p <close> = peer.start(HANG)
    local easy = d:add(p:url(), { timeout = 30 })
    d:run(function() return d.multi:stats().bytes_out > 0 or d.multi:running() == 0 end)
    before = uv.hrtime()
    while d.multi:running() > 0 do
      d.multi:poll(20000) -- ends with the deadline
      d.multi:perform()
    end
    assert.is_true(uv.hrtime() - before < 15000 * 1000000)
    assert.equal("timed_out", d:ended(easy))
    local fds = uv.socketpair()
    uv.fs_write(fds[2], "x")
    local extra = { { fd = fds[1], events = core.POLL_IN } }
    assert.equal(1, d.multi:poll(-1, extra))
    assert.equal(core.CSELECT_IN, extra[1].revents)
    for _, fd in ipairs(fds) do uv.fs_close(fd) end
  end)

  item(101, "waitfds reports the same sockets and directions the socket callback would.",
  function(d)
    local stopped <close> = peer.start { { { "stop_reading" }, { "hang" } } }
    local full <close> = peer.start({ { { "hang" } } }, { full = true })
    d:add("/slow")
    d:add(stopped:url(), { body = ("x"):rep(20000000) })
    d:add(full:url())
    local easy = d:add("/small")
    d:run(function()
      local seen, kinds = {}, {}
      for _, w in ipairs(d.multi:waitfds()) do
        seen[w.fd], kinds[w.events] = w.events, true
      end
      assert.same(d.watched, seen)
      return kinds[core.POLL_IN] and kinds[core.POLL_OUT] and kinds[core.POLL_INOUT]
        and easy:getinfo("status") == 200
    end)
  end, { logged = true })

  item(102, "waitfds reports nothing when nothing is in progress. Decision (46): but idle "
    .. "connections, for the peer's close.", function(d)
    assert.same({}, d.multi:waitfds())
    local easy = d:add("/small")
    assert.same({}, d.multi:waitfds())
    d:run()
    assert.equal(core.POLL_IN, d.multi:waitfds()[1].events)
    assert.equal(1, d.multi:stats().idle)
    d.multi:network_changed()
    assert.same({}, d.multi:waitfds())
    d.multi:remove_handle(easy)
    assert.same({}, d.multi:waitfds())
  end)

  item(103, "A transfer begun with perform can be finished with socket_action and vice versa.",
  function(d)
    local first = d:add("/big")
    while d.multi:stats().bytes_in < 1000000 do
      d.multi:perform()
      d.multi:poll(1000)
    end
    d:install() -- and now whatever drives this mode
    d:run()
    assert.equal(8 * 1024 * 1024, #first:response().body)
    local second = d:add("/big")
    d:run(function() return d.multi:stats().bytes_in > 9000000 end)
    d.multi:setopt { socketfunction = false, timerfunction = false }
    perform_all(d)
    assert.equal(8 * 1024 * 1024, #second:response().body)
  end, { bare = true })

  item(104, "Connections in shutdown are included in waitfds and poll.", function(d)
    local p <close> = tls_peer.start { { { "request" }, { "send", ANSWER }, { "eof" } } }
    local easy = d:add(p:url("/"), tls())
    d:run()
    assert.is_true(d:ended(easy))
    d.multi:network_changed()
    local s, w = d.multi:sockets()[1], d.multi:waitfds()
    assert.equal("shutdown", s.owner)
    assert.same({ { fd = s.fd, events = core.POLL_IN } }, w)
    local ready = 0
    while #d.multi:sockets() > 0 do -- until the peer has answered
      ready = ready + d.multi:poll(1000)
      d.multi:perform()
    end
    assert.is_true(ready > 0) -- or it was the end of all patience
    assert.same({}, d.multi:waitfds())
  end)
end)
