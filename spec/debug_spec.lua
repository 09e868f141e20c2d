-- SPDX-License-Identifier: MIT
--
-- on_debug, and the heads in a trace: what was sent and received, in its
-- order, without credentials.
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local core = require "multisocket.core"
local drive = require "spec.support.drive"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local process = require "spec.support.process"
local redirects = require "spec.support.redirects"
local server = require "spec.support.server"
local servers = require "spec.support.h2_servers"
local wire = require "spec.support.wire"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nok"
local SERVE = { { { "request" }, { "send", OK }, { "repeat" } } }
local LIMIT = 30000 -- ms

-- A callback, and the list of what it heard: "kind first line".
local function listener()
  local heard, texts = {}, {}
  return function(kind, text)
    heard[#heard + 1] = kind .. " " .. text:match("^[^\n]*")
    texts[#texts + 1] = text
  end, heard, texts
end

describe("on_debug", function()
  it("hears of connections, requests and responses", async(function()
    local p <close> = peer.start(SERVE)
    local client <close> = ms.client({})
    local on_debug, heard, texts = listener()
    for _ = 1, 2 do
      assert(client:fetch(p:url("/a?b"), { on_debug = on_debug, timeout = LIMIT,
        headers = { ["X-B"] = "2" } }))
    end
    local at = "127.0.0.1:" .. p.port
    assert.same({ ("info connection 1 to %s, new"):format(at), "request GET /a?b HTTP/1.1",
      "response HTTP/1.1 200 OK", ("info connection 1 to %s, used again"):format(at),
      "request GET /a?b HTTP/1.1", "response HTTP/1.1 200 OK" }, heard)
    assert.equal(p:requests()[1], texts[2]:gsub("\n", "\r\n") .. "\r\n\r\n", "word for word")
    assert.equal("HTTP/1.1 200 OK\nContent-Length: 2\nX-A: 1", texts[3])
  end))

  it("hears of responses that nobody gets, and of 1xx", async(function()
    local p <close> = peer.start { { { "request" }, { "send", "HTTP/1.1 302 Found\r\n"
      .. "Location: http://u:secret@127.0.0.1/\r\nConnection: close\r\n\r\n" }, { "close" } } }
    local q <close> = peer.start { { { "request" }, { "send", "HTTP/1.1 103 Early Hints\r\n\r\n"
      .. OK }, { "hang" } } }
    local on_debug, heard = listener()
    assert(ms.fetch(q:url(), { on_debug = on_debug, timeout = LIMIT }))
    assert.equal("response HTTP/1.1 103 Early Hints", heard[3])
    assert.equal("response HTTP/1.1 200 OK", heard[4])
    local texts
    on_debug, heard, texts = listener()
    ms.fetch(p:url(), { on_debug = on_debug, timeout = LIMIT, redirect = 1,
      connect_to = { ["127.0.0.1:80"] = "127.0.0.1:" .. port.free() } })
    assert.matches("\nLocation: http://127.0.0.1/\n", texts[3], 1, true)
    assert.equal("info another request follows this response", heard[4])
    assert.matches("info connection refused", heard[5], 1, true)
  end))

  it("comes before on_headers, and what it hears before the end", async(function()
    local p <close> = peer.start(SERVE)
    local order = {}
    assert(ms.fetch(p:url(), { timeout = LIMIT,
      on_debug = function(kind) order[#order + 1] = kind end,
      on_headers = function() order[#order + 1] = "on_headers" end }))
    assert.same({ "info", "request", "response", "on_headers" }, order)
    local ended = false
    local _, err = ms.fetch(("http://127.0.0.1:%d/"):format(port.free()), {
      on_debug = function() assert(not ended) end })
    ended = true
    assert.equal("connection_refused", err.code)
  end))

  it("is told of a request before there is an answer", async(function()
    local p <close> = peer.start { { { "request" }, { "hang" } } }
    local on_debug, heard = listener()
    ms.fetch(p:url(), { on_debug = on_debug, timeout = 500 })
    assert.equal("request GET / HTTP/1.1", heard[2])
    assert.equal("info the total timeout passed", heard[3])
    assert.equal(3, #heard)
  end))

  for _, v in ipairs(wire.VERSIONS) do
    it("shows no credentials " .. v.over, async(function()
      local p <close> = v:peer { { { "request" }, { "send", "HTTP/1.1 200 OK\r\n"
        .. "Set-Cookie: a=secret\r\nset-cookie: b=secret\r\nContent-Length: 0\r\n\r\n" },
        { "repeat" } } }
      local shown = {
        { { auth = { "anna", "secret" } }, "\nAuthorization: Basic ***" },
        { { bearer = "secret" }, "\nAuthorization: Bearer ***" },
        { { headers = { Authorization = "secret" } }, "\nAuthorization: ***" },
        { { headers = { Authorization = "Mine secret" } }, "\nAuthorization: ***" },
        { { headers = { authorization = "bearer secret" } }, "\nauthorization: Bearer ***" },
        { { headers = { ["Proxy-Authorization"] = "Basic secret" } },
          "\nProxy-Authorization: Basic ***" },
        { { headers = { Cookie = "a=secret" } }, "\nCookie: ***" },
      }
      for _, row in ipairs(shown) do
        local on_debug, _, texts = listener()
        row[1].on_debug = on_debug
        assert(v:fetch(p:url(), row[1]))
        assert.matches(row[2], texts[2], 1, true)
        local all = table.concat(texts, "\n")
        assert.is_nil(all:find("secret", 1, true), all)
        assert.matches("\nset-cookie: ***\nset-cookie: ***\n", all:lower(), 1, true)
      end
    end))
  end

  it("names the version, and TLS", async(function()
    local nginx <close> = server.start({ tls = certs.get("valid") })
    local on_debug, heard = listener()
    assert(ms.fetch(nginx:url("/small"), { tls = { ca_file = certs.get("valid").ca },
      on_debug = on_debug }))
    assert.matches("new, TLSv1%.[23]$", heard[1])
    local node <close> = servers.node()
    on_debug, heard = listener()
    assert(ms.fetch(node:url("/bytes/1"), { version = "2-prior-knowledge",
      on_debug = on_debug }))
    assert.matches("new, HTTP/2$", heard[1])
    assert.equal("request GET /bytes/1 HTTP/2", heard[2])
    assert.equal("response HTTP/2 200", heard[3])
  end))
end)

describe("on_debug", function()
  local p

  before_each(function() p = peer.start(SERVE) end)
  after_each(function() p:stop() end)

  it("is a client's, until a call has its own or none", async(function()
    local n = 0
    local client <close> = ms.client({ on_debug = function() n = n + 1 end })
    assert(client:fetch(p:url()))
    assert.equal(3, n)
    assert(client:fetch(p:url(), { on_debug = false }))
    assert.equal(3, n)
    local on_debug, heard = listener()
    assert(client:fetch(p:url(), { on_debug = on_debug }))
    assert.same({ 3, 3 }, { n, #heard })
    assert.equal("ok", assert(client:fetch(p:url(), { stream = true })):read("a"))
    assert.equal(6, n)
  end))

  it("that raises ends the transfer, wherever it does", async(function()
    for _, wanted in ipairs({ "info", "request", "response" }) do
      local cause = { wanted }
      local res, err = ms.fetch(p:url(), { timeout = LIMIT, on_debug = function(kind)
        if kind == wanted then error(cause) end
      end })
      assert.is_nil(res)
      assert.equal("callback_error", err.code, wanted)
      assert.equal(cause, err.cause)
    end
    -- Also where it hears of the end.
    local res, err = ms.fetch(("http://127.0.0.1:%d/"):format(port.free()),
      { on_debug = function() error("planted") end })
    assert.is_nil(res)
    assert.equal("callback_error", err.code)
    assert.matches("planted", tostring(err.cause), 1, true)
  end))

  it("may remove, close and start again its easy", function()
    for _, wanted in ipairs({ "info", "request", "response" }) do
      for _, act in ipairs({ "remove", "close", "again" }) do
        local d <close> = drive.new()
        local heard, easy = {}, core.easy({ url = p:url() })
        easy:setopt({ on_debug = function(kind)
          heard[#heard + 1] = kind
          if kind ~= wanted or #heard > 3 then return end
          if act == "close" then return easy:close() end
          d.multi:remove_handle(easy)
          if act == "again" then d.multi:add_handle(easy) end
        end })
        d.multi:add_handle(easy)
        d:run()
        local done, ok = d.multi:info_read()
        if act == "again" then
          assert.same({ easy, true }, { done, ok })
          assert.equal("response", heard[#heard])
        else
          assert.is_nil(done)
          assert.equal(wanted, heard[#heard], "no further callback")
        end
      end
    end
  end)

  it("may remove its easy when it hears of the end", function()
    local d <close> = drive.new()
    local easy = core.easy({ url = ("http://127.0.0.1:%d/"):format(port.free()) })
    local heard = 0
    easy:setopt({ on_debug = function()
      heard = heard + 1
      d.multi:remove_handle(easy)
    end })
    d.multi:add_handle(easy)
    d:run()
    assert.equal(1, heard)
    assert.equal(0, d.multi:running())
    assert.is_nil((d.multi:info_read()))
  end)

  it("may be set in one run and not in the next", function()
    local d <close> = drive.new()
    local on_debug, heard = listener()
    local easy = core.easy({ url = p:url() })
    for i, value in ipairs({ on_debug, false, on_debug }) do
      easy:setopt({ on_debug = value })
      d.multi:add_handle(easy)
      d:run()
      d.multi:remove_handle(easy)
      assert.equal(({ 3, 3, 6 })[i], #heard)
    end
  end)
end)

describe("a trace", function()
  it("has heads at xfer:debug", async(function()
    local p <close> = peer.start(SERVE)
    local script = ("require('multisocket').fetch(%q, { bearer = 'secret' })"):format(p:url())
    local r = process.run({ "lua5.4", "-e", script },
      { env = { MULTISOCKET_TRACE = "xfer:debug" } })
    assert.matches("#c1 x1 xfer > GET / HTTP/1.1\n", r.stderr, 1, true)
    assert.matches("#c1 x1 xfer > Authorization: Bearer ***\n", r.stderr, 1, true)
    assert.matches("#c1 x1 xfer < HTTP/1.1 200 OK\n", r.stderr, 1, true)
    assert.matches("#c1 x1 xfer < X-A: 1\n", r.stderr, 1, true)
    assert.is_nil(r.stderr:find("secret", 1, true))
    r = process.run({ "lua5.4", "-e", script }, { env = { MULTISOCKET_TRACE = "all" } })
    assert.is_nil(r.stderr:find("xfer >", 1, true))
  end))
end)

describe("on_debug", function()
  it("may close the multi when a redirect has come", function()
    local p <close> = redirects.chain { "/next" }
    local d = drive.new()
    local told = 0
    d.multi:add_handle(core.easy { url = p:url(), on_debug = function(kind)
      if kind == "response" then
        told = told + 1
        d.multi:close()
      end
    end })
    d:run(function() return told > 0 end)
    d:close()
    assert.same({ 1, 1 }, { told, #p:requests() })
  end)
end)
