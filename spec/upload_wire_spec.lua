-- SPDX-License-Identifier: MIT
--
-- Request bodies of every kind with a real server, over HTTP/1.1 and HTTP/2,
-- beside what curl sends; 100-continue, answers that come early, progress.
-- What is on the wire is upload_spec.lua's, forms with files multipart_spec.lua's.
local async = require "spec.support.async"
local files = require "spec.support.files"
local json = require "cjson"
local ms = require "multisocket"
local process = require "spec.support.process"
local producer = require "spec.support.producer"
local redirects = require "spec.support.redirects"
local wire = require "spec.support.wire"

local OK, body_of, header = redirects.OK, redirects.body_of, redirects.header
local REFUSED = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"

local LARGE = ("0123456789abcdef"):rep(1 << 16) -- 1 MiB, beyond all windows

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

local node, path

-- For a describe: a server of that version, and a file to send.
local function serve(v)
  setup(function()
    node, path = v:node(), os.tmpname()
    files.write(path, LARGE)
  end)
  teardown(function()
    node:stop()
    os.remove(path)
  end)
end

for _, v in ipairs(wire.VERSIONS) do

describe("a body " .. v.over, function()
  serve(v)

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
    local words = ("head -c 100000 %s | curl -s %s -T - -H Expect: %s"):format(path, v:how(""),
      node:url("/inspect"))
    local r = process.run({ "sh", "-c", words }, { env = { LD_PRELOAD = false } })
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

describe("a body that waits for 100 Continue " .. v.over, function()
  serve(v)

  -- Bodies of all kinds, one a call.
  local function bodies()
    return ipairs { LARGE, { path = path }, producer(pieces_of(LARGE, 100000)),
      producer(pieces_of(LARGE, 100000), 1) }
  end

  it("is sent when that comes", async(function()
    for _, body in bodies() do
      local heads = {}
      local got = said(v:fetch(node:url("/expect/100"), { body = body, expect_continue = true,
        on_headers = function(head) heads[#heads + 1] = head.status end }))
      assert.is_true(LARGE == got.body)
      assert.equal("100-continue", got.headers.expect)
      assert.same({ 100, 200 }, heads)
    end
    if v.is_h2 then return end -- curl asks in HTTP/1.1 only
    local r = v:curl("--data-binary", "@" .. path, "-H", "Expect: 100-continue",
      node:url("/expect/100"))
    assert.is_true(LARGE == said({ status = 200, body = r.stdout }).body)
  end))

  it("is sent after a second when nothing comes", async(function()
    local res = assert(v:fetch(node:url("/silent"), { body = "x", expect_continue = true }))
    assert.equal("x", said(res).body)
    assert.is_true(res.timings.send >= 1000)
  end))

  it("is not sent when the answer comes instead", async(function()
    local client <close> = v:client()
    for _, status in ipairs { 413, 401, 200 } do
      for _, body in ipairs { LARGE, { path = path }, producer({ LARGE }) } do
        local last
        local res = assert(client:fetch(node:url("/expect/" .. status), { body = body,
          expect_continue = true, on_progress = function(now) last = now end }))
        assert.same({ status, "no\n", 0 }, { res.status, res.body, last.up })
      end
    end
    assert.equal(v.is_h2 and 1 or 9, client:stats().opened)
  end))

  it("is sent without waiting where nobody understands that (417)", async(function()
    local client <close> = v:client()
    for _, body in bodies() do
      local heads = {}
      local got = said(client:fetch(node:url("/expect/417"), { body = body,
        expect_continue = true,
        on_headers = function(head) heads[#heads + 1] = head.status end }))
      assert.is_true(LARGE == got.body)
      assert.is_nil(got.headers.expect)
      assert.same({ 200 }, heads)
    end
  end))
end)

describe("a 417 " .. v.over, function()
  -- curl says Expect in HTTP/1.1 only, by itself beyond 1 MiB, and asks again
  -- only on the same connection.
  if not v.is_h2 then
    it("is answered as curl answers it", async(function()
      local script = { { { "head" }, { "send", REFUSED }, { "request" }, { "send", OK },
        { "hang" } }, { { "request" }, { "send", OK }, { "hang" } } }
      local body, file = LARGE .. "more", os.tmpname()
      files.write(file, body)
      local p <close> = v:peer(script)
      local q <close> = v:peer(script)
      assert.equal("ok", assert(v:fetch(p:url(), { body = body, expect_continue = true })).body)
      assert.equal("ok", v:curl("--data-binary", "@" .. file, q:url()).stdout)
      os.remove(file)
      for _, requests in ipairs { p:requests(), q:requests() } do
        assert.equal("100-continue", header(requests[1], "expect"))
        assert.is_nil(header(requests[2], "expect"))
        assert.is_true(body == body_of(requests[2]))
        assert.equal(2, #requests)
      end
    end))
  end

  it("is the response where nothing was expected, and once it came again", async(function()
    local script = { { { "head" }, { "send", REFUSED }, { "hang" } } }
    for _, expect in ipairs { false, true } do
      local p <close> = v:peer(script)
      assert.equal(417, assert(v:fetch(p:url(), { body = "hello",
        expect_continue = expect })).status)
      local requests = p:requests()
      assert.equal(expect and 2 or 1, #requests)
      assert.equal(expect and "100-continue" or nil, (header(requests[1], "expect")))
      if expect then assert.is_nil(header(requests[2], "expect")) end
    end
  end))

  it("is forgotten by the next run, and not on the way to another place", async(function()
    local p <close> = v:peer { { { "head" }, { "send", REFUSED }, { "hang" } }, { { "request" },
      { "send", redirects.redirect(307, "/there") }, { "request" }, { "send", OK },
      { "request" }, { "send", OK }, { "hang" } } }
    local client <close> = v:client { body = "hello", expect_continue = true }
    assert.equal("ok", assert(client:fetch(p:url())).body)
    assert.equal("ok", assert(client:fetch(p:url())).body)
    local expects = {}
    for i, request in ipairs(p:requests()) do expects[i] = header(request, "expect") or "-" end
    assert.same({ "100-continue", "-", "-", "100-continue" }, expects)
  end))
end)

describe("an answer that comes before the body is sent " .. v.over, function()
  local nginx

  setup(function()
    node, nginx = v:node(), v:nginx({ locations = [[
      location = /small-only { client_max_body_size 1k; proxy_pass http://127.0.0.1:9; }
      location = /refused { return 403 "no"; }
      location = /elsewhere { return 307 /upload/large; }
      location = /taken { return 200 "taken"; }
    ]] })
  end)
  teardown(function()
    node:stop()
    nginx:stop()
  end)

  it("stops it", async(function()
    local client <close> = v:client()
    local n = 0
    local res = assert(client:fetch(node:url("/early/413"), { body = function()
      n = n + 1
      ms.sleep(1)
      return "piece"
    end }))
    assert.same({ 413, "no\n" }, { res.status, res.body })
    local after = n
    assert.equal(10, #assert(client:fetch(node:url("/bytes/10"))).body)
    ms.sleep(20)
    assert.is_true(n <= after + 1)
    assert.equal(v.is_h2 and 1 or 2, client:stats().opened)
  end))

  -- Such a body ends with the answer only.
  local function endless() return LARGE end

  it("is what a program gets, and not how the sending of the body went", async(function()
    local text = LARGE:rep(24)
    for _ = 1, 5 do
      for _, body in ipairs { text, endless } do
        for target, status in pairs { ["/small-only"] = 413, ["/refused"] = 403, ["/auth"] = 401,
          ["/taken"] = 200 } do
          local res = assert(v:fetch(nginx:url(target), { method = "PUT", body = body }))
          assert.equal(status, res.status)
        end
      end
    end
  end))

  it("may say where to send it, from the start", async(function()
    local res = assert(v:fetch(nginx:url("/elsewhere"), { method = "PUT", body = LARGE:rep(24) }))
    assert.is_true(res.status == 201 or res.status == 204)
    assert.is_true(LARGE:rep(24) == nginx:uploaded("large"))
  end))
end)

end
