-- SPDX-License-Identifier: MIT
--
-- The contract, part K: the data path.
local contract = require "spec.support.contract"
local core = require "multisocket.core"
local peer = require "spec.support.peer"
local server = require "spec.support.server"
local servers = require "spec.support.h2_servers"
local uv = require "luv"

describe("contract K:", function()
  local item = contract.begin(_ENV)

  item(137, "Write callback order equals byte order; short return aborts with WRITE_ERROR; "
    .. "PAUSE redelivers the same bytes. Here: raising aborts; a pause keeps what comes after "
    .. "this chunk.", function(d)
    local got, n = {}, 0
    local easy
    easy = d:easy("/bytes/1000000", { on_data = function(chunk)
      got[#got + 1], n = chunk, n + 1
      if n % 3 == 0 then easy:pause(core.PAUSE_RECV) end
    end })
    d.multi:add_handle(easy)
    while d.multi:running() > 0 do
      easy:pause(core.PAUSE_CONT)
      d:idle(1)
    end
    assert.is_true(d:ended(easy))
    assert.is_true(server.big_body():sub(1, 1000000) == table.concat(got), "bytes differ")
    local calls = 0
    local bad = d:add("/bytes/1000000", { on_data = function()
      calls = calls + 1
      error("enough", 0)
    end })
    d:run()
    local err = d:ends()[bad]
    assert.same({ "callback_error", "enough", 1 }, { err.code, err.cause, calls })
  end)

  item(138, "Unpause continues without external event.", function(d)
    local p <close> = peer.start { { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef" }, -- in one segment
      { "hang" } } }
    local easy
    local got = {}
    easy = d:easy(p:url("/"), {
      on_headers = function() easy:pause(core.PAUSE_RECV) end,
      on_data = function(chunk) got[#got + 1] = chunk end,
    })
    d.multi:add_handle(easy)
    d:run(function() return easy:getinfo("status") == 200 end)
    d:idle(20)
    assert.same({}, got)
    easy:pause(core.PAUSE_CONT) -- and what was held back comes by itself
    d:run()
    assert.is_true(d:ended(easy))
    assert.equal("abcdef", table.concat(got))
  end)

  item(139, "Read callback pause/resume symmetrical.", function(d)
    local easy = d:add("/upload/paused" .. d.kind, { method = "PUT", body = ("x"):rep(30000000) })
    d:run(function() return d.multi:stats().bytes_out > 0 end)
    easy:pause(core.PAUSE_SEND)
    d:idle(3)
    local before = d.multi:stats().bytes_out
    d:idle(10)
    assert.equal(before, d.multi:stats().bytes_out)
    assert.is_true(before < 30000000)
    assert.equal(0, d.multi:poll(0)) -- and nobody spins
    easy:pause(core.PAUSE_CONT)
    d:run()
    assert.is_true(d:ended(easy))
    assert.is_true(d.multi:stats().bytes_out > 30000000)
    -- On a stream of HTTP/2 too, and it ends with the run that it was made in.
    local s <close> = servers.node()
    easy = d:add(s:url("/echo"), { method = "PUT", body = ("x"):rep(1000000),
      version = "2-prior-knowledge" })
    d:run(function() return d.multi:stats().connections == 2 end)
    easy:pause(core.PAUSE_SEND)
    d:idle(3)
    d.multi:remove_handle(easy)
    d.multi:add_handle(easy)
    d:run()
    assert.is_true(d:ended(easy))
  end)

  item(140, "Rate limits average out over seconds and cost no CPU while waiting.", function(d)
    local RATE, BYTES = 200000, 100000
    local chunks = 0
    local cpu, begin = os.clock(), uv.hrtime()
    local down = d:add("/bytes/" .. BYTES, { max_recv_speed = RATE,
      on_data = function() chunks = chunks + 1 end })
    local up = d:add("/sink", { method = "POST", body = ("x"):rep(BYTES), max_send_speed = RATE })
    d:run()
    local ends = d:ends()
    assert.same({ true, true }, { ends[down], ends[up] })
    -- No sooner than the rate lets, but for the first eighth of a second.
    assert.is_true(uv.hrtime() - begin > (BYTES / RATE - 0.126) * 1e9)
    assert.is_true(chunks < 30, chunks .. " chunks")
    assert.is_true(os.clock() - cpu < 0.2 or os.getenv("SPEC_TOOL") ~= nil, "it spins")
  end)

  item(141, "Low-speed abort after the configured time; not while paused.", function(d)
    local p <close> = peer.start { { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf" }, { "hang" } } }
    local slow = { low_speed = { limit = 1000, time = 60 } }
    local easy = d:add(p:url("/"), slow)
    d:run()
    local err = d:ends()[easy]
    assert.equal("timed_out", err.code)
    local paused = d:add(p:url("/"), slow)
    d:run(function() return paused:getinfo("status") == 200 end)
    paused:pause(core.PAUSE_RECV)
    d:idle(60)
    assert.equal(1, d.multi:running())
    local left = d.multi:timeout()
    assert.is_true(left == nil or left > 1000) -- its limit stands still
    paused:pause(core.PAUSE_CONT)
    d:run()
    assert.equal("timed_out", d:ended(paused))
  end)

  item(142, "Progress callback at least about once per second while the app drives timers; "
    .. "abort value ends the transfer.", function(d)
    local p <close> = peer.start { { { "request" }, { "send", "HTTP/1.1 200 OK\r\n"
      .. "Content-Length: 6\r\n\r\nabc" }, { "hang" } } }
    local told = {}
    local function tell(now)
      told[#told + 1] = now
      return #told < 2
    end
    local easy = d:add(p:url("/"), { on_progress = tell })
    d:run(function() return easy:getinfo("status") == 200 end)
    local left = d.multi:timeout()
    assert.is_true(left ~= nil and left <= 1000, tostring(left))
    d:run(function() return #told == 1 end) -- though nothing moves
    assert.same({ down = 3, down_total = 6, up = 0, up_total = 0 }, told[1])
    d:run()
    assert.equal("cancelled", d:ended(easy))
    assert.equal(2, #told)
  end)

  item(143, "Premature EOF: an error for Content-Length and unfinished chunked; malformed "
    .. "chunk: an error. Decision: our codes.", function(d)
    local HEAD = "HTTP/1.1 200 OK\r\n"
    local rows = {
      { HEAD .. "Content-Length: 9\r\n\r\nhalf", "unexpected_eof" },
      { HEAD .. "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", "unexpected_eof" },
      { HEAD .. "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "unexpected_eof" },
      { HEAD .. "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "bad_response" },
      { HEAD .. "Transfer-Encoding: chunked\r\n\r\n4\r\nhalfmore\r\n", "bad_response" },
      { HEAD .. "Conte", "unexpected_eof" },
    }
    for _, row in ipairs(rows) do
      local p <close> = peer.start { { { "request" }, { "send", row[1] }, { "close" } } }
      local easy = d:add(p:url("/"))
      d:run()
      assert.equal(row[2], d:ended(easy), row[1])
    end
    assert.equal(0, d.multi:stats().connections)
  end)

  item(144, "Body longer than Content-Length is not delivered and the connection is not reused.",
  function(d)
    local p <close> = peer.start { { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodymore" }, { "hang" } } }
    for round = 1, 2 do
      local easy = d:add(p:url("/"))
      d:run()
      assert.is_true(d:ended(easy))
      assert.equal("body", easy:response().body)
      assert.is_false(easy:response().reused)
      assert.equal(round, p:connections())
    end
  end)

  item(145, "Timings monotone: queue <= resolve <= connect <= send <= first_byte <= total; 0 "
    .. "for phases skipped on reuse.", function(d)
    local order = { "queue", "resolve", "connect", "send", "first_byte", "total" }
    for round = 1, 2 do
      local easy = d:add("/bytes/100000")
      d:run()
      local last = 0
      for _, name in ipairs(order) do
        local at = easy:getinfo(name)
        local skipped = round == 2 and (name == "resolve" or name == "connect")
        if skipped then
          assert.equal(0, at)
        else
          assert.is_true(at >= last, name)
          last = at
        end
      end
      assert.is_true(last > 0)
      assert.equal(round == 2, easy:response().reused)
    end
  end)
end)
