-- SPDX-License-Identifier: MIT
--
-- The contract, part F: calls from inside callbacks, and threads.
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local peer = require "spec.support.peer"
local uv = require "luv"

local HANG = { { { "request" }, { "hang" } } }
local PLACES = { "socket", "timer", "done", "on_headers", "on_data" }

-- Calls fn(place) from every kind of callback; returns the options for an
-- easy that has them.
local function everywhere(d, fn)
  local function at(place) return function() return fn(place) end end
  for i = 1, 3 do d.on[PLACES[i]] = at(PLACES[i]) end
  return { on_headers = at("on_headers"), on_data = at("on_data") }
end

describe("contract F:", function()
  local item = contract.begin(_ENV)

  item(93, "add, remove, perform, socket_action, setopt, cleanup from any callback: "
    .. "RECURSIVE_API_CALL, no damage. Decision: nothing is refused but perform, poll and "
    .. "waitfds; events and changes are queued.", function(d)
    local p <close> = peer.start(HANG)
    local seen, added, inside = {}, {}, false
    local held = d:add(p:url())
    d:run(function() return d.multi:stats().bytes_out > 0 end)
    local function act(place)
      if inside then return end -- an add or setopt here tells in the same exit
      inside = true
      seen[place] = true
      if #added < 30 then
        added[#added + 1] = d:add("/small")
        local gone = d:add("/small")
        d.multi:remove_handle(gone)
        d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
        d.multi:setopt { max_idle = 20 + #added }
      end
      if #added == 10 then d.multi:remove_handle(held) end
      inside = false
    end
    local easy = d:add("/bytes/100000", everywhere(d, act))
    d:run()
    local ends = d:ends()
    assert.is_true(ends[easy])
    for _, e in ipairs(added) do assert.is_true(ends[e]) end
    assert.is_nil(ends[held])
    for _, place in ipairs(PLACES) do assert.is_true(seen[place], place) end
  end, { logged = true })

  item(94, "getinfo, setopt, pause, assign, info_read are allowed in callbacks.", function(d)
    local easy
    local read = {}
    local function act()
      easy:getinfo("status")
      easy:setopt { timeout = 5000 }
      easy:pause(core.PAUSE_RECV)
      easy:pause(core.PAUSE_CONT)
      for _, s in ipairs(d.multi:sockets()) do d.multi:assign(s.fd, "x") end
      for e, ok in d.multi.info_read, d.multi do read[e] = ok end
      assert.is_string(d.multi:dump())
      assert.is_true(#d.multi:handles() >= 1)
      d.multi:stats()
      d.multi:timeout()
    end
    easy = d:easy("/bytes/1000000", everywhere(d, act))
    d.multi:add_handle(easy)
    d:run()
    for e, ok in d.multi.info_read, d.multi do read[e] = ok end
    assert.is_true(read[easy])
    -- The host hears of it when the engine is through, not inside.
    local inside, calls, paused = false, 0, false
    d.on = {}
    d.on.socket = function()
      assert(not inside, "told in the middle of things")
      calls = calls + 1
    end
    easy = d:easy("/bytes/1000000", { on_data = function()
      if paused then return end
      inside, paused = true, true
      easy:pause(core.PAUSE_RECV)
      inside = false
    end })
    d.multi:add_handle(easy)
    d:run(function() return paused end)
    local before = calls
    easy:pause(core.PAUSE_CONT)
    d:run()
    assert.is_true(before > 0)
    assert.is_true(d:ended(easy))
    assert.same({}, d.errors)
  end, { logged = true })

  item(95, "wakeup from another thread interrupts poll, and is not lost if sent before poll.",
  function(d)
    local p <close> = peer.start(HANG)
    d:add(p:url())
    d:run(function() return d.multi:stats().bytes_out > 0 end)
    d:idle()
    local function wake(waker) require("multisocket.core").wake(waker) end
    local thread = uv.new_thread(wake, d.multi:waker())
    assert.equal(0, d.multi:poll(-1)) -- before or during
    thread:join()
    thread = uv.new_thread(wake, d.multi:waker())
    thread:join()
    d.multi:perform()
    assert.equal(0, d.multi:poll(-1))
    assert.equal(0, d.multi:poll(1))
  end)

  item(96, "Better: destroying a transfer inside a callback is refused visibly. Decision: it "
    .. "is safe and deferred, of the multi too.", function(d, kind)
    for _, place in ipairs { "on_headers", "on_data", "done" } do
      local easy
      local opts = everywhere(d, function(at) if at == place then easy:close() end end)
      easy = d:easy("/bytes/100000", opts)
      d.multi:add_handle(easy)
      d:run()
      d.on = {}
      assert.is_nil((d.multi:info_read()))
      assert.same({}, d.multi:handles())
      assert.is_nil(d.multi:check())
    end
    for _, place in ipairs(PLACES) do
      local other <close> = contract.drive(kind, { logged = true })
      other.server = d.server
      local easies = {}
      local opts = everywhere(other, function(at) if at == place then other.multi:close() end end)
      easies[1] = other:easy("/bytes/100000", opts)
      other.multi:add_handle(easies[1])
      if place ~= "timer" then easies[2] = other:add("/slow") end
      other:run()
      local ends = other:ends()
      for _, easy in ipairs(easies) do
        assert.is_true(ends[easy] == true or ends[easy].code == "cancelled")
      end
      assert.same({}, other.watched)
      assert.equal("", other:check())
    end
  end, { logged = true })

  item(97, "Removing other transfers from the completion notification while the run loop "
    .. "iterates is safe.", function(d)
    local easies = {}
    for i = 1, 50 do easies[i] = d:add("/bytes/1000") end
    d.on.done = function()
      for i = #easies, 1, -1 do
        if i % 3 ~= 0 then d.multi:remove_handle(table.remove(easies, i)) end
        if #easies < 20 then break end
      end
    end
    d:run()
    local stats = d.multi:stats()
    assert.is_true(stats.removed > 0 and stats.done > 0 and stats.done < 50)
    assert.equal(stats.done, #d:events("done"))
    assert.equal(#easies, #d.multi:handles())
    assert.equal(50, #easies + stats.removed)
  end)

  item(98, "Lua-specific: an error or a yield inside a user callback never leaves the engine "
    .. "\"in callback\".", function(d)
    for _, bad in ipairs { function() error("no", 0) end, coroutine.yield } do
      for _, name in ipairs { "on_headers", "on_data" } do
        local easy = d:add("/small", { [name] = bad })
        d:run()
        local err = d:ends()[easy]
        assert.equal("callback_error", err.code)
        assert.is_truthy(err.cause == "no" or tostring(err.cause):find("yield", 1, true))
        assert.is_true(d.multi:perform() == 0) -- would be refused inside a callback
      end
      -- In a coroutine, where a yield is possible but for the C frames between.
      local co = coroutine.wrap(function()
        local easy = d:add("/small", { on_data = bad })
        while d.multi:running() > 0 do
          d.multi:perform()
          d.multi:poll(1000)
        end
        return d:ends()[easy]
      end)
      assert.equal("callback_error", co().code)
    end
    local easy = d:add("/small")
    d:run()
    assert.is_true(d:ended(easy))
  end)
end)
