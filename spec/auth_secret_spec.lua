-- SPDX-License-Identifier: MIT
--
-- Credentials are shown by nothing that people print: errors, dumps, traces,
-- responses as text.
local async = require "spec.support.async"
local drive = require "spec.support.drive"
local core = require "multisocket.core"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local process = require "spec.support.process"

local OK = "HTTP/1.1 %s\r\nContent-Length: 2\r\nSet-Cookie: a=secret\r\n\r\nok"
local REFUSED = "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n"
  .. "Content-Length: 0\r\n\r\n"
-- In clear, and as Basic has it.
local SECRETS = { "secret", "YW5uYTpzZWNyZXQ" }

local function assert_hidden(text, what)
  for _, secret in ipairs(SECRETS) do
    assert.is_nil(text:find(secret, 1, true), ("%s: %s"):format(what, text))
  end
end

-- The ways to say who one is: options, and whether the URL does.
local WAYS = {
  { { auth = { "anna", "secret" } } },
  { { auth = { "anna", "secret", digest = true } } },
  { { bearer = "secret" } },
  { { headers = { Authorization = "Mine secret", Cookie = "a=secret" } } },
  { {}, true },
  { { auth = { digest = true } }, true },
}

local function url_of(base, in_url)
  return in_url and (base:gsub("//", "//anna:secret@", 1)) or base
end

describe("credentials are not shown", function()
  it("by errors and responses as text", async(function()
    local answers = { { "request" }, { "send", REFUSED } }
    local p <close> = peer.start { { { "request" }, { "send", OK:format("404 No") },
      { "repeat" } } }
    local broken <close> = peer.start { { { "request" }, { "send", "nonsense" }, { "close" } } }
    local silent <close> = peer.start { { answers[1], answers[2], { "request" }, { "hang" } } }
    local nobody = ("http://127.0.0.1:%d/"):format(port.free())
    for _, way in ipairs(WAYS) do
      for _, base in ipairs({ p:url(), broken:url(), nobody, silent:url(), "http://a b/" }) do
        local opts = { fail = true, timeout = 300 }
        for k, v in pairs(way[1]) do opts[k] = v end
        local res, err = ms.fetch(url_of(base, way[2]), opts)
        if res then assert_hidden(tostring(res), "response") end
        if res and res.body then assert_hidden(tostring(select(2, res:json())), "json") end
        if err then
          assert_hidden(tostring(err), "error")
          assert_hidden(err.url, "err.url")
        end
      end
    end
  end))

  it("by the errors of a body", async(function()
    local head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=klingon\r\n"
    local p <close> = peer.start { { { "request" },
      { "send", head .. "Content-Length: 2\r\n\r\nok" },
      { "request" }, { "send", head .. "Content-Length: 5000000\r\n\r\ndata: " },
      { "fill", 4999994 } } }
    local url = p:url():gsub("//", "//anna:secret@", 1)
    local _, err = assert(ms.fetch(url)):text()
    assert_hidden(tostring(err), "text")
    local res <const> = assert(ms.fetch(url, { stream = true }))
    _, err = pcall(function() for _ in res:events() do error("there is none") end end)
    assert.equal("body_too_large", err.code)
    assert_hidden(tostring(err), "events")
    assert_hidden(err.url, "err.url of events")
  end))

  it("by a dump", function()
    local p <close> = peer.start { { { "request" }, { "hang" } } }
    for i, way in ipairs(WAYS) do
      local d <close> = drive.new()
      local easy = core.easy({ url = url_of(p:url("/path"), way[2]) })
      easy:setopt(way[1])
      d.multi:add_handle(easy)
      assert_hidden(d.multi:dump(), "before")
      d:run(function() return #p:requests() == i end)
      local text = d.multi:dump()
      assert_hidden(text, "dump")
      assert.matches("/path", text, 1, true)
      d.multi:remove_handle(easy)
    end
  end)

  it("by a trace", async(function()
    for _, way in ipairs({ "auth = { 'anna', 'secret' }", "bearer = 'secret'",
      "auth = { 'anna', 'secret', digest = true }",
      "headers = { Authorization = 'Mine secret', Cookie = 'a=secret',"
        .. " ['Proxy-Authorization'] = 'secret' }", "" }) do
      local p <close> = peer.start { { { "request" }, { "send", REFUSED }, { "request" },
        { "send", OK:format("200 OK") }, { "hang" } } }
      local script = ("require('multisocket').fetch(%q, { timeout = 5000, %s })"):format(
        url_of(p:url(), way == ""), way)
      local r = process.run({ "lua5.4", "-e", script },
        { env = { MULTISOCKET_TRACE = "all:debug" } })
      assert.matches("response 401", r.stderr, 1, true)
      assert_hidden(r.stderr, "trace")
      assert_hidden(r.stdout, "output")
    end
  end))
end)
