-- SPDX-License-Identifier: MIT
--
-- HTTP/2 peers that do wrong or odd things, where it takes more than one answer
-- (spec/support/h2_rows.lua) to tell. B1 to B20 are the project's statements
-- about HTTP/2; spec/unit/test_h2.c has more of them without sockets.
local async = require "spec.support.async"
local h2 = require "spec.support.h2_peer"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local servers = require "spec.support.h2_servers"

local PRIOR = { version = "2-prior-knowledge", timeout = 30000 }
local WINDOW = 1 << 18 -- MS_H2_STREAM_WINDOW, at first
local HIGH = 1 << 19 -- what a streamed response takes before it pauses

-- Runs the loop until that holds.
local function wait_for(p, condition)
  assert.is_truthy(p:wait(condition, nil, function() ms.sleep(1) end))
end

-- ... until the peer has so many frames of a kind.
local function wait_frames(p, kind, n)
  wait_for(p, function() return h2.count(p, kind) >= n end)
end

-- A fetch from a peer with these steps; the peer has left when it returns.
local function fetch(steps, opts)
  local p <close> = h2.peer(steps)
  local client <close> = ms.client(PRIOR)
  local res, err = client:fetch(p:url("/"), opts)
  return res, err
end

local function assert_fails(code, steps, detail)
  local res, err = fetch(steps)
  assert.is_nil(res)
  assert.equal(code, err.code)
  if detail then
    assert.is_truthy(err.message:find(detail, 1, true), err.message)
  end
  return err
end

local function sends(...)
  local data = table.concat { ... }
  return { { "send", data }, { "hang" } }
end

-- ---- the connection -----------------------------------------------------------

local function head_of_4_MB()
  local block = h2.block { { ":status", "200" } } .. h2.block { { "a", ("x"):rep(15000) } }:rep(280)
  local out = { h2.frame(h2.HEADERS, 0, 1, block:sub(1, 16384)) }
  for at = 16385, #block, 16384 do
    out[#out + 1] = h2.frame(h2.CONTINUATION, at + 16384 > #block and 4 or 0, 1,
      block:sub(at, at + 16383))
  end
  return table.concat(out)
end

describe("a connection of HTTP/2 ends, and all its streams, by", function()
  it("B11 a head of 4 MB, whose stream is told why", async(function()
    assert_fails("headers_too_large", sends(head_of_4_MB()))
  end))

  it("an end of the connection", async(function()
    assert_fails("unexpected_eof", { { "send", h2.ok(1) .. h2.data(1, "x") }, { "shutdown" },
      { "hang" } })
    assert_fails("http2_error", { { "send", h2.ok(1) .. h2.goaway(1, 2) }, { "shutdown" },
      { "hang" } }, "INTERNAL_ERROR")
    assert_fails("connection_reset", { { "send", h2.ok(1) }, { "reset" } })
  end))
end)

-- ---- what is retried, waited for and given back -----------------------------------

describe("HTTP/2:", function()
  it("B9, B11, B13 what we take is said at the beginning", async(function()
    local p <close> = h2.peer { h2.answer(1, "") }
    local client <close> = ms.client(PRIOR)
    assert(client:fetch(p:url("/")))
    local said = p:received(1)
    local function says(id, value)
      return said:find(string.pack(">I2I4", id, value), 1, true) ~= nil
    end
    assert.is_true(says(2, 0)) -- ENABLE_PUSH
    assert.is_true(says(4, WINDOW)) -- INITIAL_WINDOW_SIZE
    assert.is_true(says(6, 1 << 18)) -- MAX_HEADER_LIST_SIZE
  end))

  it("B2 a refused stream is asked for again", async(function()
    local p <close> = h2.peer { { "send", h2.rst(1, 7) }, { "frame", h2.HEADERS },
      h2.answer(3, "ok"), { "hang" } }
    local client <close> = ms.client(PRIOR)
    local res = assert(client:post(p:url("/"), { body = "b" }))
    assert.equal("ok", res.body)
    assert.equal(1, client:stats().opened)
  end))

  it("B2 what GOAWAY leaves out goes to another connection", async(function()
    local p <close> = h2.peers({ { "frame", h2.HEADERS },
      { "send", h2.goaway(1, 0) .. h2.ok(1) .. h2.data(1, "first", 1) }, { "hang" } },
      { h2.answer(1, "second"), { "hang" } })
    local client <close> = ms.client(PRIOR)
    local first = ms.spawn(function() return client:fetch(p:url("/")) end)
    local second = ms.spawn(function() return client:post(p:url("/"), { body = "b" }) end)
    assert.equal("second", select(2, second:wait()).body)
    assert.equal("first", select(2, first:wait()).body)
    assert.equal(2, client:stats().opened)
  end))

  it("B2 there is an end of attempts", async(function()
    local p <close> = h2.peer { { "send", h2.goaway(0, 0) }, { "shutdown" }, { "hang" } }
    local res, err = ms.fetch(p:url("/"), PRIOR)
    assert.is_nil(res)
    assert.equal("stream_refused", err.code)
    assert.equal(5, p:connections())
  end))

  it("B2 what was sent of a body that comes by itself is not sent again", async(function()
    local p <close> = h2.peer { { "frame", h2.DATA }, { "send", h2.rst(1, 7) }, { "hang" } }
    local client <close> = ms.client(PRIOR)
    local asked = 0
    local res, err = client:post(p:url("/"), { body = function()
      asked = asked + 1
      return asked == 1 and "x" or nil
    end })
    assert.is_nil(res)
    assert.equal("stream_refused", err.code)
    assert.equal(1, h2.count(p, h2.HEADERS))
  end))

  it("B5 a connection that said GOAWAY ends what it has, and gets nothing new", async(function()
    local p <close> = h2.peers({ { "frame", h2.HEADERS },
      { "send", h2.goaway(0x7fffffff, 0) .. h2.ping }, { "delay", 50 },
      { "send", h2.goaway(3, 0) .. h2.ok(3) .. h2.data(3, "old", 1) },
      { "send", h2.ok(1) .. h2.data(1, "old", 1) }, { "hang" } },
      { h2.answer(1, "new"), { "hang" } })
    local client <close> = ms.client(PRIOR)
    local olds = {}
    for i = 1, 2 do olds[i] = ms.spawn(function() return client:fetch(p:url("/")) end) end
    wait_for(p, function() return p:count("request") == 2 end)
    wait_frames(p, h2.PING, 1) -- answered, so what came before is known
    assert.equal("new", assert(client:fetch(p:url("/"))).body)
    for i = 1, 2 do assert.equal("old", select(2, olds[i]:wait()).body) end
    assert.equal(2, h2.count(p, h2.HEADERS))
    assert.equal(2, p:connections())
    assert.is_truthy(p:wait(function() return p:count("eof") == 1 end, nil,
      function() ms.sleep(1) end))
  end))

  it("B3 a reset request is not repeated", async(function()
    local p <close> = h2.peer { { "send", h2.rst(1, 13) }, { "hang" } }
    local res, err = ms.fetch(p:url("/"), PRIOR)
    assert.is_nil(res)
    assert.equal("stream_reset", err.code)
    assert.is_truthy(err.message:find("HTTP_1_1_REQUIRED", 1, true))
    assert.equal(1, p:connections())
  end))

  -- NO_ERROR, INTERNAL_ERROR and CANCEL: something broke behind the server. The
  -- others name a fault that would be the same again.
  it("B3 a reset request is repeated where retry is asked for and it may help", async(function()
    for code = 0, 13 do
      if code ~= 7 then -- that is B2's
        local may_help = code == 0 or code == 2 or code == 8
        for _, first in ipairs { h2.rst(1, code), h2.ok(1) .. h2.rst(1, code),
          code ~= 0 and h2.goaway(1, code) or nil } do
          local is_goaway = first:byte(4) == h2.GOAWAY
          local p <close> = h2.peers({ { "send", first }, is_goaway and { "close" } or { "hang" } },
            { h2.answer(1, "again"), { "hang" } })
          local options = { version = "2-prior-knowledge", fresh_connection = true,
            retry = { max = 1, max_delay = 1 }, timeout = 30000 }
          local res, err = ms.fetch(p:url("/"), options)
          local what = ("%d %s"):format(code, is_goaway and "GOAWAY" or "RST_STREAM")
          assert.equal(may_help, res ~= nil, what .. tostring(err))
          assert.equal(may_help and "again" or nil, res and res.body, what)
          if err then assert.same({ false, 1 }, { err.retryable, err.attempts }, what) end
        end
      end
    end
  end))

  it("B4 RST NO_ERROR after the whole response is fine", async(function()
    local res = assert(fetch(sends(h2.ok(1) .. h2.data(1, "all", 1) .. h2.rst(1, 0)),
      { method = "POST", body = ("x"):rep(200000) }))
    assert.equal("all", res.body)
  end))

  local function bytes(n) return h2.data(1, ("x"):rep(16384)):rep(n // 16384) end

  it("B8 more DATA than the window lets is an error", async(function()
    -- without an acknowledgement of ours, the windows are HTTP/2's own: 64 KiB
    local p <close> = h2.peer { ack = false, { "send", h2.ok(1) .. bytes(HIGH + 65536 + 16384) },
      { "hang" } }
    local client <close> = ms.client(PRIOR)
    local res = assert(client:fetch(p:url("/"), { stream = true }))
    while client:stats().running > 0 do ms.sleep(1) end -- nobody reads, so it pauses
    local body, err = res:read("a")
    assert.is_nil(body)
    assert.equal("http2_error", err.code)
    assert.matches("FLOW_CONTROL_ERROR", err.message)
  end))

  it("B13 windows are returned as the reader takes", async(function()
    local p <close> = h2.peer { { "send", h2.ok(1) .. bytes(HIGH + WINDOW) }, { "hang" } }
    local client <close> = ms.client(PRIOR)
    local res = assert(client:fetch(p:url("/"), { stream = true }))
    local function updates() return h2.count(p, h2.WINDOW_UPDATE, 1) end
    while client:stats().bytes_in < HIGH + WINDOW do ms.sleep(1) end
    ms.sleep(20)
    local before = updates()
    ms.sleep(20)
    assert.equal(before, updates())
    assert.is_true(before <= HIGH // (WINDOW // 2))
    local n = 0
    while n < HIGH + WINDOW do n = n + #assert(res:read()) end
    assert.equal(HIGH + WINDOW, n)
    assert.equal(1, h2.count(p, h2.WINDOW_UPDATE, 0)) -- the first: there is plenty
  end))

  it("B14 an upload follows the peer's window, also a smaller one", async(function()
    local FIRST, MORE = 65535, 500 -- what both windows are at first; what comes
    local p <close> = h2.peer { { "frame", h2.DATA }, { "frame", h2.DATA }, { "frame", h2.DATA },
      { "frame", h2.DATA },
      { "send", h2.settings { [4] = 100 } .. h2.window(1, FIRST + 1000) .. h2.window(0, MORE) },
      { "frame", h2.DATA }, { "send", h2.ok(1) .. h2.data(1, "ok", 1) }, { "hang" } }
    local client <close> = ms.client(PRIOR)
    local res = assert(client:post(p:url("/"), { body = ("x"):rep(100000) }))
    assert.equal("ok", res.body)
    local total = 0
    for _, frame in ipairs(h2.frames(p:received())) do
      if frame.kind == h2.DATA then total = total + #frame.payload end
    end
    assert.equal(FIRST + MORE, total)
  end))

  it("B15 no stream is opened where none is taken", async(function()
    local p <close> = h2.peer { settings = { [3] = 0 }, { "send", h2.ok(1) .. h2.data(1, "", 1) },
      { "hang" } }
    local client <close> = ms.client(PRIOR)
    assert(client:fetch(p:url("/"))) -- was under way when it heard
    local res, err = client:fetch(p:url("/"), { timeout = 50 })
    assert.is_nil(res)
    assert.equal("timed_out", err.code)
    assert.equal("queue", err.phase)
    assert.equal(1, p:connections())
    assert.equal(1, h2.count(p, h2.HEADERS))
  end))

  it("B15 one at a time, the others wait or open a connection", async(function()
    local p <close> = h2.peers({ settings = { [3] = 1 }, { "delay", 10 }, h2.answer(1, "a"),
      { "frame", h2.HEADERS }, h2.answer(3, "a"), { "frame", h2.HEADERS }, h2.answer(5, "a"),
      { "hang" } })
    local client <close> = ms.client(PRIOR)
    local tasks = {}
    for i = 1, 3 do tasks[i] = ms.spawn(function() return client:fetch(p:url("/")) end) end
    for i = 1, 3 do assert.equal("a", assert(select(2, tasks[i]:wait())).body) end
    for c = 1, p:connections() do
      local open = 0 -- a request leaves when the one before it has ended
      for _, frame in ipairs(h2.frames(p:received(c))) do
        open = open + (frame.kind == h2.HEADERS and 1 or 0)
      end
      assert.is_true(open <= 3)
    end
  end))

  it("B16 a callback that fails ends its stream and no other", async(function()
    local p <close> = h2.peer { { "frame", h2.HEADERS },
      { "send", h2.ok(1) .. h2.data(1, "x", 1) .. h2.ok(3) .. h2.data(3, "fine", 1) }, { "hang" } }
    local client <close> = ms.client(PRIOR)
    local victim = ms.spawn(function()
      return client:fetch(p:url("/"), { on_data = function() error("mine") end })
    end)
    local other = ms.spawn(function() return client:fetch(p:url("/")) end)
    assert.equal("fine", assert(select(2, other:wait())).body)
    local ok, err = victim:wait()
    assert.is_false(ok)
    assert.equal("callback_error", err.code)
    assert.equal(1, client:stats().idle)
  end))

  it("B18 a cancelled stream is reset, in any state", async(function()
    for _, frames in ipairs { "", h2.ok(1), h2.ok(1) .. h2.data(1, "x") } do
      local p <close> = h2.peer { { "send", frames .. h2.ping }, { "hang" } }
      local client <close> = ms.client(PRIOR)
      local heard = 0
      local task = ms.spawn(function()
        return client:fetch(p:url("/"), { on_data = function() heard = heard + 1 end })
      end)
      wait_frames(p, h2.PING, 1) -- answered, so what came before is known
      local before = heard
      task:cancel()
      ms.sleep(5)
      assert.is_truthy(p:wait(function() return h2.count(p, h2.RST_STREAM, 1) == 1 end))
      assert.equal(before, heard)
      assert.equal(1, client:stats().idle)
    end
  end))

  -- The error code of the one RST_STREAM for stream 1, which has come when
  -- something that was sent later has.
  local function reset_code(client, p)
    client:fetch(p:url("/"), { timeout = 20 })
    wait_frames(p, h2.HEADERS, 2)
    assert.equal(1, client:stats().opened)
    local codes = {}
    for _, frame in ipairs(h2.frames(p:received())) do
      if frame.kind == h2.RST_STREAM and frame.id == 1 then
        codes[#codes + 1] = (">I4"):unpack(frame.payload)
      end
    end
    assert.equal(1, #codes)
    return codes[1]
  end

  it("B18 so is one whose upload waits for room", async(function()
    local p <close> = h2.peer { { "send", h2.ok(1) .. h2.data(1, "x") }, { "hang" } }
    local client <close> = ms.client(PRIOR)
    local task = ms.spawn(function()
      return client:post(p:url("/"), { body = ("x"):rep(200000) })
    end)
    wait_frames(p, h2.DATA, 1)
    task:cancel()
    assert.equal(8, reset_code(client, p))
  end))

  it("B18 so is one whose reader paused", async(function()
    local p <close> = h2.peer { { "send", h2.ok(1) .. h2.data(1, ("x"):rep(16000)):rep(40) },
      { "hang" } }
    local client <close> = ms.client(PRIOR)
    local res = assert(client:fetch(p:url("/"), { stream = true }))
    while client:stats().bytes_in < 40 * 16000 do ms.sleep(1) end
    res:cancel()
    assert.equal(8, reset_code(client, p))
  end))

  -- Its settings come before the first ping, and count as a sign of life.
  it("B19 a peer that answers no ping is gone", async(function()
    local p <close> = h2.peer { { "hang" } }
    local client <close> = ms.client { version = "2-prior-knowledge", ping_interval = 500 }
    local res, err = client:fetch(p:url("/"))
    assert.is_nil(res)
    assert.equal("timed_out", err.code)
    assert.equal(1, h2.count(p, h2.PING))
  end))

  it("B19 a peer that answers stays, also an idle one", async(function()
    local server <close> = servers.node()
    local client <close> = ms.client { version = "2-prior-knowledge", ping_interval = 500 }
    assert.equal("slow", assert(client:fetch(server:url("/slow/1200"))).body)
    ms.sleep(1200)
    assert(client:fetch(server:url("/slow/1")))
    assert.equal(1, client:stats().opened)
  end))

  it("B20 a connection serves no other host, though the address is the same", async(function()
    local p <close> = h2.peer { h2.answer(1, "a"), { "frame", h2.HEADERS }, h2.answer(3, "b"),
      { "hang" } }
    local client <close> = ms.client(PRIOR)
    for _, host in ipairs { "127.0.0.1", "localhost", "127.0.0.1" } do
      assert(client:fetch(("http://%s:%d/"):format(host, p.port)))
    end
    assert.equal(2, p:connections())
  end))

  it("B20 421 on a connection that was used before is tried on a fresh one, once", async(function()
    local wrong = h2.headers(3, { { ":status", "421" } }) .. h2.data(3, "wrong", 1)
    local p <close> = h2.peers({ h2.answer(1, "a"), { "frame", h2.HEADERS }, { "send", wrong },
      { "hang" } }, { h2.answer(1, "b"), { "hang" } })
    local client <close> = ms.client(PRIOR)
    assert.equal("a", assert(client:fetch(p:url("/"))).body)
    local heads = 0
    local res = assert(client:post(p:url("/"), { body = "x", on_headers = function()
      heads = heads + 1
    end }))
    assert.equal("b", res.body)
    assert.equal(1, heads)
    assert.equal(2, p:connections())
  end))

  it("B20 421 on a fresh connection is the answer", async(function()
    local res = assert(fetch(sends(h2.headers(1, { { ":status", "421" } }, 5))))
    assert.equal(421, res.status)
  end))

  it("an attempt belongs to all that wait for it", async(function()
    local p <close> = h2.peer { h2.answer(1, "a"), { "frame", h2.HEADERS }, h2.answer(3, "b"),
      { "hang" } }
    local client <close> = ms.client(PRIOR)
    local first = ms.spawn(function() return client:fetch(p:url("/")) end)
    local others = {}
    for i = 1, 2 do others[i] = ms.spawn(function() return client:fetch(p:url("/")) end) end
    first:cancel()
    for i = 1, 2 do assert.equal(200, select(2, others[i]:wait()).status) end
    assert.equal(1, p:connections())
  end))

  it("an attempt that fails is told to each that waits, once", async(function()
    local p = peer.start { { { "hang" } } }
    local url = p:url("/")
    p:stop()
    local client <close> = ms.client(PRIOR)
    local tasks = {}
    for i = 1, 5 do tasks[i] = ms.spawn(function() return client:fetch(url) end) end
    for i = 1, 5 do
      local ok, err = tasks[i]:wait()
      assert.is_false(ok)
      assert.equal("connection_refused", err.code)
    end
  end))
end)
