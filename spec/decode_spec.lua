-- SPDX-License-Identifier: MIT
--
-- Content codings: what servers send is undone, and nothing else is done to it.
-- Every split and every wrong bit of a coding is spec/unit/test_decode.c's.
local async = require "spec.support.async"
local codings = require "spec.support.codings"
local core = require "multisocket.core"
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
