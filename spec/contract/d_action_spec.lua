-- SPDX-License-Identifier: MIT
--
-- The contract, part D: socket_action. In every mode these items make the
-- calls they are about themselves, whatever drives the rest.
local certs = require "spec.support.certs"
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local peer = require "spec.support.peer"
local servers = require "spec.support.h2_servers"
local tls_peer = require "spec.support.tls_peer"
local uv = require "luv"

local TIMEOUT = core.SOCKET_TIMEOUT
local HANG = { { { "request" }, { "hang" } } }
local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local H2 = { version = "2-prior-knowledge" }

-- Waits until these descriptors can be read, and tells nobody.
local function wait_readable(fds)
  local poller <close> = core.multi {}
  for _, fd in ipairs(fds) do
    assert.equal(1, poller:poll(5000, { { fd = fd, events = core.POLL_IN } }))
  end
end

-- The same for one of them.
local function wait_any(fds)
  local poller <close> = core.multi {}
  local list = {}
  for i, fd in ipairs(fds) do list[i] = { fd = fd, events = core.POLL_IN } end
  assert.is_true(poller:poll(5000, list) >= 1)
end

local function fds_of(d)
  local fds = {}
  for _, s in ipairs(d.multi:sockets()) do fds[#fds + 1] = s.fd end
  return fds
end

describe("contract D:", function()
  local item = contract.begin(_ENV)

  -- Transfers whose requests have left; returns their descriptors.
  local function sent(d, urls, opts)
    local easies = {}
    for i, url in ipairs(urls) do
      local before = d.multi:stats().bytes_out
      easies[i] = d:add(url, opts)
      d:run(function() return d.multi:stats().bytes_out > before end)
    end
    return easies
  end

  item(68, "With a socket, only transfers on that socket (plus due timers) run.", function(d)
    local easies, got, paused = {}, { 0, 0 }, 0
    for i = 1, 2 do
      easies[i] = d:easy("/bytes/1000000", {
        on_headers = function()
          easies[i]:pause(core.PAUSE_RECV)
          paused = paused + 1
        end,
        on_data = function(chunk) got[i] = got[i] + #chunk end,
      })
      d.multi:add_handle(easies[i])
    end
    d:run(function() return paused == 2 end)
    for i = 1, 2 do easies[i]:pause(core.PAUSE_CONT) end
    while d.multi:timeout() == 0 do d.multi:socket_action(TIMEOUT, 0) end
    local fd, before
    for _, s in ipairs(d.multi:sockets()) do
      if s.easies[1] == easies[1] then fd = s.fd end
    end
    before = got[2]
    while d.multi:running() == 2 do
      wait_readable { fd }
      d.multi:socket_action(fd, core.CSELECT_IN)
    end
    assert.same({ 1000000, before }, got)
    assert.is_true(d:ended(easies[1]))
    d:run()
    assert.equal(1000000, got[2])
  end)

  item(69, "All transfers sharing the socket get their chance.", function(d)
    local s <close> = servers.node()
    sent(d, { s:url("/slow/60000") }, H2)
    local easies = {}
    for i = 1, 10 do easies[i] = d:add(s:url("/bytes/10"), H2) end
    d.multi:socket_action(TIMEOUT, 0)
    local fd = fds_of(d)[1]
    while d.multi:running() > 1 do
      wait_readable { fd }
      d.multi:socket_action(fd, core.CSELECT_IN)
    end
    local ends = d:ends()
    for _, easy in ipairs(easies) do assert.is_true(ends[easy]) end
  end)

  item(70, "A shutting-down connection on that socket advances too.", function(d)
    local p <close> = tls_peer.start { { { "request" }, { "send", ANSWER }, { "eof" } } }
    d:add(p:url("/"), { tls = { ca_file = certs.get("valid").ca } })
    d:run()
    local fd = fds_of(d)[1]
    d.multi:network_changed()
    assert.equal("shutdown", d.multi:sockets()[1].owner)
    while #d.multi:sockets() > 0 do -- close_notify, then FIN
      wait_readable { fd }
      d.multi:socket_action(fd, core.CSELECT_IN)
    end
    assert.equal(1, p:count("close_notify"))
  end)

  item(71, "Unknown or stale fd: OK, nothing happens.", function(d)
    local p <close> = peer.start(HANG)
    local easy = sent(d, { p:url() })[1]
    local stale = fds_of(d)[1]
    for _, fd in ipairs { -2, -100, 0, 1, 999, 1 << 30 } do
      assert.equal(1, d.multi:socket_action(fd, core.CSELECT_IN))
    end
    d.multi:remove_handle(easy)
    assert.equal(0, d.multi:socket_action(stale, core.CSELECT_IN))
    assert.is_nil((d.multi:info_read()))
  end)

  item(72, "Works with mask 0, IN, OUT, INOUT, ERR and wrong masks.", function(d)
    local poller <close> = core.multi {}
    for mask = 0, 7 do
      local easies = { d:add("/bytes/1000000"),
        d:add("/upload/" .. d.kind .. mask, { method = "PUT", body = ("x"):rep(3000000) }) }
      while d.multi:running() > 0 do
        local fds = d.multi:waitfds()
        poller:poll(math.min(d.multi:timeout() or 1000, 1000), fds)
        for _, w in ipairs(fds) do
          if w.revents ~= 0 then d.multi:socket_action(w.fd, mask) end
        end
        if d.multi:timeout() == 0 then d.multi:socket_action(TIMEOUT, 0) end
      end
      local ends = d:ends()
      assert.same({ true, true }, { ends[easies[1]], ends[easies[2]] })
      assert.equal(1000000, #easies[1]:response().body)
      assert.equal(201, easies[2]:response().status)
    end
  end)

  item(73, "Spurious readiness is a no-op (EAGAIN).", function(d)
    local p <close> = peer.start(HANG)
    sent(d, { p:url() })
    local fd, before, from = fds_of(d)[1], d.multi:stats(), #d.log
    for _, mask in ipairs { 0, 1, 2, 3 } do
      assert.equal(1, d.multi:socket_action(fd, mask))
    end
    local after = d.multi:stats()
    assert.same({ before.bytes_in, before.bytes_out, before.closed },
      { after.bytes_in, after.bytes_out, after.closed })
    assert.equal(from, #d.log)
  end, { logged = true })

  item(74, "ERR/HUP events end or fail the transfer promptly.", function(d)
    local resets <close> = peer.start { { { "head" }, { "reset" } } }
    local closes <close> = peer.start { { { "head" }, { "close" } } }
    local easies = sent(d, { resets:url(), closes:url() })
    for _, fd in ipairs(fds_of(d)) do -- one may have ended while the other was sent
      wait_readable { fd }
      d.multi:socket_action(fd, core.CSELECT_ERR)
    end
    assert.equal(0, d.multi:running())
    local ends = d:ends()
    assert.equal("connection_reset", ends[easies[1]].code)
    assert.equal("unexpected_eof", ends[easies[2]].code)
  end, { resets = true })

  item(75, "TIMEOUT kick after adding starts everything.", function(d)
    for _ = 1, 10 do d:add("/small") end
    assert.same({}, d.multi:sockets())
    assert.equal(10, d.multi:socket_action(TIMEOUT, 0))
    assert.equal(10, #d.multi:sockets())
    d:run()
    assert.equal(10, d.multi:stats().done)
  end)

  item(76, "Expired timers of other transfers are handled even when called for a socket.",
  function(d)
    local p <close> = peer.start(HANG)
    sent(d, { p:url() })
    local fd = fds_of(d)[1]
    local easy = sent(d, { p:url() }, { timeout = { idle = 20 } })[1]
    uv.sleep(d.multi:timeout())
    d.multi:socket_action(fd, core.CSELECT_IN)
    assert.equal("timed_out", d:ended(easy))
  end)

  item(77, "running = not yet completed transfers, pending included; 0 means nothing left.",
  function(d)
    local p <close> = peer.start(HANG)
    assert.equal(0, d.multi:running())
    local held = sent(d, { p:url() })[1]
    d:add("/small")
    d:add("/small")
    assert.equal(3, d.multi:running())
    d:run(function() return d.multi:running() == 1 end)
    assert.equal(1, d.multi:socket_action(TIMEOUT, 0))
    d.multi:remove_handle(held)
    assert.equal(0, d.multi:running())
    assert.equal(0, d.multi:socket_action(TIMEOUT, 0))
  end)

  item(78, "running NULL pointer accepted. Here: it is what is returned and may be ignored; "
    .. "multi:running() has it at any time.", function(d)
    d:add("/small")
    d.multi:socket_action(TIMEOUT, 0)
    assert.equal(d.multi:running(), d.multi:socket_action(TIMEOUT, 0))
    d:run()
  end)

  item(79, "A drop of running implies messages in info_read.", function(d)
    for _ = 1, 20 do d:add("/bytes/1000") end
    local running, read = 20, 0
    while running > 0 do
      d:turn()
      running = d.multi:running()
      while d.multi:info_read() do read = read + 1 end
      assert.equal(20, running + read)
    end
  end)

  item(80, "Calling it from any callback returns RECURSIVE_API_CALL and changes nothing. "
    .. "Decision: nothing is refused but perform, poll and waitfds; events are queued.", function(d)
    local depth, calls = 0, 0
    local function act()
      assert.equal(0, depth)
      depth, calls = depth + 1, calls + 1
      for _, s in ipairs(d.multi:sockets()) do d.multi:socket_action(s.fd, 0) end
      d.multi:socket_action(TIMEOUT, 0)
      for _, name in ipairs { "perform", "poll", "waitfds" } do
        local ok, err = pcall(d.multi[name], d.multi, 0)
        assert.same({ false, "wrong_context" }, { ok, err.code })
      end
      depth = depth - 1
    end
    d.on.socket, d.on.timer, d.on.done = act, act, act
    local easies = {}
    for i = 1, 3 do
      easies[i] = d:add("/bytes/100000", { on_headers = act, on_data = act })
    end
    d:run()
    local ends = d:ends()
    for _, easy in ipairs(easies) do assert.is_true(ends[easy]) end
    assert.is_true(calls > 10)
    -- None of them is lost: what is told of inside a callback is handled in
    -- the same call.
    d.on = {}
    local p <close> = peer.start { { { "request" }, { "send", ANSWER }, { "hang" } } }
    uv.kill(p.pid, "sigstop") -- the kernel takes what is sent
    local two = sent(d, { p:url(), p:url() })
    local fds = {}
    for _, s in ipairs(d.multi:sockets()) do
      if s.easies[1] == two[1] then fds[1] = s.fd end
      if s.easies[1] == two[2] then fds[2] = s.fd end
    end
    uv.kill(p.pid, "sigcont")
    wait_readable(fds)
    d.on.done = function() d.multi:socket_action(fds[2], core.CSELECT_IN) end
    d.multi:socket_action(fds[1], core.CSELECT_IN)
    assert.same({ [two[1]] = true, [two[2]] = true }, d:ends())
  end, { logged = true })

  item(81, "More than one call of work is bounded: one large download on a fast link must not "
    .. "prevent another transfer's event from being served.", function(d)
    -- The reader waits for the sender: its socket is never empty.
    local fd, got, most, big = nil, 0, 0, nil
    big = d:add("/big", { on_headers = function() big:pause(core.PAUSE_RECV) end,
      on_data = function(chunk)
        got = got + #chunk
        if got < 8 * 1024 * 1024 then wait_readable { fd } end
      end })
    d:run(function() return d.multi:stats().bytes_in > 0 end)
    fd = fds_of(d)[1]
    big:pause(core.PAUSE_CONT)
    while d.multi:running() > 0 do
      wait_readable { fd }
      local before = d.multi:stats().bytes_in
      d.multi:socket_action(fd, core.CSELECT_IN)
      most = math.max(most, d.multi:stats().bytes_in - before)
    end
    assert.is_true(d:ended(big))
    assert.is_true(most <= 300 * 1024, "bytes in one call: " .. most)
  end)

  item(82, "Data left in TLS/h2 buffers is processed without a further socket event.", function(d)
    local paused, got, easy
    local function on_data(chunk)
      got[#got + 1] = chunk
      if #got == 1 then
        easy:pause(core.PAUSE_RECV)
        paused = true
      end
    end
    local s <close> = servers.node()
    for _, url in ipairs { s:url("/bytes/100000"), "/bytes/100000" } do
      paused, got = false, {}
      easy = d:add(url, { on_data = on_data, version = url:find("^h") and H2.version or nil })
      d:run(function() return paused end)
      d:idle()
      assert.equal(1, d.multi:running())
      easy:pause(core.PAUSE_CONT)
      while d.multi:timeout() == 0 do d.multi:socket_action(TIMEOUT, 0) end
      if d.multi:running() > 0 then -- the rest is in the kernel: it comes by one event
        wait_any(fds_of(d))
        d:run()
      end
      assert.is_true(d:ended(easy))
      assert.equal(100000, #table.concat(got))
    end
    -- TLS: what one event brings is told in one call, though it is many records.
    local body = ("x"):rep(30000)
    local p <close> = tls_peer.start { { { "request" }, { "send",
      "HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n" .. body }, { "eof" } } }
    easy = d:add(p:url("/"), { tls = { ca_file = certs.get("valid").ca } })
    d:run()
    assert.is_true(d:ended(easy))
    assert.equal(body, easy:response().body)
  end)

  item(83, "Level-triggered loops never spin while a transfer is paused, rate-limited, or "
    .. "waiting only for a timer.", function(d)
    local p <close> = peer.start(HANG)
    local easies = { d:add("/big"), sent(d, { p:url() }, { timeout = { idle = 60000 } })[1] }
    d:run(function() return d.multi:stats().bytes_in > 100000 end)
    easies[1]:pause(core.PAUSE_RECV)
    d:idle()
    assert.equal(0, d.multi:poll(0)) -- nothing is ready of what is watched
    assert.is_true(d.multi:timeout() > 1000)
    if d.kind ~= "perform" and d.kind ~= "switch" then
      local before = d.multi:stats().actions
      d:idle(10)
      assert.equal(before, d.multi:stats().actions)
    end
    easies[1]:pause(core.PAUSE_CONT)
    d:run(function() return d.multi:running() == 1 end)
    assert.equal(8 * 1024 * 1024, #easies[1]:response().body)
  end)

  item(84, "Better: correct with edge-triggered notification too. Decision: with the option "
    .. "edge_triggered, which works on a socket until it blocks.", function(d)
    local set, poller <close> = core.epoll(true), core.multi {}
    d.multi:setopt { edge_triggered = true, socketfunction = function(_, fd, what)
      set:watch(fd, what)
    end }
    local easies, stalls = {}, 0
    for i = 1, 5 do easies[i] = d:add("/big") end
    easies[6] = d:add("/upload/edge" .. d.kind, { method = "PUT", body = ("x"):rep(9000000) })
    while d.multi:running() > 0 and stalls < 3 do
      local timeout = d.multi:timeout()
      if timeout ~= 0 and poller:poll(1000, { { fd = set:fd(), events = 1 } }) == 1 then
        set:dispatch(d.multi) -- no descriptor is told twice for the same bytes
      else
        stalls = stalls + (timeout == 0 and 0 or 1)
        d.multi:socket_action(TIMEOUT, 0)
      end
    end
    assert.equal(0, d.multi:running())
    for i = 1, 5 do assert.equal(8 * 1024 * 1024, #easies[i]:response().body) end
    assert.equal(201, easies[6]:response().status)
    d.multi:setopt { socketfunction = false }
    set:close()
  end, { bare = true })
end)
