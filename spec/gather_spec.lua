-- SPDX-License-Identifier: MIT
local ms = require "multisocket"
local async = require "spec.support.async"

local function value(v, delay)
  return function()
    ms.sleep(delay or 1)
    return v
  end
end

describe("gather", function()
  it("gives the results in the order of the functions", async(function()
    local entries = ms.gather({ value("a", 20), value("b", 1), value("c", 10) })
    assert.equal(3, #entries)
    for i, v in ipairs({ "a", "b", "c" }) do
      assert.is_true(entries[i].ok)
      assert.equal(v, entries[i].value)
    end
  end))

  it("keeps all values of a function", async(function()
    local entry = ms.gather({ function() return 1, nil, 3, nil end })[1]
    assert.same({ n = 4, 1, nil, 3, nil }, entry.values)
    assert.equal(1, entry.value)
  end))

  it("has failures as entries", async(function()
    local raised = {}
    local entries = ms.gather({ function() error(raised) end, function() return nil, "why" end,
      function() return nil end })
    assert.same({ ok = false, error = raised }, entries[1])
    assert.same({ ok = false, error = "why" }, entries[2])
    assert.is_true(entries[3].ok)
  end))

  it("works on the main thread", async.main(function()
    assert.equal("a", ms.gather({ value("a") })[1].value)
  end))

  it("runs no more than `concurrency` at once, 8 unless told", async(function()
    local now, most, list = 0, 0, {}
    for i = 1, 30 do
      list[i] = function()
        now = now + 1
        most = math.max(most, now)
        ms.sleep(1)
        now = now - 1
      end
    end
    ms.gather(list)
    assert.equal(8, most)
    most = 0
    ms.gather(list, { concurrency = 3 })
    assert.equal(3, most)
    ms.gather(list, { concurrency = 100 })
    assert.equal(30, most)
  end))

  it("stops at the first error when told to", async(function()
    local closed, started = 0, 0
    local function slow()
      started = started + 1
      local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      ms.sleep(100000)
    end
    local entries = ms.gather({ slow, function()
      ms.sleep(1)
      error("stop")
    end, slow, slow }, { stop_on_error = true, concurrency = 3 })
    assert.equal(2, started)
    assert.equal(2, closed)
    assert.matches("stop", entries[2].error)
    for _, i in ipairs({ 1, 3, 4 }) do
      assert.is_false(entries[i].ok)
      assert.equal("cancelled", entries[i].error.code)
    end
  end))

  it("does not stop otherwise", async(function()
    local entries = ms.gather({ function() error("x") end, value("b", 5) }, { concurrency = 1 })
    assert.equal("b", entries[2].value)
  end))

  it("ends the functions when its caller is cancelled", async(function()
    local closed = 0
    local function slow()
      local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      ms.sleep(100000)
    end
    local t = ms.spawn(ms.gather, { slow, slow })
    ms.sleep(5)
    t:cancel()
    assert.equal(2, closed)
  end))

  it("takes an empty list", async(function() assert.same({}, ms.gather({})) end))

  it("does not keep or change the list", async(function()
    local list = { value("a"), value("b") }
    local t = ms.spawn(ms.gather, list, { concurrency = 1 })
    ms.spawn(function() list[2] = nil end)
    local _, entries = t:wait()
    assert.equal("b", entries[2].value)
  end))

  it("refuses bad arguments", async(function()
    for _, args in ipairs({ {}, { "x" }, { { 1 } }, { {}, { concurrency = 0 } },
      { {}, { concurrency = 1.5 } }, { {}, { concurrency = "8" } }, { {}, 5 } }) do
      local ok, err = pcall(ms.gather, table.unpack(args))
      assert.is_false(ok)
      assert.equal("usage", err.category)
    end
    local _, err = pcall(ms.gather, {}, { concurency = 1 })
    assert.matches('unknown option "concurency" %(did you mean "concurrency"%?%)', err.message)
  end))
end)
