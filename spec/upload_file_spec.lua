-- SPDX-License-Identifier: MIT
--
-- Request bodies that lie in files: every byte of them, whichever way they go
-- (by the kernel, encrypted, in frames, in chunks), and what becomes of files
-- that change meanwhile.
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local core = require "multisocket.core"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local server = require "spec.support.server"

local KIB, MIB = 1 << 10, 1 << 20
local LIMIT = 30000 -- ms
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local SERVE = { { { "request" }, { "send", OK }, { "repeat" } } }

-- No two stretches of it are alike.
local function text_of(size)
  local lines = {}
  for i = 1, size // 16 + 1 do lines[i] = ("%015d\n"):format(i) end
  return table.concat(lines):sub(1, size)
end

local TEXT = text_of(4 * MIB)

local function write(path, text, mode)
  local f <close> = assert(io.open(path, mode or "wb"))
  assert(f:write(text))
end

-- How many there are of that file.
local function descriptors(path)
  local pid = math.tointeger(require("luv").os_getpid())
  local pipe <close> = assert(io.popen(("ls -l /proc/%d/fd"):format(pid)))
  local list = pipe:read("a")
  assert.matches(" 0 %-> ", list) -- else it lists something else
  local _, count = list:gsub(path:gsub("%p", "%%%0"), "")
  return count
end

local function body_of(p, i)
  local head, rest = p:requests()[i or 1]:match("^(.-\r\n\r\n)(.*)$")
  return rest, head
end

-- Uploads { path = path }, which change() makes another file as soon as the head
-- goes out: it was measured, and none of it was sent.
local function put_while(client, url, path, change)
  return client:put(url, { body = { path = path }, on_debug = function(kind)
    if kind == "request" then change() end
  end })
end

for name, case in pairs {
  ["HTTP/1.1"] = { version = "1.1" },
  ["HTTP/1.1 over TLS"] = { version = "1.1", tls = true },
  ["HTTP/2 over TLS"] = { version = "2", tls = true, listen = "http2" },
} do
  describe("a body in a file, over " .. name .. ",", function()
    local s, path

    setup(function()
      path = os.tmpname()
      s = server.start { tls = case.tls and certs.get("valid"), listen = case.listen }
    end)
    teardown(function()
      s:stop()
      os.remove(path)
    end)

    local function new_client(opts)
      opts = opts or {}
      opts.version, opts.timeout = case.version, LIMIT
      opts.tls = { ca_file = certs.get("valid").ca }
      return ms.client(opts)
    end

    it("arrives whole, whatever its size", async(function()
      local client <close> = new_client()
      for _, size in ipairs { 0, 1, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 64 * KIB, 256 * KIB - 1,
        256 * KIB, 256 * KIB + 1, 512 * KIB + 1, 4 * MIB } do
        local text = TEXT:sub(1, size)
        write(path, text)
        local res = assert(client:put(s:url("/upload/a"), { body = { path = path } }))
        assert.is_true(res.ok)
        assert.is_true(text == s:uploaded("a"), size .. " bytes did not arrive as they were")
      end
      assert.equal(1, client:stats().opened)
    end))

    it("begins where an open file stands, which moves on and stays open", async(function()
      local client <close> = new_client()
      write(path, TEXT)
      local file <close> = assert(io.open(path, "rb"))
      assert(file:seek("set", MIB + 1))
      assert(client:put(s:url("/upload/b"), { body = file }))
      assert.is_true(TEXT:sub(MIB + 2) == s:uploaded("b"))
      assert.equal(#TEXT, file:seek("cur"))
      assert(file:seek("set", 3 * MIB))
      assert(client:put(s:url("/upload/b"), { body = file }))
      assert.is_true(TEXT:sub(3 * MIB + 1) == s:uploaded("b"))
    end))

    it("that got shorter is an error, also when it ends in the middle", async(function()
      for _, left in ipairs { 0, 1, MIB, 4 * MIB - 1 } do
        local client <close> = new_client()
        write(path, TEXT)
        local res, err = put_while(client, s:url("/upload/c"), path, function()
          write(path, TEXT:sub(1, left))
        end)
        assert.is_nil(res)
        assert.equal("upload_failed", err.code)
        assert.matches("shorter than was said", err.message)
        assert.is_true(assert(client:fetch(s:url("/small"))).ok)
      end
    end))

    it("that grew is sent as long as it was", async(function()
      local client <close> = new_client()
      write(path, TEXT)
      local res = assert(put_while(client, s:url("/upload/d"), path, function()
        write(path, TEXT, "ab")
      end))
      assert.is_true(res.ok)
      assert.is_true(TEXT == s:uploaded("d"))
    end))
  end)
end

describe("a body in a file", function()
  local path

  setup(function()
    path = os.tmpname()
    write(path, TEXT)
  end)
  teardown(function() os.remove(path) end)

  it("is not asked for before a 100 comes", async(function()
    local p <close> = peer.start({ { { "head" }, { "send", "HTTP/1.1 100 Continue\r\n\r\n" },
      { "bytes", #TEXT }, { "send", OK } } })
    assert(ms.put(p:url(), { body = { path = path }, expect_continue = true, timeout = LIMIT }))
    assert.is_true(TEXT == p:received():match("\r\n\r\n(.*)$"))
  end))

  it("is not sent on when an answer turns it down, or its transfer is cancelled", async(function()
    local big = os.tmpname()
    write(big, TEXT:rep(16)) -- more than sockets hold
    local p <close> = peer.start({ { { "head" },
      { "send", "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno" }, { "eof" } },
      { { "head" }, { "stop_reading" }, { "hang" } } }, { record = false })
    local client <close> = ms.client()
    local res = assert(client:put(p:url(), { body = { path = big }, timeout = LIMIT }))
    assert.same({ 413, "no" }, { res.status, res.body })
    local sent = client:stats().bytes_out
    local t = ms.spawn(client.put, client, p:url(), { body = { path = big } })
    while client:stats().bytes_out < sent + MIB do ms.sleep(1) end
    assert.equal(1, descriptors(big)) -- and not one more than it takes
    t:cancel()
    assert.equal(0, client:stats().running)
    client:close()
    ms.sleep(1) -- a turn, in which what was cancelled closes
    assert.equal(0, descriptors(big))
    os.remove(big)
  end))

  it("is sent to its end when the program closes the file", async(function()
    local p <close> = peer.start(SERVE)
    local file = assert(io.open(path, "rb"))
    assert(ms.put(p:url(), { body = file, timeout = LIMIT, on_debug = function(kind)
      if kind == "request" then file:close() end
    end }))
    assert.is_true(TEXT == body_of(p))
  end))

  it("that the program closes cannot be sent again, and says so", async(function()
    local p <close> = peer.start({ { { "bytes", 1000 },
      { "send", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" }, { "hang" } } },
      { record = false })
    local file = assert(io.open(path, "rb"))
    local res, err = ms.put(p:url(), { body = file, timeout = LIMIT,
      retry = { max = 1, max_delay = 1 }, on_debug = function(kind)
        if kind == "request" and io.type(file) == "file" then file:close() end
      end })
    assert.is_nil(res)
    assert.equal("upload_failed", err.code)
    assert.matches("the file was closed", err.message)
  end))

  it("that is made up while it is read is sent, though its size is 0", async(function()
    local p <close> = peer.start(SERVE)
    local file <close> = assert(io.open("/proc/version", "rb"))
    local text = file:read("a")
    assert(ms.put(p:url(), { body = { path = "/proc/version" }, timeout = LIMIT }))
    assert(file:seek("set", 0))
    assert(ms.put(p:url(), { body = file, timeout = LIMIT }))
    for i = 1, 2 do
      local got, head = body_of(p, i)
      assert.matches("\r\nTransfer%-Encoding: chunked\r\n", head)
      assert.equal(("%x\r\n%s\r\n0\r\n\r\n"):format(#text, text), got)
    end
  end))

  it("is empty behind its end", async(function()
    local p <close> = peer.start(SERVE)
    local file <close> = assert(io.open(path, "rb"))
    assert(file:seek("set", #TEXT + 1))
    assert(ms.put(p:url(), { body = file, timeout = LIMIT }))
    local got, head = body_of(p)
    assert.equal("", got)
    assert.matches("\r\nContent%-Length: 0\r\n", head)
  end))

  it("is what was written to the file, flushed or not", async(function()
    local p <close> = peer.start(SERVE)
    local file <close> = assert(io.tmpfile())
    file:write(TEXT, "the end")
    file:seek("set", 0)
    assert(ms.put(p:url(), { body = file, timeout = LIMIT }))
    assert.is_true(TEXT .. "the end" == body_of(p))
  end))

  it("may be a field of a form, of known length or not", async(function()
    local p <close> = peer.start(SERVE)
    local function more()
      local n = 0
      return function()
        n = n + 1
        if n == 1 then return "more" end
      end
    end
    assert(ms.post(p:url(), { timeout = LIMIT, multipart = { { name = "a", path = path },
      { name = "b", value = "between" }, { name = "c", path = path } } }))
    assert(ms.post(p:url(), { timeout = LIMIT, multipart = { { name = "a", path = path },
      { name = "b", data = more() } } }))
    local form, head = body_of(p, 1)
    assert.matches("\r\nContent%-Length: " .. #form .. "\r\n", head)
    local first = form:find(TEXT, 1, true)
    assert.is_truthy(first and form:find(TEXT, form:find("between", first, true), true))
    form, head = body_of(p, 2)
    assert.matches("\r\nTransfer%-Encoding: chunked\r\n", head)
    form = form:gsub("\r\n%x+\r\n", "") -- the sizes of chunks
    assert.is_truthy(form:find(TEXT, 1, true))
    assert.is_truthy(form:find("more", #TEXT, true))
  end))

  it("is counted as it goes", async(function()
    local p <close> = peer.start(SERVE)
    local told
    assert(ms.put(p:url(), { body = { path = path }, timeout = LIMIT,
      on_progress = function(now) told = now end }))
    assert.same({ #TEXT, #TEXT }, { told.up, told.up_total })
  end))

  it("begins anew for a retry and a redirect, however much of it had gone", async(function()
    local to <close> = peer.start(SERVE)
    local from <close> = peer.start({
      { { "bytes", MIB }, { "send", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" },
        { "hang" } },
      { { "head" }, { "send", "HTTP/1.1 307 There\r\nContent-Length: 0\r\nLocation: "
        .. to:url() .. "\r\n\r\n" }, { "hang" } } }, { record = false })
    assert(ms.put(from:url(), { body = { path = path }, timeout = LIMIT, fresh_connection = true,
      retry = { max = 1, max_delay = 1 } }))
    assert.equal(2, from:connections())
    assert.is_true(TEXT == body_of(to))
    assert.equal(0, descriptors(path))
  end))
end)

-- Nothing is read here, so that the socket is watched for one thing only and
-- gets no second event: the rest must not wait for one.
describe("A loop that tells a readiness once", function()
  it("is told that a file is too short", function()
    local p <close> = peer.start({ { { "head" }, { "hang" } } }, { record = false })
    local path = os.tmpname()
    for _, size in ipairs { 0, 256 * KIB } do
      write(path, TEXT:sub(1, size))
      local set <close>, multi = core.epoll(true), core.multi {}
      multi:setopt { edge_triggered = true, timerfunction = function() end,
        socketfunction = function(_, fd, what) set:watch(fd, what) end }
      local file <close> = assert(io.open(path, "rb"))
      local body = core.upload(size + 1, function() end)
      local easy = core.easy { method = "PUT", body = body, timeout = { total = LIMIT } }
      easy:setopt { url = p:url() }
      multi:add_handle(easy)
      assert(body:write_file(file, 0, size + 1))
      easy:pause(core.PAUSE_RECV)
      while multi:running() > 0 do
        if set:dispatch(multi) == 0 then multi:socket_action(core.SOCKET_TIMEOUT, 0) end
      end
      local _, ok, err = multi:info_read()
      assert.same({ false, "upload_failed" }, { ok, err.code })
    end
    os.remove(path)
  end)
end)

-- Without luv, which has the process ignore the signal. The peer's end is not
-- read, so that it is sending that finds out.
local CHILD = [[
  local core = require "multisocket.core"
  local status = assert(io.open("/proc/self/status")):read("a")
  local ignored = tonumber(status:match("SigIgn:%s*(%x+)"), 16)
  assert(ignored & (1 << 12) == 0, "SIGPIPE is ignored")
  local multi, file = core.multi {}, assert(io.open(arg[2], "rb"))
  for _ = 1, 20 do
    local body = core.upload(file:seek("end"), function() end)
    local easy = core.easy { method = "PUT", body = body }
    easy:setopt { url = arg[1] }
    multi:add_handle(easy)
    assert(body:write_file(file, 0, file:seek("end")))
    easy:pause(core.PAUSE_RECV)
    while multi:running() > 0 do
      multi:perform()
      multi:poll(100)
    end
    local _, ok, err = multi:info_read()
    assert(not ok, "the peer was gone")
    io.write(err.code, "\n")
    multi:remove_handle(easy)
  end
]]

describe("SIGPIPE", function()
  it("M1: is not raised by sending a file", function()
    local big, child = os.tmpname(), os.tmpname()
    write(big, TEXT:rep(4))
    write(child, CHILD)
    local p <close> = peer.start({ { { "head" }, { "shutdown" }, { "delay", 5 }, { "reset" } } },
      { record = false })
    local r = process.run({ "lua5.4", child, p:url(), big }, { timeout = LIMIT })
    os.remove(big)
    os.remove(child)
    assert.is_nil(r.signal)
    assert.same({ 0, "" }, { r.code, r.stderr })
    assert.equal(20, select(2, r.stdout:gsub("\n", "")))
  end)
end)
