-- SPDX-License-Identifier: MIT
--
-- Bodies that unpack to far more than came: what is kept of them is bounded,
-- and whoever takes them slowly gets them slowly.
local async = require "spec.support.async"
local codings = require "spec.support.codings"
local core = require "multisocket.core"
local drive = require "spec.support.drive"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local process = require "spec.support.process"

local MiB = 1 << 20
local UNCHECKED = os.getenv("SPEC_TOOL") ~= nil -- a tool's own memory counts there
local MAIN = "spec/support/bomb_main.lua"

-- What a process of its own says about a bomb: bytes, how it ended, MiB.
local function take(...)
  local child = process.run({ "lua5.4", MAIN, ... }, { timeout = 240000,
    env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } })
  assert.equal(0, child.code, child.stderr)
  local n, how, kib = child.stdout:match("^(%d+)%s+(%S+)%s+(%d+)")
  return tonumber(n), how, UNCHECKED and 0 or tonumber(kib) / 1024
end

describe("a bomb", function()
  local node

  setup(function() node = codings.start() end)
  teardown(function() node:stop() end)

  local function url(path) return node:url("1.1", path) end

  -- The second comes in one read: there is nothing else to hold it back.
  for _, row in ipairs {
    { "F3: of 5 GiB ends in body_too_large before it takes 16 MiB", "/bomb/5120" },
    { "F3: of 256 MiB in a few hundred bytes takes 16 MiB at most", "/bomb/256/twice" } } do
    it(row[1], function()
      for _, version in ipairs { "1.1", "2-prior-knowledge" } do
        for _, most in ipairs { "", tostring(4 * MiB) } do
          local _, how, grown = take("whole", node:url(version, row[2]), version, most)
          assert.equal("body_too_large", how)
          assert.is_true(grown < 16, grown .. " MiB")
        end
      end
    end)
  end

  it("F4: is refused with a reason", async(function()
    for _, version in ipairs { "1.1", "2-prior-knowledge" } do
      local _, err = ms.fetch(node:url(version, "/bomb/20"), { version = version })
      assert.equal("body_too_large", err and err.code)
      assert.matches("more than 200 times its size", err.message, 1, true)
    end
  end))

  it("is let through where max_body allows it", async(function()
    assert.equal(20 * MiB, #assert(ms.fetch(url("/bomb/20"), { max_body = 20 * MiB })).body)
    local _, err = ms.fetch(url("/bomb/20"), { max_body = 20 * MiB - 1 })
    assert.equal("body_too_large", err and err.code)
    assert.equal(20 * MiB, #assert(ms.fetch(url("/bomb/20"), { max_body = false })).body)
    assert.equal(8 * MiB, #assert(ms.fetch(url("/bomb/8"))).body)
    local n = 0
    assert(ms.fetch(url("/bomb/20"), { on_data = function(chunk) n = n + #chunk end }))
    assert.equal(20 * MiB, n)
  end))

  it("is not what compresses well", async(function()
    local res = assert(ms.fetch(url("/large"))) -- 40 MiB, a hundred to one
    assert.equal(40 * MiB, #res.body)
  end))

  it("streamed to a slow reader stays flat", function()
    for _, version in ipairs { "1.1", "2-prior-knowledge" } do
      local n, how, grown = take("chunks", node:url(version, "/bomb/1024"), version)
      assert.same({ 1024 * MiB, "ok" }, { n, how })
      assert.is_true(grown < 8, grown .. " MiB")
    end
  end)

  it("that is streamed ends beyond 1 GiB", function()
    local _, how, grown = take("chunks", url("/bomb/5120"), "1.1")
    assert.equal("body_too_large", how)
    assert.is_true(grown < 8, grown .. " MiB")
  end)

  it("F3: that is streamed ends where max_body does", async(function()
    for _, version in ipairs { "1.1", "2-prior-knowledge" } do
      local options = { version = version, max_body = 10 * MiB, stream = true }
      local res = assert(ms.fetch(node:url(version, "/bomb/20"), options))
      local _, err = res:read("a")
      assert.equal("body_too_large", err and err.code)
      local n = 0
      options.stream, options.on_data = nil, function(chunk) n = n + #chunk end
      _, err = ms.fetch(node:url(version, "/bomb/20"), options)
      assert.equal("body_too_large", err and err.code)
      assert.is_true(n <= 10 * MiB, n)
    end
  end))

  it("F5: that is left leaves no memory behind", function()
    for _, version in ipairs { "1.1", "2-prior-knowledge" } do
      local _, how, grown = take("leave", node:url(version, "/bomb/4"), version)
      assert.equal("ok", how)
      assert.is_true(grown < 8, grown .. " MiB")
    end
  end)

  it("that nobody reads on stops at once", async(function()
    local client <close> = ms.client()
    local res = assert(client:fetch(url("/bomb/1024"), { stream = true }))
    assert.is_truthy(res:read(10))
    res:cancel()
    local _, err = res:read()
    assert.equal("cancelled", err.code)
    assert.equal(0, client:stats().running)
  end))
end)

describe("a coded body in the engine", function()
  local d, node

  before_each(function() d, node = drive.new(), codings.start() end)
  after_each(function()
    d:close()
    node:stop()
  end)

  local function add(path, options)
    options.url = node:url("1.1", path)
    local easy = core.easy(options)
    d.multi:add_handle(easy)
    return easy
  end

  it("stands still in a piece, and goes on", function()
    local pieces, easy, n = 0, nil, 0
    easy = add("/bomb/4", { on_data = function(chunk)
      pieces, n = pieces + 1, n + #chunk
      easy:pause(core.PAUSE_RECV)
    end })
    local stood = 0
    while n < 4 * MiB do
      d:run(function() return pieces ~= stood end)
      assert.equal(stood + 1, pieces) -- not one more while it stands
      stood = pieces
      easy:pause(core.PAUSE_CONT)
    end
    d:run(function() return d.multi:running() == 0 end)
    assert.equal(4 * MiB, n)
    assert.equal(256, pieces)
  end)

  -- All that comes is in the decoder before half of what it makes is out.
  it("stands still when nothing more will come", function()
    for _, coding in ipairs { "gzip", "br", "zstd" } do
      local body = codings.encode(coding, ("\0"):rep(MiB + 5))
      local p <close> = peer.start { { { "request" }, { "send", ("HTTP/1.1 200 OK\r\n"
        .. "Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n"):format(coding, #body) .. body },
        { "hang" } } }
      local n, easy = 0, nil
      easy = core.easy { url = p:url(), on_data = function(chunk)
        n = n + #chunk
        easy:pause(core.PAUSE_RECV)
      end }
      d.multi:add_handle(easy)
      while d.multi:running() > 0 do
        d:turn()
        easy:pause(core.PAUSE_CONT)
      end
      local feature = ({ br = "brotli", zstd = "zstd" })[coding]
      assert.equal((not feature or ms.features()[feature]) and MiB + 5 or #body, n)
      assert.is_true(select(2, d.multi:info_read()))
    end
  end)

  it("F5: may be removed, closed or added again from inside on_data", function()
    for _, act in ipairs {
      function(easy) d.multi:remove_handle(easy) end,
      function(easy) easy:close() end,
      function(easy)
        d.multi:remove_handle(easy)
        easy:setopt { url = node:url("1.1", "/gzip"), on_data = false }
        d.multi:add_handle(easy)
      end,
    } do
      local calls, easy = 0, nil
      easy = add("/bomb/64", { on_data = function()
        calls = calls + 1
        act(easy)
      end })
      d:run(function() return calls > 0 and d.multi:running() == 0 end)
      assert.equal(1, calls)
      assert.is_nil(d.multi:check())
    end
  end)

  it("leaves nothing behind for the next run", function()
    local easy = add("/bomb/64", { on_data = function() end })
    d:run(function() return easy:getinfo("status") == 200 end)
    d.multi:remove_handle(easy)
    easy:setopt { url = node:url("1.1", "/plain"), on_data = false }
    d.multi:add_handle(easy)
    d:run(function() return d.multi:running() == 0 end)
    assert.is_true(select(2, d.multi:info_read()))
    assert.same({ codings.TEXT, {} }, { easy:response().body, easy:response().decoded })
  end)

  it("whose on_data raises ends with that", function()
    local calls = 0
    local easy = add("/gzip", { on_data = function()
      calls = calls + 1
      error("enough", 0)
    end })
    d:run(function() return d.multi:running() == 0 end)
    local ended, ok, err = d.multi:info_read()
    assert.equal(easy, ended)
    assert.is_false(ok)
    assert.same({ "callback_error", "enough", 1 }, { err.code, err.cause, calls })
  end)
end)
