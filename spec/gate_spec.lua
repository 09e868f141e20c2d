-- SPDX-License-Identifier: MIT
--
-- per_host: how many transfers to one host go on at a time, and how many begin
-- in a second.
local async = require "spec.support.async"
local ms = require "multisocket"
local servers = require "spec.support.h2_servers"
local server = require "spec.support.server"
local uv = require "luv"

-- Runs `n` fetches of the URL at once; returns how many of them had a head and
-- no end yet, at most.
local function count_running(client, n, url)
  local running, most, jobs = 0, 0, {}
  for i = 1, n do
    jobs[i] = function()
      local res = assert(client:fetch(url, { on_headers = function()
        running = running + 1
        most = math.max(most, running)
      end, on_data = function() end }))
      running = running - 1
      return res.status
    end
  end
  for _, entry in ipairs(ms.gather(jobs, { concurrency = n })) do
    assert.is_true(entry.ok, tostring(entry.error))
  end
  return most
end

describe("per_host", function()
  local nginx, node
  setup(function()
    nginx = server.start()
    node = servers.node()
  end)
  teardown(function()
    nginx:stop()
    node:stop()
  end)

  it("bounds transfers, whatever connections there are", async(function()
    for version, s in pairs { ["1.1"] = nginx, ["2-prior-knowledge"] = node } do
      local client <close> = ms.client { version = version, per_host = { concurrency = 3 } }
      local most = count_running(client, 30, s:url("/bytes/100000"))
      assert.is_true(most <= 3, most .. " at a time")
      assert.is_true(client:stats().opened <= 3)
    end
  end))

  it("lets them in as they came", async(function()
    local client <close> = ms.client { per_host = { concurrency = 1 } }
    local order, jobs = {}, {}
    for i = 1, 10 do
      jobs[i] = function()
        assert(client:fetch(nginx:url("/small")))
        order[#order + 1] = i
      end
    end
    ms.gather(jobs, { concurrency = 10 })
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, order)
  end))

  it("is of each host by itself", async(function()
    local client <close> = ms.client { per_host = { concurrency = 1 } }
    local slow = ms.spawn(function() return client:fetch(node:url("/slow/5000"),
      { version = "2-prior-knowledge" }) end)
    assert.equal("hello, world\n", assert(client:fetch(nginx:url("/small"))).body)
    assert.equal("running", slow.status)
    local waits, err = client:fetch(node:url("/bytes/1"), { timeout = 50 })
    assert.is_nil(waits)
    assert.equal("timed_out", err.code)
    assert.equal("queue", err.phase)
    assert.is_true(slow:cancel())
    local res = assert(client:fetch(node:url("/bytes/1"), { version = "2-prior-knowledge" }))
    assert.equal("x", res.body)
  end))

  it("forgets who was cancelled in the line", async(function()
    local client <close> = ms.client { version = "2-prior-knowledge",
      per_host = { concurrency = 1 } }
    local first = ms.spawn(function() return client:fetch(node:url("/slow/60")) end)
    local second = ms.spawn(function() return client:fetch(node:url("/slow/5000")) end)
    local third = ms.spawn(function() return assert(client:fetch(node:url("/slow/1"))).body end)
    ms.sleep(10)
    assert.is_true(second:cancel())
    first:wait()
    local ok, body = third:wait()
    assert.is_true(ok)
    assert.equal("slow", body)
  end))

  it("counts a redirect's hop where it leads", async(function()
    local client <close> = ms.client { per_host = { concurrency = 1 } }
    local jobs = {}
    for i = 1, 5 do
      jobs[i] = function() return assert(client:fetch(nginx:url("/status/302"))).body end
    end
    for _, entry in ipairs(ms.gather(jobs, { concurrency = 5 })) do
      assert.equal("hello, world\n", entry.value)
    end
  end))

  it("has a rate, and nothing spins meanwhile", async(function()
    local client <close> = ms.client { per_host = { rate = 40 } }
    local begin, cpu = uv.hrtime(), os.clock()
    assert.is_true(count_running(client, 25, nginx:url("/bytes/1")) <= 25)
    local took = (uv.hrtime() - begin) / 1e9
    -- Five begin at once, the others in the time it takes.
    assert.is_true(took > 20 / 40 - 0.01, took .. " s")
    assert.is_true(os.clock() - cpu < took / 4 or os.getenv("SPEC_TOOL") ~= nil, "it spins")
  end))

  it("is no limit where it says false", async(function()
    for _, none in ipairs { false, {}, { concurrency = false, rate = false } } do
      local client <close> = ms.client { per_host = none }
      assert.is_true(count_running(client, 100, nginx:url("/bytes/100000")) > 1)
    end
  end))

  it("is a table of two limits", function()
    for _, bad in ipairs { 1, "x", true, { concurrency = 0 }, { rate = 1.5 }, { rate = "1" },
      { speed = 1 }, { 1 } } do
      local ok, err = pcall(ms.client, { per_host = bad })
      assert.is_false(ok)
      assert.equal("bad_option", err.code)
    end
  end)
end)
