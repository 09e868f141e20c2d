-- SPDX-License-Identifier: MIT
--
-- Bodies that are saved over several fetches: sink = { path =, resume = true };
-- over HTTP/1.1 and HTTP/2.
local async = require "spec.support.async"
local files = require "spec.support.files"
local ms = require "multisocket"
local redirects = require "spec.support.redirects"
local server = require "spec.support.server"
local uv = require "luv"
local wire = require "spec.support.wire"

local header = redirects.header

local path

local write = files.write

local function content(name) return files.read(name or path) end

local function remove_all()
  for _, name in ipairs { path, path .. ".part", path .. ".part.tag" } do os.remove(name) end
end

local function left()
  return { content(path) or false, content(path .. ".part") or false }
end

local function whole(body, more, length)
  return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s"):format(length or #body, more or "",
    body)
end

local PART = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %s\r\n"
  .. "Content-Length: %d\r\n%s\r\n%s"

local function rest(body, range, more) return PART:format(range, #body, more or "", body) end

for _, v in ipairs(wire.VERSIONS) do

-- A peer that says these one by one, each on a connection of its own.
local function plays(...)
  local scripts = {}
  for i, text in ipairs { ... } do scripts[i] = { { "request" }, { "send", text }, { "close" } } end
  return v:peer(scripts)
end

local function save(p) return v:fetch(p:url("/x"), { sink = { path = path, resume = true } }) end

local ETAG = 'ETag: "one"\r\n'

describe("a body that is saved over several fetches " .. v.over, function()
  before_each(function()
    path = os.tmpname()
    remove_all()
  end)
  after_each(function() remove_all() end)

  it("goes on where it broke off", async(function()
    local cut = rest("de", "3-8/9", ETAG):gsub("Length: 2", "Length: 6")
    local p <close> = plays(whole("abc", ETAG, 9), cut,
      rest("fghi", "5-8/9", ETAG))
    for _, want in ipairs { "abc", "abcde" } do
      local res, err = save(p)
      assert.is_nil(res)
      -- haproxy ends its stream as if all were well: less came than was said.
      assert.equal(v.is_h2 and "bad_response" or "unexpected_eof", err.code)
      assert.same({ false, want }, left())
    end
    local res = assert(save(p))
    assert.equal(206, res.status)
    assert.same({ "abcdefghi", false }, left())
    assert.is_nil(content(path .. ".part.tag"))
    local requests = p:requests()
    assert.is_nil(header(requests[1], "range"))
    assert.is_nil(header(requests[1], "accept-encoding"))
    assert.equal("bytes=5-", header(requests[3], "range"))
    assert.equal('"one"', header(requests[3], "if-range"))
  end))

  it("comes again when it has changed", async(function()
    local p <close> = plays(whole("abc", ETAG, 9), whole("xyz", 'ETag: "two"\r\n'))
    save(p)
    assert.equal(200, assert(save(p)).status)
    assert.same({ "xyz", false }, left())
  end))

  it("comes again when there is nothing left to send", async(function()
    local p <close> = plays(whole("abc", ETAG, 9),
      "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n", whole("ab"))
    save(p)
    assert.equal(200, assert(save(p)).status)
    assert.same({ "ab", false }, left())
    assert.is_nil(header(p:requests()[3], "range"))
  end))

  it("is not put together of different things", async(function()
    local p <close> = plays(whole("abc", ETAG, 9), rest("defghi", "3-8/9", 'ETag: "two"\r\n'))
    save(p)
    local res, err = save(p)
    assert.is_nil(res)
    assert.equal("bad_response", err.code)
    assert.same({ false, false }, left())
  end))

  it("does not begin with a part that was not asked for", async(function()
    for _, more in ipairs { "", ETAG } do
      local p <close> = plays(rest("def", "3-5/9", more),
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\nxyz")
      write(path .. ".part", "of something else")
      for _ = 1, 2 do
        local res, err = save(p)
        assert.is_nil(res)
        assert.equal("bad_response", err.code)
        assert.same({ false, "of something else" }, left())
      end
    end
  end))

  it("is not over before its end", async(function()
    local p <close> = plays(whole("abc", ETAG, 9), rest("def", "3-5/9", ETAG))
    save(p)
    local res, err = save(p)
    assert.is_nil(res)
    assert.equal("unexpected_eof", err.code)
    assert.same({ false, "abcdef" }, left())
  end))
end)

describe("what is there of a body " .. v.over, function()
  before_each(function()
    path = os.tmpname()
    remove_all()
  end)
  after_each(function() remove_all() end)

  it("is kept only of what has a strong name", async(function()
    local DATE, EARLIER = "Tue, 15 Nov 1994 08:12:31 GMT", "Tue, 15 Nov 1994 08:12:30 GMT"
    for _, row in ipairs { { "", nil }, { 'ETag: W/"one"\r\n', nil },
      { ("Last-Modified: %s\r\nDate: %s\r\n"):format(DATE, DATE), nil },
      { ("Last-Modified: %s\r\n"):format(EARLIER), nil },
      { ("Last-Modified: %s\r\nDate: %s\r\n"):format(EARLIER, DATE), EARLIER } } do
      local p <close> = plays(whole("abc", row[1], 9), whole("x"))
      remove_all()
      save(p)
      assert.same({ false, row[2] and "abc" or false }, left())
      save(p)
      assert.equal(row[2], (header(p:requests()[2], "if-range")))
    end
  end))

  it("is not taken for the beginning of something else", async(function()
    local p <close> = plays(whole("abc", ETAG, 9), whole("xyz"))
    save(p)
    assert(v:fetch(p:url("/other"), { sink = { path = path, resume = true } }))
    assert.is_nil(header(p:requests()[2], "range"))
    write(path .. ".part", "who knows whose")
    local q <close> = plays(whole("new"))
    assert(save(q))
    assert.same({ "new", false }, left())
  end))

  it("does not keep the password that was asked with", async(function()
    local p <close> = plays(whole("abc", ETAG, 9), rest("defghi", "3-8/9", ETAG))
    local url = p:url("/x"):gsub("//", "//anna:secret@", 1)
    local opts = { sink = { path = path, resume = true } }
    assert.is_nil((v:fetch(url, opts)))
    local tag = content(path .. ".part.tag")
    assert.matches("/x\n", tag, 1, true)
    assert.is_nil(tag:find("secret", 1, true))
    assert.equal(206, assert(v:fetch(url, opts)).status)
    assert.same({ "abcdefghi", false }, left())
  end))

  it("is left alone by errors, and so is the file", async(function()
    write(path, "old")
    local p <close> = plays(whole("abc", ETAG, 9),
      "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy",
      rest("def", "3-5/6", ETAG))
    save(p)
    assert.equal(503, assert(save(p)).status)
    assert.same({ "old", "abc" }, left())
    assert(save(p))
    assert.same({ "abcdef", false }, left())
  end))

  it("is a whole file of nginx's in the end", async(function()
    local nginx = v:nginx()
    finally(function() nginx:stop() end)
    for attempt = 1, 4 do
      local t = ms.spawn(function()
        return v:fetch(nginx:url("/big"), { sink = { path = path, resume = true },
          on_headers = function() end })
      end)
      if attempt < 4 then
        for _ = 1, 30000 do
          local stat = uv.fs_stat(path .. ".part")
          if stat and stat.size >= attempt * 100000 then break end
          ms.sleep(1)
        end
        t:cancel()
        t:wait()
        if content() then break end -- it was faster
      else
        assert(t:wait())
      end
    end
    assert.is_true(content() == server.big_body())
  end))

  it("is where one said", async(function()
    local res, err = v:fetch("http://127.0.0.1:1/", { sink = { path = path, resume = true } })
    assert.is_nil(res)
    assert.equal("connection_refused", err.code)
    local p <close> = plays(whole("abc"), whole("abc"))
    assert(v:fetch(p:url(), { sink = { path = path } }))
    assert.same({ "abc", false }, left())
    local _, why = v:fetch(p:url(), { sink = { path = "/nowhere/at/all", resume = true } })
    assert.equal("save_failed", why.code)
  end))
end)

end
