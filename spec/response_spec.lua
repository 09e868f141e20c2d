-- SPDX-License-Identifier: MIT
--
-- What a response can do.
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local server = require "spec.support.server"

local function reply(head, text)
  return { { "request" }, { "send", ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s"):format(
    #text, head, text) }, { "repeat" } }
end

-- Fetches what a peer says with that head and body.
local function fetched(head, text)
  local p <close> = peer.start({ reply(head, text) })
  return assert(ms.fetch(p:url("/path")))
end

describe("a response", function()
  local nginx

  setup(function() nginx = server.start() end)
  teardown(function() nginx:stop() end)

  it("has its fields", async(function()
    local res = assert(ms.fetch(nginx:url("/small")))
    assert.equal(200, res.status)
    assert.is_true(res.ok)
    assert.equal("OK", res.reason)
    assert.equal("1.1", res.version)
    assert.equal(nginx:url("/small"), res.url)
    assert.equal(("127.0.0.1:%d"):format(nginx.port), res.remote_address)
    assert.equal("GET", res.request.method)
    assert.equal(nginx:url("/small"), res.request.url)
    assert.equal(("127.0.0.1:%d"):format(nginx.port), res.request.headers.host)
    assert.is_nil(res.no_such_field)
  end))

  it("has times that only grow", async(function()
    local t = assert(ms.fetch(nginx:url("/small"))).timings
    local last = 0
    for _, name in ipairs({ "queue", "resolve", "connect", "send", "first_byte", "total" }) do
      assert.equal("float", math.type(t[name]))
      assert.is_true(t[name] >= last, name)
      last = t[name]
    end
  end))

  it("lives on after its client", async(function()
    local c = ms.client()
    local res = assert(c:fetch(nginx:url("/bytes/1000")))
    c:close()
    c = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.equal(1000, #res.body)
    assert.equal("1000", res.headers["Content-Length"])
  end))

  it("is not changed by the next fetch", async(function()
    local a = assert(ms.fetch(nginx:url("/bytes/100")))
    local b = assert(ms.fetch(nginx:url("/status/404")))
    assert.equal(200, a.status)
    assert.equal(100, #a.body)
    assert.equal(404, b.status)
    assert.equal("status 404\n", b.body)
  end))

  describe("headers", function()
    local HEAD = "A: 1\r\nb: 2\r\na: 3\r\nget_all: x\r\neach: y\r\n"

    it("are found whatever their case", async(function()
      local headers = fetched(HEAD, "").headers
      assert.equal("1", headers.a)
      assert.equal("1", headers["A"])
      assert.equal("2", headers.B)
      assert.is_nil(headers["no-such"])
      assert.same({ "1", "3" }, headers:get_all("A"))
      assert.same({}, headers:get_all("no-such"))
      assert.same({ "y" }, headers:get_all("each"))
    end))

    it("come in the order on the wire", async(function()
      local headers = fetched(HEAD, "").headers
      local by_each, by_pairs = {}, {}
      for name, value in headers:each() do by_each[#by_each + 1] = name .. "=" .. value end
      for name, value in pairs(headers) do by_pairs[#by_pairs + 1] = name .. "=" .. value end
      assert.same(by_each, by_pairs)
      assert.equal("A=1", by_each[2])
      assert.equal("b=2", by_each[3])
      assert.equal("a=3", by_each[4])
    end))

    it("outlive the response", async(function()
      local headers = fetched(HEAD, "").headers
      collectgarbage()
      collectgarbage()
      assert.equal("2", headers.b)
    end))
  end)

  describe("text", function()
    it("is the body without a byte order mark", async(function()
      assert.equal("x\u{e4}", fetched("", "\xEF\xBB\xBFx\u{e4}"):text())
      assert.equal("", fetched("", ""):text())
    end))

    it("converts ISO-8859-1", async(function()
      assert.equal("x\u{e4}", fetched("Content-Type: text/plain; charset=ISO-8859-1\r\n",
        "x\xe4"):text())
      assert.equal("x\u{e4}", fetched('Content-Type: text/plain;charset="latin1"\r\n',
        "x\xe4"):text())
    end))

    it("is an error where the body was not collected", async(function()
      local p <close> = peer.start({ reply("", "[]") })
      local res = assert(ms.fetch(p:url(), { on_data = function() end }))
      assert.equal("body", select(2, res:text()).category)
      assert.equal("body", select(2, res:json()).category)
    end))
  end)

  describe("json", function()
    it("decodes", async(function()
      assert.same({ a = { 1, 2 } }, fetched("", '{"a":[1,2]}'):json())
      assert.equal("x", fetched("", '"x"'):json())
      assert.equal(false, fetched("", "false"):json())
    end))

    it("gives nil and an err for what is no JSON", async(function()
      for _, text in ipairs({ "", "{", "<html>" }) do
        local value, err = fetched("", text):json()
        assert.is_nil(value)
        assert.equal("decode_failed", err.code)
        assert.equal("body", err.category)
        assert.matches("/path", err.url)
      end
    end))

    it("takes a decoder", async(function()
      local res = fetched("", "1")
      assert.equal("<1>", res:json(function(text) return "<" .. text .. ">" end))
      local _, err = res:json(function() error("mine", 0) end)
      assert.equal("mine", err.cause)
      _, err = res:json(function() return nil, "why" end)
      assert.equal("why", err.cause)
      assert.equal(1, res:json(require("dkjson").decode))
      assert.is_false((pcall(res.json, res, 5)))
    end))

    it("has dkjson where there is no lua-cjson", async(function()
      local body = require "multisocket.body"
      local kept = body.json_codec
      body.json_codec = function() return require "dkjson" end
      local res, bad = fetched("", '{"a":1}'), fetched("", '{"a"')
      local value = res:json()
      local _, err = bad:json()
      body.json_codec = kept
      assert.equal(1, value.a)
      assert.equal("decode_failed", err.code)
    end))
  end)

  it("raises for a bad status when asked", async(function()
    local res = assert(ms.fetch(nginx:url("/small")))
    assert.equal(res, res:raise_for_status())
    local bad = assert(ms.fetch(nginx:url("/status/503")))
    local ok, err = pcall(bad.raise_for_status, bad)
    assert.is_false(ok)
    assert.equal("status", err.code)
    assert.equal("http", err.category)
    assert.equal(bad, err.response)
    assert.matches("503", err.message)
  end))
end)
