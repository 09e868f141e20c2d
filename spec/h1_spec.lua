-- SPDX-License-Identifier: MIT
--
-- HTTP/1 as servers speak it, and as they should not: spec/support/h1_rows.lua
-- row by row, and what takes more than one connection.
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local lockstep = require "spec.support.lockstep"
local peer = require "spec.support.peer"
local by_title = require("spec.support.rows").by_title
local rows = require "spec.support.h1_rows"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

local function cut(text, size)
  local list = {}
  for at = 1, #text, size do list[#list + 1] = text:sub(at, at + size - 1) end
  return list
end

-- A response byte by byte and in two parts; what is long only here and there.
local function pieces_of(row)
  local text = row[3]
  local list = { cut(text, row.long and 1000 or 1) }
  for at = 1, #text - 1, row.long and #text // 20 or 1 do
    list[#list + 1] = { text:sub(1, at), text:sub(at + 1) }
  end
  return list
end

local function check_fields(row, fields, wanted)
  for name, value in pairs(wanted) do
    if type(value) == "table" then
      assert.same(value, fields:get_all(name))
    else
      assert.equal(value or nil, fields[name], row[2])
    end
  end
end

local function check(row, res, err)
  local expected = row[4]
  if type(expected) == "string" then
    assert.is_nil(res, row[2])
    assert.equal(expected, err.code, row[2] .. ": " .. err.message)
    if row.message then assert.matches(row.message, err.message, 1, true) end
    return
  end
  assert(res, err)
  assert.same(expected, { res.status, res.body }, row[2])
  check_fields(row, res.headers, row.headers or {})
  check_fields(row, res.trailers, row.trailers or {})
end

local function options_of(row)
  local options = { method = row.method, timeout = 30000 }
  for k, v in pairs(row.options or {}) do options[k] = v end
  return options
end

local function play_in_pieces(row)
  local server <close> = lockstep.start()
  local client <close> = ms.client({ fresh_connection = true })
  for _, pieces in ipairs(pieces_of(row)) do
    check(row, server:fetch(client, options_of(row), pieces, row.reset))
  end
end

local function play_whole(list)
  local scripts = {}
  for i, row in ipairs(list) do
    scripts[i] = { { "request" }, { "send", row[3] } }
    if row.reset then -- which takes away what was not read yet
      scripts[i] = { { "request" }, { "send", row[3] }, { "delay", 100 }, { "reset" } }
    end
  end
  local p <close> = peer.start(scripts, { record = false })
  local client <close> = ms.client({ fresh_connection = true })
  for _, row in ipairs(list) do check(row, client:fetch(p:url(), options_of(row))) end
end

-- Whether the connection waits for another request.
local function play_for_reuse(row)
  local p <close> = peer.start({ { { "request" }, { "send", row[3] }, { "hang" } } })
  local client <close> = ms.client()
  check(row, client:fetch(p:url(), options_of(row)))
  assert.equal(row.reused and 1 or 0, client:stats().idle, row[2])
end

describe("HTTP/1:", function()
  for title, group in by_title(rows) do
    it(title, async(function()
      play_whole(group)
      for _, row in ipairs(group) do
        play_in_pieces(row)
        if row.reused ~= nil then play_for_reuse(row) end
      end
    end))
  end

  it("A12: what came before the end is delivered", async(function()
    local p <close> = peer.start({ { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello" }, { "close" } } })
    local got = {}
    local res, err = ms.fetch(p:url(), { on_data = function(chunk) got[#got + 1] = chunk end })
    assert.is_nil(res)
    assert.equal("unexpected_eof", err.code)
    assert.equal("hello", table.concat(got))
  end))

  it("A25: what comes on an idle connection is nobody's response", async(function()
    local p <close> = peer.start({
      { { "request" }, { "send", OK }, { "delay", 100 }, { "send", "HTTP/1.1 200 OK\r\n\r\nevil" },
        { "hang" } },
      { { "request" }, { "send", OK }, { "hang" } },
    })
    local client <close> = ms.client()
    assert.equal("ok", assert(client:fetch(p:url())).body)
    while client:stats().idle > 0 do ms.sleep(1) end
    local res = assert(client:fetch(p:url()))
    assert.equal("ok", res.body)
    assert.is_false(res.reused)
  end))

  it("A26: an idle connection that the peer ends is not used again", async(function()
    for _, ending in ipairs({ { "close" }, { "reset" },
      { "send", "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n" } }) do
      local p <close> = peer.start({ { { "request" }, { "send", OK }, { "delay", 100 }, ending },
        { { "request" }, { "send", OK }, { "hang" } } })
      local client <close> = ms.client()
      assert.equal("ok", assert(client:fetch(p:url())).body)
      while client:stats().idle > 0 do ms.sleep(1) end
      assert.equal("ok", assert(client:fetch(p:url(), { method = "POST" })).body)
    end
  end))

  -- Blocks the process, not the loop only, until that is in the socket for longer than an empty
  -- one is trusted.
  local function let_it_come(p)
    assert(p:wait("closed"))
    uv.sleep(2)
  end

  -- The loop has not looked at the socket yet when the next request starts.
  it("A26: nor one where something waits to be read", async(function()
    local evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    for _, ending in ipairs({ { "close" }, { "reset" }, { "send", evil } }) do
      for _, method in ipairs({ "GET", "POST" }) do
        local p <close> = peer.start({ { { "request" }, { "send", OK }, { "delay", 100 }, ending },
          { { "request" }, { "send", OK }, { "hang" } } })
        local client <close> = ms.client()
        assert.equal("ok", assert(client:fetch(p:url())).body)
        let_it_come(p)
        local res = assert(client:fetch(p:url(), { method = method }))
        assert.equal("ok", res.body)
        assert.is_false(res.reused)
      end
    end
  end))

  it("A26: nor one where something waits, from a callback of the loop's", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", OK }, { "delay", 100 }, { "close" } },
      { { "request" }, { "send", OK }, { "hang" } } })
    local client <close> = ms.client()
    assert.equal("ok", assert(client:fetch(p:url())).body)
    local timer, answer = uv.new_timer(), {}
    timer:start(0, 0, function()
      timer:close()
      let_it_come(p)
      client:request(p:url(), { method = "POST" }, function(...) answer = { ... } end)
    end)
    while not answer[2] and not answer[1] do ms.sleep(1) end
    assert.is_nil(answer[1])
    assert.equal("ok", answer[2].body)
  end))

  -- The response ends where the engine's read does; what is evil is still in the socket.
  it("A25: bytes behind a response that fills the read buffer", async(function()
    local head = "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    local size = 65536 - #head:format(65000)
    local evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    local p <close> = peer.start({
      { { "request" }, { "send", OK }, { "request" }, { "delay", 50 },
        { "send", head:format(size) .. ("x"):rep(size) .. evil }, { "close" } },
      { { "request" }, { "send", OK }, { "hang" } } })
    local client <close> = ms.client()
    assert.equal("ok", assert(client:fetch(p:url())).body)
    local task = ms.spawn(function()
      assert.equal(size, #assert(client:fetch(p:url())).body)
      return assert(client:fetch(p:url()))
    end)
    while p:count("request") < 2 do ms.sleep(1) end
    let_it_come(p)
    local _, res = assert(task:wait())
    assert.equal("ok", res.body)
    assert.equal(2, client:stats().opened)
  end))

  it("A27: a request on a kept connection that dies unheard is tried again, once", async(function()
    local dies = { { "request" }, { "send", OK }, { "request" }, { "close" } }
    local serves = { { "request" }, { "send", OK }, { "hang" } }
    local p <close> = peer.start({ dies, serves })
    local client <close> = ms.client()
    assert(client:fetch(p:url()))
    local res = assert(client:fetch(p:url()))
    assert.equal("ok", res.body)
    assert.equal(2, client:stats().opened)
    local resets = { { "request" }, { "send", OK }, { "request" }, { "reset" } }
    local r <close> = peer.start({ resets, serves })
    local third <close> = ms.client()
    assert(third:fetch(r:url()))
    assert.equal("ok", assert(third:fetch(r:url(), { method = "PUT", body = "again" })).body)
    assert.equal("again", r:requests(2)[1]:match("\r\n\r\n(.*)$"))
    -- Not what is not idempotent, and not when a byte came.
    local byte = { { "request" }, { "send", OK }, { "request" }, { "send", "H" }, { "close" } }
    for _, case in ipairs({ { dies, "POST" }, { byte, "GET" } }) do
      local q <close> = peer.start({ case[1], serves })
      local other <close> = ms.client()
      assert(other:fetch(q:url()))
      local none, err = other:fetch(q:url(), { method = case[2] })
      assert.is_nil(none)
      assert.equal("unexpected_eof", err.code)
      assert.equal(1, other:stats().opened)
    end
    -- Once only.
    local q <close> = peer.start({ dies, { { "request" }, { "close" } } })
    local other <close> = ms.client()
    assert(other:fetch(q:url()))
    local none, err = other:fetch(q:url())
    assert.is_nil(none)
    assert.equal("unexpected_eof", err.code)
    assert.equal(2, err.attempts)
  end))

  it("A27: what dies on a new connection is not tried again", async(function()
    local p <close> = peer.start({ { { "request" }, { "close" } },
      { { "request" }, { "send", OK } } })
    local client <close> = ms.client()
    local none, err = client:fetch(p:url())
    assert.is_nil(none)
    assert.equal("unexpected_eof", err.code)
    assert.equal(1, err.attempts)
    assert.equal(1, #p:requests())
  end))

  it("A27: nor is a body that can be produced only once", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", OK }, { "request" }, { "close" } },
      { { "request" }, { "send", OK }, { "hang" } } })
    local client <close> = ms.client()
    assert(client:fetch(p:url()))
    local pieces = { "once" }
    local none, err = client:fetch(p:url(), { method = "PUT",
      body = function() return table.remove(pieces) end })
    assert.is_nil(none)
    assert.equal("unexpected_eof", err.code)
    assert.equal(1, client:stats().opened)
  end))

  it("A28: an answer before the request is out is delivered and ends the upload", async(function()
    local size = 16 * 1024 * 1024 -- more than sockets hold
    for _, status in ipairs({ "413 Content Too Large", "200 OK" }) do
      local p <close> = peer.start({
        { { "head" }, { "stop_reading" },
          { "send", "HTTP/1.1 " .. status .. "\r\nContent-Length: 2\r\n\r\nno" }, { "hang" } },
        { { "request" }, { "send", OK }, { "hang" } },
      }, { record = false })
      local client <close> = ms.client()
      local res = assert(client:fetch(p:url(), { method = "PUT", body = ("x"):rep(size) }))
      assert.equal(tonumber(status:match("%d+")), res.status)
      assert.equal("no", res.body)
      assert.equal(0, client:stats().idle)
      assert.is_true(client:stats().bytes_out < size)
      assert.is_false(assert(client:fetch(p:url())).reused)
    end
  end))

  it("A28: a connection whose upload was complete is kept", async(function()
    local p <close> = peer.start({ { { "request" },
      { "send", "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno" }, { "repeat" } } })
    local client <close> = ms.client()
    for i = 1, 2 do
      local res = assert(client:fetch(p:url(), { method = "PUT", body = "small" }))
      assert.equal(413, res.status)
      assert.equal(i > 1, res.reused)
    end
  end))

  -- No row ends by itself here: the peer goes on until nobody listens.
  it("A23: endless streams are stopped by the limit", async(function()
    local head = "HTTP/1.1 200 OK\r\n"
    local chunked = head .. "Transfer-Encoding: chunked\r\n\r\n"
    for _, case in ipairs({ { "", "x", "status line" }, { head, "x", "header line" },
      { head, "X: y\r\n", "header fields" },
      { "", "HTTP/1.1 102 Wait\r\n\r\n", "informational" },
      { chunked, "0", "chunk line" }, { chunked .. "1;", "x", "chunk line" },
      { chunked, "1;" .. ("x"):rep(1000) .. "\r\ny\r\n", "chunk extensions" },
      { chunked .. "0\r\n", "x", "trailers" }, { chunked .. "0\r\n", "X: y\r\n", "trailers" } }) do
      local piece = case[2]:rep(16384 // #case[2])
      local p <close> = peer.start({ { { "request" }, { "send", case[1] },
        { "fill", 1000 * #piece, piece }, { "hang" } } }, { record = false })
      local client <close> = ms.client()
      local res, err = client:fetch(p:url())
      assert.is_nil(res)
      assert.matches(case[3], err.message, 1, true)
      assert.is_true(client:stats().bytes_in < 1024 * 1024)
      assert.equal(0, client:stats().idle)
    end
  end))

  it("what a program asks for is refused before a socket is opened", async(function()
    local p <close> = peer.start({ { { "hang" } } })
    local client <close> = ms.client()
    local refused = {
      bad_option = { { method = "" }, { method = "GE T" }, { method = "GET\r\nX: y" },
        { method = "GET\0" }, { method = "G(T" }, { method = "G\xc3\x84T" },
        { method = "CONNECT" } },
      bad_header = { { headers = { ["A\r\nB"] = "x" } }, { headers = { ["A\0"] = "x" } },
        { headers = { ["A:"] = "x" } }, { headers = { ["A "] = "x" } },
        { headers = { [" A"] = "x" } },
        { headers = { ["\xc3\x84"] = "x" } }, { headers = { A = "x\ry" } },
        { headers = { A = "x\ny" } }, { headers = { A = "x\0" } }, { headers = { A = "\x7f" } },
        { headers = { A = "x\r\n y" } }, { headers = { A = { "x", "y\r\nB: z" } } },
        { headers = { Host = "h\r\nA: b" } }, { headers = { Host = "" } },
        { headers = { Host = "a b" } }, { headers = { Host = "a/b" } },
        { headers = { Host = "u@a" } }, { headers = { Host = "a\\b" } },
        { headers = { Host = "a\xffb" } },
        { headers = { { "Host", "a" }, { "Host", "b" } } },
        { headers = { ["Transfer-Encoding"] = "chunked" } },
        { headers = { ["Content-Length"] = "5" } }, { headers = { ["Content-Length"] = "4, 4" },
          body = "four" } },
    }
    for code, list in pairs(refused) do
      for i, options in ipairs(list) do
        local res, err = client:fetch(p:url(), options)
        assert.is_nil(res)
        assert.equal(code, err.code, code .. " " .. i)
        assert.equal("queue", err.phase)
      end
    end
    local agent <close> = ms.client({ user_agent = "x\r\nA: b" })
    assert.equal("bad_header", select(2, agent:fetch(p:url())).code)
    assert.equal(0, client:stats().opened + agent:stats().opened)
    assert.equal(0, p:connections())
  end))

  it("no URL breaks the request line", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", OK }, { "repeat" } } })
    local client <close> = ms.client()
    local targets = { ["/a b"] = "/a%20b", ["/a\r\nX: y"] = "/aX:%20y", ["/\0x"] = "/%00x",
      ["/?a b\r\nc\0d"] = "/?a%20bc%00d", ["/#\r\nX: y"] = "/", ["/\x7f\xff"] = "/%7F%FF" }
    for path, target in pairs(targets) do
      assert(client:fetch(p:url(path)))
      local list = p:requests()
      assert.equal("GET " .. target .. " HTTP/1.1", list[#list]:match("^[^\r\n]*"))
    end
    for _, host in ipairs({ "a b", "a\0", "a%0d%0aX", "a%20b" }) do
      local res, err = client:fetch("http://" .. host .. "/")
      assert.is_nil(res)
      assert.equal("bad_url", err.code)
    end
  end))
end)
