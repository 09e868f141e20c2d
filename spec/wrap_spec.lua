-- SPDX-License-Identifier: MIT
--
-- wrap: generators that wait inside.
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local server = require "spec.support.server"
local usage = require "spec.support.usage"

local function numbers(n, delay)
  return function()
    for i = 1, n do
      ms.sleep(delay or 1)
      coroutine.yield(i, -i)
    end
    return "the end"
  end
end

describe("wrap", function()
  it("gives what the generator yields, then what it returns", async(function()
    local gen = ms.wrap(numbers(2))
    assert.same({ 1, -1 }, { gen() })
    assert.same({ 2, -2 }, { gen() })
    assert.equal("the end", gen())
    assert.equal("closed", usage(gen).code)
  end))

  it("passes arguments in, nils included", async(function()
    local gen = ms.wrap(function(...)
      local n = select("#", ...)
      while true do
        ms.sleep(1)
        n = select("#", coroutine.yield(n))
      end
    end)
    assert.equal(3, gen(nil, nil, nil))
    assert.equal(2, gen(1, nil))
    assert.equal(0, gen())
  end))

  it("fetches inside, in a generic for", async(function()
    local nginx <close> = server.start()
    local sizes = {}
    for res in ms.wrap(function()
      for _, n in ipairs({ 1, 100, 1000 }) do
        coroutine.yield(assert(ms.fetch(nginx:url("/bytes/" .. n))))
      end
    end) do
      sizes[#sizes + 1] = #res.body
    end
    assert.same({ 1, 100, 1000 }, sizes)
  end))

  it("works on the main thread", async.main(function()
    local sum = 0
    for i in ms.wrap(function() -- luacheck: ignore 512
      for i = 1, 3 do
        ms.sleep(1)
        coroutine.yield(i)
      end
    end) do sum = sum + i end
    assert.equal(6, sum)
  end))

  it("lets others go on while it waits", async(function()
    local other = 0
    ms.spawn(function()
      for _ = 1, 3 do
        ms.sleep(1)
        other = other + 1
      end
    end)
    ms.wrap(numbers(1, 500))()
    assert.equal(3, other)
  end))

  it("nests", async(function()
    local list = {}
    for i in ms.wrap(function()
      for i in ms.wrap(function()
        for i in ms.wrap(numbers(3)) do
          if i == "the end" then return end
          coroutine.yield(i * 10)
        end
      end) do
        ms.sleep(1)
        coroutine.yield(i + 1)
      end
    end) do list[#list + 1] = i end
    assert.same({ 11, 21, 31 }, list)
  end))

  it("raises what the generator raises, unchanged, and has then ended", async(function()
    local value = {}
    local gen = ms.wrap(function()
      ms.sleep(1)
      error(value)
    end)
    assert.same({ false, value }, { pcall(gen) })
    assert.equal("closed", usage(gen).code)
  end))

  it("closes the generator's variables when the loop is left", async(function()
    local closed = false
    for i in ms.wrap(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      for i = 1, 5 do
        ms.sleep(1)
        coroutine.yield(i)
      end
    end) do
      if i == 2 then break end
    end
    assert.is_true(closed)
  end))

  it("hands on what they raise", async(function()
    local ok, err = pcall(function()
      for i in ms.wrap(function()
        local _ <close> = setmetatable({}, { __close = function() error("closing") end })
        coroutine.yield(1)
      end) do
        if i then break end
      end
    end)
    assert.is_false(ok)
    assert.matches("closing", err)
  end))

  it("ends the transfer when its consumer is cancelled", async(function()
    local p <close> = peer.start({ { { "request" }, { "hang" } } })
    local client <close> = ms.client()
    local closed = false
    local t = ms.spawn(ms.wrap(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      client:fetch(p:url())
    end))
    p:wait("request", 30000, function() ms.sleep(1) end)
    t:cancel()
    assert.is_true(closed)
    assert.equal(0, client:stats().running)
    assert.equal(client:stats().opened, client:stats().closed)
    assert.is_truthy(p:wait(function() return p:count("eof") + p:count("error") > 0 end))
  end))

  it("that is dropped while it waits for nobody is garbage", async(function()
    local gone = setmetatable({}, { __mode = "v" })
    do
      local gen = ms.wrap(numbers(3))
      gen()
      gone[1] = gen
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(gone[1])
  end))

  it("can be called by one at a time only", async(function()
    local gen = ms.wrap(numbers(2, 5))
    local t = ms.spawn(gen)
    ms.sleep(1)
    assert.equal("wrong_context", usage(gen).code)
    assert.same({ true, 1, -1 }, { t:wait() })
    assert.same({ 2, -2 }, { gen() })
    local itself
    itself = ms.wrap(function() itself() end)
    assert.equal("wrong_context", usage(itself).code)
  end))

  it("raises where nobody can wait, and leaves nothing running", async.main(function()
    local timer, err, closed = uv.new_timer(), nil, false
    timer:start(0, 0, function()
      timer:close()
      err = usage(ms.wrap(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        ms.sleep(100000)
      end))
    end)
    uv.run()
    assert.equal("wrong_context", err.code)
    assert.is_true(closed)
  end))

  it("raises below a C function, and leaves nothing running", async(function()
    local err
    string.gsub("x", "x", function()
      err = usage(ms.wrap(function() ms.sleep(100000) end))
    end)
    assert.equal("wrong_context", err.code)
  end))

  it("needs no stack for many waits", async(function()
    local gen = ms.wrap(function()
      for _ = 1, 1000 do ms.sleep(0) end
      return "done"
    end)
    assert.equal("done", gen())
  end))

  it("refuses what is no function", async(function()
    usage(ms.wrap)
    usage(ms.wrap, "x")
  end))
end)
