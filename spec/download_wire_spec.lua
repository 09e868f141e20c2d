-- SPDX-License-Identifier: MIT
--
-- Bodies that come, in all ways to take them, from real servers and over
-- HTTP/1.1 and HTTP/2; how fast, how far, and what is told of them.
local async = require "spec.support.async"
local ms = require "multisocket"
local process = require "spec.support.process"
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
    local n = 0
    for chunk in assert(client:fetch(nginx:url("/big"), STREAM)):chunks() do
      n = n + #chunk
      if n > 100000 then break end
    end
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

describe("a body nobody reads on " .. v.over, function()
  local node

  setup(function() node = v:node() end)
  teardown(function() node:stop() end)

  local function flooded(client)
    return tonumber(assert(client:fetch(node:url("/flooded"))).body)
  end

  -- Until the server has stopped: what the sockets and windows hold is out.
  local function wait_until_still(client)
    local before, still = flooded(client), 0
    for _ = 1, 10000 do
      ms.sleep(5)
      local now = flooded(client)
      still = now == before and still + 1 or 0
      before = now
      if still == 20 then return now end
    end
  end

  it("holds the server back, and comes on when it is read", async(function()
    local client <close> = v:client()
    local begin = flooded(client)
    local res = assert(client:fetch(node:url("/flood"), STREAM))
    assert(res:read(1))
    local stopped = wait_until_still(client)
    assert.is_truthy(stopped)
    assert.is_true(stopped - begin < 32 * MiB, (stopped - begin) .. " bytes went out")
    local n = 0
    for chunk in res:chunks() do
      n = n + #chunk
      if n > stopped - begin then break end -- more than was there
    end
    assert.equal(0, client:stats().running)
    assert.equal(10, #assert(client:fetch(node:url("/bytes/10"))).body)
  end))

  it("takes less than 8 MiB, be it 1 GiB that is read quickly in between", function()
    local r = process.run({ "lua5.4", "spec/support/bomb_main.lua", "chunks",
      node:url("/flood/1024"), v.version }, { timeout = 240000,
      env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } })
    local n, how, kib = r.stdout:match("^(%d+)%s+(%S+)%s+(%d+)")
    assert.same({ 1 << 30, "ok" }, { tonumber(n), how }, r.stderr)
    assert.is_true(tonumber(kib) < 8192 or os.getenv("SPEC_TOOL") ~= nil, kib .. " KiB")
  end)

  it("takes no memory", async(function()
    local client <close> = v:client()
    local streams = {}
    collectgarbage()
    local before = uv.resident_set_memory()
    for i = 1, 20 do
      streams[i] = assert(client:fetch(node:url("/flood"), STREAM))
      assert(streams[i]:read(1))
    end
    assert.is_truthy(wait_until_still(client))
    local grown = uv.resident_set_memory() - before
    assert.is_true(grown < 20 * MiB or os.getenv("SPEC_TOOL") ~= nil, grown .. " bytes")
    for _, res in ipairs(streams) do res:cancel() end
    assert.equal(0, client:stats().running)
  end))
end)

describe("a body that is slow " .. v.over, function()
  local node

  setup(function() node = v:node() end)
  teardown(function() node:stop() end)

  it("ends by low_speed, idle and total, each by its name", async(function()
    for why, opts in pairs {
      ["low_speed"] = { low_speed = { limit = 10000, time = 1000 } },
      ["idle timeout"] = { timeout = { idle = 10 } },
      ["total timeout"] = { timeout = 1000 } } do
      local list = {}
      opts.on_data = function(chunk) list[#list + 1] = chunk end
      local res, err = v:fetch(node:url("/trickle"), opts)
      assert.is_nil(res)
      assert.equal("timed_out", err.code)
      assert.is_true(err.phase == "body" or why == "idle timeout")
      assert.matches(why, err.message, 1, true)
    end
  end))

  it("is let be where it is fast enough", async(function()
    local n = 0
    for chunk in assert(v:fetch(node:url("/trickle"), { stream = true,
      low_speed = { limit = 1, time = 1000 } })):chunks() do
      n = n + #chunk
      if n >= 20 then break end
    end
    assert.is_true(n >= 20)
  end))

  it("because we said so comes whole, with what is told of it", async(function()
    local last
    local begin = uv.hrtime()
    local res = assert(v:fetch(node:url("/bytes/50000"), { max_recv_speed = 200000,
      on_progress = function(now) last = now end }))
    assert.equal(50000, #res.body)
    assert.is_true((uv.hrtime() - begin) / 1e9 > 50000 / 200000 - 0.126)
    assert.same({ 50000, 0 }, { last.down, last.up })
  end))
end)

describe("what is said of a body " .. v.over, function()
  local node, nginx

  setup(function() node, nginx = v:node(), v:nginx() end)
  teardown(function()
    node:stop()
    nginx:stop()
  end)

  it("makes it text", async(function()
    for type, text in pairs { ["text/plain;%20charset=iso-8859-1"] = "\u{e4}\u{f6}\u{fc}",
      ["text/plain;%20charset=%22windows-1251%22"] = "\u{434}\u{446}\u{44c}",
      ["text/plain;%20charset=utf-8"] = "\u{fffd}\u{fffd}\u{fffd}" } do
      local res = assert(v:fetch(node:url("/text?" .. type)))
      assert.equal(text, res:text())
      assert.equal("text/plain", (res:content_type()))
    end
  end))

  it("is there under any case, in its order", async(function()
    local res = assert(v:fetch(nginx:url("/small")))
    assert.equal("13", res.headers["Content-Length"])
    assert.equal("13", res.headers["content-length"])
    assert.equal(ms.http_date(res.headers.date), res:date())
    assert.is_true(math.abs(res:date() - os.time()) < 60)
    local names = {}
    for name in res.headers:each() do names[#names + 1] = name:lower() end
    assert.same({ "server", "date", "content-type" }, { names[1], names[2], names[3] })
    res = assert(v:fetch(node:url("/cookies/"), { headers = { ["X-Set"] = "a=1|b=2; path=/x" } }))
    assert.same({ "a=1", "b=2; path=/x" }, res.headers:get_all("set-cookie"))
    assert.same({ "1", "2", "/x" }, { res.cookies.a, res.cookies.b, res.cookies[2].path })
    assert.equal("hello, world\n", assert(v:fetch(nginx:url("/small"))):text())
    assert.equal("1", assert(v:fetch(node:url("/inspect"), { body = "1" })):json().body)
  end))
end)

end
