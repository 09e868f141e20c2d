-- SPDX-License-Identifier: MIT
--
-- The contract, part B, first half: what the socket callback is told.
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local peer = require "spec.support.peer"
local servers = require "spec.support.h2_servers"
local two_hosts = require "spec.support.two_hosts"

local IN, OUT, INOUT, REMOVE = core.POLL_IN, core.POLL_OUT, core.POLL_INOUT, core.POLL_REMOVE

local function sole_fd(d)
  local sockets = d.multi:sockets()
  assert.equal(1, #sockets)
  return sockets[1].fd
end

describe("contract B, what is told:", function()
  local item = contract.begin(_ENV)

  item(19, "Called with (transfer, fd, what, userp, socketp). Decision: four arguments, no "
    .. "userp.", function(d)
    local count
    d.multi:setopt { socketfunction = function(...)
      count = select("#", ...)
      d.mode.socket(...)
    end }
    local easy = d:add("/small")
    d:run()
    assert.equal(4, count)
    local of = {}
    for _, e in ipairs(d:events("socket")) do of[e.what] = e.easy or of[e.what] end
    assert.equal(easy, of[IN]) -- once the transfer alone has the connection
  end, { logged = true })

  item(20, "`what` is one of IN, OUT, INOUT, REMOVE.", function(d)
    d:add("/small")
    d:add("/close")
    d:add("http://127.0.0.1:1/")
    d:run()
    d.multi:close()
    local seen = {}
    for _, e in ipairs(d:events("socket")) do
      assert.is_true(e.what >= IN and e.what <= REMOVE)
      seen[e.what] = true
    end
    assert.same({ true, true, nil, true }, seen)
  end, { logged = true })

  item(21, "A new TCP connect attempt is announced with OUT.", function(d)
    local p <close> = peer.start({ { { "hang" } } }, { full = true })
    d:add(p:url())
    d:run(function() return next(d.watched) end)
    assert.same({ OUT }, d:story(sole_fd(d)))
    assert.equal("attempt", d.multi:sockets()[1].owner)
  end, { logged = true })

  item(22, "After connecting, with the request sent, interest becomes IN only.", function(d)
    local p <close> = peer.start { { { "hang" } } }
    d:add(p:url())
    d:run(function() return d.multi:stats().bytes_out > 0 end)
    assert.same({ OUT, IN }, d:story(sole_fd(d)))
  end, { logged = true })

  item(23, "While an upload is in progress and response may arrive, interest is INOUT.", function(d)
    local p <close> = peer.start({ { { "stop_reading" }, { "hang" } } })
    d:add(p:url(), { body = ("x"):rep(20000000) })
    d:run(function() return d.watched[d.multi:sockets()[1] and sole_fd(d)] == INOUT end)
    assert.same({ OUT, INOUT }, d:story(sole_fd(d)))
  end, { logged = true })

  item(24, "Called once per change and never twice in a row for the same fd with the same "
    .. "`what`.", function(d)
    for i = 1, 5 do d:add("/bytes/100000", { body = ("x"):rep(i * 100000) }) end
    d:run()
    d:idle()
    assert.equal("", d:check()) -- the recorder looks at each
    local n = #d:events("socket")
    assert.is_true(n >= 10)
    d:idle()
    assert.equal(n, #d:events("socket"))
  end, { logged = true })

  item(25, "Zero, one or many callbacks may happen in one API call.", function(d)
    for _ = 1, 5 do d:add("/small") end
    assert.equal(0, #d:events("socket"))
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    assert.equal(5, #d:events("socket"))
    d:run()
    local before = #d:events("socket")
    d:add("/small")
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    assert.equal(before, #d:events("socket"))
  end, { logged = true })

  item(26, "Several sockets of one transfer are each announced and each removed.", function(_, kind)
    two_hosts.run(kind, "slow", [[
      local first, second = d:events("socket")[1].fd, nil
      for _, e in ipairs(d:events("socket")) do second = e.fd ~= first and e.fd or second end
      if d.kind ~= "switch" then -- there it may have gone while all were handed over
        assert.same({ 2, 4 }, d:story(first))
        assert.same({ 2, 1 }, d:story(second))
        assert.is_nil(d.watched[first])
        assert.equal(1, d.watched[second])
      end
      assert.is_true(easy:response().remote_address:find("127.0.0.1", 1, true) ~= nil)
    ]])
  end)

  item(27, "With N transfers on one connection there is one announcement stream per socket: "
    .. "the union of all wishes.", function(d)
    local s <close> = servers.node()
    for _ = 1, 20 do d:add(s:url("/bytes/100000"), { version = "2-prior-knowledge" }) end
    d:run()
    local fd = sole_fd(d)
    assert.same({ OUT, IN }, d:story(fd))
    assert.equal(2, #d:events("socket"))
    assert.equal(20, #d:events("done"))
  end, { logged = true })

  item(28, "When one of N users stops wanting OUT while another still does, no callback fires; "
    .. "when the last stops, one fires.", function(d)
    -- On one HTTP/2 connection, whose socket takes no more: both have bytes to
    -- send. (spec/unit/test_multi_ev.c counts every combination.)
    local s <close> = servers.node()
    local h2 = { version = "2-prior-knowledge" }
    local easies = { d:add(s:url("/slow/60000"), h2), d:add(s:url("/slow/60000"), h2) }
    d:run(function() return easies[2]:getinfo("send") and #d:events("socket") == 2 end)
    local fd, from = sole_fd(d), #d.log + 1
    d.multi:remove_handle(easies[1])
    d:idle()
    assert.same({}, d:story(fd, from))
    d.multi:remove_handle(easies[2])
    d:idle()
    assert.same({}, d:story(fd, from)) -- idle now, and watched
    d.multi:network_changed()
    assert.same({ REMOVE }, d:story(fd, from))
  end, { logged = true })

  item(29, "The last user gone: REMOVE exactly once.", function(d)
    local p <close> = peer.start { { { "request" }, { "hang" } } }
    local easy = d:add(p:url())
    d:run(function() return d.multi:stats().bytes_out > 0 end)
    local fd = sole_fd(d)
    d.multi:remove_handle(easy)
    d:idle()
    assert.same({ OUT, IN, REMOVE }, d:story(fd))
  end, { logged = true })

  item(30, "REMOVE only for sockets announced before.", function(d)
    -- The callback comes when a socket is there already, and goes at once.
    local easy = d:add("/big")
    d:run(function() return d.multi:stats().bytes_in > 0 end)
    d.multi:setopt { socketfunction = false }
    local calls = 0
    d.multi:remove_handle(easy)
    d.multi:setopt { socketfunction = function() calls = calls + 1 end }
    d:add("http://127.0.0.1:1/") -- refused: announced and removed, or neither
    d:run(function() d.multi:perform() return d.multi:running() == 0 end)
    assert.is_true(calls % 2 == 0)
    assert.equal("", d:check())
    d.watched = {}
    -- A socket that is opened and closed again before anything is told.
    local p <close> = peer.start { { { "request" }, { "hang" } } }
    d:install()
    local from, gone = #d.log + 1, d:add(p:url())
    d.multi:add_handle(core.easy { url = "http://[::g]/" }) -- ends at once
    d.on.done = function() d.multi:remove_handle(gone) end
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    assert.equal(0, d.multi:running())
    for _, e in ipairs(d:events("socket", from)) do assert.is_not_equal(gone, e.easy) end
    assert.equal("", d:check())
  end)

  item(31, "REMOVE arrives before the descriptor is closed, on every path.", function(d)
    local resets <close> = peer.start { { { "request" }, { "reset" } } }
    local hangs <close> = peer.start { { { "request" }, { "hang" } } }
    local full <close> = peer.start({ { { "hang" } } }, { full = true })
    d:add("/close") -- success, closed by the server
    d:add(resets:url()) -- error
    d:add(hangs:url(), { timeout = 20 }) -- timeout
    d:add(full:url(), { timeout = { connect = 20 } }) -- timeout of an attempt
    local removed = d:add(hangs:url())
    d:add("/small")
    d:run(function() return d.multi:running() == 1 end)
    d.multi:remove_handle(removed) -- removal
    local victim, its_fd = d:add(hangs:url()), nil
    d.on.socket = function(easy, fd, what) -- removal while it is being told
      if easy ~= victim or what ~= IN then return end
      its_fd = fd
      d.multi:remove_handle(victim)
    end
    d:run()
    d.on.socket = nil
    d:idle(2)
    assert.is_nil(d.watched[its_fd]) -- it was told that too
    d.multi:setopt { max_idle = 0 } -- eviction
    d:idle(1)
    d.multi:setopt { max_idle = 9 }
    d:add("/small")
    d:run()
    d.multi:close() -- cleanup
    assert.same({}, d.watched)
    assert.equal("", d:check()) -- the recorder asked whether each was open
  end, { logged = true, resets = true })

  item(32, "After REMOVE the same number may be announced again at once, even within the same "
    .. "API call; nothing of the old user leaks into it.", function(d)
    local values = {}
    d.on.socket = function(_, fd, what, value)
      values[#values + 1] = value or false
      if what ~= REMOVE then d.multi:assign(fd, "mine") end
    end
    for _ = 1, 2 do
      d:add("/close")
      d:run()
    end
    local fd = d:events("socket")[1].fd
    assert.same({ OUT, IN, REMOVE, OUT, IN, REMOVE }, d:story(fd))
    assert.same({ false, "mine", "mine", false, "mine", "mine" }, values)
  end, { logged = true })

  item(33, "A transfer whose socket vanished mid-way continues on its other sockets.",
  function(_, kind)
    two_hosts.run(kind, "refused", [[
      assert.equal(200, easy:response().status)
      assert.is_true(easy:response().remote_address:find("127.0.0.1", 1, true) ~= nil)
    ]])
  end)

  item(34, "The three \"done\" notices (transfer, connection, socket) may happen in any order "
    .. "without wrong counts or double REMOVE.", function(d)
    local resets <close> = peer.start { { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf" }, { "reset" } } }
    for i = 1, 30 do
      local easy
      local function act()
        if i % 3 == 0 then d.multi:remove_handle(easy) end
        if i % 3 == 1 then easy:close() end
      end
      easy = d:easy(i % 2 == 0 and resets:url() or "/close", { on_data = act })
      d.multi:add_handle(easy)
    end
    d:run()
    d:idle()
    assert.equal("", d:check())
    assert.equal(0, d.multi:stats().connections)
    assert.same({}, d.multi:sockets())
    assert.equal(10, #d:events("done"))
  end, { resets = true })
end)
