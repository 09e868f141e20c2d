-- SPDX-License-Identifier: MIT
--
-- The specs of multisocket.core once more, each with another driver under the
-- multi handle; and what is special about those drivers.
local core = require "multisocket.core"
local cqueues = require "cqueues"
local drive = require "spec.support.drive"
local nginx = require "spec.support.server"
local peer = require "spec.support.peer"
local uv = require "luv"

for _, kind in ipairs { "poll", "cqueues", "luv" } do
  describe("multisocket." .. kind .. " drives", function()
    local before
    setup(function() before, drive.kind = drive.kind, kind end)
    teardown(function() drive.kind = before end)

    for _, file in ipairs { "core_spec", "core_multi_spec" } do
      assert(loadfile("spec/" .. file .. ".lua", "t", _ENV))()
    end
  end)
end

describe("the driver without an event library", function()
  local poll = require "multisocket.poll"
  local server, multi, driver

  setup(function() server = nginx.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    multi = core.multi {}
    driver = poll.attach(multi)
  end)
  after_each(function() multi:close() end)

  it("runs until no transfer runs", function()
    local easies = {}
    for i = 1, 20 do
      easies[i] = core.easy { url = server:url("/bytes/10000") }
      multi:add_handle(easies[i])
    end
    driver:run()
    for _, easy in ipairs(easies) do assert.equal(10000, #easy:response().body) end
    driver:run()
  end)

  it("runs until a condition holds", function()
    multi:add_handle(core.easy { url = server:url("/slow") })
    driver:run(function() return multi:stats().bytes_in > 0 end)
    assert.equal(1, multi:running())
  end)

  it("waits for other descriptors, too", function()
    local fds = uv.socketpair()
    local running, ready = driver:turn(-1, { { fd = fds[1], events = core.POLL_OUT } })
    assert.same({ 0, 1 }, { running, ready })
    for _, fd in ipairs(fds) do uv.fs_close(fd) end
  end)

  it("lets go", function()
    multi:add_handle(core.easy { url = server:url("/slow"), on_data = function()
      driver:close()
    end })
    driver:run()
    assert.equal(1, multi:running())
    assert.same({ 0, 0 }, { driver:turn() })
    driver:close()
    assert.equal("usage", select(2, pcall(poll.attach)).category)
  end)
end)

describe("the driver for cqueues", function()
  local attach = require("multisocket.cqueues").attach
  local server, multi, cq, driver, done

  setup(function() server = nginx.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    done = {}
    multi = core.multi { donefunction = function(...) done[#done + 1] = { ... } end }
    cq = cqueues.new()
    driver = attach(multi, cq)
  end)
  after_each(function()
    driver:close()
    multi:close()
    assert.is_true(cq:loop(30))
  end)

  local function add(url, opts)
    local easy = core.easy(opts or {})
    easy:setopt { url = url }
    multi:add_handle(easy)
    return easy
  end

  it("keeps the loop while transfers run, and not longer", function()
    for round = 1, 3 do
      for _ = 1, 5 do add(server:url("/bytes/100000")) end
      assert.is_true(cq:loop(30))
      assert.equal(5 * round, #done)
      assert.is_true(cq:empty())
    end
    assert.equal(5, multi:stats().opened)
  end)

  it("lets other coroutines run meanwhile, which may add", function()
    local slow, steps = add(server:url("/slow")), 0
    cq:wrap(function()
      for _ = 1, 3 do
        local before = #done
        add(server:url("/small"))
        while #done == before do
          steps = steps + 1
          cqueues.sleep(0.001)
        end
      end
      multi:remove_handle(slow)
    end)
    assert.is_true(cq:loop(30))
    assert.equal(3, #done)
    assert.is_true(steps >= 3)
  end)

  it("lets the loop go when the last transfer is removed", function()
    local p <close> = peer.start { { { "request" }, { "hang" } } }
    local easy = add(p:url())
    cq:wrap(function()
      cqueues.poll(0.02)
      multi:remove_handle(easy)
      driver:refresh()
    end)
    assert.is_true(cq:loop(30))
    assert.is_true(cq:empty())
  end)

  it("keeps the time", function()
    local p <close> = peer.start { { { "request" }, { "hang" } } }
    add(p:url(), { timeout = 30 })
    assert.is_true(cq:loop(30))
    assert.equal("timed_out", done[1][3].code)
  end)

  it("raises an interrupt from the loop", function()
    add(server:url("/small"), { on_data = function()
      error("interrupted!", 0)
    end })
    local ok, err = cq:loop(30)
    assert.is_falsy(ok)
    assert.truthy(tostring(err):find("interrupted!", 1, true))
  end)

  it("can be replaced by another in mid-transfer", function()
    local easy = add(server:url("/big"))
    while multi:stats().bytes_in == 0 do cq:step(0.1) end
    driver:close()
    driver = attach(multi, cq)
    assert.is_true(cq:loop(30))
    assert.equal(nginx.BIG_SIZE, #easy:response().body)
    assert.equal("usage", select(2, pcall(attach, multi)).category)
  end)
end)
