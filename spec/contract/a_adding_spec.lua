-- SPDX-License-Identifier: MIT
--
-- The contract, part A: handles, adding and removing.
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local peer = require "spec.support.peer"
local servers = require "spec.support.h2_servers"

local SLOW = { { { "request" }, { "send", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf" },
  { "hang" } } }

local function refused(code, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.same({ "usage", code }, { err.category, err.code })
end

describe("contract A:", function()
  local item = contract.begin(_ENV)

  item(1, "Any number of transfers can be added to one multi and run in parallel in one thread.",
  function(d)
    local easies = {}
    for i = 1, 100 do easies[i] = d:add("/bytes/10000") end
    assert.equal(100, d.multi:running())
    d:run()
    local ends = d:ends()
    for _, easy in ipairs(easies) do
      assert.is_true(ends[easy])
      assert.equal(10000, #easy:response().body)
    end
    assert.equal(100, d.multi:stats().opened) -- none waited for another
  end)

  item(2, "A transfer can be added while others run, and starts without disturbing them.",
  function(d)
    local first = d:add("/big")
    d:run(function() return d.multi:stats().bytes_in > 100000 end)
    local second = d:add("/small")
    d:run()
    assert.equal("hello, world\n", second:response().body)
    assert.equal(8 * 1024 * 1024, #first:response().body)
    assert.equal(2, d.multi:stats().done)
  end)

  item(3, "A transfer can be removed at any time, also mid-transfer; others are unaffected.",
  function(d)
    local p <close> = peer.start(SLOW)
    local half, other = d:add(p:url()), d:add("/bytes/1000000")
    d:run(function() return #d.multi:handles() == 2 and half:getinfo("status") == 200 end)
    assert.is_true(d.multi:remove_handle(half))
    assert.same({ other }, d.multi:handles())
    d:run()
    assert.is_true(d:ended(other))
    local unstarted = d:add("/small")
    d.multi:remove_handle(unstarted)
    assert.equal(0, d.multi:running())
  end)

  item(4, "Removing before the end yields no DONE message for it.", function(d)
    local p <close> = peer.start(SLOW)
    local half = d:add(p:url())
    d:run(function() return half:getinfo("status") == 200 end)
    local queued = d:add("/small")
    d.multi:remove_handle(half)
    d.multi:remove_handle(queued)
    d:idle()
    assert.is_nil((d.multi:info_read()))
    assert.same({}, d:events("done"))
  end)

  item(5, "Adding the same transfer twice, or to a second multi, fails with ADDED_ALREADY.",
  function(d)
    local other <close> = core.multi {}
    local easy = d:add("/small")
    refused("already_added", d.multi.add_handle, d.multi, easy)
    refused("already_added", other.add_handle, other, easy)
    assert.same({ 1, 0 }, { d.multi:running(), other:running() })
    d:run()
    refused("already_added", d.multi.add_handle, d.multi, easy)
    assert.is_true(d:ended(easy))
  end)

  item(6, "Removing a transfer that is in no multi succeeds as a no-op; removing from the "
    .. "wrong multi fails.", function(d)
    local other <close> = core.multi {}
    local easy = d:easy("/small")
    assert.is_true(d.multi:remove_handle(easy))
    d.multi:add_handle(easy)
    refused("bad_argument", other.remove_handle, other, easy)
    d:run()
    assert.is_true(d:ended(easy))
    assert.is_true(d.multi:remove_handle(easy))
    assert.is_true(d.multi:remove_handle(easy))
    assert.equal(1, d.multi:stats().removed)
  end)

  item(7, "add performs no network I/O.", function(d)
    local p <close> = peer.start(SLOW)
    local easy = d:add(p:url())
    assert.same({}, d.multi:sockets())
    assert.equal(0, d.multi:stats().connecting)
    assert.same({}, d:events("socket"))
    d.multi:remove_handle(easy)
    d.multi:add_handle(d:easy("/small"))
    d:run()
    assert.equal(0, p:connections())
  end)

  item(8, "add triggers the timer callback with 0 before it returns. Decision: one timer 0 for "
    .. "any number of adds, none inside an entry.", function(d)
    for _ = 1, 10 do d:add("/small") end
    assert.same({ { kind = "timer", ms = 0 } }, d.log)
    d:run()
    local inner, from = {}, nil
    d.on.done = function()
      from = from or #d.log + 1
      if #inner < 10 then inner[#inner + 1] = d:add("/small") end
      assert.same({}, d:events("timer", from))
    end
    d:add("/small")
    d:run()
    for _, e in ipairs(d:events("timer", from)) do assert.not_equal(0, e.ms) end
    assert.equal(10, #inner)
    assert.is_true(d:ends()[inner[10]])
  end, { logged = true })

  item(9, "A completed transfer stays added until removed; re-adding after removal runs it "
    .. "again.", function(d)
    local easy = d:add("/small")
    d:run()
    assert.same({ easy }, d.multi:handles())
    assert.is_true(d:ended(easy))
    assert.same({ easy }, d.multi:handles())
    d.multi:remove_handle(easy)
    assert.same({}, d.multi:handles())
    d.multi:add_handle(easy)
    d:run()
    assert.is_true(d:ended(easy))
    assert.equal("hello, world\n", easy:response().body)
    assert.equal(2, d.multi:stats().done)
  end)

  item(10, "Removing a completed transfer with an unread message deletes that message.", function(d)
    local first, second, third = d:add("/small"), d:add("/small"), d:add("/small")
    d:run()
    d.multi:remove_handle(second)
    local ends = {}
    for left = 1, 0, -1 do
      local easy, ok, _, more = d.multi:info_read()
      assert.equal(left, more)
      ends[easy] = ok
    end
    assert.same({ [first] = true, [third] = true }, ends)
    assert.is_nil((d.multi:info_read()))
  end)

  item(11, "Removing a pending transfer leaves no dangling queue entry and lets another "
    .. "pending one proceed.", function(d)
    local s <close> = servers.node()
    local h2 = { version = "2-prior-knowledge" }
    local easies = {}
    for i = 1, 3 do easies[i] = d:add(s:url("/bytes/100"), h2) end
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    assert.equal(1, d.multi:stats().connecting) -- all three wait for it
    assert.equal(3, d.multi:stats().queued)
    d.multi:remove_handle(easies[1])
    d.multi:remove_handle(easies[3])
    assert.equal(1, d.multi:stats().queued)
    d:run()
    assert.is_true(d:ended(easies[2]))
    assert.equal(1, d.multi:stats().opened)
    assert.equal(0, d.multi:stats().queued)
    -- Who has an attempt of its own leaves it to the next.
    local p <close> = peer.start { { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }, { "repeat" } } }
    d.multi:setopt { max_connections_per_host = 1 }
    local first, second = d:add(p:url("/")), d:add(p:url("/"))
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0)
    d.multi:remove_handle(first)
    d:run()
    assert.is_true(d:ended(second))
    assert.equal(1, p:connections())
  end)

  item(12, "Removing a transfer whose name is still being resolved returns at once.", function(d)
    local easy = d:add("http://name.invalid/")
    d.multi:socket_action(core.SOCKET_TIMEOUT, 0) -- the question leaves
    local asked = d.multi:stats().lookups
    d.multi:remove_handle(easy)
    assert.equal(0, d.multi:running())
    assert.equal(1, asked)
    d:idle()
    assert.is_nil((d.multi:info_read()))
  end)

  item(13, "1000 adds without running, then cleanup, works.", function(d)
    local easies = {}
    for i = 1, 1000 do easies[i] = d:add("/small") end
    assert.equal(1000, d.multi:running())
    d.multi:close()
    local ends = d:ends()
    for _, easy in ipairs(easies) do assert.equal("cancelled", ends[easy].code) end
    assert.equal(0, d.multi:stats().opened)
  end)

  item(14, "Destroying a transfer that is still added first removes it.", function(d)
    local p <close> = peer.start(SLOW)
    local half = d:add(p:url())
    d:run(function() return half:getinfo("status") == 200 end)
    local fresh = d:add("/small")
    half:close()
    fresh:close()
    assert.same({ 0, {} }, { d.multi:running(), d.multi:handles() })
    local done = d:add("/small")
    d:run()
    done:close() -- with its message unread
    assert.is_nil((d.multi:info_read()))
    assert.equal(3, d.multi:stats().removed)
  end)

  item(15, "Destroying the multi with transfers still added detaches them; they remain usable. "
    .. "Decision: closing the multi ends its transfers with `cancelled`; easies stay usable.",
  function(d)
    local p <close> = peer.start(SLOW)
    local half, fresh = d:add(p:url()), d:easy("/small")
    d:run(function() return half:getinfo("status") == 200 end)
    d.multi:add_handle(fresh)
    d.multi:close()
    local ends = d:ends()
    assert.same({ "cancelled", "cancelled" }, { ends[half].code, ends[fresh].code })
    d.multi:remove_handle(half)
    d.multi:remove_handle(fresh)
    local other <close> = contract.drive(d.kind)
    other.multi:add_handle(fresh)
    other:run()
    assert.equal("hello, world\n", fresh:response().body)
  end)

  item(16, "A failed add leaves the multi exactly as before: running, queues, timer.", function(d)
    local other <close> = core.multi {}
    local easy, closed = d:easy("/small"), d:easy("/small")
    other:add_handle(easy)
    closed:close()
    local before, timeout, from = d.multi:stats(), d.multi:timeout(), #d.log
    refused("already_added", d.multi.add_handle, d.multi, easy)
    refused("closed", d.multi.add_handle, d.multi, closed)
    assert.is_false(pcall(d.multi.add_handle, d.multi, nil))
    assert.same(before, d.multi:stats())
    assert.equal(timeout, d.multi:timeout())
    assert.equal(from, #d.log)
    assert.same({}, d.multi:handles())
  end)

  item(17, "Removing a half-done HTTP/1.1 transfer closes its connection; removing a half-done "
    .. "HTTP/2 transfer resets only its stream and keeps the connection.", function(d)
    local p <close> = peer.start { { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf" }, { "eof" } } }
    local half = d:add(p:url())
    d:run(function() return half:getinfo("status") == 200 end)
    d.multi:remove_handle(half)
    assert.equal(0, d.multi:stats().connections)
    assert.is_truthy(p:wait("eof"))

    local s <close> = servers.node()
    local h2 = { version = "2-prior-knowledge" }
    local slow, other = d:add(s:url("/slow/60000"), h2), d:add(s:url("/bytes/10"), h2)
    d:run(function() return d.multi:running() == 1 end)
    assert.is_true(d:ended(other))
    d.multi:remove_handle(slow)
    local again = d:add(s:url("/bytes/10"), h2)
    d:run()
    assert.is_true(d:ended(again))
    assert.is_true(again:response().reused)
    assert.equal(2, d.multi:stats().opened)
  end)

  item(18, "Connections survive removal and re-adding of transfers and are reused by other "
    .. "transfers.", function(d)
    local easy = d:add("/small")
    d:run()
    for _ = 1, 3 do
      d.multi:remove_handle(easy)
      d.multi:add_handle(easy)
      d:run()
      assert.is_true(easy:response().reused)
    end
    d.multi:remove_handle(easy)
    local other = d:add("/bytes/1000")
    d:run()
    assert.is_true(other:response().reused)
    assert.same({ 1, 4 }, { d.multi:stats().opened, d.multi:stats().reused })
  end)
end)
