-- SPDX-License-Identifier: MIT
--
-- The contract, part B, second half: assign, callbacks that fail, change or
-- are missing, idle connections, descriptors of our own.
local certs = require "spec.support.certs"
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local peer = require "spec.support.peer"
local tls_peer = require "spec.support.tls_peer"

local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local IN, OUT, REMOVE = core.POLL_IN, core.POLL_OUT, core.POLL_REMOVE

-- The socketfunction raises at its nth call from now on.
local function fail_at(d, n)
  local calls = 0
  d.on.socket = function()
    calls = calls + 1
    if calls == n then error("no", 0) end
  end
end

local function table_of(list, value)
  local t = {}
  for _, key in ipairs(list) do t[key] = value end
  return t
end

describe("contract B, callbacks:", function()
  local item = contract.begin(_ENV)

  item(35, "multi_assign sets socketp for all later callbacks of that fd until REMOVE, the "
    .. "REMOVE call included.", function(d)
    local value, seen = {}, {}
    d.on.socket = function(_, fd, what, v)
      seen[#seen + 1] = { what, v == value }
      if what == OUT then assert.is_true(d.multi:assign(fd, value)) end
    end
    d:add("/close")
    d:run()
    assert.same({ { OUT, false }, { IN, true }, { REMOVE, true } }, seen)
  end, { logged = true })

  item(36, "multi_assign on an unknown fd fails with BAD_SOCKET; on a watched fd succeeds, "
    .. "also inside the announcing callback.", function(d)
    for _, fd in ipairs { -1, 0, 1000000 } do
      local ok, err = d.multi:assign(fd, "x")
      assert.is_nil(ok)
      assert.equal("usage", err.category)
    end
    local inside
    d.on.socket = function(_, fd, what)
      if what ~= REMOVE then inside = d.multi:assign(fd, "x") end
    end
    d:add("/small")
    d:run()
    assert.is_true(inside)
    local fd = d.multi:sockets()[1].fd
    assert.is_true(d.multi:assign(fd, "y"))
    d.on.socket = nil
    d.multi:close()
    assert.is_nil((d.multi:assign(fd, "z")))
  end, { logged = true })

  item(37, "multi_assign twice: last value wins; different fds keep different values.", function(d)
    local p <close> = peer.start { { { "request" }, { "hang" } } }
    d:add(p:url())
    d:add(p:url())
    d:run(function() return d.multi:stats().connections == 2 end)
    local fds = { d.multi:sockets()[1].fd, d.multi:sockets()[2].fd }
    for i, fd in ipairs(fds) do
      d.multi:assign(fd, "first" .. i)
      d.multi:assign(fd, "last" .. i)
    end
    local seen = {}
    d.on.socket = function(_, fd, _, value) seen[fd] = value end
    d.multi:setopt { socketfunction = false } -- the REMOVEs carry them
    assert.same({ [fds[1]] = "last1", [fds[2]] = "last2" }, seen)
    d.on.socket = nil
    d:install()
  end, { logged = true })

  item(38, "Returning -1: every transfer of that multi ends with ABORTED_BY_CALLBACK. "
    .. "Decision: an error ends the transfers concerned, not the multi.", function(d)
    for n = 1, 3 do
      fail_at(d, n)
      local easies = { d:add("/close"), d:add("/close"), d:add("/close") }
      d:run()
      local ends, failed = d:ends(), 0
      for _, easy in ipairs(easies) do
        if ends[easy] ~= true then
          failed = failed + 1
          assert.same({ "callback_error", "no" }, { ends[easy].code, ends[easy].cause })
        end
      end
      assert.equal(1, failed)
    end
    local easy = d:add("/small")
    d:run()
    assert.is_true(d:ended(easy))
  end, { logged = true })

  item(39, "Better: after -1 all DONE messages are available at once, without further driving.",
  function(d)
    fail_at(d, 1)
    local easy = d:add("/small")
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    assert.equal("callback_error", d:ended(easy))
    local armed
    d.on.timer = function()
      if not armed then return end
      armed = false
      error("no", 0)
    end
    local easies = { d:add("/slow"), d:add("/slow") }
    armed = true
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    assert.is_false(armed)
    local ends = d:ends()
    for _, e in ipairs(easies) do assert.equal("callback_error", ends[e].code) end
    assert.equal(0, d.multi:running())
  end, { logged = true })

  item(40, "After all transfers are removed a dead multi is usable again. Decision: it never "
    .. "dies.", function(d)
    fail_at(d, 1)
    local easy = d:add("/small")
    d:run()
    assert.equal("callback_error", d:ended(easy))
    d.multi:remove_handle(easy)
    d.multi:add_handle(easy)
    d:run()
    assert.is_true(d:ended(easy))
  end, { logged = true })

  item(41, "Pausing a transfer from inside the socket callback is refused and harmless. "
    .. "Decision: pause works everywhere, deferred.", function(d)
    local easy = d:easy("/bytes/100000")
    local paused
    d.on.socket = function(_, _, what)
      if what ~= IN or paused then return end
      easy:pause(core.PAUSE_RECV)
      paused = true
    end
    d.multi:add_handle(easy)
    d:run(function() return d.multi:stats().bytes_out > 0 end)
    d:idle(20)
    assert.is_true(paused)
    assert.equal(1, d.multi:running())
    assert.is_nil(easy:getinfo("body"))
    easy:pause(core.PAUSE_CONT)
    d:run()
    assert.is_true(d:ended(easy))
    assert.equal(100000, #easy:response().body)
  end, { logged = true })

  item(42, "No socket callback set: no tracking, and driving by perform works.", function(d)
    local easies = {}
    for i = 1, 10 do easies[i] = d:add("/bytes/10000") end
    while d.multi:perform() > 0 do
      for _, s in ipairs(d.multi:sockets()) do assert.equal(0, s.action) end
      d.multi:poll(1000)
    end
    local ends = d:ends()
    for _, easy in ipairs(easies) do assert.is_true(ends[easy]) end
    assert.equal(0, d.multi:stats().socket_calls)
  end, { bare = true })

  item(43, "Callback set while transfers are running: all sockets in use get announced "
    .. "(Better: at once).", function(d)
    local easies = {}
    for i = 1, 3 do easies[i] = d:add("/bytes/1000000") end
    while d.multi:stats().connections < 3 do
      d.multi:perform()
      d.multi:poll(1000)
    end
    assert.same({}, d.watched)
    d:install()
    local fds = {}
    for _, s in ipairs(d.multi:sockets()) do fds[#fds + 1] = s.fd end
    assert.equal(3, #fds)
    assert.same(table_of(fds, IN), d.watched)
    d:run()
    for _, easy in ipairs(easies) do assert.equal(1000000, #easy:response().body) end
    d.multi:close()
  end, { bare = true })

  item(44, "Better: replacing the callback re-announces all live sockets to the new one.",
  function(d)
    local p <close> = peer.start { { { "request" }, { "hang" } } }
    d:add(p:url())
    d:add(p:url())
    d:run(function() return d.multi:stats().connections == 2 end)
    local before, told, withdrawn = {}, {}, {}
    for fd, what in pairs(d.watched) do before[fd] = what end
    d.on.socket = function(_, fd, what) withdrawn[fd] = what end
    d.multi:setopt { socketfunction = function(_, fd, what, value)
      told[fd] = what
      assert.is_nil(value)
    end }
    assert.same(before, told)
    for fd in pairs(before) do assert.equal(REMOVE, withdrawn[fd]) end
    d.on.socket = nil
    d:install()
    assert.same(before, d.watched)
  end, { logged = true })

  item(45, "Callback set to NULL: silence; sockets closed meanwhile are never mentioned later. "
    .. "Decision: a removed callback gets REMOVE for everything.", function(d)
    d:add("/bytes/1000000")
    d:run(function() return d.multi:stats().connections == 1 end)
    d.multi:setopt { socketfunction = false }
    assert.same({}, d.watched)
    local from = #d.log + 1
    while d.multi:running() > 0 do
      d.multi:perform()
      d.multi:poll(1000)
    end
    d.multi:network_changed() -- closes it
    d:install()
    assert.same({}, d:events("socket", from))
  end, { logged = true })

  item(46, "Finished transfer with kept-alive connection: its socket is no longer demanded for "
    .. "the transfer. Decision: idle sockets stay IN, with `easy` nil.", function(d)
    local p <close> = peer.start { { { "request" }, { "send", ANSWER }, { "hang" } } }
    d:add(p:url())
    d:run()
    local s = d.multi:sockets()[1]
    assert.same({ IN, {}, "connection", 1 }, { s.action, s.easies, s.owner, s.readers })
    d.multi:setopt { socketfunction = false }
    local told
    d.on.socket = function(e, _, what) told = { e or "nil", what } end
    d:install()
    assert.same({ "nil", IN }, told)
    d.on.socket = nil
    p:stop() -- closes it
    d:run(function() return d.multi:stats().idle == 0 end)
    assert.same({}, d.watched)
  end, { logged = true })

  item(47, "Connection in graceful shutdown stays announced until its shutdown ends, then "
    .. "REMOVE; wish changes during shutdown are announced.", function(d)
    local p <close> = tls_peer.start { { { "request" }, { "send", ANSWER }, { "eof" } } }
    d:add(p:url("/"), { tls = { ca_file = certs.get("valid").ca } })
    d:add("/small")
    d:run()
    assert.equal(2, d.multi:stats().idle)
    local from = #d.log + 1
    d.multi:network_changed() -- says goodbye where there is one to say: TLS
    local s, n = d.multi:sockets()[1], #d.multi:sockets()
    assert.equal(1, n)
    assert.same({ IN, "shutdown", {} }, { s.action, s.owner, s.easies })
    assert.same({}, d:story(s.fd, from))
    d:run(function() return #d.multi:sockets() == 0 end)
    assert.same({}, d.watched)
    if d.kind ~= "switch" then assert.same({ REMOVE }, d:story(s.fd, from)) end
  end, { logged = true })

  item(48, "When all transfers are done and shutdowns over, no socket remains announced. "
    .. "Decision (46): but those of idle connections, as long as the pool keeps them.", function(d)
    d.multi:setopt { max_idle = 0 }
    for _ = 1, 5 do d:add("/small") end
    d:run()
    assert.same({}, d.watched)
    assert.is_nil(d.multi:timeout())
    d.multi:setopt { max_idle = 5, idle_timeout = 10 }
    for _ = 1, 5 do d:add("/small") end
    d:run()
    d:run(function() return next(d.watched) == nil end)
    assert.same({}, d.multi:sockets())
    assert.is_nil(d.multi:timeout())
  end, { logged = true })

  item(49, "Internal wake-up descriptors never cause repeated events without work.", function(d)
    local p <close> = peer.start { { { "request" }, { "hang" } } }
    d:add(p:url())
    d:run(function() return d.multi:stats().bytes_out > 0 end)
    for _ = 1, 3 do d.multi:wakeup() end
    core.wake(d.multi:waker())
    local sockets = d.multi:sockets()
    assert.equal(1, #sockets)
    assert.equal("connection", sockets[1].owner)
    local calls = d.multi:stats().socket_calls
    if d.kind ~= "switch" then
      d:idle(10)
      assert.equal(calls, d.multi:stats().socket_calls)
    end
  end, { logged = true })

  item(50, "Better: internal wake-up descriptors are not re-registered per request.", function(d)
    local easy = d:add("/small")
    d:run()
    local from = #d.log + 1
    for _ = 1, 10 do
      d.multi:remove_handle(easy)
      d.multi:add_handle(easy)
      d:run()
    end
    assert.same({}, d:events("socket", from)) -- nor anything else
    assert.equal(10, d.multi:stats().reused)
  end, { logged = true })
end)
