-- SPDX-License-Identifier: MIT
--
-- allow_address: requests for strangers do not reach what is not public,
-- however the address is spelled and whatever a name resolves to.
local ms = require "multisocket"
local async = require "spec.support.async"
local dns = require "spec.support.dns"
local peer = require "spec.support.peer"

local SERVE = { { "request" }, { "send", "HTTP/1.1 204 No Content\r\n\r\n" }, { "repeat" } }

-- Hosts of URLs, and the address that is connected to.
local TO_V4 = {
  ["127.0.0.1"] = "127.0.0.1",
  ["2130706433"] = "127.0.0.1", -- decimal
  ["0177.0.0.1"] = "127.0.0.1", -- octal
  ["017700000001"] = "127.0.0.1",
  ["0x7f.0.0.1"] = "127.0.0.1", -- hex
  ["0x7F000001"] = "127.0.0.1",
  ["0x7f.0.1"] = "127.0.0.1", -- mixed and short
  ["0177.0x1"] = "127.0.0.1",
  ["127.1"] = "127.0.0.1",
  ["127.0.1"] = "127.0.0.1",
  ["127.0.0.1."] = "127.0.0.1",
  ["%31%32%37.0.0.1"] = "127.0.0.1",
  ["0.0.0.0"] = "0.0.0.0",
  ["0"] = "0.0.0.0",
  ["[::ffff:127.0.0.1]"] = "::ffff:127.0.0.1",
  ["[::ffff:7f00:1]"] = "::ffff:127.0.0.1",
  ["[0:0:0:0:0:FFFF:127.0.0.1]"] = "::ffff:127.0.0.1",
}

-- What browsers make ASCII of before they look at it.
if ms.features().idn then
  TO_V4["\u{FF11}\u{FF12}\u{FF17}.0.0.1"] = "127.0.0.1" -- full width
  TO_V4["127\u{3002}0\u{FF0E}0\u{FF61}1"] = "127.0.0.1" -- other scripts' full stops
  TO_V4["\u{2460}\u{2461}\u{2466}.\u{24EA}.\u{24EA}.\u{2460}"] = "127.0.0.1" -- circled
  TO_V4["\u{FF10}\u{FF58}\u{FF17}\u{FF46}.1"] = "127.0.0.1"
  TO_V4["%EF%BC%91%EF%BC%92%EF%BC%97.1"] = "127.0.0.1"
end

local TO_V6 = { ["[::1]"] = "::1", ["[0:0::1]"] = "::1", ["[::]"] = "::" }

-- These lead off this machine: they are not to be tried.
local ELSEWHERE = {
  ["169.254.169.254"] = "169.254.169.254",
  ["10.0.0.1"] = "10.0.0.1",
  ["172.16.0.1"] = "172.16.0.1",
  ["192.168.1.1"] = "192.168.1.1",
  ["100.64.0.1"] = "100.64.0.1",
  ["224.0.0.1"] = "224.0.0.1",
  ["255.255.255.255"] = "255.255.255.255",
  ["2852039166"] = "169.254.169.254",
  ["0xa9.0xfe.0xa9fe"] = "169.254.169.254",
  ["[::127.0.0.1]"] = "::127.0.0.1", -- IPv4-compatible
  ["[64:ff9b::7f00:1]"] = "64:ff9b::7f00:1", -- NAT64
  ["[64:ff9b::169.254.169.254]"] = "64:ff9b::a9fe:a9fe",
  ["[2002:7f00:1::]"] = "2002:7f00:1::", -- 6to4
  ["[2002:a9fe:a9fe::1]"] = "2002:a9fe:a9fe::1",
  ["[fd00::1]"] = "fd00::1",
  ["[fe80::1]"] = "fe80::1",
  ["[ff02::1]"] = "ff02::1",
}

local p4, p6

local function refused(client, url, opts)
  local res, err = client:fetch(url, opts)
  assert.is_nil(res, url)
  assert.equal("address_refused", err.code, url .. ": " .. tostring(err))
  assert.equal("connect", err.category)
  assert.is_false(err.retryable)
end

local function ok(res, err)
  assert.equal(204, res and res.status, tostring(err))
  return res
end

describe("allow_address", function()
  setup(function()
    p4, p6 = peer.start({ SERVE }), peer.start({ SERVE }, { host = "::1" })
  end)
  teardown(function()
    p4:stop()
    p6:stop()
  end)

  it("public refuses this machine in every spelling, which is reached without it",
    async(function()
      local guarded <close> = ms.client({ allow_address = "public" })
      local open <close> = ms.client()
      local before = p4:connections() + p6:connections()
      local urls = {}
      for host in pairs(TO_V4) do urls[#urls + 1] = ("http://%s:%d/"):format(host, p4.port) end
      for host in pairs(TO_V6) do urls[#urls + 1] = ("http://%s:%d/"):format(host, p6.port) end
      for _, name in ipairs({ "localhost", "a.localhost", "localhost.", "LOCALHOST" }) do
        urls[#urls + 1] = ("http://%s:%d/"):format(name, p4.port)
      end
      for _, url in ipairs(urls) do refused(guarded, url) end
      assert.equal(before, p4:connections() + p6:connections())
      for _, url in ipairs(urls) do
        local res, err = open:fetch(url)
        assert.equal(204, res and res.status, url .. ": " .. tostring(err))
      end
    end))

  it("a function hears the address that would be connected to", async(function()
    local seen
    local client <close> = ms.client({ allow_address = function(address, port)
      seen = { address, port }
      return false
    end })
    for _, hosts in ipairs({ TO_V4, TO_V6, ELSEWHERE }) do
      for host, address in pairs(hosts) do
        seen = nil
        refused(client, ("http://%s:8080/"):format(host))
        assert.same({ address, 8080 }, seen)
      end
    end
  end))

  it("public refuses what is near but not here", async(function()
    local client <close> = ms.client({ allow_address = "public" })
    for host in pairs(ELSEWHERE) do refused(client, ("http://%s/"):format(host)) end
  end))

  it("zone ids are no part of a URL", async(function()
    for _, host in ipairs({ "[fe80::1%25lo]", "[fe80::1%lo]" }) do
      local _, err = ms.fetch(("http://%s/"):format(host))
      assert.equal("bad_url", err.code)
    end
  end))

  it("a name that is rebound is refused at the next connection", async(function()
    local server <close> = dns.start({ ["a.test"] = { "127.0.0.1" } })
    local function not_two(address) return address ~= "127.0.0.2" end
    local client <close> = ms.client({ allow_address = not_two, fresh_connection = true,
      dns = { servers = server.address, cache_ttl = false } })
    local url = ("http://a.test:%d/"):format(p4.port)
    ok(client:fetch(url))
    server.records["a.test"] = { "127.0.0.2" }
    refused(client, url)
    server.records["a.test"] = { "127.0.0.2", "127.0.0.1" } -- one of them will do
    assert.equal("127.0.0.1:" .. p4.port, ok(client:fetch(url)).remote_address)
  end))

  it("given addresses and other hosts are asked about too", async(function()
    local client <close> = ms.client({ allow_address = "public" })
    refused(client, "http://a.test/", { resolve = { ["a.test"] = { "127.0.0.1", "::1" } } })
    refused(client, "http://8.8.8.8/", { connect_to = { ["8.8.8.8"] = "127.0.0.1:1" } })
  end))
end)

describe("a guard", function()
  setup(function() p4 = peer.start({ SERVE }) end)
  teardown(function() p4:stop() end)

  it("is asked once for each connection, and shares it with its like", async(function()
    local calls = 0
    local function guard()
      calls = calls + 1
      return true
    end
    local client <close> = ms.client()
    for i = 1, 3 do
      assert.equal(i > 1, ok(client:fetch(p4:url(), { allow_address = guard })).reused)
    end
    assert.equal(1, calls)
    -- What another one has let through, or nobody was asked about, is not used.
    assert.is_false(ok(client:fetch(p4:url(), { allow_address = function() return true end }))
      .reused)
    assert.is_false(ok(client:fetch(p4:url())).reused)
    refused(client, p4:url(), { allow_address = "public" })
    refused(client, p4:url(), { allow_address = function() end })
  end))

  it("that raises ends the request with what it raised", async(function()
    local planted = {}
    local client <close> = ms.client()
    local res, err = client:fetch(p4:url(), { allow_address = function() error(planted) end })
    assert.is_nil(res)
    assert.equal("callback_error", err.code)
    assert.equal(planted, err.cause)
    ok(client:fetch(p4:url()))
  end))

  it("of a client can be switched off for a request", async(function()
    local client <close> = ms.client({ allow_address = function() return false end })
    refused(client, p4:url())
    ok(client:fetch(p4:url(), { allow_address = false }))
    refused(client, p4:url(), { allow_address = "public" })
  end))

  it("may start, cancel and close", async(function()
    local client = ms.client()
    local handle, inner
    handle = client:request(p4:url(), { allow_address = function()
      inner = client:request(p4:url(), {}, function() end)
      handle:close()
      client:close()
      return true
    end }, function(err) assert.equal("cancelled", err.code) end)
    ms.sleep(20)
    assert.is_true(inner:is_closing())
  end))

  it("goes when nobody uses it", async(function()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local function guard() return weak ~= nil end
      weak[guard] = true
      local client <close> = ms.client({ allow_address = guard })
      ok(client:fetch(p4:url()))
    end
    ms.sleep(1)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end))
end)
