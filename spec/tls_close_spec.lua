-- SPDX-License-Identifier: MIT
--
-- How connections over TLS end: in the background, with close_notify and a
-- half-close, in a second at most; without a word where a transfer was broken
-- off; and never so that anybody waits.
local core = require "multisocket.core"
local ms = require "multisocket"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local drive = require "spec.support.drive"
local process = require "spec.support.process"
local server = require "spec.support.server"
local tls_peer = require "spec.support.tls_peer"
local tls_relay = require "spec.support.tls_relay"
local tls_server = require "spec.support.tls_server"
local uv = require "luv"

local LIMIT = 30000 -- ms
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
-- Answers, and then hears the client out: its end is noted.
local POLITE = { { { "request" }, { "send", OK }, { "eof" } } }
-- Answers, and then looks at nothing for longer than anybody waits.
local DEAF = { { { "request" }, { "send", OK }, { "delay", 3000 } } }

local function trusted() return { ca_file = certs.get("root").cert } end

local function easy_for(url, opts)
  local all = { url = url, tls = trusted(), version = "1.1" }
  for key, value in pairs(opts or {}) do all[key] = value end
  return core.easy(all)
end

---What a socketfunction was told of each fd, in order.
local function recorder(told)
  return function(_, fd, what) table.insert(told, { fd = fd, what = what }) end
end

-- Every fd was announced, and withdrawn exactly once behind that.
local function assert_balanced(told)
  local watched = {}
  for i, t in ipairs(told) do
    if t.what == core.POLL_REMOVE then
      assert.is_truthy(watched[t.fd], "withdrawn and not announced: " .. i)
      watched[t.fd] = nil
    else
      assert.is_not.equal(watched[t.fd], t.what, "announced twice: " .. i)
      watched[t.fd] = t.what
    end
  end
  assert.is_nil(next(watched), "never withdrawn")
end

-- Runs fn(d, told) with a multi of these options.
local function with_multi(opts, fn)
  local told = {}
  opts.socketfunction = recorder(told)
  local before = process.fd_count()
  do
    local d <close> = drive.new(opts)
    fn(d, told)
  end
  assert_balanced(told)
  assert.equal(before, process.fd_count())
end

local function fetch(d, url, opts)
  local easy = easy_for(url, opts)
  d.multi:add_handle(easy)
  d:run()
  local _, ok, err = d.multi:info_read()
  d.multi:remove_handle(easy)
  return ok, err
end

-- The multi goes on until the peer has seen that.
local function wait_for(d, reporter, event, n)
  d:run(function() return reporter:count(event) >= (n or 1) end)
end

describe("the peer is told of the end", function()
  for _, version in ipairs({ "tls1_2", "tls1_3" }) do
    it("when a connection was idle for too long, " .. version, function()
      local p <close> = tls_peer.start(POLITE, { version = version })
      local r <close> = tls_relay.start({ to = p.port })
      with_multi({ idle_timeout = 50 }, function(d, told)
        assert.is_true(fetch(d, r:url("/")))
        assert.equal(1, d.multi:stats().connections)
        wait_for(d, r, "closed")
        assert.equal(1, p:count("close_notify"))
        -- Which end the relay saw first is chance: the peer answers at once.
        local ends = {}
        for _, e in ipairs(r:all("eof")) do ends[e.from] = true end
        assert.is_true(ends.client)
        d:run(function() return not next(d.watched) end)
        assert.equal(0, d.multi:stats().connections)
        assert_balanced(told)
      end)
    end)
  end

  it("when there are too many idle ones", function()
    local p <close> = tls_peer.start(POLITE)
    with_multi({ max_idle = 1 }, function(d)
      for _ = 1, 3 do assert.is_true(fetch(d, p:url(), { fresh_connection = true })) end
      wait_for(d, p, "close_notify", 2)
      assert.equal(1, d.multi:stats().connections)
      assert.equal(2, p:count("close_notify"))
    end)
  end)

  it("when the response says that it is the last", function()
    local p <close> = tls_peer.start({ { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" },
      { "eof" } } })
    with_multi({}, function(d)
      assert.is_true(fetch(d, p:url()))
      wait_for(d, p, "close_notify")
    end)
  end)

  it("when the multi is closed", function()
    local p <close> = tls_peer.start(POLITE)
    local d = drive.new({})
    assert.is_true(fetch(d, p:url()))
    d:close()
    assert.is_truthy(p:wait("close_notify"))
  end)

  it("when a client is closed", async(function()
    local p <close> = tls_peer.start(POLITE)
    local client = ms.client({ tls = trusted(), version = "1.1" })
    assert(client:fetch(p:url()))
    client:close()
    assert.is_truthy(p:wait("close_notify", LIMIT, function() uv.run("nowait") end))
  end))

  it("in answer to its own end", function()
    local p <close> = tls_peer.start({ { { "request" }, { "send", OK }, { "close" } } })
    with_multi({}, function(d)
      assert.is_true(fetch(d, p:url()))
      wait_for(d, p, "close_notify")
    end)
  end)
end)

describe("the peer is told nothing", function()
  -- Ends a transfer in the middle of its body in that way.
  local function broken_off(finish)
    local p <close> = tls_peer.start({ { { "request" },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal" }, { "eof" } } })
    with_multi({}, function(d)
      local got = 0
      local easy = easy_for(p:url(), { on_data = function(chunk)
        got = got + #chunk
        if finish == "raise" then error("enough") end
      end, timeout = finish == "timeout" and { idle = 50 } or nil })
      d.multi:add_handle(easy)
      d:run(function() return got == 3 end)
      if finish == "remove" then d.multi:remove_handle(easy) end
      d:run(function() return not next(d.watched) end)
      assert.equal(0, d.multi:stats().connections)
    end)
    assert.is_truthy(p:wait(function() return p:count("eof") + p:count("error") > 0 end))
    assert.equal(0, p:count("close_notify"))
  end

  it("when a transfer is removed", function() broken_off("remove") end)
  it("when a callback raises", function() broken_off("raise") end)
  it("when the time is over", function() broken_off("timeout") end)
end)

describe("a peer that never answers", function()
  -- Runs fn(d, told, relay) when a goodbye is on its way to a deaf peer.
  local function with_goodbye(fn)
    local p <close> = tls_peer.start({ DEAF[1], POLITE[1] })
    local r <close> = tls_relay.start({ to = p.port })
    with_multi({ idle_timeout = 50 }, function(d, told)
      assert.is_true(fetch(d, r:url("/")))
      wait_for(d, r, "eof")
      fn(d, told, r)
    end)
  end

  it("is waited for, but not for ever", function()
    with_goodbye(function(d, told, r)
      assert.equal(0, d.multi:stats().connections) -- its place is free already
      assert.is_truthy(next(d.watched)) -- but it is still there
      assert.equal(core.POLL_IN, told[#told].what)
      d:run(function() return not next(d.watched) end)
      assert.equal(0, r:count("closed")) -- we gave up
    end)
  end)

  it("delays no multi:close()", function()
    with_goodbye(function(d)
      d.multi:close()
      assert.is_nil(next(d.watched))
    end)
  end)

  it("delays no other transfer", function()
    with_goodbye(function(d, _, r)
      assert.is_true(fetch(d, r:url("/")))
      assert.equal(2, d.multi:stats().opened)
    end)
  end)

  it("that answers with bytes is not listened to for long either", function()
    local script = { { "request" }, { "send", OK } }
    for _ = 1, 100 do
      script[#script + 1] = { "delay", 20 }
      script[#script + 1] = { "send", ("x"):rep(1000) }
    end
    local p <close> = tls_peer.start({ script })
    with_multi({ max_idle = 0 }, function(d)
      assert.is_true(fetch(d, p:url(), { fresh_connection = true }))
      d:run(function() return not next(d.watched) end)
    end)
  end)
end)

-- One that is stopped has its connections and never answers.
describe("nginx", function()
  local nginx
  before_each(function() nginx = server.start({ tls = certs.get("valid") }) end)
  after_each(function()
    uv.kill(nginx.pid, "sigcont")
    nginx:stop()
  end)

  -- Runs fn(d) when a goodbye is on its way to nginx.
  local function with_goodbye(stopped, fn)
    with_multi({ idle_timeout = 50 }, function(d)
      assert.is_true(fetch(d, nginx:url("/small")))
      if stopped then uv.kill(nginx.pid, "sigstop") end
      d:run(function() return d.multi:stats().connections == 0 end)
      fn(d)
    end)
  end

  it("is told, and ends its side", function()
    with_goodbye(false, function(d)
      d:run(function() return not next(d.watched) end)
      assert.is_true(fetch(d, nginx:url("/small")))
      assert.equal(2, d.multi:stats().opened)
    end)
  end)

  it("that is stopped is waited for, but not for ever", function()
    with_goodbye(true, function(d)
      assert.equal(1, d.multi:stats().closing)
      d:run(function() return not next(d.watched) end)
      assert.equal(0, d.multi:stats().closing)
    end)
  end)

  it("that is stopped delays no multi:close()", function()
    with_goodbye(true, function(d)
      assert.equal(1, d.multi:stats().closing)
      d.multi:close()
      assert.is_nil(next(d.watched))
    end)
  end)

  it("that is stopped while it is spoken to delays no multi:close() either", function()
    with_multi({}, function(d)
      assert.is_true(fetch(d, nginx:url("/small"))) -- one is idle
      uv.kill(nginx.pid, "sigstop")
      d.multi:add_handle(easy_for(nginx:url("/small")))
      d.multi:add_handle(easy_for(nginx:url("/small"), { fresh_connection = true }))
      d:turn()
      d.multi:close()
      assert.is_nil(next(d.watched))
    end)
  end)
end)

-- It serves one connection after the other: the next is served when this one
-- is over for both.
describe("s_server", function()
  local s
  before_each(function() s = tls_server.start({ certs.get("valid") }) end)
  after_each(function()
    uv.kill(s.pid, "sigcont")
    s:stop()
  end)

  it("ends first, and is answered", function()
    with_multi({}, function(d)
      for _ = 1, 3 do assert.is_true(fetch(d, s:url("/small"))) end
      d:run(function() return not next(d.watched) end)
      assert.is_nil(s:log():lower():find("error"), s:log())
    end)
  end)

  it("that never ends its side is left alone when the transfer goes", function()
    with_multi({}, function(d)
      local easy = easy_for(s:url("/bytes/100000"), { on_data = function()
        uv.kill(s.pid, "sigstop")
      end })
      d.multi:add_handle(easy)
      d:run(function() return d.multi:stats().bytes_in > 5000 end)
      d.multi:remove_handle(easy)
      assert.equal(0, d.multi:stats().closing)
      d:run(function() return not next(d.watched) end)
    end)
  end)
end)
