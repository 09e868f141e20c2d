-- SPDX-License-Identifier: MIT
--
-- The contract, part C: the timer callback.
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local peer = require "spec.support.peer"
local two_hosts = require "spec.support.two_hosts"
local uv = require "luv"

local TIMEOUT = core.SOCKET_TIMEOUT
local HANG = { { { "request" }, { "hang" } } }

local function kick(d) return d.multi:socket_action(TIMEOUT, 0) end

-- Every ms told since `from`.
local function told(d, from)
  local list = {}
  for i, e in ipairs(d:events("timer", from)) do list[i] = e.ms end
  return list
end

describe("contract C:", function()
  local item = contract.begin(_ENV)

  -- A transfer whose request has left and that nobody answers.
  local function held(d, p, opts)
    local sent = d.multi:stats().bytes_out
    local easy = d:add(p:url(), opts)
    d:run(function() return d.multi:stats().bytes_out > sent end)
    return easy
  end

  item(51, "One timer per multi however many transfers.", function(d)
    local p <close> = peer.start(HANG)
    for i = 1, 30 do d:add(p:url(), { timeout = 60000 - i * 1000 }) end
    d:run(function() return d.multi:stats().connections == 30 end)
    kick(d)
    local from = #d.log + 1
    kick(d) -- what is told is the one deadline, not one for each
    local list = told(d, from)
    assert.equal(1, #list)
    assert.is_true(list[1] <= 30000 and list[1] > 20000)
  end, { logged = true })

  item(52, "Value = time to the nearest deadline of all transfers.", function(d)
    local p <close> = peer.start(HANG)
    for _, ms in ipairs { 90000, 50000, 70000 } do held(d, p, { timeout = ms }) end
    local from = #d.log + 1
    kick(d)
    local ms = told(d, from)[1]
    assert.is_true(ms <= 50000 and ms > 40000)
    local timeout = d.multi:timeout()
    assert.is_true(timeout <= ms and timeout > 40000)
    -- What other callbacks took of it is gone when it is told.
    d.on.socket = function()
      local now = uv.hrtime()
      while uv.hrtime() - now < 20 * 1000000 do end
    end
    d:add(p:url(), { timeout = { total = 30000, connect = 30000 } })
    from = #d.log + 1
    kick(d)
    local list = told(d, from)
    assert.is_true(#d:events("socket", from) > 0)
    assert.is_true(list[#list] <= 30000 - 20)
  end, { logged = true })

  item(53, "-1 means delete; issued when the last deadline disappears and only if one was set.",
  function(d)
    local p <close> = peer.start(HANG)
    local easy = held(d, p, { timeout = 60000 })
    local from = #d.log + 1
    d.multi:remove_handle(easy)
    assert.same({ -1 }, told(d, from))
    assert.is_nil(d.multi:timeout())
    from = #d.log + 1
    d.multi:remove_handle(easy)
    kick(d)
    assert.same({}, told(d, from))
  end, { logged = true })

  item(54, "0 is allowed and means \"soon\".", function(d)
    local easy = d:add("/small")
    assert.same({ 0 }, told(d))
    assert.equal(0, d.multi:timeout())
    d:run()
    assert.is_true(d:ended(easy))
  end, { logged = true })

  item(55, "Single-shot: after it fired and was reported, a new one is set only by a new "
    .. "callback.", function(d)
    local p <close> = peer.start(HANG)
    held(d, p, { timeout = 60000 })
    for _ = 1, 3 do
      local from = #d.log + 1
      kick(d) -- it fired: whoever keeps one timer has none now
      assert.equal(1, #told(d, from))
    end
  end, { logged = true })

  item(56, "A new value replaces the old one; it may come before the old one expired because "
    .. "of socket activity.", function(d)
    local p <close> = peer.start(HANG)
    held(d, p, { timeout = 90000 })
    kick(d)
    local from = #d.log + 1
    -- Connecting takes the connect limit away; the idle limit comes in its place.
    held(d, p, { timeout = { total = 60000, idle = 20000 } })
    if d.kind == "perform" then kick(d) end -- nobody has taken the add's 0
    local list = told(d, from)
    assert.is_true(#list >= 2)
    assert.is_true(list[#list] <= 20000 and list[#list] > 10000)
  end, { logged = true })

  item(57, "Same absolute deadline: no repeated callback. Decision: announced when earlier or "
    .. "vanished.", function(d)
    local p <close> = peer.start(HANG)
    local first = held(d, p, { timeout = 60000 })
    kick(d)
    local from, fd = #d.log + 1, d.multi:sockets()[1].fd
    for _ = 1, 5 do d.multi:socket_action(fd, 0) end
    assert.same({}, told(d, from))
    local longer = held(d, p, { timeout = { total = 90000, connect = 80000 } })
    local n = #told(d, from)
    assert.is_true(n <= 2) -- the add's 0, and the old deadline in its place
    d.multi:remove_handle(longer)
    assert.equal(n, #told(d, from))
    held(d, p, { timeout = 90000 })
    kick(d)
    n = #told(d, from)
    d.multi:remove_handle(first) -- later now: what is set will do
    assert.equal(n, #told(d, from))
  end, { logged = true })

  item(58, "A premature socket_action(TIMEOUT) re-announces the remaining time.", function(d)
    local p <close> = peer.start(HANG)
    held(d, p, { timeout = 60000 })
    local from = #d.log + 1
    kick(d)
    local list = told(d, from)
    assert.equal(1, #list)
    assert.is_true(list[1] <= 60000 and list[1] > 40000)
    assert.equal(1, d.multi:running())
  end, { logged = true })

  item(59, "Late installation of the callback: first notification at the next call that "
    .. "updates timers. Decision: at once.", function(d)
    local p <close> = peer.start(HANG)
    d.multi:add_handle(d:easy(p:url(), { timeout = 60000 }))
    while d.multi:stats().bytes_out == 0 do
      d.multi:perform()
      d.multi:poll(1000)
    end
    assert.same({}, told(d))
    d:install()
    local list = told(d)
    assert.equal(1, #list)
    assert.is_true(list[1] <= 60000 and list[1] > 40000)
    d.multi:close()
  end, { bare = true })

  item(60, "Reporting a timeout with nothing due is harmless.", function(d)
    for _ = 1, 3 do assert.equal(0, kick(d)) end
    assert.same({}, d.log)
    local easy = d:add("/bytes/1000000")
    while d.multi:running() > 0 do
      kick(d)
      d:turn()
      kick(d)
    end
    assert.is_true(d:ended(easy))
  end, { logged = true })

  item(61, "Never fires early by rounding: the value is rounded up.", function(d)
    local p <close> = peer.start(HANG)
    for ms = 7, 21, 7 do
      local easy = held(d, p, { timeout = { idle = ms } })
      local left = d.multi:timeout()
      uv.sleep(left)
      kick(d)
      assert.equal("timed_out", d:ended(easy)) -- not a bit too early
    end
  end, { logged = true })

  item(62, "Deadlines longer than ~24 days are capped, not wrapped.", function(d)
    local p <close> = peer.start(HANG)
    d:add(p:url(), { timeout = { total = 1 << 40, connect = 1 << 40 } })
    d:run(function() return d.multi:stats().bytes_out > 0 end)
    local from = #d.log + 1
    kick(d)
    assert.same({ 2 ^ 31 - 1 }, told(d, from))
    assert.equal(2 ^ 31 - 1, d.multi:timeout())
    assert.equal(1, d.multi:running())
  end, { logged = true })

  item(63, "Returning -1 kills all transfers as with sockets. Decision (38): all end, the "
    .. "multi lives.", function(d)
    local easies, armed = {}, false
    for i = 1, 3 do easies[i] = d:easy("/slow") end
    d.on.timer = function()
      if not armed then return end
      armed = false
      error("no", 0)
    end
    for i = 1, 3 do d.multi:add_handle(easies[i]) end
    armed = true
    d:run()
    local ends = d:ends()
    for _, easy in ipairs(easies) do
      assert.same({ "callback_error", "no" }, { ends[easy].code, ends[easy].cause })
    end
    local easy = d:add("/small")
    d:run()
    assert.is_true(d:ended(easy))
  end, { logged = true })

  item(64, "Better: N adds in a row give one timer_cb(0), not N.", function(d)
    for _ = 1, 100 do d:add("/small") end
    assert.same({ 0 }, told(d))
    d:run()
  end, { logged = true })

  item(65, "Removal of the only dirty transfer clears a pending 0 timer.", function(d)
    local easy = d:add("/small")
    d.multi:remove_handle(easy)
    assert.same({ 0, -1 }, told(d))
    assert.is_nil(d.multi:timeout())
  end, { logged = true })

  item(66, "Invalid URL transfers still complete through the timer path (no hang).", function(d)
    local bad = { "", ":", "ftp://x/", "http://", "http://a b/", "http://[::g]/",
      "http://x:99999/" }
    local easies = {}
    for i, url in ipairs(bad) do
      easies[i] = core.easy { url = url }
      d.multi:add_handle(easies[i])
    end
    d:run()
    local ends = d:ends()
    for i, easy in ipairs(easies) do assert.equal("usage", ends[easy].category, bad[i]) end
  end, { logged = true })

  item(67, "Every limit in force has an armed timer: total, connect (also the default), "
    .. "first-byte timeout, low speed, happy eyeballs, 100-continue, idle connections.",
  function(d, kind)
    local p <close> = peer.start(HANG)
    local full <close> = peer.start({ { { "hang" } } }, { full = true })
    local function armed_within(limit, url, opts, body)
      opts.body = body
      local easy = d:add(url, opts)
      d:run(function()
        return d.multi:stats().bytes_out > 0 or #d.multi:sockets() == 1 and url == full:url()
      end)
      local ms = d.multi:timeout()
      assert.is_truthy(ms and ms <= limit and ms > limit // 2, tostring(ms))
      d.multi:remove_handle(easy)
      assert.is_nil(d.multi:timeout())
      d:close()
      d = contract.drive(kind, { logged = true })
    end
    armed_within(70000, p:url(), { timeout = 70000 })
    armed_within(40000, full:url(), { timeout = { connect = 40000 } })
    armed_within(30000, full:url(), {}) -- the default
    armed_within(60000, p:url(), { timeout = { first_byte = 60000 } })
    armed_within(50000, p:url(), { timeout = { idle = 50000 } })
    armed_within(80000, p:url(), { low_speed = { limit = 1, time = 80000 } })
    armed_within(1000, p:url(), { expect_continue = true }, "body")
    d:close()
    two_hosts.run(kind, "slow", "", [[
      d.multi:setopt { idle_timeout = 90000 }
      easy = d:add(url)
      d.multi:socket_action(-1, 0)
      assert.is_true(d.multi:timeout() <= 250) -- for the next address
      d:run()
      local ms = d.multi:timeout()
      assert.is_true(ms <= 90000 and ms > 60000) -- for the idle connection
    ]])
  end, { logged = true })
end)
