-- SPDX-License-Identifier: MIT
--
-- Request bodies of every kind with a real server, over HTTP/1.1 and HTTP/2,
-- beside what curl sends; 100-continue, answers that come early, progress.
-- What is on the wire is upload_spec.lua's, forms with files multipart_spec.lua's.
local async = require "spec.support.async"
local json = require "cjson"
local ms = require "multisocket"
local process = require "spec.support.process"
local wire = require "spec.support.wire"

local LARGE = ("0123456789abcdef"):rep(1 << 16) -- 1 MiB, beyond all windows

-- An iterator over a list, which waits before each element.
local function producer(list, pause)
  local i = 0
  return function()
    i = i + 1
    if pause then ms.sleep(pause) end
    return list[i]
  end
end

local function pieces_of(text, size)
  local list = {}
  for at = 1, #text, size do list[#list + 1] = text:sub(at, at + size - 1) end
  return list
end

local function said(res, err)
  assert.equal(200, res and res.status, tostring(err))
  local got = json.decode(res.body)
  local headers = {}
  for _, field in ipairs(got.headers) do headers[field[1]] = field[2] end
  got.headers = headers
  return got
end

for _, v in ipairs(wire.VERSIONS) do

describe("a body " .. v.over, function()
  local node, path

  setup(function()
    node, path = v:node(), os.tmpname()
    local f <close> = assert(io.open(path, "wb"))
    f:write(LARGE)
  end)
  teardown(function()
    node:stop()
    os.remove(path)
  end)

  local function ours(opts) return said(v:fetch(node:url("/inspect"), opts)) end

  local function curl(words, ...)
    local r = v:curl(...)
    assert.equal(0, r.code, words)
    return said({ status = 200, body = r.stdout })
  end

  -- What may be compared: not the order, nor what each says of itself.
  local function same(row, got, curls)
    assert.equal(curls.method, got.method, row)
    assert.equal(curls.url, got.url, row)
    assert.is_true(curls.body == got.body, row)
    for _, name in ipairs { "content-length", "transfer-encoding", "content-type", "expect" } do
      assert.equal(curls.headers[name], got.headers[name], row)
    end
  end

  it("is what curl sends", async(function()
    local TYPE = { ["Content-Type"] = "text/x" }
    local function typed(...) return { "-H", "Content-Type: text/x", ... } end
    for _, row in ipairs {
      { "string", { body = "a b", headers = TYPE }, typed("--data-binary", "a b") },
      { "empty", { body = "", headers = TYPE }, typed("--data-binary", "") },
      { "large", { body = LARGE, headers = TYPE }, typed("--data-binary", "@" .. path) },
      { "form", { form = { { "a", "b c" }, { "d", "\u{e4}&=+" } } },
        { "--data-urlencode", "a=b c", "--data-urlencode", "d=\u{e4}&=+" } },
      { "json", { json = { a = 1 } }, { "--json", '{"a":1}' } },
      { "path", { method = "PUT", body = { path = path } }, { "-T", path } },
      { "query", { query = { { "a", "b~c" } } }, { "-G", "--data-urlencode", "a=b~c" } },
      { "of a DELETE", { method = "DELETE", body = "x", headers = TYPE },
        typed("-X", "DELETE", "-d", "x") },
      { "no body", { method = "DELETE" }, { "-X", "DELETE" } } } do
      local words = { node:url("/inspect"), "-H", "Expect:", table.unpack(row[3]) }
      same(row[1], ours(row[2]), curl(row[1], table.unpack(words)))
    end
  end))

  -- Where only the way to write it differs: docs/differences.md.
  it("in a query has %20 for a space, with curl a plus", async(function()
    assert.equal("/inspect?a=b%20c", ours({ query = { { "a", "b c" } } }).url)
    assert.equal("/inspect?a=b+c", curl("query", node:url("/inspect"), "-G", "--data-urlencode",
      "a=b c").url)
  end))

  it("of no known length is what curl sends from a pipe", async(function()
    local text = LARGE:sub(1, 100000)
    local r = process.run({ "sh", "-c", ("head -c 100000 %s | curl -s %s -T - -H Expect: %s"):format(
      path, v:how(""), node:url("/inspect")) }, { env = { LD_PRELOAD = false } })
    local curls = said({ status = 200, body = r.stdout })
    for _, pause in ipairs { false, 1 } do
      for _, size in ipairs { 4000, 100000 } do
        local got = ours({ method = "PUT", body = producer(pieces_of(text, size), pause) })
        assert.is_nil(got.headers["content-length"])
        same(size, got, curls)
      end
    end
    assert.equal(v.is_h2 and "none" or "chunked", curls.headers["transfer-encoding"] or "none")
  end))

  it("is taken from an open file, from where it stands", async(function()
    local f <close> = assert(io.open(path, "rb"))
    f:seek("set", 16)
    local got = ours({ body = f })
    assert.is_true(LARGE:sub(17) == got.body)
    assert.equal(tostring(#LARGE - 16), got.headers["content-length"])
    assert.equal("file", io.type(f))
  end))

  it("is counted while it goes, whatever it is", async(function()
    local f <close> = assert(io.open(path, "rb"))
    for _, body in ipairs { LARGE, { path = path }, f, producer(pieces_of(LARGE, 50000)) } do
      local last
      local got = ours({ body = body, method = "PUT", on_progress = function(now) last = now end })
      assert.equal(#LARGE, #got.body)
      assert.equal(#LARGE, last.up)
      assert.equal(type(body) ~= "function" and #LARGE or nil, last.up_total)
    end
  end))

  it("goes as fast as one says, and as the server takes it", async(function()
    local got = ours({ body = LARGE:sub(1, 30000), max_send_speed = 200000 })
    assert.equal(30000, #got.body)
  end))
end)

end
