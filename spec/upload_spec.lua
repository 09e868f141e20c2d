-- SPDX-License-Identifier: MIT
--
-- Request bodies that are produced while they are sent.
local ms = require "multisocket"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local producer = require "spec.support.producer"
local server = require "spec.support.server"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local SERVE = { { { "request" }, { "send", OK }, { "repeat" } } }
local MiB = 1 << 20

local function unchunk(text)
  local out, at = {}, 1
  while true do
    local size, from = text:match("^(%x+)\r\n()", at)
    local n = tonumber(size, 16)
    if n == 0 then
      assert(text:sub(from) == "\r\n")
      return table.concat(out)
    end
    out[#out + 1] = text:sub(from, from + n - 1)
    assert(text:sub(from + n, from + n + 1) == "\r\n")
    at = from + n + 2
  end
end

local function sent(p, i)
  local head, rest = p:requests()[i or 1]:match("^(.-\r\n\r\n)(.*)$")
  return head, rest
end

describe("a body", function()
  it("from a function goes out in chunks", async(function()
    for _, pause in ipairs({ false, 2 }) do
      local p <close> = peer.start(SERVE)
      local res = assert(ms.fetch(p:url(), { body = producer({ "a", "", ("b"):rep(40000), "c" },
        pause) }))
      assert.equal("ok", res.body)
      local head, rest = sent(p)
      assert.matches("^POST / HTTP/1.1\r\n", head)
      assert.matches("\r\nTransfer%-Encoding: chunked\r\n", head)
      assert.is_nil(head:lower():find("content%-length"))
      assert.equal("a" .. ("b"):rep(40000) .. "c", unchunk(rest))
    end
  end))

  it("from a function has the length that a header says", async(function()
    local p <close> = peer.start({ SERVE[1], SERVE[1], { { "eof" } } })
    for i, headers in ipairs({ { ["content-length"] = "4", ["X-A"] = "1" },
      { { "Content-Length", 4 }, { "X-A", "1" } } }) do
      assert(ms.fetch(p:url(), { body = producer({ "ab", "cd" }), headers = headers,
        fresh_connection = true }))
      local head, rest = sent(p, i)
      assert.matches("\r\nContent%-Length: 4\r\n", head)
      assert.matches("\r\nX%-A: 1\r\n", head)
      assert.is_nil(head:lower():find("transfer%-encoding"))
      assert.equal("abcd", rest)
    end
    for length, code in pairs({ [3] = "upload_failed", [5] = "upload_failed", x = "bad_header" }) do
      local res, err = ms.fetch(p:url(), { body = producer({ "ab", "cd" }),
        headers = { ["Content-Length"] = length }, fresh_connection = true })
      assert.is_nil(res)
      assert.equal(code, err.code)
    end
  end))

  it("is told of in res.request.headers, as on the wire", async(function()
    local p <close> = peer.start(SERVE)
    local client <close> = ms.client()
    local path = os.tmpname()
    local f <close> = assert(io.open(path, "w+"))
    f:write("12345")
    f:flush()
    for _, opts in ipairs({ {}, { method = "PUT" }, { method = "PUT", body = "" },
      { body = "abc" }, { body = "abc", expect_continue = true }, { expect_continue = true },
      { body = producer({ "abc" }) }, { body = producer({}) }, { body = { path = path } },
      { body = producer({ "a" }), expect_continue = true }, { body = { path = path },
        expect_continue = true, headers = { A = { "1", "2" }, Accept = false } },
      { body = producer({ "a" }), stream = true } }) do
      local res = assert(client:fetch(p:url(), opts))
      local lines, said = {}, {}
      for line in sent(p, #p:requests()):gmatch("([^\r\n]+)\r\n") do lines[#lines + 1] = line end
      table.remove(lines, 1)
      for name, value in res.request.headers:each() do said[#said + 1] = name .. ": " .. value end
      assert.same(lines, said)
      if opts.stream then res:discard() end
    end
    assert.equal(1, client:stats().opened)
    os.remove(path)
  end))

  it("that is empty is sent as such", async(function()
    local p <close> = peer.start(SERVE)
    assert(ms.put(p:url(), { body = function() end }))
    local head, rest = sent(p)
    assert.matches("^PUT ", head)
    assert.equal("", unchunk(rest))
  end))

  it("from a file or a path has its length", async(function()
    local path = os.tmpname()
    local f <close> = assert(io.open(path, "w+b"))
    local text = ("0123456789"):rep(20000)
    f:write("skipped", text)
    f:seek("set", 7)
    local p <close> = peer.start(SERVE)
    assert(ms.fetch(p:url(), { body = f }))
    assert(ms.fetch(p:url(), { body = { path = path } }))
    os.remove(path)
    local head, rest = sent(p, 1)
    assert.matches("\r\nContent%-Length: 200000\r\n", head)
    assert.equal(text, rest)
    head, rest = sent(p, 2)
    assert.matches("\r\nContent%-Length: 200007\r\n", head)
    assert.equal("skipped" .. text, rest)
    local res, err = ms.fetch(p:url(), { body = { path = path } })
    assert.is_nil(res)
    assert.equal("upload_failed", err.code)
    assert.matches("No such file", err.message)
    for _, opts in ipairs({ { body = { path = path } },
      { multipart = { { name = "a", path = path } } } }) do
      err = select(2, ms.fetch(p:url(), opts))
      assert.equal(2, err.errno) -- ENOENT
      assert.equal(1, err.attempts)
      assert.equal(p:url(), err.url)
    end
  end))

  it("that fails or raises ends its transfer", async(function()
    local p <close> = peer.start(SERVE)
    local client <close> = ms.client()
    local function failing(how)
      local n = 0
      return function()
        n = n + 1
        if n < 3 then return "x" end
        return how()
      end
    end
    local res, err = client:fetch(p:url(), { body = failing(function() return nil, "no more" end) })
    assert.is_nil(res)
    assert.equal("upload_failed", err.code)
    assert.equal("no more", err.cause)
    res, err = client:fetch(p:url(), { body = failing(function() error({ "mine" }) end) })
    assert.is_nil(res)
    assert.equal("callback_error", err.code)
    assert.same({ "mine" }, err.cause)
    res, err = client:fetch(p:url(), { body = failing(function() return 42 end) })
    assert.is_nil(res)
    assert.equal("upload_failed", err.code)
    assert.equal(0, client:stats().running)
    assert.equal("ok", assert(client:fetch(p:url())).body)
  end))

  it("of another kind raises", function()
    for _, bad in ipairs({ 1, true, {}, { path = 1 }, { path = "x", more = 1 }, io }) do
      local ok, err = pcall(ms.fetch, "http://127.0.0.1:1/", { body = bad })
      assert.is_false(ok)
      assert.equal("bad_option", err.code)
    end
  end)

  it("is taken no faster than it is sent", async(function()
    local p <close> = peer.start({ { { "head" }, { "stop_reading" }, { "hang" } } },
      { record = false })
    local client <close> = ms.client()
    local taken, piece = 0, ("x"):rep(64 * 1024)
    local t = ms.spawn(client.fetch, client, p:url(), { body = function()
      taken = taken + #piece
      return piece
    end })
    local before, stopped = -1, 0
    for _ = 1, 30000 do
      ms.sleep(1)
      stopped = taken == before and stopped + 1 or 0
      before = taken
      if stopped > 50 then break end
    end
    assert.is_true(stopped > 50)
    assert.is_true(taken < 16 * MiB, taken .. " bytes were taken") -- what the sockets hold
    t:cancel()
    assert.equal(0, client:stats().running)
  end))

  it("that is a long string is not copied", async(function()
    local p <close> = peer.start({ { { "head" }, { "stop_reading" }, { "hang" } } },
      { record = false })
    local client <close> = ms.client()
    local function resident()
      collectgarbage()
      local file <close> = assert(io.open("/proc/self/statm"))
      return tonumber(file:read("a"):match("^%d+ (%d+)")) * 4096
    end
    local before = resident()
    local t = ms.spawn(function() -- nobody here has the string
      return client:fetch(p:url(), { body = ("x"):rep(64 * MiB) })
    end)
    while client:stats().bytes_out < MiB do ms.sleep(1) end
    local grown = resident() - before
    assert.is_true(grown > 64 * MiB)
    assert.is_true(grown < 96 * MiB or os.getenv("SPEC_TOOL") ~= nil, grown .. " bytes")
    t:cancel()
  end))

  it("that is a long string lives as long as it is sent", async(function()
    local s <close> = server.start()
    local client <close> = ms.client()
    local t = ms.spawn(function()
      return assert(client:put(s:url("/upload/long"), { body = ("0123456789"):rep(MiB) }))
    end)
    while t.status == "running" do
      collectgarbage()
      ms.sleep(1)
    end
    assert.is_true(("0123456789"):rep(MiB) == s:uploaded("long"))
  end))

  it("that is a string may be short, long and none in turn", async(function()
    local p <close> = peer.start(SERVE)
    local client <close> = ms.client({ body = ("l"):rep(100000) })
    for _, body in ipairs({ "short", ("m"):rep(50000), "", ("n"):rep(32 * 1024), false }) do
      assert(client:post(p:url(), { body = body or nil, max_send_speed = 10 * MiB }))
      assert(client:post(p:url(), { body = body or nil }))
      local wanted = body or ("l"):rep(100000)
      for i = 0, 1 do
        assert.is_true(wanted == select(2, sent(p, #p:requests() - i)))
      end
    end
  end))

  it("is stopped by an answer that turns it down", async(function()
    local p <close> = peer.start({ { { "head" },
      { "send", "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno" }, { "eof" } } },
      { record = false })
    local client <close> = ms.client()
    local n = 0
    local res = assert(client:fetch(p:url(), { body = function()
      n = n + 1
      ms.sleep(1)
      return "piece"
    end }))
    assert.equal(413, res.status)
    assert.equal("no", res.body)
    local after = n
    ms.sleep(20)
    assert.is_true(n <= after + 1)
    assert.equal(0, client:stats().connections)
  end))

  it("goes with a streamed response, and with a callback", async(function()
    local p <close> = peer.start(SERVE)
    local res = assert(ms.fetch(p:url(), { stream = true, body = producer({ "a", "b" }, 1) }))
    assert.equal("ok", res:read("a"))
    local got
    ms.request(p:url(), { body = producer({ "c" }, 1) }, function(_, r) got = r end)
    for _ = 1, 30000 do
      if got then break end
      ms.sleep(1)
    end
    assert.equal("ok", got.body)
    assert.equal("ab", unchunk((select(2, sent(p, 1)))))
    assert.equal("c", unchunk((select(2, sent(p, 2)))))
  end))

  it("ends with a streamed answer that turns it down", async(function()
    local p <close> = peer.start({ { { "head" },
      { "send", "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno" }, { "hang" } } },
      { record = false })
    local ended = false
    local body = function() return ("x"):rep(1000) end
    local t = ms.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() ended = true end })
      local res = assert(ms.fetch(p:url(), { stream = true, body = body }))
      assert.equal("no", res:read("a"))
    end)
    assert(t:wait(10000))
    assert.is_true(ended)
  end))

  it("that fails after the answer came does no harm", async(function()
    local p <close> = peer.start({ { { "head" }, { "send", OK }, { "hang" } } }, { record = false })
    local client <close> = ms.client()
    for _ = 1, 20 do
      local n = 0
      local res, err = client:fetch(p:url(), { body = function()
        n = n + 1
        if n > 1 then
          ms.sleep(1)
          error("late")
        end
        return "x"
      end })
      assert.is_truthy(res and res.body == "ok" or err.code == "callback_error")
      assert.equal(200, (client:fetch(p:url()) or { status = 200 }).status)
    end
    assert.equal(0, client:stats().running)
  end))

  it("works in the main program", async.main(function()
    local p <close> = peer.start(SERVE)
    assert.equal("ok", assert(ms.fetch(p:url(), { body = producer({ "a" }, 1) })).body)
  end))
end)

describe("expect_continue", function()
  local EXPECT = { body = ("x"):rep(1000), expect_continue = true }

  it("sends the body when it is asked for", async(function()
    local p <close> = peer.start({ { { "head" }, { "send", "HTTP/1.1 100 Continue\r\n\r\n" },
      { "bytes", 1000 }, { "send", OK } } })
    assert.equal("ok", assert(ms.fetch(p:url(), EXPECT)).body)
    assert.matches("\r\nExpect: 100%-continue\r\n", p:requests()[1])
  end))

  it("sends it after a second without an answer", async(function()
    local p <close> = peer.start({ { { "head" }, { "bytes", 1000 }, { "send", OK } } })
    local res = assert(ms.fetch(p:url(), EXPECT))
    assert.equal("ok", res.body)
    assert.is_true(res.timings.send >= 1000)
  end))

  it("sends none when that is turned down", async(function()
    for _, status in ipairs({ 200, 413, 401 }) do
      local p <close> = peer.start({ { { "head" },
        { "send", ("HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno"):format(status) }, { "eof" } } })
      local client <close> = ms.client()
      assert.equal(status, assert(client:fetch(p:url(), EXPECT)).status)
      assert.equal(0, client:stats().connections)
      assert.is_nil(p:requests()[1]:find("xxx"))
    end
  end))

  it("asks nothing for a request without a body", async(function()
    local p <close> = peer.start(SERVE)
    assert(ms.fetch(p:url(), { expect_continue = true }))
    assert.is_nil(p:requests()[1]:find("Expect"))
  end))
end)
