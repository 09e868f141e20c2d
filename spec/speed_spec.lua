-- SPDX-License-Identifier: MIT
--
-- max_send_speed and max_recv_speed. That something takes no less time than it
-- must is all that is asserted about time.
local async = require "spec.support.async"
local ms = require "multisocket"
local servers = require "spec.support.h2_servers"
local server = require "spec.support.server"
local uv = require "luv"

local BURST_S = 0.126 -- what may move at once

-- Calls fn, which moves `bytes` at `rate`: not too soon, and with few wakings.
local function assert_slow(bytes, rate, fn)
  local begin, cpu = uv.hrtime(), os.clock()
  local res = assert(fn())
  local took = (uv.hrtime() - begin) / 1e9
  assert.is_true(took > bytes / rate - BURST_S, took .. " s")
  assert.is_true(os.clock() - cpu < took / 4 or os.getenv("SPEC_TOOL") ~= nil, "it spins")
  return res
end

-- A body that comes in pieces.
local function producer(pieces, size)
  return function()
    pieces = pieces - 1
    return pieces >= 0 and ("x"):rep(size) or nil
  end
end

for version, start in pairs { ["1.1"] = server.start, ["2-prior-knowledge"] = servers.node } do
  describe("speed over HTTP/" .. version:sub(1, 3), function()
    local s
    local sink = version == "1.1" and "/sink" or "/echo"
    setup(function() s = start() end)
    teardown(function() s:stop() end)

    local function new_client() return ms.client { version = version, timeout = 30000 } end

    it("max_recv_speed holds for what is collected", async(function()
      local client <close> = new_client()
      local res = assert_slow(100000, 250000, function()
        return client:fetch(s:url("/bytes/100000"), { max_recv_speed = 250000 })
      end)
      assert.equal(100000, #res.body)
    end))

    it("and for what is delivered, in all its pieces", async(function()
      local client <close> = new_client()
      local got, pieces = 0, 0
      assert_slow(100000, 250000, function()
        return client:fetch(s:url("/bytes/100000"), { max_recv_speed = 250000,
          on_data = function(chunk) got, pieces = got + #chunk, pieces + 1 end })
      end)
      assert.equal(100000, got)
      assert.is_true(pieces < 30, pieces .. " pieces")
    end))

    it("and for what is read as a stream, when the reader rests, too", async(function()
      local client <close> = new_client()
      local res = assert(client:fetch(s:url("/bytes/100000"), { max_recv_speed = 400000,
        stream = true }))
      local got = 0
      for chunk in res:chunks() do
        got = got + #chunk
        ms.sleep(5)
      end
      assert.equal(100000, got)
    end))

    it("max_send_speed holds for strings, functions and files", async(function()
      local client <close> = new_client()
      local file <close> = assert(io.tmpfile())
      file:write(("x"):rep(100000))
      file:seek("set", 0)
      for _, body in ipairs { ("x"):rep(100000), producer(10, 10000), file } do
        local res = assert_slow(100000, 250000, function()
          return client:post(s:url(sink), { body = body, max_send_speed = 250000 })
        end)
        assert.equal(sink == "/echo" and 100000 or #"read 100000 bytes\n", #res.body)
      end
    end))

    it("one that is slow holds up nobody else", async(function()
      local client <close> = new_client()
      local slow = ms.spawn(function()
        return client:fetch(s:url("/bytes/1000000"), { max_recv_speed = 10000 })
      end)
      for _ = 1, 20 do
        assert.equal(100000, #assert(client:fetch(s:url("/bytes/100000"))).body)
      end
      assert.equal("running", slow.status)
      assert.is_true(slow:cancel())
    end))

    it("a byte a second is possible, and ends with its deadline", async(function()
      local client <close> = new_client()
      local res, err = client:fetch(s:url("/bytes/1000"), { max_recv_speed = 1,
        timeout = { total = 1000, idle = 400 } })
      assert.is_nil(res)
      assert.equal("timed_out", err.code)
      assert.matches("total", err.message)
    end))
  end)
end
