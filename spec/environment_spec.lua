-- SPDX-License-Identifier: MIT
--
-- The process around us: signals, fork, descriptors, clocks, locale, closed
-- standard streams. Each number names one statement, so that it can be found.
local uv = require "luv"
local ms = require "multisocket"
local async = require "spec.support.async"
local fork = require "spec.support.fork"
local namespace = require "spec.support.namespace"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local server = require "spec.support.server"

local MODES = { "poll", "epoll" }
local FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"

describe("the environment,", function()
  local nginx, hanging, resetting, slow, urls

  setup(function()
    nginx = server.start()
    hanging = peer.start({ { { "request" }, { "hang" } } })
    resetting = peer.start({ { { "head" }, { "reset" } } })
    slow = peer.start({ { { "request" }, { "delay", 100 },
      { "send", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, { "repeat" } } })
    urls = ("local URL, BIG, HANG, RESET, SLOW = %q, %q, %q, %q, %q "):format(nginx:url("/small"),
      nginx:url("/bytes/1000000"), hanging:url(), resetting:url(), slow:url())
  end)

  teardown(function()
    for _, s in ipairs({ nginx, hanging, resetting, slow }) do s:stop() end
  end)

  -- The text may use `ms` and `uv`, and must write "ok".
  local function run(text, opts)
    opts = opts or {}
    local argv = opts.argv or {}
    argv[#argv + 1], argv[#argv + 2] = "lua5.4", "-"
    opts.stdin = urls .. 'local uv, ms = require "luv", require "multisocket" ' .. text
    return process.run(argv, opts)
  end

  local function assert_ok(r)
    assert.is_false(r.timed_out)
    assert.is_nil(r.signal, "signal " .. tostring(r.signal))
    assert.same({ 0, "ok", "" }, { r.code, r.stdout, r.stderr })
  end

  local function in_modes(text, opts)
    for _, mode in ipairs(MODES) do
      local copy = {}
      for k, v in pairs(opts or {}) do copy[k] = v end
      copy.argv = { table.unpack(copy.argv or {}) }
      assert_ok(run(("ms.use({ mode = %q }) "):format(mode) .. text, copy))
    end
  end

  it("M1: SIGPIPE is never raised", function()
    -- Not in mode "poll", where luv 1.44 prints a line for each reset.
    assert_ok(run([[
      for _ = 1, 20 do
        local res, err = ms.fetch(RESET, { method = "PUT", body = ("x"):rep(5000000) })
        assert(res == nil and err.category ~= "usage", err)
        local n = 0
        res, err = ms.fetch(RESET, { method = "PUT", body = function()
          n = n + 1
          return n < 100 and ("x"):rep(65536) or nil
        end })
        assert(res == nil and err.category ~= "usage", err)
      end
      io.write("ok")]]))
  end)

  it("M2: a storm of signals disturbs nobody", function()
    for _, mode in ipairs(MODES) do
      local over = os.tmpname()
      os.remove(over)
      local child = process.start({ "lua5.4", "-", over }, { stdin = urls .. ([[
        local uv, ms = require "luv", require "multisocket"
        ms.use({ mode = %q })
        for _, name in ipairs({ "sigchld", "sigalrm", "sigusr1" }) do
          local s = uv.new_signal()
          s:start(name, function() end)
          s:unref()
        end
        io.stdout:setvbuf("no")
        print("up")
        local n = 0
        for _ = 1, 100 do n = n + #assert(ms.fetch(BIG)).body end
        ms.sleep(20)
        print(n)
        while not io.open(arg[1]) do ms.sleep(1) end]]):format(mode) })
      child:first_line()
      while child:running() and not child:stdout():find("\n%d+\n") do
        for _, name in ipairs({ "sigchld", "sigalrm", "sigusr1" }) do child:kill(name) end
      end
      io.open(over, "w"):close() -- no more signals: handlers go first at the end
      local r = child:wait()
      os.remove(over)
      assert.same({ 0, "up\n100000000\n", "" }, { r.code, r.stdout, r.stderr })
    end
  end)

  it("M2: system calls that are interrupted are made again", function()
    for _, call in ipairs({ "recvfrom", "read", "sendto", "sendmsg", "write", "writev", "connect",
      "epoll_wait", "epoll_pwait" }) do
      local r = run([[
        for _ = 1, 5 do
          assert(#assert(ms.fetch(BIG, { fresh_connection = true })).body == 1000000)
        end
        io.write("ok")]], { env = { ASAN_OPTIONS = "detect_leaks=0" }, -- which cannot be traced
        argv = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" .. call, "-e",
          "inject=" .. call .. ":error=EINTR:when=5+7" } })
      -- Lua itself reads the program, and does not try again.
      if call ~= "read" or r.stdout ~= "" then assert.equal("ok", r.stdout, call .. r.stderr) end
    end
  end)

  describe("M3: fork", function()
    local FORK, library

    setup(function() FORK, library = fork.build() end)
    teardown(function() os.remove(library) end)

    -- What a child may do before it ends without closing its Lua state.
    local CHILDREN = {
      ["ends"] = "_exit(0)",
      ["ends by os.exit"] = "os.exit(0)",
      ["collects garbage"] = "collectgarbage() collectgarbage() _exit(0)",
      ["fetches in a program of its own"] = [[
        local p = io.popen("lua5.4 -", "w")
        p:write(('assert(require("multisocket").fetch(%q))'):format(URL))
        os.exit(p:close() and 0 or 1)]],
    }

    for what, code in pairs(CHILDREN) do
      it("into a child that " .. what .. " leaves the parent's connection alone", function()
        in_modes(FORK .. ([[
          local function connection()
            local res = assert(ms.fetch(URL, { timeout = 30000 }))
            return res.headers["x-connection"]
          end
          local first = connection()
          local pid = fork()
          if pid == 0 then %s end
          assert(wait(pid) == 0)
          assert(connection() == first)
          io.write("ok")]]):format(code))
      end)
    end

    it("gives the child a client that can only be closed", function()
      in_modes(FORK .. [[
        local c = ms.client()
        local function connection(client)
          local res = assert(client:fetch(URL, { timeout = 30000 }))
          return res.headers["x-connection"]
        end
        local first = connection(c)
        assert(ms.fetch(URL)) -- the default client has a connection, too
        c:request(HANG, function() end)
        ms.sleep(10)
        local pid = fork()
        if pid == 0 then
          for _ = 1, 2 do
            local ok, err = pcall(c.fetch, c, URL)
            assert(not ok and (err.code == "forked" or err.code == "closed"), err)
            ok, err = pcall(ms.fetch, URL)
            assert(not ok and err.code == "forked", err)
            c:close()
          end
          _exit(0)
        end
        assert(wait(pid) == 0)
        for _ = 1, 3 do assert(connection(c) == first) end
        io.write("ok")]])
    end)

    it("leaves the parent of a program with a loop of its own alone", function()
      assert_ok(run(FORK .. [[
        local core, drive = require "multisocket.core", require "spec.support.drive"
        local d = drive.new()
        local function fetch(drv)
          local easy = core.easy({ url = URL, timeout = 30000 })
          drv.multi:add_handle(easy)
          drv:run()
          return easy:response()
        end
        local first = fetch(d).headers["x-connection"]
        local pid = fork()
        if pid == 0 then
          assert(d.multi:forked())
          d.multi:close()
          local mine <close> = drive.new()
          assert(not mine.multi:forked())
          assert(fetch(mine).headers["x-connection"] ~= first)
          assert(fetch(mine).reused)
          _exit(0)
        end
        assert(wait(pid) == 0 and not d.multi:forked())
        assert(fetch(d).headers["x-connection"] == first)
        d:close()
        io.write("ok")]]))
    end)

    it("in the middle of a transfer does not disturb it", function()
      in_modes(FORK .. [[
        local pid
        local res = assert(ms.fetch(BIG, { timeout = 30000, on_headers = function()
          pid = fork()
          if pid == 0 then _exit(0) end
        end }))
        assert(wait(pid) == 0 and #res.body == 1000000)
        io.write("ok")]])
    end)
  end)

  it("M4: descriptors are closed on exec and never block", function()
    in_modes([[
      ms.request(HANG, function() end)
      assert(ms.fetch(URL))
      local sockets = 0
      local dir = uv.fs_scandir("/proc/self/fd")
      while true do
        local fd = uv.fs_scandir_next(dir)
        if not fd then break end
        local link = uv.fs_readlink("/proc/self/fd/" .. fd) or ""
        if link:find("^socket") or link:find("eventpoll") then
          local f = io.open("/proc/self/fdinfo/" .. fd)
          local flags = tonumber(f:read("a"):match("flags:%s*(%d+)"), 8)
          assert(flags & 0x80000 ~= 0, link .. " is inherited") -- O_CLOEXEC
          if link:find("^socket") then
            sockets = sockets + 1
            assert(flags & 0x800 ~= 0, link .. " blocks") -- O_NONBLOCK
          end
        end
      end
      assert(sockets >= 2)
      io.write("ok")]])
  end)

  it("M4: descriptors above 1024 work", function()
    in_modes([[
      local files = {}
      for i = 1, 1100 do files[i] = assert(io.open("/dev/null")) end
      for _, url in ipairs({ URL, BIG }) do
        for _, entry in ipairs(ms.map({ url, url, url, url }, function(u)
          return assert(ms.fetch(u, { fresh_connection = true }))
        end)) do assert(entry.ok) end
      end
      assert(uv.fs_stat("/proc/self/fd/1103"))
      io.write("ok")]], { files = 4096 })
  end)

  it("M5: jumps of the wall clock move no timeout", function()
    if not uv.fs_stat(FAKETIME) or os.getenv("SPEC_TOOL") then
      pending("faketime is elsewhere here, or a tool is preloaded in its place")
      return
    end
    local path = os.tmpname()
    for _, jump in ipairs({ "+10y", "-10y" }) do
      local f = assert(io.open(path, "w"))
      f:write("+0")
      f:close()
      in_modes(([[
        local function jump()
          local f = io.open(%q, "w")
          f:write(%q)
          f:close()
        end
        local before = os.time()
        local timer = uv.new_timer()
        timer:start(30, 0, function() timer:close() jump() end)
        local start = uv.hrtime()
        local res = assert(ms.fetch(SLOW, { timeout = 30000 })) -- the jump is in the middle
        assert(math.abs(os.time() - before) > 1000000, "the clock did not jump")
        local _, err = ms.fetch(HANG, { timeout = 50 })
        assert(err.code == "timed_out")
        ms.sleep(20)
        assert(res.timings.total < 5000 and res.timings.total >= 90)
        assert((uv.hrtime() - start) / 1e6 >= 160)
        local f = io.open(%q, "w") f:write("+0") f:close()
        io.write("ok")]]):format(path, jump, path), { env = { LD_PRELOAD = FAKETIME,
          FAKETIME_TIMESTAMP_FILE = path, FAKETIME_NO_CACHE = 1, DONT_FAKE_MONOTONIC = 1,
          FAKETIME_DONT_FAKE_MONOTONIC = 1 }, timeout = 60000 })
    end
    os.remove(path)
  end)

  it("M6: times of all sizes", async(function()
    for _, time in ipairs({ 2 ^ 31 - 1, 2 ^ 31, 2 ^ 32, 2 ^ 53 }) do
      time = math.tointeger(time)
      assert(ms.fetch(nginx:url("/small"), { timeout = time }))
      assert(ms.fetch(nginx:url("/small"), { timeout = { total = time, connect = time },
        fresh_connection = true }))
      local t = ms.spawn(ms.sleep, time)
      ms.sleep(1)
      assert.equal("running", t.status)
      assert.is_true(t:cancel())
    end
    assert.equal("timed_out", select(2, ms.fetch(hanging:url(), { timeout = 1 })).code)
    for _, bad in ipairs({ 0, -1, 0 / 0, math.huge }) do
      assert.is_false((pcall(ms.fetch, nginx:url("/small"), { timeout = bad })))
    end
    ms.sleep(0)
  end))

  it("M7: the loop's clock is old after a long callback", function()
    in_modes([[
      local timer, ok = uv.new_timer(), nil
      timer:start(0, 0, function()
        timer:close()
        local start = uv.hrtime()
        while uv.hrtime() - start < 1000000000 do end
        ms.request(SLOW, { timeout = 700 }, function(err, res) ok = res end)
        ms.spawn(function()
          local from = uv.hrtime()
          ms.sleep(100)
          assert((uv.hrtime() - from) / 1e6 >= 98)
        end)
      end)
      uv.run()
      assert(ok)
      io.write("ok")]])
  end)

  it("M8: locale, time zone, home and folder do not matter", function()
    local text = [[
      os.setlocale("")
      local res = assert(ms.fetch(URL))
      assert(res.headers["CONTENT-LENGTH"] == "13" and res.timings.total >= 0)
      assert(ms.post(BIG:gsub("/bytes.*", "/sink"), { json = { x = 1.5 } }).status == 200)
      io.write("ok")]]
    for _, env in ipairs({ { LC_ALL = "tr_TR.UTF-8" }, { LC_ALL = "de_DE.UTF-8" },
      { LC_ALL = "nonsense" }, { LC_ALL = "C" }, { TZ = "Nowhere/City" }, { TZ = ":" },
      { HOME = false, TMPDIR = "/nowhere", LANG = false, USER = false } }) do
      assert_ok(run(text, { env = env }))
    end
    local here = uv.cwd() .. "/"
    assert_ok(run(text, { cwd = "/proc", env = { LUA_PATH = package.path:gsub("%./", here),
      LUA_CPATH = package.cpath:gsub("%./", here) } }))
  end)

  it("M8: a resolv.conf that is empty or nonsense is an error, not a crash", function()
    if not namespace.possible() then
      pending("this system lets no user make namespaces")
      return
    end
    for _, text in ipairs({ "", "nonsense \0\255\n", "nameserver\n", "nameserver 300.1.1.1\n",
      ("search " .. ("a.b.c "):rep(1000)) .. "\n", "options ndots:99999999999\n" }) do
      assert_ok(namespace.run([[
        local uv, ms = require "luv", require "multisocket"
        local res, err = ms.fetch("http://name.example/", { timeout = 2000 })
        assert(res == nil and (err.category == "resolve" or err.category == "timeout"), err)
        res, err = ms.fetch("http://127.0.0.1:1/")
        assert(err.code == "connection_refused", err)
        io.write("ok")]], { resolv_conf = text, timeout = 60000 }))
    end
  end)

  it("M9: closed standard streams become /dev/null", function()
    local path = os.tmpname()
    for _, closed in ipairs({ "<&-", ">&-", "2>&-", "<&- >&- 2>&-" }) do
      local script = os.tmpname()
      local f <close> = assert(io.open(script, "w"))
      f:write(urls, ([[
        -- First: luv alone aborts without these streams.
        local ms = require "multisocket"
        for _, entry in ipairs(ms.map({ URL, BIG, BIG, URL }, function(url)
          local res = assert(ms.fetch(url))
          return assert(#res.body == tonumber(res.headers["content-length"]))
        end)) do assert(entry.ok) end
        assert(ms.fetch(RESET) == nil)
        local f = io.open(%q, "w") f:write("ok") f:close()
        print("into nowhere")]]):format(path))
      f:flush()
      local r = process.run({ "sh", "-c", ("exec lua5.4 %s %s"):format(script, closed) })
      os.remove(script)
      assert.equal(0, r.code, r.stderr)
      local out <close> = assert(io.open(path))
      assert.equal("ok", out:read("a"))
      os.remove(path)
    end
  end)
end)
