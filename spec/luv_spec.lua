-- SPDX-License-Identifier: MIT
--
-- The driver for luv, on a multi handle of core.
local uv = require "luv"
local core = require "multisocket.core"
local luv = require "multisocket.luv"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local server = require "spec.support.server"
local usage = require "spec.support.usage"

local LIMIT = 30000 -- ms

-- Runs the loop until `done()`; fails when it takes too long.
local function run_until(done)
  local late = false
  local timer = uv.new_timer()
  timer:start(LIMIT, 0, function() late = true end)
  while not done() and not late do uv.run("once") end
  timer:close()
  uv.run("nowait")
  assert.is_false(late, "it never happened")
end

for _, mode in ipairs({ "poll", "epoll" }) do
  describe("the luv driver in mode " .. mode, function()
    local nginx, multi, driver, done

    setup(function() nginx = server.start() end)
    teardown(function() nginx:stop() end)

    before_each(function()
      done = {}
      multi = core.multi({ donefunction = function(easy, ok, err)
        done[#done + 1] = { easy = easy, ok = ok, err = err }
      end })
      driver = luv.attach(multi, uv, { mode = mode })
    end)

    after_each(function()
      multi:close()
      driver:close()
      driver:close()
      uv.run("nowait")
      uv.run("nowait")
    end)

    local function add(url, opts)
      local easy = core.easy()
      easy:begin(url, core.options(opts or {}))
      multi:add_handle(easy)
      return easy
    end

    it("drives transfers to their end", function()
      for _ = 1, 20 do add(nginx:url("/bytes/100000")) end
      run_until(function() return #done == 20 end)
      for _, d in ipairs(done) do
        assert.is_true(d.ok)
        assert.equal(100000, #d.easy:take().body)
      end
    end)

    it("keeps the loop alive while they run and not longer", function()
      add(nginx:url("/small"))
      uv.run()
      assert.equal(1, #done)
      assert.equal(1, multi:stats().idle)
    end)

    it("lets the loop go when the last one is removed", function()
      local p <close> = peer.start({ { { "request" }, { "hang" } } })
      local easy = add(p:url())
      local timer = uv.new_timer()
      timer:start(30, 0, function()
        timer:close()
        multi:remove_handle(easy)
      end)
      uv.run()
      assert.equal(0, multi:running())
    end)

    it("leaves no handle behind", function()
      driver:close()
      local before = async.handles()
      driver = luv.attach(multi, uv, { mode = mode })
      add(nginx:url("/small"))
      add(("http://127.0.0.1:%d/"):format(port.free()), { timeout = 30000 })
      run_until(function() return #done == 2 end)
      multi:close()
      driver:close()
      uv.run("nowait")
      for handle in pairs(async.handles()) do assert.is_true(before[handle], tostring(handle)) end
    end)

    it("can be changed in the middle of a transfer", function()
      local p <close> = peer.start({ { { "request" },
        { "send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no" }, { "delay", 100 },
        { "send", "k" }, { "hang" } } })
      add(p:url())
      run_until(function() return p:count("request") == 1 end)
      driver:close()
      driver = luv.attach(multi, uv, { mode = mode == "poll" and "epoll" or "poll" })
      run_until(function() return #done == 1 end)
      assert.equal("ok", done[1].easy:take().body)
    end)

    it("lets a transfer stand still when it is closed", function()
      add(nginx:url("/small"))
      driver:close()
      for _ = 1, 5 do uv.run("nowait") end
      assert.equal(0, #done)
      assert.equal(1, multi:running())
    end)

    it("sees timeouts, also of connects", function()
      local hang <close> = peer.start({ { { "request" }, { "hang" } } })
      local full <close> = peer.start({}, { full = true })
      add(hang:url(), { timeout = 30 })
      add(full:url(), { timeout = { connect = 30 } })
      run_until(function() return #done == 2 end)
      assert.equal("timed_out", done[1].err.code)
      assert.equal("timed_out", done[2].err.code)
    end)

    it("is not fooled by the loop's old clock", function()
      local p <close> = peer.start({ { { "request" }, { "delay", 60 },
        { "send", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" } } })
      uv.update_time()
      local started = uv.hrtime()
      while uv.hrtime() - started < 200 * 1000000 do end -- luacheck: ignore 542
      add(p:url(), { timeout = 30000 })
      run_until(function() return #done == 1 end)
      assert.is_true(done[1].ok)
    end)

    it("sees a reset, and what was sent before it", function()
      local p <close> = peer.start({ { { "request" },
        { "send", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab" }, { "delay", 50 },
        { "reset" } } })
      local chunks = {}
      add(p:url(), { on_data = function(chunk) chunks[#chunks + 1] = chunk end })
      run_until(function() return #done == 1 end)
      assert.is_false(done[1].ok)
      assert.equal("ab", table.concat(chunks))
    end)

    it("works through adds from inside callbacks", function()
      local left = 20
      multi:setopt({ donefunction = function(_, ok)
        assert(ok)
        left = left - 1
        if left > 0 then add(nginx:url("/small")) end
      end })
      add(nginx:url("/small"))
      run_until(function() return left == 0 end)
      assert.equal(1, multi:stats().opened)
    end)

    it("writes large bodies as fast as the peer reads", function()
      local text = server.big_body()
      add(nginx:url("/upload/" .. mode), { method = "PUT", body = text })
      run_until(function() return #done == 1 end)
      assert.is_true(done[1].ok)
      assert.is_true(text == nginx:uploaded(mode))
    end)
  end)
end

describe("luv.attach", function()
  it("refuses what it does not know", function()
    local multi = core.multi({})
    usage(luv.attach, multi, nil)
    usage(luv.attach, multi, uv, { mode = "select" })
    usage(luv.attach, multi, uv, { mod = "poll" })
    multi:close()
  end)
end)
