-- SPDX-License-Identifier: MIT
--
-- The contract, part E: info_read, notifications, introspection.
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local peer = require "spec.support.peer"

local HANG = { { { "request" }, { "hang" } } }

describe("contract E:", function()
  local item = contract.begin(_ENV)

  item(85, "One DONE per finished transfer with its result code, FIFO order.", function(d)
    d:add("/small")
    d:add("http://127.0.0.1:1/")
    d:add("ftp://x/")
    d:add("/bytes/100000")
    d:run()
    for _, e in ipairs(d:events("done")) do -- told in the order of their ends
      local easy, ok, err = d.multi:info_read()
      assert.same({ e.easy, e.ok, e.err and e.err.code }, { easy, ok, err and err.code })
    end
    assert.is_nil((d.multi:info_read()))
    assert.equal(4, #d:events("done"))
  end)

  item(86, "\"left\" count is exact; nil at the end.", function(d)
    for _ = 1, 10 do d:add("/small") end
    d:run()
    for left = 9, 0, -1 do assert.equal(left, (select(4, d.multi:info_read()))) end
    assert.equal(1, select("#", d.multi:info_read()))
    assert.is_nil((d.multi:info_read()))
  end)

  item(87, "Result data (status, timings, URLs) readable from the transfer after DONE.", function(d)
    local easy = d:add("/status/404")
    d:run()
    assert.is_true(d:ended(easy))
    local res = easy:response()
    assert.same({ 404, d.server:url("/status/404"), "1.1" }, { res.status, res.url, res.version })
    assert.equal("status 404\n", res.body)
    assert.equal(404, easy:getinfo("status"))
    assert.is_true(easy:getinfo("total") > 0)
    d.multi:remove_handle(easy)
    assert.equal(404, easy:getinfo("status"))
    assert.equal("127.0.0.1:" .. d.server.port, easy:getinfo("remote_address"))
  end)

  item(88, "Callable from inside callbacks.", function(d)
    local read = {}
    local function read_all()
      for easy, ok in d.multi.info_read, d.multi do read[easy] = ok end
    end
    d.on.socket, d.on.timer, d.on.done = read_all, read_all, read_all
    local easies = {}
    for i = 1, 5 do
      easies[i] = d:add("/bytes/10000", { on_headers = read_all, on_data = read_all })
    end
    d:run()
    for _, easy in ipairs(easies) do assert.is_true(read[easy]) end
    assert.is_nil((d.multi:info_read()))
  end)

  item(89, "Completion notification: fires once when the queue turns non-empty; the handler "
    .. "may add/remove transfers. Here: once for each transfer.", function(d)
    local chained = {}
    d.on.done = function(easy)
      d.multi:remove_handle(easy)
      if #chained < 3 then chained[#chained + 1] = d:add("/small") end
    end
    for _ = 1, 3 do d:add("/small") end
    d:run()
    assert.equal(6, #d:events("done"))
    assert.equal(3, #chained)
    assert.same({}, d.multi:handles())
    assert.is_nil((d.multi:info_read())) -- their messages went with them
    d.on.done = nil
    for _ = 1, 3 do d:add("/small") end
    d:run()
    assert.equal(9, #d:events("done")) -- nobody reads meanwhile
  end)

  item(90, "Per-transfer done notification for success and failure.", function(d)
    local p <close> = peer.start(HANG)
    local good, bad = d:add("/small"), d:add("http://127.0.0.1:1/")
    local slow = d:add(p:url(), { timeout = 20 })
    d:run()
    local told = {}
    for _, e in ipairs(d:events("done")) do
      assert.is_nil(told[e.easy])
      told[e.easy] = e.ok or e.err.code
    end
    assert.same({ true, "connection_refused", "timed_out" }, { told[good], told[bad], told[slow] })
  end)

  item(91, "Counters added/running/pending/done/ever-added are consistent at all times.",
  function(d)
    local p <close> = peer.start(HANG)
    local function check()
      local s = d.multi:stats()
      assert.equal(d.multi:running(), s.running)
      assert.is_true(s.queued <= s.running)
      assert.is_true(s.done + s.running <= s.added)
      assert.is_true(s.idle <= s.connections)
    end
    d.on.socket, d.on.timer, d.on.done = check, check, check
    local easies = {}
    for i = 1, 30 do
      easies[i] = d:add(i % 3 == 0 and p:url() or "/bytes/10000", { on_data = check })
      check()
    end
    d:run(function()
      check()
      return d.multi:running() == 10
    end)
    for i = 3, 30, 3 do
      d.multi:remove_handle(easies[i])
      check()
    end
    local s = d.multi:stats()
    assert.same({ 30, 20, 10, 0, 0 }, { s.added, s.done, s.removed, s.running, s.queued })
    assert.equal(20, #d.multi:handles())
  end)

  item(92, "get_handles lists exactly the app's transfers.", function(d)
    assert.same({}, d.multi:handles())
    local easies, set = {}, {}
    for i = 1, 10 do easies[i] = d:add("http://name.invalid/") end
    for i = 2, 10, 2 do d.multi:remove_handle(easies[i]) end
    for _, easy in ipairs(d.multi:handles()) do set[easy] = true end
    for i, easy in ipairs(easies) do assert.equal(i % 2 == 1 or nil, set[easy]) end
    assert.equal(5, #d.multi:handles())
    d:run() -- names are asked for, and none of that shows
    assert.equal(5, #d.multi:handles())
    local other <close> = core.multi {}
    assert.same({}, other:handles())
  end)
end)
