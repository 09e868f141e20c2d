-- SPDX-License-Identifier: MIT
--
-- Bodies that are read while they come.
local ms = require "multisocket"
local uv = require "luv"
local async = require "spec.support.async"
local files = require "spec.support.files"
local peer = require "spec.support.peer"
local server = require "spec.support.server"

local HEAD = "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
local STREAM = { stream = true }
local STUCK = { { { "request" }, { "send", HEAD:format(10) .. "1" }, { "hang" } } }
local MiB = 1 << 20

local function idle(client)
  local now = client:stats()
  return now.running == 0 and now.connections == now.idle
end

local function wait_until(done)
  for _ = 1, 30000 do
    if done() then return true end
    ms.sleep(1)
  end
end

-- A server in this process: it answers with a head, and with the rest when the
-- spec says so.
local ByHand = {}
ByHand.__index = ByHand

local function by_hand()
  local self = setmetatable({ listener = uv.new_tcp() }, ByHand)
  self.listener:bind("127.0.0.1", 0)
  self.listener:listen(1, function()
    self.socket = uv.new_tcp()
    self.listener:accept(self.socket)
    self.socket:read_start(function(_, data)
      if data then self:write(self.head) end
    end)
  end)
  return self
end

function ByHand:url(head)
  self.head = head
  return ("http://127.0.0.1:%d/"):format(self.listener:getsockname().port)
end

function ByHand:write(text) self.socket:write(text) end

function ByHand:__close()
  self.listener:close()
  if self.socket then self.socket:close() end
end

describe("a streamed response", function()
  local nginx

  setup(function() nginx = server.start() end)
  teardown(function() nginx:stop() end)

  it("is there with its head, before the body", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", HEAD:format(4) .. "ab" },
      { "hang" } } })
    local client <close> = ms.client()
    local res = assert(client:fetch(p:url("/x"), STREAM))
    assert.equal(200, res.status)
    assert.equal("4", res.headers["content-length"])
    assert.is_nil(res.body)
    assert.equal("ab", res:read())
    assert.equal(1, client:stats().running)
    res:cancel("enough")
    local chunk, err = res:read()
    assert.is_nil(chunk)
    assert.equal("cancelled", err.code)
    assert.equal(0, client:stats().running)
  end))

  it("is read in pieces of at most n bytes", async(function()
    local res = assert(ms.fetch(nginx:url("/bytes/1000"), STREAM))
    local n = 0
    while true do
      local piece = res:read(300)
      if not piece then break end
      assert.is_true(#piece >= 1 and #piece <= 300)
      n = n + #piece
    end
    assert.equal(1000, n)
    assert.is_nil(res:read())
    assert.is_nil((res:read("a")))
  end))

  it("is read whole", async(function()
    local whole = assert(ms.fetch(nginx:url("/bytes/100000"))).body
    for _, path in ipairs({ "/bytes/100000", "/chunked/100000" }) do
      assert.equal(whole, assert(ms.fetch(nginx:url(path), STREAM)):read("a"))
    end
    assert.is_nil(assert(ms.fetch(nginx:url("/empty"), STREAM)):read("a"))
  end))

  it("is iterated over", async(function()
    local client <close> = ms.client()
    local n = 0
    for chunk in assert(client:fetch(nginx:url("/bytes/100000"), STREAM)):chunks() do
      n = n + #chunk
    end
    assert.equal(100000, n)
    assert.is_true(idle(client))
  end))

  it("has lines, wherever they are cut", async(function()
    local text = "one\r\ntwo\n\nfour\r\r\nlast"
    local script = { { "request" }, { "split", HEAD:format(#text) .. text, 1, 0 } }
    local p <close> = peer.start({ script })
    local lines = {}
    for line in assert(ms.fetch(p:url(), STREAM)):lines() do lines[#lines + 1] = line end
    assert.same({ "one", "two", "", "four\r", "last" }, lines)
    lines = {}
    for line in assert(ms.fetch(nginx:url("/empty"), STREAM)):lines() do lines[1] = line end
    assert.same({}, lines)
  end))

  it("has lines of a length that is bounded", async(function()
    -- { the lines' most, the body, what there is of it, whether that is all }
    local rows = {
      { 3, "abc\nabc\r\nabc", "abc abc abc", true }, { 3, "abcd", "", false },
      { 3, "a\nabcd\nb", "a", false }, { 3, "abc\r\r\n", "", false }, { 3, "abc\rd\n", "", false },
      { 1, "\n\r\n\r\na\n", "   a", true }, { 1, "aa\n", "", false },
    }
    for _, row in ipairs(rows) do
      for _, size in ipairs({ 1, 2, 100 }) do
        for _, how in ipairs({ STREAM, { timeout = 30000 } }) do
          local p <close> = peer.start { { { "request" },
            { "split", HEAD:format(#row[2]) .. row[2], size, 0 }, { "hang" } } }
          local lines, next_line = {}, assert(ms.fetch(p:url(), how)):lines(row[1])
          local ok, err
          repeat
            ok, err = pcall(next_line)
            lines[#lines + 1] = ok and err or nil
          until not ok or not err
          assert.same({ row[3], row[4] }, { table.concat(lines, " "), ok }, row[2])
          local again, after = pcall(next_line)
          assert.same({ ok, err }, { again, after }, "there is nothing more")
          if not ok then
            assert.same({ "body_too_large", "body" }, { err.code, err.category })
            assert.matches(("is longer than %d bytes"):format(row[1]), err.message, 1, true)
          end
        end
      end
    end
  end))

  -- It is none of the line's bytes, though it was there before the "\n".
  it("has lines whose ends come apart", async(function()
    local here <close> = by_hand()
    local client <close> = ms.client()
    local head = HEAD:format(9) .. "abc\r"
    local next_line = assert(client:fetch(here:url(head), STREAM)):lines(3)
    local first = ms.spawn(next_line)
    while client:stats().bytes_in < #head do ms.sleep(1) end
    ms.sleep(1)
    here:write("\nabc\n")
    assert.same({ true, "abc" }, { first:wait() })
    assert.equal("abc", next_line())
    assert.is_nil(next_line())
  end))

  it("has no line that never ends", async(function()
    local mib = 1024 * 1024
    local p <close> = peer.start { { { "request" }, { "send", HEAD:format(100 * mib) },
      { "fill", 100 * mib }, { "hang" } } }
    local client <close> = ms.client()
    collectgarbage()
    collectgarbage("stop") -- what is garbage counts, too: no state of the collector matters
    local before = collectgarbage("count")
    local ok, err = pcall(function()
      for _ in assert(client:fetch(p:url(), { stream = true })):lines() do error("ended") end
    end)
    local used = collectgarbage("count") - before
    collectgarbage("restart")
    assert.is_false(ok)
    assert.equal("body_too_large", err.code)
    assert.matches("is longer than 16777216 bytes", err.message, 1, true)
    assert.is_true(used < 40 * 1024, used .. " KiB") -- and not 100 MiB
    assert.is_true(client:stats().bytes_in < 40 * mib)
    assert.equal(0, client:stats().running)
  end))

  it("raises in a loop when it ends early", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", HEAD:format(10) .. "12345" },
      { "close" } } })
    for _, name in ipairs({ "chunks", "lines" }) do
      local res, got = assert(ms.fetch(p:url(), STREAM)), {}
      local ok, err = pcall(function()
        for piece in res[name](res) do got[#got + 1] = piece end
      end)
      assert.is_false(ok)
      assert.equal("unexpected_eof", err.code)
      assert.equal("chunks" == name and "12345" or "", table.concat(got))
    end
    local text, err = assert(ms.fetch(p:url(), STREAM)):read("a")
    assert.is_nil(text)
    assert.equal("unexpected_eof", err.code)
  end))

  it("ends when the loop over it is left", async(function()
    local p <close> = peer.start(STUCK)
    local client <close> = ms.client()
    for chunk in assert(client:fetch(p:url(), STREAM)):chunks() do
      if chunk then break end
    end
    assert.equal(0, client:stats().running)
    assert.is_true(p:wait(function() return p:count("eof") + p:count("error") > 0 end))
  end))

  it("is not over for the collector while somebody reads it", async(function()
    local p <close> = peer.start(STUCK)
    local function fetch()
      return assert(ms.fetch(p:url(), { stream = true, timeout = 700 }))
    end
    local readers = {
      function() return select(2, fetch():read("a")) end,
      function() return select(2, fetch():discard()) end,
      function() return select(2, pcall(fetch():lines())) end,
      function()
        local next_chunk = fetch():chunks()
        assert.equal("1", next_chunk())
        return select(2, pcall(next_chunk))
      end,
    }
    for _, reader in ipairs(readers) do
      local reading = ms.spawn(reader)
      local _ <close> = ms.spawn(function()
        while true do
          collectgarbage()
          ms.sleep(5)
        end
      end)
      assert.equal("timed_out", select(2, reading:wait()).code)
    end
  end))

  it("ends when nobody can read it any more", async(function()
    local p <close> = peer.start(STUCK)
    local client <close> = ms.client()
    local function look() return assert(client:fetch(p:url(), STREAM)).status end
    assert.equal(200, look())
    collectgarbage()
    collectgarbage()
    assert.equal(0, client:stats().running)
  end))

  it("is kept by the loop over it", async(function()
    local client <close> = ms.client()
    local n = 0
    for chunk in assert(client:fetch(nginx:url("/slow"), STREAM)):chunks() do
      n = n + #chunk
      collectgarbage()
      if n > 20000 then break end
    end
    assert.is_true(n > 20000)
  end))

  it("ends when the coroutine that reads it is closed", async(function()
    local p <close> = peer.start(STUCK)
    local client <close> = ms.client()
    local res
    local t = ms.spawn(function()
      res = assert(client:fetch(p:url(), STREAM))
      res:read("a")
    end)
    assert.is_truthy(wait_until(function() return res end))
    t:cancel()
    assert.equal(0, client:stats().running)
  end))

  it("has trailers and all timings at its end", async(function()
    local p <close> = peer.start({ { { "request" }, { "send",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n" } } })
    local res = assert(ms.fetch(p:url(), STREAM))
    assert.equal("ok", res:read("a"))
    assert.equal("7", res.trailers["x-sum"])
    assert.is_true(res.timings.total >= res.timings.first_byte)
    assert.is_true(res.timings.first_byte > 0)
  end))

  it("is discarded, and its connection used again", async(function()
    local client <close> = ms.client()
    assert.is_true(assert(client:fetch(nginx:url("/bytes/100000"), STREAM)):discard())
    assert.is_true(assert(client:fetch(nginx:url("/small"))).reused)
  end))

  it("works in the main program and with a callback", async.main(function()
    assert.equal(1000, #assert(ms.fetch(nginx:url("/bytes/1000"), STREAM)):read("a"))
    local n
    ms.request(nginx:url("/bytes/1000"), STREAM, function(err, res)
      assert(not err)
      ms.spawn(function() n = #res:read("a") end)
    end)
    assert.is_truthy(wait_until(function() return n end))
    assert.equal(1000, n)
    local code
    local handle = ms.request(nginx:url("/slow"), STREAM, function(err) code = err and err.code end)
    assert.is_true(handle:cancel())
    assert.is_truthy(wait_until(function() return code end))
    assert.equal("cancelled", code)
  end))

  it("that failed before its head is nil, err", async(function()
    local p <close> = peer.start({ { { "request" }, { "reset" } } })
    local res, err = ms.fetch(p:url(), { stream = true, method = "POST", body = "x" })
    assert.is_nil(res)
    assert.equal("connection_reset", err.code)
    res, err = ms.fetch(nginx:url("/nothing"), { stream = true, fail = true })
    assert.is_nil(res)
    assert.equal("status", err.code)
  end))

  it("is read by one at a time", async(function()
    local p <close> = peer.start(STUCK)
    local res = assert(ms.fetch(p:url(), STREAM))
    assert.equal("1", res:read())
    local t = ms.spawn(function() return res:read() end)
    ms.sleep(1)
    local ok, err = pcall(res.read, res)
    assert.is_false(ok)
    assert.equal("wrong_context", err.code)
    res:cancel()
    assert.is_false((t:wait()))
  end))

  -- On the main thread a callback cannot wait; the transfer is none the worse.
  it("raises where nobody can wait, and goes on", async(function()
    local text = "one\ntwo\nthree\n"
    local USES = {
      read = function(res) res:read() end,
      ["read whole"] = function(res) res:read("a") end,
      chunks = function(res) for _ in res:chunks() do error("there is none") end end,
      lines = function(res) for _ in res:lines() do error("there is none") end end,
      save = function(res)
        local path <close> = setmetatable({ os.tmpname() }, { __close = function(t)
          os.remove(t[1])
        end })
        res:save(path[1])
      end,
      discard = function(res) res:discard() end,
    }
    local function in_callback(fn)
      local timer, result = uv.new_timer(), nil
      timer:start(0, 0, function()
        timer:close()
        result = table.pack(pcall(fn))
      end)
      while not result do ms.sleep(1) end
      return result[1], result[2]
    end
    local function below_c(fn)
      local ok, err
      table.sort({ 1, 2 }, function()
        ok, err = pcall(fn)
        return false
      end)
      return ok, err
    end
    for use, fn in pairs(USES) do
      for words, try in pairs({ ["use ms.request, or ms.spawn a task that waits"] = in_callback,
        ["cannot be suspended below a C function"] = below_c }) do
        local peer_here <close> = by_hand()
        local client <close> = ms.client()
        local res = assert(client:fetch(peer_here:url(HEAD:format(#text)), STREAM))
        local ok, err = try(function() fn(res) end)
        assert.is_false(ok, use)
        assert.equal("usage", err.category, use)
        assert.equal("wrong_context", err.code, use)
        assert.is_truthy(err.message:find(words, 1, true), err.message)
        assert.equal(1, client:stats().running, use)
        peer_here:write(text)
        assert.equal(text, res:read("a"), use)
      end
    end
  end))

  it("that is asked for where nobody can wait is not begun", async(function()
    local client <close> = ms.client()
    local timer, result = uv.new_timer(), nil
    timer:start(0, 0, function()
      timer:close()
      result = table.pack(pcall(client.fetch, client, "http://127.0.0.1:1/", STREAM))
    end)
    while not result do ms.sleep(1) end
    assert.is_false(result[1])
    assert.equal("wrong_context", result[2].code)
    assert.equal(0, client:stats().running)
  end))

  it("of a whole body is read from that", async(function()
    local res = assert(ms.fetch(nginx:url("/small")))
    assert.equal("hello", res:read(5))
    assert.equal(", world\n", res:read("a"))
    assert.is_nil(res:read())
    assert.equal("hello, world\n", res.body)
  end))

  it("calls on_headers, and takes no other place for the body", async(function()
    local status
    assert(ms.fetch(nginx:url("/small"), { stream = true,
      on_headers = function(head) status = head.status end })):discard()
    assert.equal(200, status)
    for _, bad in ipairs({ { stream = true, sink = print }, { stream = true, on_data = print },
      { stream = 1 }, { sink = 1 }, { sink = {} } }) do
      local ok, err = pcall(ms.fetch, nginx:url("/small"), bad)
      assert.is_false(ok)
      assert.equal("bad_option", err.code)
    end
    local res = assert(ms.fetch(nginx:url("/small"), STREAM))
    for _, bad in ipairs({ 0, -1, 1.5, "b", {} }) do
      local ok, err = pcall(res.read, res, bad)
      assert.is_false(ok)
      assert.equal("bad_argument", err.code)
    end
  end))

  it("holds the peer back while nobody reads", async(function()
    local size = 64 * MiB
    local p <close> = peer.start({ { { "request" }, { "send", HEAD:format(size) },
      { "fill", size } } }, { record = false })
    local client <close> = ms.client()
    local res = assert(client:fetch(p:url(), STREAM))
    local stopped, before = 0, nil
    assert.is_truthy(wait_until(function() -- nothing comes any more
      local now = client:stats().bytes_in
      stopped, before = now == before and stopped + 1 or 0, now
      return stopped > 50
    end))
    assert.is_true(before < 2 * MiB, before .. " bytes were read for nobody")
    local n = 0
    for chunk in res:chunks() do n = n + #chunk end
    assert.equal(size, n)
  end))

  it("is cancelled while it is held back", async(function()
    local size = 64 * MiB
    local p <close> = peer.start({ { { "request" }, { "send", HEAD:format(size) },
      { "fill", size } } }, { record = false })
    for _, how in ipairs({ "cancel", "client", "task" }) do
      local client <close> = ms.client()
      local res
      local t = ms.spawn(function()
        res = assert(client:fetch(p:url(), STREAM))
        ms.sleep(100000)
      end)
      assert.is_truthy(wait_until(function() return res and client:stats().bytes_in > MiB // 2 end))
      if how == "cancel" then res:cancel() elseif how == "client" then client:close() end
      t:cancel()
      res = nil
      collectgarbage()
      collectgarbage()
      assert.equal(0, client:stats().running)
      assert.equal(0, client:stats().connections)
    end
  end))

  it("stands still for the idle timeout while it is not read", async(function()
    local size = 16 * MiB
    local p <close> = peer.start({ { { "request" }, { "send", HEAD:format(size) },
      { "fill", size } } }, { record = false })
    local res = assert(ms.fetch(p:url(), { stream = true, timeout = { idle = 100 } }))
    ms.sleep(300)
    assert.equal(size, #res:read("a"))
  end))

  it("is limited by max_body where that is set", async(function()
    local text, err = assert(ms.fetch(nginx:url("/bytes/100000"),
      { stream = true, max_body = 99999 })):read("a")
    assert.is_nil(text)
    assert.equal("body_too_large", err.code)
    assert.equal(100000, #assert(ms.fetch(nginx:url("/bytes/100000"),
      { stream = true, max_body = 100000 })):read("a"))
  end))
end)

describe("a sink", function()
  local nginx, path

  setup(function() nginx = server.start() end)
  teardown(function() nginx:stop() end)
  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  local function content() return files.read(path) end

  it("is a path, a file or a function", async(function()
    local whole = assert(ms.fetch(nginx:url("/bytes/100000"))).body
    local res = assert(ms.fetch(nginx:url("/bytes/100000"), { sink = path }))
    assert.equal(200, res.status)
    assert.is_nil(res.body)
    assert.equal(whole, content())
    local f = assert(io.open(path, "wb"))
    assert(ms.fetch(nginx:url("/bytes/100000"), { sink = f }))
    f:close()
    assert.equal(whole, content())
    local parts = {}
    assert(ms.fetch(nginx:url("/bytes/100000"), { sink = function(chunk)
      ms.sleep(1) -- it may wait
      parts[#parts + 1] = chunk
    end }))
    assert.equal(whole, table.concat(parts))
    assert.is_true(assert(ms.fetch(nginx:url("/small"), STREAM)):save(path))
    assert.equal("hello, world\n", content())
  end))

  it("leaves the file as it was when the body ends early", async(function()
    files.write(path, "old")
    local p <close> = peer.start({ { { "request" }, { "send", HEAD:format(10) .. "12345" },
      { "close" } } })
    local res, err = ms.fetch(p:url(), { sink = path })
    assert.is_nil(res)
    assert.equal("unexpected_eof", err.code)
    assert.equal("old", content())
    assert.is_nil(uv.fs_stat(path .. ".part"))
  end))

  it("gets nothing of a refusal, which holds no connection and can be read", async(function()
    for _, size in ipairs({ 7, 5000000 }) do
      local p <close> = peer.start({ { { "request" },
        { "send", "HTTP/1.1 500 No\r\nContent-Length: " .. size .. "\r\n\r\n" },
        { "fill", size }, { "repeat" } } })
      local client <close> = ms.client()
      for _, target in ipairs({ path, { path = path, resume = true } }) do
        local res, err = client:fetch(p:url(), { sink = target, fail = true })
        assert.is_nil(res)
        assert.equal("status", err.code)
        assert.equal(0, client:stats().running)
        local text, why = err.response:read(7)
        assert.equal("xxxxxxx", text)
        if size == 7 then assert.is_nil(why) end
        assert.is_nil(uv.fs_stat(path .. ".part"))
      end
    end
  end))

  it("that fails ends the transfer", async(function()
    local client <close> = ms.client()
    local res, err = client:fetch(nginx:url("/slow"), { sink = "/nowhere/at/all" })
    assert.is_nil(res)
    assert.equal("save_failed", err.code)
    assert.equal(2, err.errno) -- ENOENT
    res, err = client:fetch(nginx:url("/slow"), { sink = function() return nil, "full" end })
    assert.is_nil(res)
    assert.equal("save_failed", err.code)
    assert.equal("full", err.cause)
    res, err = client:fetch(nginx:url("/slow"), { sink = function() error({ "mine" }) end })
    assert.is_nil(res)
    assert.equal("callback_error", err.code)
    assert.same({ "mine" }, err.cause)
    res, err = client:fetch(nginx:url("/bytes/100000"), { sink = io.open("/dev/full", "wb") })
    assert.is_nil(res)
    assert.equal("save_failed", err.code)
    assert.equal(28, err.errno) -- ENOSPC
    assert.equal(0, client:stats().running)
  end))
end)
