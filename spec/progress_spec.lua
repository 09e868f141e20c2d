-- SPDX-License-Identifier: MIT
--
-- on_progress: what it counts, and what its answer does. That it is called about
-- once a second is spec/contract/k_data_spec.lua's.
local async = require "spec.support.async"
local core = require "multisocket.core"
local codings = require "spec.support.codings"
local drive = require "spec.support.drive"
local h2_servers = require "spec.support.h2_servers"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local server = require "spec.support.server"

describe("on_progress", function()
  local nginx

  setup(function() nginx = server.start() end)
  teardown(function() nginx:stop() end)

  -- What it is told at the end of a fetch.
  local function last(url, opts)
    local told
    opts.on_progress = function(now) told = now end
    local res = assert(ms.fetch(url, opts))
    return told, res
  end

  it("counts the body that comes", async(function()
    local told = last(nginx:url("/big"), {})
    local size = server.BIG_SIZE
    assert.same({ down = size, down_total = size, up = 0, up_total = 0 }, told)
    told = last(nginx:url("/chunked/10000"), {})
    assert.same({ down = 10000, up = 0, up_total = 0 }, told)
    told = last(nginx:url("/empty"), { method = "HEAD" })
    assert.equal(0, told.down)
    local n = 0
    told = last(nginx:url("/bytes/1000"), { on_data = function(chunk) n = n + #chunk end })
    assert.same({ 1000, 1000 }, { n, told.down })
    told = last(nginx:url("/bytes/1000"), { sink = function() end })
    assert.equal(1000, told.down)
  end))

  it("counts what is on the wire of one that is coded", async(function()
    local coded = codings.encode("gzip", codings.TEXT)
    local p <close> = peer.start { { { "request" }, { "send", ("HTTP/1.1 200 OK\r\n"
      .. "Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"):format(#coded, coded) } } }
    local told, res = last(p:url(), {})
    assert.equal(codings.TEXT, res.body)
    assert.same({ #coded, #coded }, { told.down, told.down_total })
  end))

  it("counts the body that goes", async(function()
    local node <close> = h2_servers.node()
    local body = ("x"):rep(300000)
    local function pieces()
      local left = 30
      return function()
        left = left - 1
        return left >= 0 and body:sub(1, 10000) or nil
      end
    end
    for _, to in ipairs { { nginx:url("/sink"), "1.1" },
      { node:url("/echo"), "2-prior-knowledge" } } do
      local told = last(to[1], { body = body, version = to[2] })
      assert.same({ 300000, 300000 }, { told.up, told.up_total })
      told = last(to[1], { body = pieces(), method = "POST", version = to[2] })
      assert.equal(300000, told.up)
      assert.is_nil(told.up_total)
    end
  end))

  it("cancels with false, and only with that", async(function()
    local res, err = ms.fetch(nginx:url("/small"), { on_progress = function() return false end })
    assert.is_nil(res)
    assert.equal("cancelled", err.code)
    assert(ms.fetch(nginx:url("/small"), { on_progress = function() end }))
    assert(ms.fetch(nginx:url("/small"), { on_progress = function() return nil end }))
    local client <close> = ms.client { on_progress = function() return false end }
    assert.is_nil((client:fetch(nginx:url("/small"))))
    assert(client:fetch(nginx:url("/small"), { on_progress = false }))
  end))

  it("may raise", async(function()
    local res, err = ms.fetch(nginx:url("/small"), { on_progress = function() error("no", 0) end })
    assert.is_nil(res)
    assert.same({ "callback_error", "no" }, { err.code, err.cause })
  end))

  it("is called while nobody answers, and while nothing is connected", async(function()
    local full <close> = peer.start({}, { full = true })
    local calls = 0
    local _, err = ms.fetch(full:url(), { on_progress = function(now)
      calls = calls + 1
      assert.equal(0, now.down + now.up)
      return calls < 2
    end })
    assert.same({ "cancelled", 2 }, { err.code, calls })
  end))
end)

describe("on_progress at the end", function()
  it("may pause what is over", function()
    local node <close> = h2_servers.node()
    local d <close> = drive.new()
    local ends, e = 0, nil
    e = core.easy { url = node:url("/small"), version = "2-prior-knowledge",
      on_progress = function() ends = ends + 1 e:pause(core.PAUSE_RECV) end }
    for i = 1, 2 do
      d.multi:add_handle(e)
      d:run()
      assert.equal(200, e:response().status)
      assert.equal(i, ends)
      d.multi:remove_handle(e)
    end
  end)
end)
