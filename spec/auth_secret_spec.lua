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

  it("by errors about a body", async(function()
    local big = 5 * 1024 * 1024
    local answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=x\r\n"
    local p <close> = peer.start { { { "request" },
      { "send", answer .. "Content-Length: 2\r\n\r\n{]" }, { "repeat" } } }
    local large <close> = peer.start { { { "request" }, { "send", answer
      .. ("Content-Length: %d\r\n\r\n"):format(big) }, { "fill", big }, { "repeat" } } }
    local function read(iterate, ...) for _ in iterate(...) do error("it is too large") end end
    local url, other = url_of(p:url(), true), url_of(large:url(), true)
    local failures = {
      select(2, ms.fetch(url):text()), select(2, ms.fetch(url):json()),
      select(2, assert(ms.fetch(url, { on_data = function() end })):text()),
      select(2, pcall(read, ms.fetch(other).lines, ms.fetch(other), big - 1)),
      select(2, pcall(read, ms.fetch(other).events, ms.fetch(other))),
    }
    assert.equal(5, #failures)
    for _, err in ipairs(failures) do
      assert.equal("body", err.category)
      assert_hidden(tostring(err), "err")
      assert_hidden(err.url, "err.url")
    end
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
      local script = ("require('multisocket').fetch(%q, { timeout = 30000, %s })"):format(
        url_of(p:url(), way == ""), way)
      local r = process.run({ "lua5.4", "-e", script },
        { env = { MULTISOCKET_TRACE = "all:debug" } })
      assert.matches("response 401", r.stderr, 1, true)
      assert_hidden(r.stderr, "trace")
      assert_hidden(r.stdout, "output")
    end
  end))
end)

-- No URLs: where a host begins nobody knows, and the password may be anywhere
-- before the last "@".
local ODD = { "https://user:secret/x@host/", "https://user:pa/secret@host/",
  "https://user:pa?secret@host", "https://user:pa#secret@host", "https://u:pa\\secret@host",
  "https://user:secret[@host", "https://user:secret@host:port/", "http://user:secret@ho st/",
  "http:/\t/user:pa/secret@host:x/", "ftp://user:secret@host/", "ftp://user:pa/secret@host/",
  "//user:pa/secret@host/", "user:pa/secret@host", "/x://user:secret@host", "://secret@",
  "http://%zz:secret/@/@[", "http://secret@@@x:y:z", " \1http://user:pa/secret@host/" }

-- More of them, from a fixed seed.
local function garbage(count)
  local pieces = { ":", "/", "\\", "@", "?", "#", "[", "]", "%", "//", "\t", " ", "u", "9", "://" }
  local seed, list = 4, {}
  local function some(max)
    local t = {}
    for i = 1, max do
      seed = (seed * 1103515245 + 12345) % 2147483648
      t[i] = pieces[(seed >> 8) % (#pieces + 8)] or ""
    end
    return table.concat(t)
  end
  for i = 1, count do
    list[i] = ("http://%ssecret%s@%s"):format(some(4), some(4), some(4))
  end
  return list
end

describe("what is no URL shows no credentials", function()
  -- Valid ones among them have the word in their path, where it is shown.
  local urls = table.move(ODD, 1, #ODD, 1, {})
  for _, url in ipairs(garbage(2000)) do
    if not ms.url(url) then urls[#urls + 1] = url end
  end

  it("in errors, and on_debug", async(function()
    assert.is_true(#urls > 500)
    for _, url in ipairs(urls) do
      local _, of_url = ms.url(url)
      local heard = {}
      local _, err = ms.fetch(url, { on_debug = function(_, text) heard[#heard + 1] = text end })
      local _, whole = ms.fetch(url) -- which goes another way
      for _, e in ipairs({ of_url, err, whole }) do
        assert.equal("usage", e.category)
        assert_hidden(e.message, "err.message")
        assert_hidden(tostring(e), "err")
        assert_hidden(e.url, "err.url")
      end
      assert_hidden(table.concat(heard, "\n"), "on_debug")
    end
  end))

  it("in dumps and errors of the engine", function()
    for _, url in ipairs(urls) do
      local d <close> = drive.new()
      d.multi:add_handle(core.easy({ url = url }))
      assert_hidden(d.multi:dump(), "dump")
      d:run()
      assert_hidden(tostring(select(3, d.multi:info_read())), "err")
      assert_hidden(d.multi:dump(), "dump")
    end
  end)

  it("in a trace", function()
    local lines = { "local ms = require('multisocket')" }
    for i, url in ipairs(urls) do
      lines[#lines + 1] = i <= 200 and ("print(select(2, ms.fetch(%q)))"):format(url) or nil
    end
    local r = process.run({ "lua5.4", "-e", table.concat(lines, "\n") },
      { env = { MULTISOCKET_TRACE = "all:debug" } })
    assert.matches("xfer failed: ", r.stderr, 1, true)
    assert_hidden(r.stderr, "trace")
    assert_hidden(r.stdout, "output")
  end)

  it("where a redirect leads there", async(function()
    for _, url in ipairs(ODD) do
      local location = url:gsub("^ \1", "")
      local p <close> = peer.start { { { "request" }, { "send",
        ("HTTP/1.1 302 No\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"):format(location) },
        { "hang" } } }
      if not ms.url(location, p:url()) then -- else it is followed
        local heard = {}
        local _, err = ms.fetch(p:url(),
          { on_debug = function(_, text) heard[#heard + 1] = text end })
        assert_hidden(tostring(err), "err")
        assert_hidden(table.concat(heard, "\n"), "on_debug")
      end
    end
  end))
end)
