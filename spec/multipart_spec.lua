-- SPDX-License-Identifier: MIT
--
-- Forms with files, as another program reads them: Node's own parser, and what
-- it makes of curl's -F beside ours.
local ms = require "multisocket"
local uv = require "luv"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wire = require "spec.support.wire"

local HERE = debug.getinfo(1, "S").source:match("^@(.*)multipart_spec%.lua$")

local child, base, dir
local ports -- by version, of TLS too

local function path(name) return dir .. "/" .. name end

local function write(name, text)
  files.write(path(name), text)
  return path(name)
end

-- What the server saw of a request.
local function said(res, err)
  assert.equal(200, res and res.status, tostring(err))
  return res:json()
end

local function post(parts, opts)
  opts = opts or {}
  opts.multipart = parts
  return said(ms.fetch(base, opts))
end

describe("multipart", function()
  setup(function()
    local good = certs.get("valid")
    child = process.start({ "node", HERE .. "support/form_server.js", good.key, good.full })
    local h1, h2, tls = child:first_line():match("(%d+) (%d+) (%d+)")
    ports = { h1 = h1, h2 = h2, tls = tls }
    base = ("http://127.0.0.1:%s/"):format(h1)
    dir = os.tmpname()
    os.remove(dir)
    assert(uv.fs_mkdir(dir, 448))
    write("plain.txt", "some text\n")
    write("zeros.bin", ("\0"):rep(3000000))
    write("empty.png", "")
  end)

  teardown(function()
    child:kill("sigkill")
    child:wait()
    for _, name in ipairs({ "plain.txt", "zeros.bin", "empty.png" }) do os.remove(path(name)) end
    uv.fs_rmdir(dir)
  end)

  it("has fields with their names and values", async(function()
    local got = post({ { name = "a", value = "one" }, { name = "n", value = 3 },
      { name = "f", value = 0.5 }, { name = "a", value = "two" }, { name = "", value = "" },
      { name = "\u{FC}", value = "\u{2603}\r\n--x" } })
    assert.same({ { name = "a", value = "one" }, { name = "n", value = "3" },
      { name = "f", value = "0.5" }, { name = "a", value = "two" }, { name = "", value = "" },
      { name = "\u{FC}", value = "\u{2603}\r\n--x" } }, got.fields)
    assert.equal("POST", got.method)
    assert.equal(got.bytes, got.length)
    assert.matches("^multipart/form%-data; boundary=%-%-%-%-multisocket%x+$", got.type)
  end))

  it("writes names as browsers do", async(function()
    local got = post({ { name = 'a"b', value = "1" }, { name = "line\nbreak\rs\r\n", value = "2" },
      { name = "50% & more; x=y\\", value = "3" },
      { name = "f", data = "x", filename = 'q"uote\n.txt' } })
    assert.equal('a"b', got.fields[1].name)
    assert.equal("line\r\nbreak\r\ns\r\n", got.fields[2].name)
    assert.equal("50% & more; x=y\\", got.fields[3].name)
    assert.equal('q"uote\n.txt', got.fields[4].filename)
  end))

  it("has files with their names and types", async(function()
    local got = post({ { name = "p", path = path("plain.txt") },
      { name = "z", path = path("zeros.bin"), filename = "other.tar", content_type = "a/b; c=d" },
      { name = "e", path = path("empty.png") }, { name = "d", data = "{}", filename = "x.JSON" },
      { name = "b", data = "bytes\0" }, { name = "v", value = "text", content_type = "text/x" } })
    local list = {}
    for i, field in ipairs(got.fields) do
      list[i] = ("%s %s %s %s"):format(field.name, field.filename, field.type,
        field.size or field.value)
    end
    assert.same({ "p plain.txt text/plain 10", "z other.tar a/b; c=d 3000000",
      "e empty.png image/png 0", "d x.JSON application/json 2",
      "b blob application/octet-stream 6", "v nil nil text" }, list)
    assert.equal(got.bytes, got.length)
  end))

  it("takes pieces from functions, which may wait, and from open files", async(function()
    local n = 0
    local file <close> = assert(io.open(path("plain.txt"), "rb"))
    file:seek("set", 5)
    local got = post({ { name = "f", data = function()
      n = n + 1
      ms.sleep(1)
      if n <= 3 then return ("%d"):format(n) end
    end }, { name = "file", data = file, content_type = "text/plain" } })
    assert.equal("chunked", got.coding)
    assert.is_nil(tonumber(got.length))
    assert.equal("3", got.fields[1].size)
    assert.equal("5", got.fields[2].size)
    assert.equal("file", io.type(file))
  end))

  for _, v in ipairs(wire.VERSIONS) do
    it("is what curl -F sends " .. v.over, async(function()
      local url = ("http://127.0.0.1:%s/"):format(v.is_h2 and ports.h2 or ports.h1)
      local result = v:curl("-S", "-F", "text=some words", "-F", "file=@" .. path("plain.txt"),
        "-F", "zeros=@" .. path("zeros.bin"), "-F", "as=@" .. path("plain.txt")
        .. ";filename=x.json;type=application/json", "-F", "image=@" .. path("empty.png"), "-F",
        "typed=1;type=text/x", "-F", 'a"b=quoted', url)
      assert.equal(0, result.code, result.stderr)
      local ours = said(v:fetch(url, { multipart = { { name = "text", value = "some words" },
        { name = "file", path = path("plain.txt") }, { name = "zeros", path = path("zeros.bin") },
        { name = "as", path = path("plain.txt"), filename = "x.json",
          content_type = "application/json" }, { name = "image", path = path("empty.png") },
        { name = "typed", value = 1, content_type = "text/x" },
        { name = 'a"b', value = "quoted" } } }))
      local curls = require("cjson").decode(result.stdout)
      assert.same(curls.fields, ours.fields)
      assert.equal(curls.coding, ours.coding)
      assert.equal(curls.version, ours.version)
      assert.equal(7, #ours.fields)
    end))
  end

  it("is the same over HTTP/2 and TLS", async(function()
    local tls = { ca_file = certs.get("valid").ca }
    local ways = {
      { "http", ports.h1, "1.1" },
      { "http", ports.h2, "2.0", { version = "2-prior-knowledge" } },
      { "https", ports.tls, "1.1", { version = "1.1", tls = tls } },
      { "https", ports.tls, "2.0", { tls = tls } },
    }
    local wanted
    for _, way in ipairs(ways) do
      for _, target in ipairs({ "", "307" }) do -- and when it is sent again
        local sent = false
        local res, err = ms.fetch(("%s://127.0.0.1:%s/%s"):format(way[1], way[2], target), {
          version = way[4] and way[4].version, tls = way[4] and way[4].tls,
          multipart = { { name = "zeros", path = path("zeros.bin") },
            { name = "text", value = "some words" },
            target == "" and { name = "made", data = function()
              if sent then return nil end
              sent = true
              ms.sleep(1)
              return "made"
            end } or { name = "made", value = "made" } } })
        local got = said(res, err)
        wanted = wanted or got.fields
        assert.same({ way[3], way[1] == "https", "POST" }, { got.version, got.secure, got.method })
        assert.equal("3000000", got.fields[1].size)
        assert.same({ wanted[1], wanted[2] }, { got.fields[1], got.fields[2] })
        assert.equal(3, #got.fields)
      end
    end
  end))

  it("is sent again after a redirect, unless nobody can produce it again", async(function()
    for _, parts in ipairs({ { { name = "a", value = "1" } },
      { { name = "f", path = path("zeros.bin") }, { name = "a", value = "1" } } }) do
      local res = ms.fetch(base .. "307", { multipart = parts })
      assert.equal(#parts, #said(res).fields)
      assert.equal(1, #res.redirects)
    end
    local res, err = ms.fetch(base .. "307", { multipart = {
      { name = "f", data = function() return nil end } } })
    assert.is_nil(res)
    assert.equal("body_not_replayable", err.code, tostring(err))
  end))

  it("fails with the file that is not there, and what was raised", async(function()
    local res, err = ms.fetch(base, { multipart = { { name = "f", path = "/no/such" } } })
    assert.is_nil(res)
    assert.equal("upload_failed", err.code)
    assert.truthy(err.message:find("/no/such", 1, true))
    for _, opts in ipairs({ { multipart = { { name = "f", path = dir } } },
      { body = { path = dir } } }) do
      err = select(2, ms.fetch(base, opts))
      assert.equal("upload_failed", err.code, tostring(err))
      assert.truthy(err.message:find("directory", 1, true), err.message)
    end
    local planted = {}
    err = select(2, ms.fetch(base, { multipart = { { name = "f",
      data = function() error(planted) end } } }))
    assert.equal("callback_error", err.code)
    assert.equal(planted, err.cause)
    err = select(2, ms.fetch(base, { multipart = { { name = "f",
      data = function() return nil, "no more" end }, { name = "g", value = "x" } } }))
    assert.equal("upload_failed", err.code)
    assert.equal("no more", err.cause)
  end))

  it("closes its files, sent or not", async(function()
    local function open_files()
      collectgarbage()
      collectgarbage()
      local n, scan = 0, uv.fs_scandir("/proc/self/fd")
      while true do
        local name = uv.fs_scandir_next(scan)
        if not name then return n end
        local to = uv.fs_readlink("/proc/self/fd/" .. name)
        n = n + (to and to:find(dir, 1, true) and 1 or 0)
      end
    end
    local parts = { { name = "f", path = path("zeros.bin") }, { name = "p",
      path = path("plain.txt") } }
    post(parts)
    assert.equal(0, open_files())
    local handle = ms.request(base, { multipart = parts }, function() end)
    ms.sleep(1)
    handle:cancel()
    ms.sleep(1)
    assert.equal(0, open_files())
    ms.fetch("http://127.0.0.1:1/", { multipart = parts })
    assert.equal(0, open_files())
  end))

  it("goes with the other ways to ask", async(function()
    local parts = { { name = "p", path = path("plain.txt") } }
    assert.equal(1, #said(ms.post(base, { multipart = parts })).fields)
    assert.equal("PUT", said(ms.put(base, { multipart = parts })).method)
    assert.equal(1, #said(ms.fetch({ url = base, multipart = parts })).fields)
    local ended
    ms.request(base, { multipart = parts }, function(err, res) ended = said(res, err) end)
    repeat ms.sleep(1) until ended
    assert.equal(1, #ended.fields)
    local res = assert(ms.post(base, { multipart = parts, stream = true }))
    assert.truthy(res:read("a"):find("plain.txt", 1, true))
    assert.equal(0, #said(ms.post(base, { multipart = {} })).fields)
    assert.equal(0, #said(ms.post(base, { multipart = false, body = "x" })).fields)
  end))

  it("on the main thread too", async.main(function()
    assert.equal(1, #said(ms.post(base, { multipart = { { name = "p",
      path = path("plain.txt") } } })).fields)
  end))

  it("has headers of its own for a part", async(function()
    local got = post({ { name = "a", value = "1", headers = { ["X-One"] = "1", ["X-Two"] = "" } } })
    assert.equal(1, #got.fields)
    assert.equal("1", got.fields[1].value)
  end))

  -- Nothing of a part can add lines to its head, or end it.
  it("refuses what no part can have", function()
    local function refused(words, parts)
      local ok, err = pcall(ms.request, base, { multipart = parts }, function() end)
      assert.is_false(ok, words)
      assert.equal("bad_option", err.code)
      assert.truthy(err.message:find(words, 1, true), err.message)
    end
    refused("must be a list of parts", { name = "a", value = "b" })
    refused('option "multipart" must be a list of parts or false, not string', "x")
    refused("part 1 of multipart must be a table, not string", { "a=b" })
    refused("part 1 of multipart has no name", { { value = "x" } })
    refused("part 2 of multipart must have one of value, data and path",
      { { name = "a", value = "" }, { name = "b" } })
    refused("must have one of", { { name = "a", value = "x", path = "y" } })
    refused('unknown option "file_name" (did you mean "filename"?)',
      { { name = "a", value = "x", file_name = "y" } })
    refused('"name" of part 1 of multipart must be a string, not number',
      { { name = 1, value = 1 } })
    refused('multipart "a" must be a string', { { name = "a", value = true } })
    refused('"data" of part 1 of multipart must be a string, a file or a function, not boolean',
      { { name = "a", data = true } })
    refused("content_type of a part has a control character",
      { { name = "a", value = "x", content_type = "a\r\nB: c" } })
    refused("X-A of a part has a control character",
      { { name = "a", value = "x", headers = { ["X-A"] = "b\nC: d" } } })
    refused('cannot have the name "X A"',
      { { name = "a", value = "x", headers = { ["X A"] = "" } } })
    refused("content-type of a part is given by content_type", { { name = "a", value = "x",
      headers = { ["content-type"] = "a/b" } } })
    refused("must be a map of strings to strings",
      { { name = "a", value = "x", headers = { "b" } } })
    local ok, err = pcall(ms.request, base, { multipart = {}, form = {} }, function() end)
    assert.is_false(ok)
    assert.equal("only one of body, json, form and multipart can be given", err.message)
  end)
end)
