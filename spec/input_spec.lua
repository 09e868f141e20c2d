-- SPDX-License-Identifier: MIT
--
-- What scripts hand in (I1 to I6): nothing of it can split a request, and what
-- is wrong is refused before a socket is opened, naming it.
local ms = require "multisocket"
local core = require "multisocket.core"
local async = require "spec.support.async"
local peer = require "spec.support.peer"

local SERVE = { { { "request" }, { "send", "HTTP/1.1 204 No\r\n\r\n" }, { "repeat" } } }
local SPLITS = { "\r", "\n", "\r\n", "\0", "x\r\nX-Evil: 1", "\r\n\r\nGET /evil HTTP/1.1\r\n\r\n" }

describe("I: input", function()
  local p

  setup(function() p = peer.start(SERVE) end)
  teardown(function() p:stop() end)

  -- Fails with that code, and nobody was connected to.
  local function refused(code, url, opts)
    local client <close> = ms.client()
    local before = p:connections()
    local res, err = client:fetch(url, opts)
    assert.is_nil(res)
    assert.equal(code, err.code, err.message)
    assert.equal("usage", err.category)
    assert.equal(0, client:stats().opened)
    assert.equal(before, p:connections())
  end

  local function misused(code, ...)
    local ok, err = pcall(...)
    assert.is_false(ok)
    assert.is_table(err)
    assert.equal(code, err.code, err.message)
    assert.equal("usage", err.category)
  end

  it("I1: no line end or NUL gets into a header", async(function()
    for _, evil in ipairs(SPLITS) do
      refused("bad_header", p:url(), { headers = { ["X-A"] = "a" .. evil .. "b" } })
      refused("bad_header", p:url(), { headers = { ["X" .. evil] = "a" } })
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
      refused("bad_option", p:url(), { method = evil })
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

  it("I5: lengths are limited", async(function()
    refused("bad_url", p:url("/" .. ("x"):rep(70000)))
    refused("bad_url", p:url("/" .. ("é"):rep(20000)))
    assert(ms.fetch(p:url("/" .. ("x"):rep(60000))))
    for _, host in ipairs({ ("x"):rep(64) .. ".test", ("x."):rep(200) .. "test" }) do
      local res, err = ms.fetch("http://" .. host .. "/")
      assert.is_nil(res)
      assert.is_truthy(err.code == "host_not_found" or err.code == "bad_url", err.message)
    end
  end))

  it("I6: types that are wrong raise", function()
    local deep = {}
    deep.self = deep
    local values = { 1.5, true, {}, print, io.stdout, coroutine.create(print), deep, 0 / 0, -1,
      2 ^ 60 }
    local wrong = {
      method = { 1, true, {}, print }, headers = { 1, true, "x", print, { 1 }, { { 1 } } },
      timeout = { "1", true, print, 0, -1, 1.5, 0 / 0, math.huge, { total = {} }, { no = 1 } },
      max_body = { "1", true, {}, -1, 1.5, 0 / 0 }, max_header_size = { "1", true, 0, -1 },
      tcp_nodelay = { 1, "x", {} }, fresh_connection = { 1, "x", {} },
      expect_continue = { 1, "x", {} }, version = { 1, 2, true, {}, "3", "2.0", "" },
      priority = { 1, true, {}, print }, on_headers = { 1, "x", {}, true },
      on_data = { 1, "x", {}, true }, low_speed = { 1, "x", true, { limit = 0 } },
    }
    for name, list in pairs(wrong) do
      for _, value in ipairs(list) do
        misused("bad_option", core.options, { [name] = value })
        misused("bad_option", ms.client, { [name] = value })
      end
    end
    for _, value in ipairs(values) do
      if type(value) ~= "table" then misused("bad_argument", ms.fetch, value) end
      misused("bad_argument", ms.fetch, { url = value })
      misused("bad_option", ms.client, { headers = { A = print } })
    end
  end)

  it("I6: every option has a row here or a spec of its own", function()
    local known = { body = "upload_spec", user_agent = "core_spec", tls = "tls_spec" }
    local f <close> = assert(io.open("spec/input_spec.lua"))
    local text = f:read("a")
    for _, name in ipairs(core.option_names()) do
      assert.is_truthy(known[name] or text:find(name .. " = { ", 1, true), name)
    end
  end)

  it("I6: metamethods that raise or deceive do no harm", async(function()
    local function raising() error("from a metamethod") end
    local evil = setmetatable({}, { __index = raising, __newindex = raising, __pairs = raising,
      __len = raising, __tostring = raising, __concat = raising, __eq = raising, __call = raising })
    pcall(ms.fetch, evil)
    pcall(ms.fetch, p:url(), evil)
    pcall(ms.fetch, p:url(), { headers = evil })
    pcall(ms.fetch, p:url(), { form = evil })
    pcall(ms.fetch, p:url(), { query = evil })
    pcall(ms.fetch, p:url(), { timeout = evil })
    pcall(ms.fetch, p:url(), { json = evil })
    pcall(ms.client, evil)
    pcall(ms.url, evil)
    assert.equal(204, assert(ms.fetch(p:url())).status)
    local cyclic = {}
    cyclic[1] = cyclic
    misused("bad_option", ms.fetch, p:url(), { json = cyclic })
  end))
end)
