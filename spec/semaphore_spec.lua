-- SPDX-License-Identifier: MIT
--
-- Semaphores: at most n at a time, first come first served, and no permit is
-- lost on whatever way.
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local usage = require "spec.support.usage"

-- All permits are there: n can be had at once, and one more cannot.
local function assert_whole(sem, n)
  local permits = {}
  for i = 1, n do permits[i] = assert(ms.with_timeout(1000, sem.acquire, sem)) end
  assert.equal("timed_out", select(2, ms.with_timeout(1, sem.acquire, sem)).code)
  for _, permit in ipairs(permits) do permit:release() end
end

describe("a semaphore", function()
  it("lets n in at a time", async(function()
    local sem, now, most = ms.semaphore(3), 0, 0
    local list = {}
    for i = 1, 20 do
      list[i] = function()
        local _ <close> = sem:acquire()
        now = now + 1
        most = math.max(most, now)
        ms.sleep(1)
        now = now - 1
      end
    end
    ms.gather(list, { concurrency = 20 })
    assert.equal(3, most)
    assert_whole(sem, 3)
  end))

  it("serves in the order of asking", async(function()
    local sem, order = ms.semaphore(1), {}
    local first = sem:acquire()
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = ms.spawn(function()
        local _ <close> = sem:acquire()
        order[#order + 1] = i
        ms.sleep(1)
      end)
    end
    ms.sleep(1)
    first:release()
    local late = sem:acquire() -- free again just now, but others were before us
    order[#order + 1] = "late"
    late:release()
    for _, t in ipairs(tasks) do assert.is_true(t:wait()) end
    assert.same({ 1, 2, 3, 4, 5, "late" }, order)
  end))

  it("gets a permit back once from a guard, however often it is released", async(function()
    local sem = ms.semaphore(1)
    do
      local permit <close> = sem:acquire()
      permit:release()
      permit:release()
    end
    assert_whole(sem, 1)
  end))

  it("gets it back when the scope is left by an error, or by a cancel", async(function()
    local sem = ms.semaphore(1)
    assert.is_false((pcall(function()
      local _ <close> = sem:acquire()
      error("x")
    end)))
    local t = ms.spawn(function()
      local _ <close> = sem:acquire()
      ms.sleep(100000)
    end)
    ms.sleep(1)
    t:cancel()
    assert_whole(sem, 1)
  end))

  it("has release for those without a guard", async(function()
    local sem = ms.semaphore(2)
    sem:acquire()
    sem:acquire()
    sem:release()
    sem:release()
    assert.equal("not_acquired", usage(sem.release, sem).code)
    assert_whole(sem, 2)
  end))

  it("forgets a waiter that is cancelled, wherever it stands in the queue", async(function()
    for victim = 1, 3 do
      local sem, order, tasks = ms.semaphore(1), {}, {}
      local permit = sem:acquire()
      for i = 1, 3 do
        tasks[i] = ms.spawn(function()
          sem:run(function() order[#order + 1] = i end)
        end)
      end
      ms.sleep(1)
      tasks[victim]:cancel()
      permit:release()
      for _, t in ipairs(tasks) do t:wait() end
      local expected = { 1, 2, 3 }
      table.remove(expected, victim)
      assert.same(expected, order)
      assert_whole(sem, 1)
    end
  end))

  it("hands on the permit of a waiter cancelled just before its turn", async(function()
    local sem = ms.semaphore(1)
    local permit = sem:acquire()
    local a = ms.spawn(sem.acquire, sem)
    local b = ms.spawn(sem.acquire, sem)
    ms.sleep(1)
    permit:release() -- a has it now, but has not run yet
    a:cancel()
    local ok, second = b:wait()
    assert.is_true(ok)
    second:release()
    assert_whole(sem, 1)
  end))

  it("gives up with with_timeout", async(function()
    local sem = ms.semaphore(1)
    local permit = sem:acquire()
    local none, err = ms.with_timeout(1, sem.acquire, sem)
    assert.is_nil(none)
    assert.equal("timed_out", err.code)
    permit:release()
    assert_whole(sem, 1)
  end))

  it("run passes arguments, results and errors, and returns the permit", async(function()
    local sem, value = ms.semaphore(1), {}
    assert.same({ n = 4, 3, nil, 2, nil }, table.pack(sem:run(function(...)
      ms.sleep(1)
      return select("#", ...), ...
    end, nil, 2, nil)))
    assert.same({ false, value }, { pcall(sem.run, sem, function() error(value) end) })
    assert_whole(sem, 1)
  end))

  it("works on the main thread, and says when it would wait for ever", async.main(function()
    local sem = ms.semaphore(1)
    local permit = sem:acquire()
    assert.equal("deadlock", usage(sem.acquire, sem).code)
    ms.spawn(function()
      ms.sleep(2)
      permit:release()
    end)
    sem:acquire():release()
    assert.equal(1, sem:run(function() return 1 end))
  end))

  it("can be used in a luv callback while there are permits", async.main(function()
    local sem, timer, err = ms.semaphore(1), uv.new_timer(), nil
    timer:start(0, 0, function()
      timer:close()
      sem:acquire()
      err = usage(sem.acquire, sem)
    end)
    uv.run()
    assert.equal("wrong_context", err.code)
    sem:release()
    sem:acquire():release()
  end))

  it("refuses bad arguments", async(function()
    for _, n in ipairs({ 0, -1, 1.5, "3", {}, math.huge }) do usage(ms.semaphore, n) end
    usage(ms.semaphore)
    usage(ms.semaphore(1).run, ms.semaphore(1), "x")
    assert.matches("1 of 1", tostring(ms.semaphore(1.0)))
  end))
end)
