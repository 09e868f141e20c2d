-- SPDX-License-Identifier: MIT
--
-- What scripts hand in (I1 to I5): nothing of it can split a request, and what
-- is wrong is refused before a socket is opened, naming it. Types are in
-- input_types_spec.lua.
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"

local SERVE = { { { "request" }, { "send", "HTTP/1.1 204 No\r\n\r\n" }, { "repeat" } } }
local SPLITS = { "\r", "\n", "\r\n", "\0", "x\r\nX-Evil: 1", "\r\n\r\nGET /evil HTTP/1.1\r\n\r\n" }

describe("I: input", function()
  local p

  setup(function() p = peer.start(SERVE) end)
  teardown(function() p:stop() end)

  -- Fails with that code, and nobody was connected to.
  local function refused(code, url, opts, words)
    local client <close> = ms.client()
    local before = p:connections()
    local res, err = client:fetch(url, opts)
    assert.is_nil(res)
    assert.equal(code, err.code, err.message)
    assert.equal("usage", err.category)
    if words then assert.equal(words, err.message:sub(-#words)) end
    assert.equal(0, client:stats().opened)
    assert.equal(before, p:connections())
  end

  it("I1: no line end or NUL gets into a header", async(function()
    for _, evil in ipairs(SPLITS) do
      refused("bad_header", p:url(), { headers = { ["X-A"] = "a" .. evil .. "b" } })
      refused("bad_header", p:url(), { headers = { ["X" .. evil] = "a" } },
        "a header's name is letters, digits and some signs (a token), "
          .. "its value has no control characters such as line ends")
      refused("bad_header", p:url(), { headers = { Host = "h" .. evil .. "i" } })
      refused("bad_header", p:url(), { headers = { Cookie = "a=b" .. evil .. ";" } })
      local client <close> = ms.client({ user_agent = "a" .. evil .. "b" })
      local res, err = client:fetch(p:url())
      assert.is_nil(res)
      assert.equal("bad_header", err.code)
      assert.equal(0, client:stats().opened)
    end
  end))

  it("I1: no line end or NUL gets into a method", async(function()
    for _, evil in ipairs({ "GET\r\n", "GE\0T", "GET /x HTTP/1.1\r\nA:", "", " GET", "G(T",
      "GÉT" }) do
      refused("bad_option", p:url(), { method = evil },
        "a method is letters, digits and some signs (a token), and not CONNECT")
    end
  end))

  it("I1: no line end or blank gets into a target", async(function()
    for _, evil in ipairs(SPLITS) do
      local res = ms.fetch(p:url("/a" .. evil .. "b?c" .. evil .. "d"))
      if res then
        local line = p:requests()[#p:requests()]:match("^[^\r\n]*")
        assert.matches("^GET /[^%s%c]* HTTP/1%.1$", line)
      end
    end
    for _, text in ipairs(p:requests()) do assert.is_nil(text:find("\nX-Evil", 1, true)) end
    refused("bad_url", "http://127.0.0.1:" .. p.port .. "\r\n@h\0/", {})
  end))

  it("I2: header names are tokens", async(function()
    for _, name in ipairs({ "", " ", "a b", "a:", "ä", "a\tb", "(a)", "a,b", "\"a\"" }) do
      refused("bad_header", p:url(), { headers = { [name] = "x" } })
    end
  end))

  it("I3: framing is ours", async(function()
    refused("bad_header", p:url(), { body = "abc", headers = { ["Content-Length"] = "4" } })
    refused("bad_header", p:url(), { body = "abc", headers = { ["content-length"] = "3, 3" } })
    refused("bad_header", p:url(), { headers = { ["Transfer-Encoding"] = "chunked" } })
    refused("bad_header", p:url(), { body = "abc", headers = { ["Content-Length"] = 3,
      ["transfer-encoding"] = "identity" } })
    assert(ms.fetch(p:url(), { body = "abc", headers = { ["Content-Length"] = 3 } }))
    local _, count = p:requests()[#p:requests()]:gsub("Content%-Length", "")
    assert.equal(1, count)
  end))

  it("I4: one parser for connection, Host header and what scripts see", async(function()
    for _, host in ipairs({ "127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.1",
      "user@127.0.0.1", "a:b@127.0.0.1" }) do
      local url = ("http://%s:%d/x"):format(host, p.port)
      local parts = assert(ms.url(url))
      assert.equal("127.0.0.1", parts.hostname)
      assert.equal(204, assert(ms.fetch(url)).status)
      assert.matches("\r\nHost: 127%.0%.0%.1:" .. p.port .. "\r\n", p:requests()[#p:requests()])
    end
    assert.equal("h", assert(ms.url("http://127.0.0.1%2f@h/")).hostname)
    for _, host in ipairs({ "127.0.0.1%00", "[::1%25lo]", "1.2.3.4.5", "h h",
      "127.0.0.256" }) do
      refused("bad_url", ("http://%s/"):format(host))
      assert.is_nil((ms.url(("http://%s/"):format(host))))
    end
  end))

  it("I5: a URL has at most 65536 bytes, as written and when encoded", async(function()
    local function padded(length) return p:url("/" .. ("x"):rep(length - #p:url("/"))) end
    assert.equal(204, assert(ms.fetch(padded(65536))).status)
    assert.matches("^GET /x+ HTTP/1%.1\r\n", p:requests()[#p:requests()])
    assert.equal(#padded(65536), #assert(ms.url(padded(65536))).href)
    refused("bad_url", padded(65537))
    assert.matches("longer than 65536 bytes$", select(2, ms.fetch(padded(65537))).message)
    assert.matches("the URL is longer than 65536 bytes$", select(2, ms.url(padded(65537))).message)
    -- Each of these is three bytes as written, and nine in a request.
    local euros = (65536 - #p:url("/")) // 9
    local rest = ("x"):rep(65536 - #p:url("/") - 9 * euros)
    local url = p:url("/" .. ("€"):rep(euros) .. rest)
    assert.equal(65536, #assert(ms.url(url)).href)
    assert.equal(204, assert(ms.fetch(url)).status)
    refused("bad_url", url .. "x")
    assert.matches("the URL is longer than 65536 bytes when encoded$",
      select(2, ms.url(url .. "x")).message)
  end))

  -- The root's dot at the end counts; ".localhost" needs no name server, and
  -- nobody listens on port 1.
  it("I5: a host has at most 255 bytes, a label of it 63", async(function()
    local label = ("a"):rep(63)
    local function with_label(n) return ("http://%s.localhost:1/"):format(("a"):rep(n)) end
    local res, err = ms.fetch(with_label(63))
    assert.is_nil(res)
    assert.equal("connection_refused", err.code)
    refused("bad_url", with_label(64), nil, "a label of the host is longer than 63 bytes")

    local function with_host(n)
      local host = table.concat({ label, label, label, ("a"):rep(n - 202), "localhost" }, ".")
      assert.equal(n, #host)
      return ("http://%s:1/"):format(host)
    end
    res, err = ms.fetch(with_host(253))
    assert.is_nil(res)
    assert.equal("connection_refused", err.code)
    assert.equal(255, #assert(ms.url(with_host(255))).hostname)
    res, err = ms.fetch(with_host(255)) -- a URL, but DNS has no such names
    assert.is_nil(res)
    assert.equal("host_not_found", err.code)
    refused("bad_url", with_host(256), nil, "the host is longer than 255 bytes")
  end))
end)
