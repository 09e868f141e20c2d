-- SPDX-License-Identifier: MIT
--
-- Content codings: what servers send is undone, and nothing else is done to it.
-- Every split and every wrong bit of a coding is spec/unit/test_decode.c's.
local async = require "spec.support.async"
local codings = require "spec.support.codings"
local h2_peer = require "spec.support.h2_peer"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local server = require "spec.support.server"

local TEXT = ("a line of text that is said again and again\n"):rep(500)
local ALL = { "gzip", "deflate", "bare-deflate", "br", "zstd" }

-- A 200 with a coded body; `more` are further header lines.
local function answer(coding, body, more)
  return ("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n%s\r\n%s"):format(
    coding, #body, more or "", body)
end

local function plays(...)
  local script = {}
  for _, text in ipairs { ... } do
    script[#script + 1] = { "request" }
    script[#script + 1] = { "send", text }
  end
  script[#script + 1] = { "hang" }
  return peer.start { script }
end

local function is_linked(coding)
  local features = ms.features()
  if coding == "br" then return features.brotli end
  return coding ~= "zstd" or features.zstd
end

local function failed(code, res, err)
  assert.is_nil(res)
  assert.equal(code, err.code, err.message)
  return err
end

describe("a coded body", function()
  local node

  setup(function() node = codings.start() end)
  teardown(function() node:stop() end)

  for _, coding in ipairs(ALL) do
    it("in " .. coding .. " is decoded", async(function()
      if not is_linked(coding) then return pending(coding .. " is not linked") end
      for _, version in ipairs { "1.1", "2-prior-knowledge" } do
        local res = assert(ms.fetch(node:url(version, "/" .. coding), { version = version }))
        assert.equal(codings.TEXT, res.body)
        local name = coding:gsub("bare%-", "")
        assert.equal(name, res.headers["content-encoding"])
        assert.same({ name }, res.decoded)
      end
    end))
  end

  it("in several codings is decoded in their order", async(function()
    local res = assert(ms.fetch(node:url("1.1", "/gzip+deflate+gzip")))
    assert.equal(codings.TEXT, res.body)
    assert.same({ "gzip", "deflate", "gzip" }, res.decoded)
    res = assert(ms.fetch(node:url("1.1", "/gzip+identity")))
    assert.equal(codings.TEXT, res.body)
    assert.same({ "gzip" }, res.decoded)
    res = assert(ms.fetch(node:url("1.1", "/x-gzip")))
    assert.equal(codings.TEXT, res.body)
  end))

  it("is decoded while it is streamed, and given to on_data", async(function()
    for _, version in ipairs { "1.1", "2-prior-knowledge" } do
      local pieces, n = {}, 0
      local res = assert(ms.fetch(node:url(version, "/gzip"), { stream = true, version = version }))
      assert.same({ "gzip" }, res.decoded)
      for chunk in res:chunks() do pieces[#pieces + 1] = chunk end
      assert.equal(codings.TEXT, table.concat(pieces))
      res = assert(ms.fetch(node:url(version, "/gzip"), { version = version,
        on_data = function(chunk) n = n + #chunk end }))
      assert.equal(#codings.TEXT, n)
      assert.same({ "gzip" }, res.decoded)
    end
  end))

  it("from nginx is decoded", async(function()
    local nginx = server.start()
    finally(function() nginx:stop() end)
    local res = assert(ms.fetch(nginx:url("/gzip")))
    assert.equal(server.big_body():sub(1, 10000), res.body)
    assert.same({ "gzip" }, res.decoded)
    assert.equal("gzip", res.headers["content-encoding"])
  end))
end)

describe("what is not undone", function()
  it("is a coding that is not known", async(function()
    for _, coding in ipairs { "compress", "gzip, compress", "compress, gzip", "identity",
      "utf-8" } do
      local p <close> = plays(answer(coding, "as it is"))
      local res = assert(ms.fetch(p:url()))
      assert.equal("as it is", res.body)
      assert.same({}, res.decoded)
    end
  end))

  it("is what was not to be", async(function()
    local coded = codings.encode("gzip", TEXT)
    local p <close> = plays(answer("gzip", coded), answer("gzip", coded))
    local res = assert(ms.fetch(p:url(), { decompress = false }))
    assert.equal(coded, res.body)
    assert.same({}, res.decoded)
    assert.is_nil(res.request.headers["accept-encoding"])
    assert.equal(TEXT, assert(ms.fetch(p:url(), { decompress = true })).body)
  end))

  it("is a part of a body", async(function()
    local coded = codings.encode("gzip", TEXT)
    local p <close> = plays((answer("gzip", coded):gsub("200 OK", "206 Partial Content")))
    local res = assert(ms.fetch(p:url()))
    assert.equal(coded, res.body)
    assert.same({}, res.decoded)
  end))

  it("F6: is no body at all", async(function()
    local head = "HTTP/1.1 %s\r\nContent-Encoding: gzip\r\n%s\r\n%s"
    local cases = { { "200 OK", "Content-Length: 0\r\n" }, { "204 No Content", "" },
      { "304 Not Modified", "" }, { "200 OK", "Content-Length: 99\r\n", method = "HEAD" },
      { "200 OK", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", decoded = "gzip" } }
    for _, case in ipairs(cases) do
      local p <close> = plays(head:format(case[1], case[2], case[3] or ""))
      local res = assert(ms.fetch(p:url(), { method = case.method }))
      assert.equal("", res.body)
      assert.same({ case.decoded }, res.decoded)
    end
  end))
end)

describe("Accept-Encoding", function()
  local function sent(options)
    local p <close> = plays(answer("gzip", codings.encode("gzip", TEXT)))
    local res = assert(ms.fetch(p:url(), options))
    assert.equal(TEXT, res.body) -- decoded, whatever was asked for
    return p:requests()[1]:lower():match("\r\naccept%-encoding: ([^\r]*)"), res
  end

  it("says what is linked", async(function()
    local features = ms.features()
    local want = "gzip, deflate" .. (features.brotli and ", br" or "")
      .. (features.zstd and ", zstd" or "")
    local got, res = sent()
    assert.equal(want, got)
    assert.equal(want, res.request.headers["accept-encoding"])
    assert.is_string(features.zlib)
  end))

  it("is the caller's where he says it", async(function()
    assert.equal("gzip;q=1", (sent { headers = { ["accept-encoding"] = "gzip;q=1" } }))
    assert.is_nil((sent { headers = { ["Accept-Encoding"] = false } }))
  end))
end)

describe("a body that is wrong", function()
  local coded

  setup(function() coded = codings.encode("gzip", TEXT) end)

  -- The ways to say where a body ends.
  local function framings(body)
    local head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
    return { head .. ("Content-Length: %d\r\n\r\n%s"):format(#body, body),
      head .. ("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"):format(#body, body),
      head .. "Connection: close\r\n\r\n" .. body }
  end

  local function refused(body, why)
    for _, text in ipairs(framings(body)) do
      local p <close> = peer.start { { { "request" }, { "send", text } } }
      local err = failed("decode_failed", ms.fetch(p:url()))
      assert.equal("body", err.category)
      assert.equal("body", err.phase)
      assert.is_false(err.retryable)
      assert.matches(why, err.message, 1, true)
      local res = assert(ms.fetch(p:url(), { stream = true }))
      assert.equal("decode_failed", failed("decode_failed", res:read("a")).code)
    end
  end

  it("F1: is an error where it is cut", async(function()
    refused(coded:sub(1, -2), "gzip data is cut short")
    refused(coded:sub(1, -9), "gzip data is cut short") -- the whole trailer
    refused(coded:sub(1, 5), "gzip data is cut short")
  end))

  it("F1: is an error where it is corrupt", async(function()
    refused("x" .. coded:sub(2), "gzip data is corrupt")
    local crc = #coded - 7
    refused(coded:sub(1, crc - 1) .. string.char(coded:byte(crc) ~ 1) .. coded:sub(crc + 1),
      "gzip data is corrupt")
    refused(coded:sub(1, -2) .. string.char(coded:byte(-1) ~ 1), "gzip data is corrupt")
    refused("not coded at all, whatever is said", "gzip data is corrupt")
  end))

  it("F2: is an error with six codings", async(function()
    local p <close> = plays(answer("gzip, gzip, gzip, gzip, gzip, gzip", coded))
    local err = failed("decode_failed", ms.fetch(p:url()))
    assert.matches("more than five", err.message, 1, true)
  end))

  it("costs its connection only where the rest of it is not known", async(function()
    local client <close> = ms.client()
    local cut = coded:sub(1, -2)
    local p <close> = plays(answer("gzip", cut), answer("gzip", coded))
    failed("decode_failed", client:fetch(p:url()))
    assert.is_true(assert(client:fetch(p:url())).reused)
    local wrong <close> = plays(answer("gzip", "wrong" .. ("x"):rep(100000)))
    failed("decode_failed", client:fetch(wrong:url()))
    assert.equal(1, client:stats().connections)
  end))

  it("may have anything behind its end", async(function()
    for _, text in ipairs(framings(coded .. "\0\0\0")) do
      local p <close> = peer.start { { { "request" }, { "send", text } } }
      assert.equal(TEXT, assert(ms.fetch(p:url())).body)
    end
  end))
end)

describe("over HTTP/2", function()
  -- Fetches a response of these fields and frames of data.
  local function get(fields, pieces, options)
    table.insert(fields, 1, { ":status", fields.status or "200" })
    local flags = h2_peer.END_HEADERS + (#pieces == 0 and h2_peer.END_STREAM or 0)
    local frames = { h2_peer.headers(1, fields, flags) }
    for i, piece in ipairs(pieces) do
      frames[i + 1] = h2_peer.data(1, piece, i == #pieces and h2_peer.END_STREAM or 0)
    end
    local p <close> = h2_peer.peer { { "send", table.concat(frames) }, { "hang" } }
    options = options or {}
    options.version = "2-prior-knowledge"
    return ms.fetch(p:url(), options)
  end

  local function gzip(body) return { { "content-encoding", "gzip" } }, { body } end

  it("F1: a body that is cut or corrupt is an error", async(function()
    local coded = codings.encode("gzip", TEXT)
    for n = 1, 9 do
      local err = failed("decode_failed", get(gzip(coded:sub(1, -1 - n))))
      assert.matches("gzip data is cut short", err.message, 1, true)
    end
    for at = 1, 8 do
      local wrong = coded:sub(1, -at - 1) .. string.char(coded:byte(-at) ~ 1)
        .. (at > 1 and coded:sub(1 - at) or "")
      assert.matches("gzip data is corrupt", failed("decode_failed", get(gzip(wrong))).message, 1,
        true)
    end
  end))

  it("F2: six codings are an error", async(function()
    local three = { "content-encoding", "gzip, gzip, gzip" }
    failed("decode_failed", get({ three, three }, { "x" }))
    assert.equal("x", assert(get({ three, three }, { "x" }, { decompress = false })).body)
  end))

  it("F6: no body is none, whatever is said", async(function()
    for _, case in ipairs { { method = "HEAD" }, { status = "204" }, { status = "304" }, {} } do
      local res = assert(get({ { "content-encoding", "gzip" }, status = case.status }, {},
        { method = case.method }))
      assert.equal("", res.body)
    end
  end))

  it("F7: members and single bytes are one body", async(function()
    local pieces = {}
    local coded = codings.encode("gzip", TEXT:sub(1, 200)) .. codings.encode("gzip", "and more")
    for i = 1, #coded do pieces[i] = coded:sub(i, i) end
    local res = assert(get({ { "content-encoding", "gzip" } }, pieces))
    assert.equal(TEXT:sub(1, 200) .. "and more", res.body)
  end))
end)

describe("a coded body in pieces", function()
  it("F7: of several members is one", async(function()
    local p <close> = plays(answer("gzip", codings.encode("gzip", TEXT):rep(3)))
    assert.equal(TEXT:rep(3), assert(ms.fetch(p:url())).body)
  end))

  it("F7: is the same", async(function()
    local text = TEXT:sub(1, 200)
    for _, coding in ipairs { "gzip", "deflate", "br" } do
      if is_linked(coding) then
        local body = codings.encode(coding, text)
        local whole = answer(coding, body)
        local p <close> = peer.start { { { "request" }, { "split", whole, 7, 0 }, { "hang" } } }
        assert.equal(text, assert(ms.fetch(p:url())).body)
      end
    end
  end))
end)
