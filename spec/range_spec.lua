-- SPDX-License-Identifier: MIT
--
-- Parts of bodies: what is asked for, and what is taken for an answer; over
-- HTTP/1.1 and HTTP/2, and beside curl.
local apache = require "spec.support.apache"
local async = require "spec.support.async"
local redirects = require "spec.support.redirects"
local server = require "spec.support.server"
local servers = require "spec.support.h2_servers"
local wire = require "spec.support.wire"

local header = redirects.header

local PART = "HTTP/1.1 206 Partial Content\r\n%sContent-Length: %d\r\n\r\n%s"

-- What a fetch says to that Content-Range (nil: none) with that many bytes.
local function answered(v, opts, content_range, bytes, status)
  local line = content_range and ("Content-Range: %s\r\n"):format(content_range) or ""
  local text = PART:format(line, bytes, ("x"):rep(bytes))
  if status then text = text:gsub("206 Partial Content", status) end
  local p <close> = v:peer { { { "request" }, { "send", text } } }
  local res, err = v:fetch(p:url(), opts)
  return res, err, p:requests()[1]
end

for _, v in ipairs(wire.VERSIONS) do

describe("a part of a body " .. v.over, function()
  local nginx

  setup(function() nginx = v:nginx() end)
  teardown(function() nginx:stop() end)

  it("is what nginx sends", async(function()
    local big = server.big_body()
    for _, row in ipairs { { { 5, 9 }, big:sub(6, 10) }, { { 0, 0 }, big:sub(1, 1) },
      { { #big - 3 }, big:sub(-3) }, { { -7 }, big:sub(-7) }, { "1-2", big:sub(2, 3) },
      { "-1", big:sub(-1) }, { { #big - 2, #big + 1000 }, big:sub(-2) } } do
      local res = assert(v:fetch(nginx:url("/big"), { range = row[1] }))
      assert.same({ 206, row[2] }, { res.status, res.body })
      assert.is_nil(res.request.headers["accept-encoding"])
    end
    local res = assert(v:fetch(nginx:url("/big"), { resume_from = #big - 5 }))
    assert.same({ 206, big:sub(-5) }, { res.status, res.body })
    assert.equal(200, assert(v:fetch(nginx:url("/small"), { resume_from = 0 })).status)
    local client <close> = v:client { range = { 1, 2 } }
    assert.equal("el", assert(client:fetch(nginx:url("/small"))).body)
    assert.equal(200, assert(client:fetch(nginx:url("/small"), { range = false })).status)
  end))

  it("is what Apache and h2o send, and all of it where nghttpd knows no parts", async(function()
    local h2o <close> = servers.h2o()
    local httpd <close> = apache.start()
    local nghttpd <close> = servers.nghttpd()
    local DIGITS = ("0123456789"):rep(servers.BIG // 10)
    for url, body in pairs { [h2o:url("/big")] = DIGITS,
      [httpd:url("/open/hello")] = "hello, world\n" } do
      for _, row in ipairs { { { range = { 5, 9 } }, body:sub(6, 10) }, { { range = { -7 } },
        body:sub(-7) }, { { resume_from = 8 }, body:sub(9) }, { { range = "0-0" }, body:sub(1, 1) },
        { { range = { 0, 1 << 40 } }, body }, { { range = { 1, 2 }, method = "HEAD" }, "" } } do
        local res = assert(v:fetch(url, row[1]))
        assert.same({ 206, v.name }, { res.status, res.version })
        assert.is_true(row[2] == res.body)
      end
      assert.equal(416, assert(v:fetch(url, { resume_from = 1 << 40 })).status)
    end
    if not v.is_h2 then return end -- it speaks nothing else
    assert.equal(200, assert(v:fetch(nghttpd:url("/big"), { range = { 5, 9 } })).status)
    local _, err = v:fetch(nghttpd:url("/big"), { resume_from = 5 })
    assert.equal("range_ignored", err.code)
  end))

  it("beyond the end is 416", async(function()
    local res = assert(v:fetch(nginx:url("/small"), { range = { 100 } }))
    assert.same({ 416, "bytes */13" }, { res.status, res.headers["content-range"] })
    assert.equal(416, assert(v:fetch(nginx:url("/small"), { resume_from = 13 })).status)
  end))

  it("is the same of the same with If-Range", async(function()
    local etag = assert(v:fetch(nginx:url("/small"))).headers.etag
    local function with(tag)
      return { resume_from = 7, headers = { ["If-Range"] = tag } }
    end
    assert.equal("world\n", assert(v:fetch(nginx:url("/small"), with(etag))).body)
    local res, err = v:fetch(nginx:url("/small"), with('"another"'))
    assert.is_nil(res)
    assert.same({ "range_ignored", "protocol" }, { err.code, err.category })
    assert.matches("has changed", err.message, 1, true)
  end))

  it("has to be the one that was asked for", async(function()
    local RANGE, REST, LAST = { range = { 10, 19 } }, { resume_from = 10 }, { range = { -10 } }
    for _, row in ipairs {
      { RANGE, "bytes 10-19/100", 10 }, { RANGE, "Bytes 10-19/*", 10 },
      { RANGE, "bytes 10-15/16", 6 }, { RANGE, "bytes  10-19/100", 10 },
      { REST, "bytes 10-19/20", 10 }, { REST, "bytes 10-19/*", 10 },
      { LAST, "bytes 90-99/100", 10 }, { LAST, "bytes 0-4/5", 5 },
      { RANGE, nil, 10, why = "without Content-Range" },
      { RANGE, "bytes 9-18/100", 10, why = "another part" },
      { RANGE, "bytes 11-19/100", 9, why = "another part" },
      { RANGE, "bytes 10-20/100", 11, why = "another part" },
      { RANGE, "bytes 10-19/100", 9, why = "disagree" },
      { RANGE, "bytes 10-19/19", 10, why = "malformed" },
      { RANGE, "bytes 19-10/100", 10, why = "malformed" },
      { RANGE, "bytes 10-19", 10, why = "malformed" },
      { RANGE, "bytes 10-19/1x", 10, why = "malformed" },
      { RANGE, "lines 10-19/100", 10, why = "malformed" },
      { RANGE, "bytes -1-19/100", 10, why = "malformed" },
      { RANGE, "bytes 10-99999999999999999999/*", 10, why = "malformed" },
      { RANGE, "bytes 10-19/100\r\nContent-Range: bytes 10-19/100", 10, why = "malformed" },
      { REST, "bytes 0-9/20", 10, why = "another part" },
      { REST, "bytes 10-18/20", 9, why = "another part" },
      { LAST, "bytes 80-89/100", 10, why = "another part" },
      { LAST, "bytes 89-99/100", 11, why = "another part" },
    } do
      local res, err = answered(v, row[1], row[2], row[3])
      if row.why then
        assert.is_nil(res)
        assert.equal("bad_response", err.code)
        assert.matches(row.why, err.message, 1, true)
      else
        assert.equal(206, res and res.status, tostring(err))
      end
    end
  end))
end)

describe("a question about a part " .. v.over, function()
  it("may be ignored where it was no more than a wish", async(function()
    assert.equal(200, assert(answered(v, { range = { 5 } }, nil, 20, "200 OK")).status)
    local _, err = answered(v, { resume_from = 5 }, nil, 20, "200 OK")
    assert.equal("range_ignored", err.code)
    assert.is_false(err.retryable)
    for _, status in ipairs { "404 Not Found", "304 Not Modified", "204 No Content",
      "302 Found" } do
      local res = assert(answered(v, { resume_from = 5 }, nil, 0, status))
      assert.equal(tonumber(status:sub(1, 3)), res.status)
    end
  end))

  it("is one line, the caller's if he has one", async(function()
    local function line(opts)
      local _, _, request = answered(v, opts, "bytes 10-19/20", 10)
      return header(request, "range"), select(2, request:gsub("\r\n[Rr]ange:", ""))
    end
    assert.same({ "bytes=10-19", 1 }, { line { range = { 10, 19 } } })
    assert.same({ "bytes=10-", 1 }, { line { resume_from = 10 } })
    assert.same({ "bytes=-10", 1 }, { line { range = { -10 } } })
    assert.same({ "x", 1 }, { line { range = { 10, 19 }, headers = { Range = "x" } } })
    local _, _, request = answered(v, { headers = { Range = "bytes=1-" } }, nil, 1)
    assert.is_nil(header(request, "accept-encoding"))
  end))

  it("has to make sense", async(function()
    for _, range in ipairs { "", "5", "a-b", "5-3", "-0", "-", "1-2,4-5", "bytes=1-2", " 1-2",
      "99999999999999999999-" } do
      local res, err = v:fetch("http://127.0.0.1:1/", { range = range })
      assert.is_nil(res)
      assert.equal("bad_option", err.code)
      assert.matches("a range is", err.message, 1, true)
    end
    local _, err = v:fetch("http://127.0.0.1:1/", { range = { 1 }, resume_from = 1 })
    assert.matches("only one of range and resume_from", err.message, 1, true)
  end))
end)

-- ---- beside curl -----------------------------------------------------------------

-- What curl does with these words: its exit code, the status, the body.
local function curl(url, words)
  local path = os.tmpname()
  os.remove(path)
  local r = v:curl("-w", "%{http_code}", "-o", path, url, table.unpack(words))
  local file <close> = io.open(path, "rb")
  local body = file and file:read("a") or ""
  os.remove(path)
  return { r.code, tonumber(r.stdout), body }
end

-- The same of us. What is put behind something else is not when it is an error page.
local function ours(url, opts)
  local res, err = v:fetch(url, opts)
  if not res then return err.code end
  return { 0, res.status, opts.resume_from and not res.ok and "" or res.body }
end

describe("a part, ours and curl's " .. v.over, function()
  local nginx

  setup(function() nginx = v:nginx() end)
  teardown(function() nginx:stop() end)

  it("is the same part", async(function()
    local OTHER = { "-H", 'If-Range: "another"' }
    for _, row in ipairs { { "/small", { range = "0-4" }, "-r", "0-4" },
      { "/small", { range = "3-" }, "-r", "3-" }, { "/small", { range = "-4" }, "-r", "-4" },
      { "/small", { range = "100-200" }, "-r", "100-200" },
      { "/small", { range = "12-20" }, "-r", "12-20" }, { "/empty", { range = "0-" }, "-r", "0-" },
      { "/small", { resume_from = 5 }, "-C", "5" }, { "/small", { resume_from = 13 }, "-C", "13" },
      { "/small", { resume_from = 50 }, "-C", "50" },
      { "/small", { range = "5-", headers = { ["If-Range"] = '"another"' } }, "-r", "5-",
        table.unpack(OTHER) } } do
      local expected = curl(nginx:url(row[1]), { table.unpack(row, 3) })
      assert.same(expected, ours(nginx:url(row[1]), row[2]), row[4])
    end
  end))

  local RANGE_ERROR = 33 -- curl's

  it("is refused where everything came", async(function()
    for path, opts in pairs { ["/inspect"] = { resume_from = 5 },
      ["/small"] = { resume_from = 5, headers = { ["If-Range"] = '"another"' } } } do
      assert.equal("range_ignored", ours(nginx:url(path), opts))
      assert.same({ RANGE_ERROR, 200, "" },
        curl(nginx:url(path), { "-C", "5", "-H", 'If-Range: "another"' }))
    end
  end))

  -- Rows of docs/differences.md: the answer, ours, curl's.
  it("is not the same where an answer is wrong", async(function()
    local TEN = ("x"):rep(10)
    for _, row in ipairs {
      { { range = "10-19" }, "bytes 9-18/100", "bad_response", "-r", "10-19", { 0, 206, TEN } },
      { { range = "10-19" }, "x", "bad_response", "-r", "10-19", { 0, 206, TEN } },
      { { resume_from = 10 }, "bytes 10-19/21", "bad_response", "-C", "10", { 0, 206, TEN } },
      { { resume_from = 10 }, "bytes 11-20/21", "bad_response", "-C", "10", { 0, 206, "" } },
      { { resume_from = 9 }, "bytes 8-17/18", "bad_response", "-C", "9",
        { RANGE_ERROR, 206, "" } } } do
      local script = { { { "request" }, { "send", PART:format("Content-Range: " .. row[2] .. "\r\n",
        10, TEN) }, { "close" } } }
      local p <close> = v:peer(script)
      local q <close> = v:peer(script)
      assert.equal(row[3], ours(p:url(), row[1]), row[2])
      assert.same(row[6], curl(q:url(), { row[4], row[5] }), row[2])
    end
    local gone = nginx:url("/none")
    assert.same({ 0, 404, "" }, ours(gone, { resume_from = 5 }))
    assert.same({ RANGE_ERROR, 404, "" }, curl(gone, { "-C", "5" }))
    local res, err = v:fetch(nginx:url("/small"), { range = "0-1,3-4" })
    assert.is_nil(res)
    assert.equal("bad_option", err.code)
    assert.matches("Content%-Range: bytes 0%-1/13",
      curl(nginx:url("/small"), { "-r", "0-1,3-4" })[3])
  end))

  it("is asked for without codings, but for curl's --compressed", async(function()
    local text = PART:format("Content-Range: bytes 0-1/13\r\n", 2, "ab")
    local p <close> = v:peer { { { "request" }, { "send", text }, { "repeat" } } }
    assert(v:fetch(p:url(), { range = "0-1" }))
    curl(p:url(), { "--compressed", "-r", "0-1" })
    assert.is_nil(header(p:requests()[1], "accept-encoding"))
    assert.is_string(header(p:requests()[2], "accept-encoding"))
  end))
end)

end
