-- SPDX-License-Identifier: MIT
--
-- Bodies that come, in all ways to take them, from real servers and over
-- HTTP/1.1 and HTTP/2; how fast, how far, and what is told of them.
local async = require "spec.support.async"
local ms = require "multisocket"
local server = require "spec.support.server"
local uv = require "luv"
local wire = require "spec.support.wire"

local STREAM = { stream = true }
local MiB = 1 << 20

local function read_file(path)
  local f <close> = io.open(path, "rb")
  return f and f:read("a")
end

for _, v in ipairs(wire.VERSIONS) do

describe("a body that comes " .. v.over, function()
  local nginx, node, big, path

  setup(function()
    nginx, node, big = v:nginx(), v:node(), server.big_body()
    path = os.tmpname()
  end)
  teardown(function()
    nginx:stop()
    node:stop()
    os.remove(path)
  end)

  it("is there whole, or in chunks, or as it is read", async(function()
    assert.is_true(big == assert(v:fetch(nginx:url("/big"))).body)
    local list = {}
    for chunk in assert(v:fetch(nginx:url("/big"), STREAM)):chunks() do list[#list + 1] = chunk end
    assert.is_true(big == table.concat(list))
    assert.is_true(big == assert(v:fetch(nginx:url("/big"), STREAM)):read("a"))
    local res, n = assert(v:fetch(nginx:url("/bytes/100000"), STREAM)), 0
    for piece in function() return res:read(777) end do
      assert.is_true(#piece <= 777)
      assert.equal(big:sub(n + 1, n + #piece), piece)
      n = n + #piece
    end
    assert.equal(100000, n)
    assert.is_nil(res:read())
    assert.equal("", assert(v:fetch(nginx:url("/empty"))).body)
    assert.equal("", assert(v:fetch(nginx:url("/big"), { method = "HEAD" })).body)
  end))

  it("has lines", async(function()
    local i = 0
    for line in assert(v:fetch(nginx:url("/bytes/100000"), STREAM)):lines() do
      i = i + 1
      assert.equal(("%015d"):format(i), line)
    end
    assert.equal(6250, i)
  end))

  it("goes to a file, a path, a function, and to on_data", async(function()
    assert(v:fetch(nginx:url("/big"), { sink = path }))
    assert.is_true(big == read_file(path))
    assert(assert(v:fetch(nginx:url("/bytes/1000"), STREAM)):save(path))
    assert.equal(big:sub(1, 1000), read_file(path))
    local f = assert(io.open(path, "wb"))
    assert(v:fetch(nginx:url("/bytes/10000"), { sink = f }))
    f:close()
    assert.equal(big:sub(1, 10000), read_file(path))
    for _, name in ipairs { "sink", "on_data" } do
      local list = {}
      local res = assert(v:fetch(nginx:url("/bytes/100000"), { [name] = function(chunk)
        if name == "sink" then ms.sleep(1) end -- which may wait
        list[#list + 1] = chunk
      end }))
      assert.is_nil(res.body)
      assert.equal(big:sub(1, 100000), table.concat(list))
    end
  end))

  it("is discarded or left, and others go on", async(function()
    local client <close> = v:client()
    assert(assert(client:fetch(nginx:url("/bytes/100000"), STREAM)):discard())
    assert.is_true(assert(client:fetch(nginx:url("/small"))).reused)
    for _ in assert(client:fetch(nginx:url("/big"), STREAM)):chunks() do break end
    assert.equal(0, client:stats().running)
    assert.equal("hello, world\n", assert(client:fetch(nginx:url("/small"))).body)
    assert.equal(v.is_h2 and 1 or 2, client:stats().opened)
  end))

  it("that is cut is no whole one", async(function()
    local CUT = v.is_h2 and "stream_reset" or "unexpected_eof"
    local res, err = v:fetch(node:url("/cut"))
    assert.is_nil(res)
    assert.equal(CUT, err.code)
    os.remove(path)
    res, err = v:fetch(node:url("/cut"), { sink = path })
    assert.is_nil(res)
    assert.equal(CUT, err.code)
    assert.is_nil(read_file(path))
    local ok, raised = pcall(function()
      for _ in assert(v:fetch(node:url("/cut"), STREAM)):chunks() do end
    end)
    assert.is_false(ok)
    assert.equal(CUT, raised.code)
    assert.is_true(v:curl(node:url("/cut")).code ~= 0)
  end))

  it("is broken off beyond max_body", async(function()
    for _, url in ipairs { nginx:url("/big"), node:url("/flood") } do
      local res, err = v:fetch(url, { max_body = 100000 })
      assert.is_nil(res)
      assert.equal("body_too_large", err.code)
    end
    assert.equal(100000, #assert(v:fetch(nginx:url("/bytes/100000"), { max_body = 100000 })).body)
  end))
end)

end
