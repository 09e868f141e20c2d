-- SPDX-License-Identifier: MIT
--
-- Tasks: run, spawn, sleep, wait, cancel, and whose error is whose.
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"

local function elapsed(fn, ...)
  local started = uv.hrtime()
  fn(...)
  return (uv.hrtime() - started) / 1000000
end

describe("sleep", function()
  it("waits at least that long in a coroutine", async(function()
    assert.is_true(elapsed(ms.sleep, 20) >= 19)
  end))

  it("waits on the main thread", async.main(function()
    assert.is_true(elapsed(ms.sleep, 20) >= 19)
  end))

  it("gives others a turn even with 0", async(function()
    local other = false
    ms.spawn(function() other = true end)
    ms.sleep(0)
    assert.is_true(other)
  end))

  it("refuses what is no time", async(function()
    for _, value in ipairs({ -1, 0 / 0, math.huge, "1", {} }) do
      local ok, err = pcall(ms.sleep, value)
      assert.is_false(ok)
      assert.equal("usage", err.category)
    end
    assert.is_false((pcall(ms.sleep)))
  end))

  it("raises inside a luv callback on the main thread", async.main(function()
    local timer, ok, err = uv.new_timer(), nil, nil
    timer:start(0, 0, function()
      ok, err = pcall(ms.sleep, 1)
      timer:close()
    end)
    uv.run()
    assert.is_false(ok)
    assert.equal("usage", err.category)
    assert.matches("request", err.message)
    assert.matches("spawn", err.message)
  end))

  it("leaves nothing behind where it raises", async.main(function()
    local timer, ok = uv.new_timer(), nil
    timer:start(0, 0, function()
      timer:close()
      ok = pcall(ms.sleep, 100000)
    end)
    uv.run() -- would go on for the 100 seconds
    assert.is_false(ok)
  end))

  it("raises below a C function that cannot be suspended", async(function()
    local ok, err = pcall(string.gsub, "x", "x", function() ms.sleep(1) end)
    assert.is_false(ok)
    assert.equal("usage", err.category)
  end))
end)

describe("a waiting coroutine", function()
  it("yields again when somebody else resumes it", async(function()
    local done = false
    local co = coroutine.create(function()
      ms.sleep(20)
      done = true
    end)
    coroutine.resume(co)
    for _ = 1, 3 do
      assert.is_true(coroutine.resume(co, "intruder"))
      assert.is_false(done)
      assert.equal("suspended", coroutine.status(co))
    end
    ms.sleep(40)
    assert.is_true(done)
  end))

  it("suspends the innermost coroutine only", async(function()
    local steps = {}
    local inner = coroutine.wrap(function()
      ms.sleep(10)
      steps[#steps + 1] = "inner"
    end)
    inner()
    steps[#steps + 1] = "outer"
    ms.sleep(30)
    assert.same({ "outer", "inner" }, steps)
  end))

  it("is cancelled by coroutine.close", async(function()
    local closed
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      ms.sleep(100000)
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.is_true(closed)
  end))

  it("can be one of very many woken in the same turn", async(function()
    local woken = 0
    for _ = 1, 1000 do
      ms.spawn(function()
        ms.sleep(5)
        woken = woken + 1
      end)
    end
    while woken < 1000 do ms.sleep(1) end
    ms.sleep(1)
    assert.equal(1000, woken)
  end))
end)

describe("run", function()
  it("returns what the function returns", async.main(function()
    assert.same({ n = 4, 1, nil, 3, nil }, table.pack(ms.run(function(...)
      ms.sleep(1)
      return ...
    end, 1, nil, 3, nil)))
  end))

  it("hands on nil, err", async.main(function()
    assert.same({ n = 2, nil, "why" }, table.pack(ms.run(function() return nil, "why" end)))
  end))

  it("waits for tasks spawned inside, and theirs", async.main(function()
    local ended = 0
    ms.run(function()
      ms.spawn(function()
        ms.sleep(5)
        ms.spawn(function()
          ms.sleep(5)
          ended = ended + 1
        end)
        ended = ended + 1
      end)
    end)
    assert.equal(2, ended)
  end))

  it("raises a string error with its traceback", async.main(function()
    local function culprit() error("boom") end
    local ok, err = pcall(ms.run, function()
      ms.sleep(1)
      culprit()
    end)
    assert.is_false(ok)
    assert.matches("task_spec.lua:%d+: boom", err)
    assert.matches("culprit", err)
  end))

  it("raises any other error value unchanged", async.main(function()
    local value = {}
    local ok, err = pcall(ms.run, function() error(value) end)
    assert.is_false(ok)
    assert.equal(value, err)
  end))

  it("ends the children when the function fails", async.main(function()
    local closed = false
    local took = elapsed(function()
      assert.is_false((pcall(ms.run, function()
        ms.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() closed = true end })
          ms.sleep(100000)
        end)
        ms.sleep(1)
        error("boom")
      end)))
    end)
    assert.is_true(closed)
    assert.is_true(took < 10000)
  end))

  it("raises the error of a task nobody waited for", async.main(function()
    local ok, err = pcall(ms.run, function()
      ms.spawn(function() error("child") end)
      ms.sleep(5)
    end)
    assert.is_false(ok)
    assert.matches("child", err)
  end))

  it("does so at once when nobody can ask the task any more", async.main(function()
    local took = elapsed(function()
      assert.is_false((pcall(ms.run, function()
        ms.spawn(function() error("child") end)
        ms.sleep(1)
        collectgarbage()
        ms.sleep(100000)
      end)))
    end)
    assert.is_true(took < 10000)
  end))

  it("leaves a failed task to who asks it later", async.main(function()
    ms.run(function()
      local t = ms.spawn(function() error("child") end)
      ms.sleep(5)
      collectgarbage()
      assert.equal("failed", t.status)
      local ok, err = t:wait()
      assert.is_false(ok)
      assert.matches("child", err)
    end)
  end))

  it("raises the error of a coroutine of the user's", async.main(function()
    local ok, err = pcall(ms.run, function()
      coroutine.wrap(function()
        ms.sleep(1)
        error("mine")
      end)()
      ms.sleep(100000)
    end)
    assert.is_false(ok)
    assert.matches("mine", err)
  end))

  it("works inside a coroutine", async(function()
    local child = false
    assert.equal(7, ms.run(function()
      ms.spawn(function()
        ms.sleep(5)
        child = true
      end)
      return 7
    end))
    assert.is_true(child)
  end))

  it("nests", async.main(function()
    assert.equal(3, ms.run(function()
      return 1 + ms.run(function()
        ms.sleep(1)
        return 2
      end)
    end))
  end))

  it("says so when it would wait for ever", async.main(function()
    local ok, err = pcall(ms.run, coroutine.yield)
    assert.is_false(ok)
    assert.equal("deadlock", err.code)
  end))

  it("refuses what is no function", async.main(function()
    local ok, err = pcall(ms.run, 1)
    assert.is_false(ok)
    assert.equal("usage", err.category)
  end))

  it("raises inside a luv callback", async.main(function()
    local timer, ok = uv.new_timer(), nil
    timer:start(0, 0, function()
      ok = pcall(ms.run, function() end)
      timer:close()
    end)
    uv.run()
    assert.is_false(ok)
  end))
end)

describe("spawn", function()
  it("begins after it returned", async(function()
    local began = false
    local t = ms.spawn(function() began = true end)
    assert.is_false(began)
    assert.equal("running", t.status)
    assert.is_true(t:wait())
    assert.is_true(began)
    assert.equal("done", t.status)
  end))

  it("passes arguments and results, nils included", async(function()
    local t = ms.spawn(function(...) return select("#", ...), ... end, nil, 2, nil)
    assert.same({ n = 5, true, 3, nil, 2, nil }, table.pack(t:wait()))
  end))

  it("works inside a luv callback", async(function()
    local ended, timer = false, uv.new_timer()
    timer:start(0, 0, function()
      timer:close()
      ms.spawn(function()
        ms.sleep(1)
        ended = true
      end)
    end)
    while not ended do ms.sleep(1) end
  end))

  it("refuses what is no function", async(function()
    assert.is_false((pcall(ms.spawn)))
    assert.is_false((pcall(ms.spawn, "x")))
  end))

  it("reports an error that nobody catches", async(function()
    local reports = async.reports(function()
      ms.spawn(function()
        ms.sleep(1)
        error("lost")
      end)
      ms.sleep(20)
    end)
    assert.equal(1, #reports)
    assert.matches("lost", reports[1].err)
    assert.matches("task_spec.lua", reports[1].traceback)
  end))

  it("lets other code resume the coroutine where that code suspended it", async(function()
    local timer = uv.new_timer()
    local t = ms.spawn(function()
      local co = coroutine.running()
      timer:start(5, 0, function()
        timer:close()
        coroutine.resume(co, "from luv")
      end)
      return (coroutine.yield())
    end)
    assert.same({ true, "from luv" }, { t:wait() })
  end))
end)

describe("task:wait", function()
  it("gives false and the error, whatever it is", async(function()
    local value = {}
    assert.same({ false, value }, { ms.spawn(function() error(value) end):wait() })
    local t = ms.spawn(function() return nil, "returned" end)
    assert.same({ false, "returned" }, { t:wait() })
    assert.equal("failed", t.status)
  end))

  it("may be called again, and by several", async(function()
    local t = ms.spawn(function()
      ms.sleep(5)
      return 1
    end)
    local seen = {}
    for i = 1, 3 do ms.spawn(function() seen[i] = { t:wait() } end) end
    assert.same({ true, 1 }, { t:wait() })
    assert.same({ true, 1 }, { t:wait() })
    ms.sleep(1)
    assert.same({ { true, 1 }, { true, 1 }, { true, 1 } }, seen)
  end))

  it("works on the main thread", async.main(function()
    local t = ms.spawn(function()
      ms.sleep(5)
      return 1
    end)
    assert.same({ true, 1 }, { t:wait() })
  end))

  it("ends after its timeout and leaves the task running", async(function()
    local t = ms.spawn(function()
      ms.sleep(50)
      return 1
    end)
    local ok, err = t:wait(5)
    assert.is_false(ok)
    assert.equal("timed_out", err.code)
    assert.equal("running", t.status)
    assert.same({ true, 1 }, { t:wait(10000) })
  end))

  it("refuses to wait for itself, and for a silly time", async(function()
    local t
    t = ms.spawn(function() return pcall(t.wait, t) end)
    local _, ok, err = t:wait()
    assert.is_false(ok)
    assert.equal("usage", err.category)
    assert.is_false((pcall(t.wait, t, -1)))
    assert.is_false((pcall(t.wait, t, "soon")))
  end))
end)

describe("task:cancel", function()
  local function closing(list, name)
    return setmetatable({}, { __close = function() list[#list + 1] = name end })
  end

  it("ends a task where it waits and closes its variables", async(function()
    local closed = {}
    local t = ms.spawn(function()
      local _ <close> = closing(closed, "a")
      ms.sleep(100000)
      closed[#closed + 1] = "never"
    end)
    ms.sleep(1)
    assert.is_true(t:cancel("enough"))
    assert.same({ "a" }, closed)
    assert.equal("cancelled", t.status)
    local ok, err = t:wait()
    assert.is_false(ok)
    assert.equal("cancelled", err.code)
    assert.matches("enough", err.message)
  end))

  it("keeps a task that has not begun from beginning", async(function()
    local began = false
    local t = ms.spawn(function() began = true end)
    t:cancel()
    ms.sleep(5)
    assert.is_false(began)
    assert.equal("cancelled", t.status)
  end))

  it("wakes who waits for it", async(function()
    local t = ms.spawn(ms.sleep, 100000)
    ms.spawn(function() t:cancel() end)
    assert.is_false((t:wait()))
  end))

  it("is harmless when the task has ended", async(function()
    local t = ms.spawn(function() return 1 end)
    t:wait()
    assert.is_false(t:cancel())
    assert.equal("done", t.status)
  end))

  it("lets a task cancel itself: it ends where it waits next", async(function()
    local steps, t = {}, nil
    t = ms.spawn(function()
      t:cancel()
      steps[1] = "goes on"
      ms.sleep(1)
      steps[2] = "never"
    end)
    assert.is_false((t:wait()))
    assert.same({ "goes on" }, steps)
  end))

  it("ends one that waits for another task, not the other", async(function()
    local other = ms.spawn(function()
      ms.sleep(10)
      return 1
    end)
    local t = ms.spawn(function() other:wait() end)
    ms.sleep(1)
    t:cancel()
    assert.same({ true, 1 }, { other:wait() })
  end))

  it("between its waking and its turn still counts", async(function()
    local woke, b = false, nil
    local a = ms.spawn(function()
      ms.sleep(5)
      b:cancel()
    end)
    b = ms.spawn(function()
      a:wait()
      woke = true
    end)
    ms.sleep(20)
    assert.is_false(woke)
    assert.equal("cancelled", b.status)
  end))

  it("happens when the scope of a to-be-closed variable is left", async(function()
    local closed = {}
    local t
    do
      local scoped <close> = ms.spawn(function()
        local _ <close> = closing(closed, "a")
        ms.sleep(100000)
      end)
      t = scoped
      ms.sleep(1)
    end
    assert.same({ "a" }, closed)
    assert.equal("cancelled", t.status)
    local ended <close> = ms.spawn(function() return 1 end)
    assert.same({ true, 1 }, { ended:wait() })
  end))

  it("happens when somebody closes the coroutine", async(function()
    local co
    local t = ms.spawn(function()
      co = coroutine.running()
      ms.sleep(100000)
    end)
    ms.sleep(1)
    coroutine.close(co)
    assert.equal("cancelled", t.status)
  end))

  it("reports an error of a to-be-closed variable", async(function()
    local reports = async.reports(function()
      local t = ms.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() error("closing") end })
        ms.sleep(100000)
      end)
      ms.sleep(1)
      t:cancel()
    end)
    assert.matches("closing", reports[1].err)
  end))

  it("does not let a closing variable wait", async(function()
    local ok, err
    local t = ms.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() ok, err = pcall(ms.sleep, 1) end })
      ms.sleep(100000)
    end)
    ms.sleep(1)
    t:cancel()
    assert.is_false(ok)
    assert.equal("usage", err.category)
  end))
end)
