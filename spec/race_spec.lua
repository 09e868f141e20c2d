-- SPDX-License-Identifier: MIT
--
-- race, any, with_timeout and map: who wins, who is cancelled, whose error is
-- whose.
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local usage = require "spec.support.usage"

local HANG = { { { "request" }, { "hang" } } }

-- A function that sleeps and then returns its values.
local function after(delay, ...)
  local values = table.pack(...)
  return function()
    ms.sleep(delay)
    return table.unpack(values, 1, values.n)
  end
end

-- A function that never ends by itself; `closed.n` counts the cancelled ones.
local function endless(closed)
  return function()
    local _ <close> = setmetatable({}, { __close = function() closed.n = closed.n + 1 end })
    ms.sleep(1000000)
    closed.ended = true
  end
end

-- How a fetch that never gets an answer is run and looked at.
local function hanging(p, client, fn)
  local stats
  fn(function() return client:fetch(p:url()) end, function()
    p:wait("request", 30000, function() ms.sleep(1) end)
  end)
  stats = client:stats()
  assert.equal(0, stats.running)
  assert.equal(stats.opened, stats.closed + stats.idle)
  assert.equal(0, stats.idle)
  assert.is_truthy(p:wait(function() return p:count("eof") + p:count("error") > 0 end))
end

for _, name in ipairs({ "race", "any" }) do
  local run = ms[name]

  describe(name, function()
    it("gives all values of the first", async(function()
      local closed = { n = 0 }
      local values = table.pack(run({ endless(closed), after(1, "a", nil, "c", nil),
        endless(closed) }))
      assert.same({ n = 4, "a", nil, "c", nil }, values)
      assert.same({ n = 2 }, closed)
    end))

    it("takes nothing returned for a success", async(function()
      assert.equal(0, select("#", run({ function() end })))
      assert.same({ n = 1 }, table.pack(run({ function() return nil end })))
    end))

    it("works on the main thread", async.main(function()
      assert.equal(1, run({ after(1, 1), after(100000, 2) }))
    end))

    it("really ends the transfers of the losers", async(function()
      local p <close> = peer.start(HANG)
      local client <close> = ms.client()
      hanging(p, client, function(fetch, until_sent)
        assert.equal("won", run({ fetch, function()
          until_sent()
          return "won"
        end }))
      end)
    end))

    it("does not begin the rest when the first ends at once", async(function()
      local began = false
      assert.equal(1, run({ function() return 1 end, function() began = true end }))
      ms.sleep(1)
      assert.is_false(began)
    end))

    it("ends all when its caller is cancelled", async(function()
      local closed = { n = 0 }
      local t = ms.spawn(run, { endless(closed), endless(closed) })
      ms.sleep(2)
      t:cancel()
      assert.same({ n = 2 }, closed)
    end))

    it("nests", async(function()
      local closed = { n = 0 }
      assert.equal(1, run({
        function() return run({ endless(closed), function()
          return run({ endless(closed), endless(closed) })
        end }) end,
        after(2, 1),
      }))
      assert.same({ n = 3 }, closed)
    end))

    it("reports once what a loser raises while it ends", async(function()
      local reports = async.reports(function()
        assert.equal(1, run({ after(1, 1), function()
          local _ <close> = setmetatable({}, { __close = function() error("closing") end })
          ms.sleep(100000)
        end }))
        ms.sleep(2)
      end)
      assert.equal(1, #reports)
      assert.matches("closing", reports[1].err)
    end))

    it("reports once what a loser raises that resumed the winner's code", async(function()
      local reports = async.reports(function()
        local go
        assert.equal(1, run({
          function() return (coroutine.yield(function() end)) end,
          function()
            ms.sleep(1)
            go()
            error("too late")
          end,
          function()
            local co = coroutine.running()
            go = function() assert(coroutine.resume(co)) end
            coroutine.yield()
            return 1
          end,
        }))
        ms.sleep(2)
      end)
      assert.equal(1, #reports)
      assert.matches("too late", reports[1].err)
      assert.matches("race_spec.lua", reports[1].traceback)
    end))

    it("does not keep the list", async(function()
      local list = { after(3, "a"), after(100000) }
      ms.spawn(function() list[1] = nil end)
      assert.equal("a", run(list))
    end))

    it("refuses bad arguments", async(function()
      for _, args in ipairs({ {}, { "x" }, { {} }, { { 1 } }, { { print, "x" } } }) do
        usage(run, table.unpack(args))
      end
    end))

    it("raises inside a luv callback, and leaves nothing running", async.main(function()
      local closed, err, timer = { n = 0 }, nil, uv.new_timer()
      timer:start(0, 0, function()
        timer:close()
        err = usage(run, { endless(closed) })
      end)
      uv.run()
      assert.equal("wrong_context", err.code)
      assert.is_nil(closed.ended)
    end))
  end)
end

describe("race", function()
  it("gives the failure of the first, too", async(function()
    assert.same({ nil, "why" }, { ms.race({ after(100000), after(1, nil, "why") }) })
    local value = {}
    assert.same({ nil, value }, { ms.race({ after(100000), function() error(value) end }) })
  end))

  it("makes an err of a raised nil", async(function()
    local value, err = ms.race({ function() error(nil) end })
    assert.is_nil(value)
    assert.equal("callback_error", err.code)
  end))

  it("gives an err when the first was cancelled by others", async(function()
    local value, err = ms.race({ after(100000), function()
      local co = coroutine.running()
      local timer = uv.new_timer()
      timer:start(0, 0, function()
        timer:close()
        coroutine.close(co)
      end)
      ms.sleep(100000)
    end })
    assert.is_nil(value)
    assert.equal("cancelled", err.code)
  end))
end)

describe("any", function()
  it("passes over failures", async(function()
    assert.equal("c", ms.any({ function() error("a") end, after(1, nil, "b"), after(5, "c"),
      after(100000) }))
  end))

  it("has the errors of all when all fail", async(function()
    local value = {}
    local res, err = ms.any({ after(2, nil, "late"), function() error(value) end,
      function() error(nil) end })
    assert.is_nil(res)
    assert.equal("all_failed", err.code)
    assert.equal(3, #err.errors)
    assert.equal("late", err.errors[1])
    assert.equal(value, err.errors[2])
    assert.equal("callback_error", err.errors[3].code)
    assert.equal("late", err.cause)
    assert.matches("all of 3 .*late", tostring(err))
  end))
end)

describe("with_timeout", function()
  it("passes arguments and results, nils included", async(function()
    assert.same({ n = 4, 3, nil, 2, nil }, table.pack(ms.with_timeout(10000, function(...)
      ms.sleep(1)
      return select("#", ...), ...
    end, nil, 2, nil)))
  end))

  it("cancels a function that takes too long", async(function()
    local closed = { n = 0 }
    local value, err = ms.with_timeout(5, endless(closed))
    assert.is_nil(value)
    assert.equal("timeout", err.category)
    assert.equal("timed_out", err.code)
    assert.matches("5 ms", err.message)
    assert.same({ n = 1 }, closed)
  end))

  it("really ends its transfers", async(function()
    local p <close> = peer.start(HANG)
    local client <close> = ms.client()
    hanging(p, client, function(fetch, until_sent)
      ms.spawn(until_sent)
      assert.equal("timed_out", select(2, ms.with_timeout(50, fetch)).code)
    end)
  end))

  it("gives failures as nil and the error", async(function()
    local value = {}
    assert.same({ nil, "why" }, { ms.with_timeout(1000, after(1, nil, "why")) })
    assert.same({ nil, value }, { ms.with_timeout(1000, function() error(value) end) })
  end))

  it("lets a function that does not wait end, even with 0", async(function()
    assert.equal(1, ms.with_timeout(0, function() return 1 end))
    assert.equal("timed_out", select(2, ms.with_timeout(0, ms.sleep, 100000)).code)
  end))

  it("takes very long times", async(function()
    for _, time in ipairs({ 2 ^ 31, 2 ^ 32, 2 ^ 53 }) do
      assert.equal(1, ms.with_timeout(time, after(1, 1)))
    end
  end))

  it("works on the main thread, and nested", async.main(function()
    assert.equal("timed_out", select(2, ms.with_timeout(1, ms.sleep, 100000)).code)
    local inner
    local _, outer = ms.with_timeout(5, function()
      inner = ms.with_timeout(100000, ms.sleep, 100000)
    end)
    assert.equal("timed_out", outer.code)
    assert.is_nil(inner)
  end))

  it("ends the function when its caller is cancelled", async(function()
    local closed = { n = 0 }
    local t = ms.spawn(ms.with_timeout, 100000, endless(closed))
    ms.sleep(2)
    t:cancel()
    assert.same({ n = 1 }, closed)
  end))

  it("refuses bad arguments", async(function()
    usage(ms.with_timeout)
    usage(ms.with_timeout, 5)
    usage(ms.with_timeout, 5, "x")
    usage(ms.with_timeout, -1, print)
    usage(ms.with_timeout, 0 / 0, print)
    usage(ms.with_timeout, "5", print)
  end))
end)

describe("map", function()
  it("calls fn(item, i), with results in order", async(function()
    local entries = ms.map({ "a", "b", "c" }, function(item, i)
      ms.sleep(4 - i)
      return item .. i, nil, i
    end)
    assert.equal(3, #entries)
    for i, v in ipairs({ "a1", "b2", "c3" }) do
      assert.is_true(entries[i].ok)
      assert.equal(v, entries[i].value)
      assert.same({ n = 3, v, nil, i }, entries[i].values)
    end
  end))

  it("has failures as entries", async(function()
    local entries = ms.map({ 1, 2, false }, function(item)
      if item == 1 then error("one") end
      if item == 2 then return nil, "two" end
      return item
    end)
    assert.matches("one", entries[1].error)
    assert.same({ ok = false, error = "two" }, entries[2])
    assert.same({ ok = true, value = false, values = { n = 1, false } }, entries[3])
  end))

  it("runs no more than `concurrency` at once, 8 unless told", async(function()
    local list, now, most = {}, 0, 0
    for i = 1, 30 do list[i] = i end
    local function work()
      now = now + 1
      most = math.max(most, now)
      ms.sleep(1)
      now = now - 1
    end
    ms.map(list, work)
    assert.equal(8, most)
    most = 0
    ms.map(list, work, { concurrency = 3 })
    assert.equal(3, most)
  end))

  it("can stop at the first error", async(function()
    local entries = ms.map({ 1, 2, 3 }, function(item)
      if item == 1 then error("x") end
      ms.sleep(100000)
    end, { stop_on_error = true, concurrency = 2 })
    assert.equal("cancelled", entries[2].error.code)
    assert.equal("cancelled", entries[3].error.code)
  end))

  it("ends the tasks when its caller is cancelled", async(function()
    local closed = { n = 0 }
    local t = ms.spawn(ms.map, { 1, 2 }, endless(closed))
    ms.sleep(2)
    t:cancel()
    assert.same({ n = 2 }, closed)
  end))

  it("takes an empty list, and works on the main thread", async.main(function()
    assert.same({}, ms.map({}, print))
    assert.equal(2, ms.map({ 1 }, function(x)
      ms.sleep(1)
      return x + 1
    end)[1].value)
  end))

  it("refuses bad arguments", async(function()
    usage(ms.map)
    usage(ms.map, {})
    usage(ms.map, "x", print)
    usage(ms.map, {}, print, { concurrency = 0 })
    assert.matches('did you mean "concurrency"', usage(ms.map, {}, print,
      { concurency = 1 }).message)
  end))
end)
