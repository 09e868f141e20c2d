-- SPDX-License-Identifier: MIT
--
-- Cancelling: every way the language offers, in every state a transfer can be
-- in. Afterwards nothing runs, the connection is closed, the peer has seen
-- that, no descriptor is left, and nobody is called any more.
local uv = require "luv"
local core = require "multisocket.core"
local luv = require "multisocket.luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local namespace = require "spec.support.namespace"
local peer = require "spec.support.peer"
local port = require "spec.support.port"
local process = require "spec.support.process"

local HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
local LARGE = 32 * 1024 * 1024 -- more than the buffers of two loopback sockets take

-- What a transfer does when it is cancelled: the peer it talks to, options, and
-- how one sees that it is there.
local STATES = {
  queued = {
    peer = { { { "request" }, { "hang" } } },
    reached = function() return true end,
    unseen = true, -- the peer must not hear of it
  },
  connecting = {
    peer = {}, peer_options = { full = true },
    reached = function(c) return c:stats().connecting == 1 end,
    unseen = true,
  },
  sending = {
    peer = { { { "head" }, { "stop_reading" }, { "hang" } } },
    options = { method = "PUT", body = ("x"):rep(LARGE) },
    reached = function(c, p) return p:count("request") == 1 and c:stats().bytes_out > 0 end,
    unread = true, -- a peer that does not read sees no end
  },
  waiting = {
    peer = { { { "request" }, { "hang" } } },
    reached = function(_, p) return p:count("request") == 1 end,
  },
  receiving = {
    peer = { { { "request" }, { "send", HEAD }, { "fill", 1000000000 } } },
    reached = function(_, _, calls) return calls.data > 2 end,
  },
}

-- The same for responses that are streamed: their body is taken in a loop, by
-- a sink where there is a handle. `hold` keeps that from ever taking a second
-- piece.
local HIGH = 512 * 1024 -- bytes that wait, from which on the transfer is paused

local STREAMED = {
  connecting = STATES.connecting,
  ["sending an upload"] = {
    peer = { { { "head" }, { "stop_reading" }, { "hang" } } },
    options = { method = "PUT", body = function() return ("x"):rep(1 << 16) end },
    reached = function(c, p) return p:count("request") == 1 and c:stats().bytes_out > 1 << 16 end,
    unread = true,
  },
  waiting = STATES.waiting,
  receiving = {
    peer = { { { "request" }, { "send", HEAD .. "some" }, { "hang" } } },
    reached = function(_, _, calls) return calls.data > 0 end,
  },
  paused = {
    peer = STATES.receiving.peer,
    hold = true,
    reached = function(c, _, calls)
      return calls.data > 0 and c:stats().bytes_in >= HIGH + calls.bytes + #HEAD
    end,
  },
}

local function pump() ms.sleep(1) end

local function until_true(condition)
  assert.is_truthy(process.wait_until(condition, 10000, pump), "it never happened")
end

-- Each way is given a job: fetch() waits for the transfer, request() starts it,
-- `spec` is it as a table, reached() waits until it is in its state.
local WAYS = {
  ["coroutine.close"] = function(job)
    local co = coroutine.create(job.fetch)
    assert(coroutine.resume(co))
    job.reached()
    assert(coroutine.close(co))
  end,
  ["task:cancel"] = function(job)
    local t = ms.spawn(job.fetch)
    ms.spawn(function()
      job.reached()
      assert.is_true(t:cancel("enough"))
    end):wait()
    assert.equal("cancelled", t.status)
  end,
  ["<close> of a task"] = function(job)
    local started = ms.spawn(function() end)
    local t <close> = ms.spawn(job.fetch)
    started:wait() -- resumed after t has begun
    job.reached()
    assert.equal("running", t.status)
  end,
  ["handle:cancel"] = function(job)
    local handle = job.request()
    job.reached()
    assert.is_true(handle:cancel())
    assert.is_false(handle:cancel())
  end,
  ["handle:close"] = function(job)
    local handle, closed = job.request(), 0
    job.reached()
    handle:close(function() closed = closed + 1 end)
    assert.is_true(handle:is_closing())
    until_true(function() return closed == 1 end)
  end,
  ["<close> of a handle"] = function(job)
    local handle <close> = job.request()
    job.reached()
    assert.is_false(handle:is_closing())
  end,
  ["an error in a loop over each"] = function(job)
    local n = 0
    local ok, err = pcall(function()
      for _ in job.client:each(function()
        n = n + 1
        if n == 1 then return job.spec end
        job.reached()
        error("enough")
      end) do error("nothing can come") end
    end)
    assert.is_false(ok)
    assert.matches("enough", err)
  end,
  ["break out of a loop over each"] = function(job)
    local refused = ("http://127.0.0.1:%d/"):format(port.free())
    for i in job.client:each({ job.spec, refused }) do
      job.reached()
      if i == 2 then break end
    end
  end,
  ["being a loser of race"] = function(job)
    ms.race({ job.fetch, job.reached })
  end,
  ["with_timeout"] = function(job)
    ms.race({ function() ms.with_timeout(100000, job.fetch) end, job.reached })
  end,
  ["leaving a generator"] = function(job)
    local t = ms.spawn(ms.wrap(job.fetch))
    ms.spawn(function()
      job.reached()
      t:cancel()
    end):wait()
  end,
  ["client:close"] = function(job)
    local err
    local t = ms.spawn(function() err = select(2, job.fetch()) end)
    ms.spawn(function()
      job.reached()
      job.client:close()
    end):wait()
    t:wait()
    assert.equal("cancelled", err.code)
  end,
}

-- The loop's body runs when something has ended, so the others have begun.
local CANNOT = { ["break out of a loop over each"] = { queued = true } }

-- A response that it gave is read by others.
local NO_STREAM = { ["break out of a loop over each"] = true,
  ["an error in a loop over each"] = true }

-- How often the callback of a request is called in each way.
local TOLD = { ["handle:cancel"] = 1, ["handle:close"] = 1, ["<close> of a handle"] = 1 }

local function new_job(state, p, client)
  local calls = { data = 0, done = 0 }
  local spec = { url = p:url(), on_data = function() calls.data = calls.data + 1 end }
  for name, value in pairs(state.options or {}) do spec[name] = value end
  return { spec = spec, calls = calls, client = client,
    fetch = function() return client:fetch(spec) end,
    request = function()
      return client:request(spec, function(err)
        assert.equal("cancelled", err.code)
        calls.done = calls.done + 1
      end)
    end,
    reached = function() until_true(function() return state.reached(client, p, calls) end) end }
end

-- Such a job with a streamed response. open() gives the response, take() its
-- pieces.
local function new_stream_job(state, p, client)
  local job = new_job(state, p, client)
  local calls, spec = job.calls, job.spec
  spec.on_data, calls.bytes = nil, 0

  local function take(chunk)
    calls.data, calls.bytes = calls.data + 1, calls.bytes + #chunk
    while state.hold and client:stats().running > 0 do ms.sleep(1) end
  end

  local function options(more)
    local copy = { [next(more)] = select(2, next(more)) }
    for name, value in pairs(spec) do copy[name] = value end
    return copy
  end

  job.take = take
  job.open = function() return client:fetch(options({ stream = true })) end
  job.fetch = function()
    local res, err = job.open()
    if not res then return nil, err end
    local _, why = pcall(function()
      for chunk in res:chunks() do take(chunk) end
    end)
    return nil, why
  end
  job.request = function()
    return client:request(options({ sink = take }), function(err)
      assert.equal("cancelled", err.code)
      calls.done = calls.done + 1
    end)
  end
  return job
end

local function assert_ended(job, state, p)
  local stats = job.client:stats()
  assert.equal(0, stats.running)
  assert.equal(0, stats.queued)
  until_true(function()
    stats = job.client:stats()
    return stats.connections == 0 and stats.connecting == 0
  end)
  assert.equal(stats.opened, stats.closed)
  if state.unseen then
    assert.equal(0, p:count("data"))
  elseif not state.unread then
    assert.is_truthy(p:wait(function() return p:count("eof") + p:count("error") > 0 end))
  end
end

local function run(state, way, told, make_job)
  local p <close> = peer.start(state.peer, state.peer_options)
  local client <close> = ms.client()
  client:fetch(("http://127.0.0.1:%d/"):format(port.free())) -- makes what it keeps
  local descriptors = process.fd_count()
  local job = make_job(state, p, client)
  way(job)
  local heard = job.calls.data
  assert_ended(job, state, p)
  ms.sleep(5)
  assert.equal(heard, job.calls.data)
  assert.equal(told, job.calls.done)
  assert.is_true(process.fd_count() <= descriptors)
end

for name, state in pairs(STATES) do
  describe("a transfer that is " .. name .. " is ended by", function()
    for by, way in pairs(WAYS) do
      if not (CANNOT[by] and CANNOT[by][name]) then
        it(by, async(function() run(state, way, TOLD[by] or 0, new_job) end))
      end
    end
  end)
end

for name, state in pairs(STREAMED) do
  describe("a streamed transfer that is " .. name .. " is ended by", function()
    for by, way in pairs(WAYS) do
      if not NO_STREAM[by] then
        it(by, async(function() run(state, way, TOLD[by] or 0, new_stream_job) end))
      end
    end
  end)
end

-- What can be done to the response itself, job.res.
local HELD = {
  receiving = { peer = STREAMED.receiving.peer,
    reached = function(c) return c:stats().bytes_in > #HEAD end },
  paused = { peer = STREAMED.paused.peer, hold = true,
    reached = function(c) return c:stats().bytes_in >= HIGH + #HEAD end },
}

local function assert_cut(res, cause)
  local chunk, err = res:read()
  assert.is_nil(chunk)
  assert.equal("cancelled", err.code)
  if cause then assert.equal(cause, err.cause) end
end

local RESPONSE_WAYS = {
  ["res:cancel"] = function(job)
    local res = job.res
    job.reached()
    res:cancel("enough")
    res:cancel("more than enough")
    assert_cut(res, "enough")
  end,
  ["res:cancel from elsewhere"] = function(job)
    local res, got = job.res, nil
    local t = ms.spawn(function()
      repeat
        local chunk, err = res:read()
        got = err
        if job.hold then ms.sleep(5) end
      until not chunk
    end)
    ms.spawn(job.reached):wait() -- begun after t
    res:cancel("enough")
    t:wait()
    assert.equal("enough", got.cause)
  end,
  ["break"] = function(job)
    for _ in job.res:chunks() do
      job.reached()
      if job.client:stats().running == 1 then break end
    end
    assert_cut(job.res)
  end,
  ["an error in the loop"] = function(job)
    local ok, err = pcall(function()
      for _ in job.res:chunks() do
        job.reached()
        error("enough", 0)
      end
    end)
    assert.same({ false, "enough" }, { ok, err })
    assert_cut(job.res)
  end,
  ["coroutine.close of another that reads lines"] = function(job)
    local co = coroutine.create(function()
      for _ in job.res:lines() do error("no line ends here") end
    end)
    assert(coroutine.resume(co))
    job.reached()
    assert(coroutine.close(co))
    assert_cut(job.res)
  end,
  ["coroutine.close of another in its loop"] = function(job)
    local co = coroutine.create(function()
      for _ in job.res:chunks() do if job.hold then ms.sleep(100000) end end
    end)
    assert(coroutine.resume(co))
    job.reached()
    assert(coroutine.close(co))
    assert_cut(job.res)
  end,
  ["task:cancel of a task that saves it"] = function(job)
    local path = os.tmpname()
    local t = ms.spawn(job.res.save, job.res, path)
    ms.spawn(job.reached):wait() -- begun after t
    assert.is_true(t:cancel())
    assert_cut(job.res)
    assert.is_nil(io.open(path .. ".part"))
    os.remove(path)
  end,
  ["the collector"] = function(job)
    job.reached()
    job.res = nil
    collectgarbage()
    collectgarbage()
  end,
  ["client:close"] = function(job)
    job.reached()
    job.client:close()
    local _, err = job.res:read("a")
    assert.equal("cancelled", err.code)
  end,
}

local function open_job(state, p, client)
  local job = new_stream_job(state, p, client)
  job.hold = state.hold
  job.res = assert(job.open())
  return job
end

for name, state in pairs(HELD) do
  describe("a response that is " .. name .. " is ended by", function()
    for by, way in pairs(RESPONSE_WAYS) do
      it(by, async(function() run(state, way, 0, open_job) end))
    end
  end)
end

-- A name server that never answers, on the one address the system is told.
local RESOLVING = [[
local uv = require "luv"
local ms = require "multisocket"
local process = require "spec.support.process"
local asked, before = 0, nil
local server = uv.new_udp()
assert(server:bind("127.0.0.1", 53))
server:recv_start(function(_, data) if data then asked = asked + 1 end end)
server:unref()

local function reached(client)
  while asked == 0 do ms.sleep(1) end
  assert(client:stats().running == 1 and client:stats().connections == 0)
end

local URL = "http://name.example/"
local called = 0
local function callback(err)
  assert(err.code == "cancelled", tostring(err))
  called = called + 1
end

local WAYS = {
  ["coroutine.close"] = function(client)
    local co = coroutine.create(function() client:fetch(URL) end)
    coroutine.resume(co)
    reached(client)
    assert(coroutine.close(co))
  end,
  ["task:cancel"] = function(client)
    local t = ms.spawn(client.fetch, client, URL)
    reached(client)
    t:cancel()
  end,
  ["handle:cancel"] = function(client)
    local h = client:request(URL, callback)
    reached(client)
    h:cancel()
  end,
  ["<close>"] = function(client)
    local h <close> = client:request(URL, callback)
    reached(client)
  end,
  ["with_timeout"] = function(client)
    local _, err = ms.with_timeout(50, client.fetch, client, URL)
    assert(err.code == "timed_out")
    assert(asked > 0)
  end,
  ["client:close"] = function(client)
    client:request(URL, callback)
    reached(client)
    client:close()
  end,
}

for way, fn in pairs(WAYS) do
  asked = 0
  local client <close> = ms.client()
  client:fetch("http://127.0.0.1:1/")
  local descriptors = process.fd_count()
  fn(client)
  local stats = client:stats()
  assert(stats.running == 0 and stats.queued == 0 and stats.connecting == 0, way)
  client:close()
  ms.sleep(1)
  assert(process.fd_count() <= descriptors, way .. " leaves descriptors")
end
assert(called == 3, called)
uv.run() -- nothing keeps the loop
io.write("ok")
]]

describe("a transfer that is resolving", function()
  it("is ended by all of these, too", function()
    if not namespace.possible() then
      pending("this system lets no user make namespaces")
      return
    end
    local result = namespace.run(RESOLVING, { resolv_conf = "nameserver 127.0.0.1\n",
      timeout = 20000 })
    assert.equal("", result.stderr)
    assert.equal("ok", result.stdout)
    assert.equal(0, result.code)
  end)
end)

-- Pausing is the engine's.
describe("a transfer that is paused is ended by", function()
  local ENDS = {
    ["multi:remove_handle"] = function(multi, easy) multi:remove_handle(easy) end,
    ["easy:close"] = function(_, easy) easy:close() end,
    ["easy:reset"] = function(_, easy) easy:reset() end,
    ["multi:close"] = function(multi) multi:close() end,
  }

  for by, fn in pairs(ENDS) do
    it(by, async(function()
      local p <close> = peer.start({ { { "request" }, { "send", HEAD },
        { "fill", 1000000000 } } })
      local calls, done = 0, 0
      local multi = core.multi({ donefunction = function(_, ok, err)
        assert.is_false(ok)
        assert.equal("cancelled", err.code)
        done = done + 1
      end })
      local driver = luv.attach(multi, uv)
      local easy
      easy = core.easy({ url = p:url(), on_data = function()
        calls = calls + 1
        easy:pause(core.PAUSE_RECV)
      end })
      multi:add_handle(easy)
      until_true(function() return calls > 0 end)
      ms.sleep(5)
      assert.equal(1, calls) -- it stands still
      fn(multi, easy)
      driver:refresh()
      assert.equal(0, multi:running())
      assert.is_truthy(p:wait(function() return p:count("eof") + p:count("error") > 0 end, 30000,
        pump))
      assert.equal(by == "multi:close" and 1 or 0, done)
      assert.equal(1, calls)
      assert.same({}, multi:sockets())
      multi:close()
      driver:close()
    end))
  end
end)
