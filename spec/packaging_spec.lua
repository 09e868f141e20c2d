-- SPDX-License-Identifier: MIT
--
-- What reaches a user: the rock and `make install` work outside the checkout.
local process = require "spec.support.process"

local ROCKSPEC = "multisocket-scm-1.rockspec"
local BUILD_TIMEOUT = 600000 -- ms; the rock is compiled from scratch

-- The make that runs this suite is none of the business of those started here.
local NO_MAKE = { MAKEFLAGS = false, MFLAGS = false, MAKELEVEL = false }

local function succeed(argv, opts)
  local result = process.run(argv, opts)
  local output = result.stdout .. result.stderr
  assert(result.code == 0, table.concat(argv, " ") .. "\n" .. output)
  return result
end

local function luarocks(...)
  return succeed({ "luarocks", "--lua-version=5.4", ... },
    { timeout = BUILD_TIMEOUT, env = NO_MAKE })
end

local function first_line(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read("l")
  pipe:close()
  return line
end

-- Runs spec/support/smoke.lua in another folder, with nothing on Lua's paths
-- but `prefix` and what the system has; returns the lines it printed.
local function smoke_test(prefix)
  local script = first_line("pwd") .. "/spec/support/smoke.lua"
  local result = succeed({ "lua5.4", script }, { cwd = prefix, env = {
    LUA_INIT = false, LUA_PATH_5_4 = false, LUA_CPATH_5_4 = false,
    LUA_PATH = ("%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua;;"):format(prefix, prefix),
    LUA_CPATH = ("%s/lib/lua/5.4/?.so;;"):format(prefix),
  } })
  local lines = {}
  for line in result.stdout:gmatch("[^\n]+") do lines[#lines + 1] = line end
  return lines
end

local function lua_files(dir)
  local list = {}
  local pipe = assert(io.popen(("cd '%s' && find . -name '*.lua' | sort"):format(dir)))
  for name in pipe:lines() do list[#list + 1] = name end
  pipe:close()
  return list
end

describe("packaging:", function()
  local tmp

  before_each(function() tmp = first_line("mktemp -d") end)
  after_each(function() os.execute("rm -rf '" .. tmp .. "'") end)

  local function assert_works_from(prefix)
    local lines = smoke_test(prefix)
    assert.equal(1, lines[1]:find(prefix .. "/share/lua/5.4/multisocket", 1, true))
    assert.equal(prefix .. "/lib/lua/5.4/multisocket/core.so", lines[2])
    assert.equal("installed and working", lines[3])
    assert.same(lua_files("lua"), lua_files(prefix .. "/share/lua/5.4"))
  end

  it("the rockspec is valid", function() luarocks("lint", ROCKSPEC) end)

  it("the rock works outside the checkout", function()
    luarocks("make", "--deps-mode=none", "--tree", tmp, ROCKSPEC)
    local libdir = tmp .. "/lib/luarocks/rocks-5.4/multisocket/scm-1"
    assert.equal(libdir, first_line(("ls -d '%s'"):format(libdir)))
    assert_works_from(tmp)
  end)

  it("make install honours PREFIX and DESTDIR", function()
    local build = { timeout = BUILD_TIMEOUT, env = NO_MAKE }
    succeed({ "make" }, build)
    succeed({ "make", "install", "PREFIX=/opt/ms", "DESTDIR=" .. tmp }, build)
    assert_works_from(tmp .. "/opt/ms")
  end)

  it("make install refuses to install what was not built", function()
    local result = process.run({ "make", "install", "CORE=" .. tmp .. "/core.so",
      "DESTDIR=" .. tmp }, { env = NO_MAKE })
    assert.equal(2, result.code)
    assert.truthy(result.stderr:find("run make first", 1, true))
  end)
end)

-- The C side: every program of examples/c is built against what was installed,
-- as its head comment says, and fetches.
describe("installed for C:", function()
  local server = require "spec.support.server"
  local tmp, nginx, env

  setup(function()
    tmp = first_line("mktemp -d")
    local build = { timeout = BUILD_TIMEOUT, env = NO_MAKE }
    succeed({ "make" }, build)
    succeed({ "make", "install-c", "PREFIX=" .. tmp }, build)
    env = { PKG_CONFIG_PATH = tmp .. "/lib/pkgconfig", LD_LIBRARY_PATH = tmp .. "/lib" }
    nginx = server.start()
  end)
  teardown(function()
    nginx:stop()
    os.execute("rm -rf '" .. tmp .. "'")
  end)

  local function compile(source, libs, out)
    succeed({ "sh", "-c", ("gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Werror %s "
      .. "$(pkg-config --cflags multisocket) %s -o %s/%s"):format(source, libs, tmp, out) },
      { env = env, timeout = BUILD_TIMEOUT })
    return tmp .. "/" .. out
  end

  local function assert_fetches(program)
    local result = process.run({ program, nginx:url("/small"), nginx:url("/bytes/1000000"),
      nginx:url("/status/404"), "http://127.0.0.1:1/" }, { env = env, timeout = 60000 })
    assert.same({ 0, "" }, { result.code, result.stderr })
    local lines = {}
    for line in result.stdout:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ "200, 1000000 bytes", "200, 13 bytes", "404, 11 bytes",
      "failed: 127.0.0.1:1: connection refused (tried 127.0.0.1:1)" }, lines)
  end

  for name, libs in pairs { epoll = "$(pkg-config --libs multisocket)",
    libuv = "$(pkg-config --libs multisocket libuv)",
    libevent = "$(pkg-config --libs multisocket libevent_core)",
    libev = "$(pkg-config --libs multisocket) -lev" } do
    it("examples/c/" .. name .. ".c, in 150 lines", function()
      local source, lines = "examples/c/" .. name .. ".c", 0
      for _ in io.lines(source) do lines = lines + 1 end
      assert.is_true(lines <= 150)
      assert_fetches(compile(source, libs, name))
    end)
  end

  it("examples/port: libcurl's loop, changed in under 30 lines", function()
    local diff = process.run({ "diff", "examples/port/curl.c", "examples/port/multisocket.c" })
    local changed = select(2, diff.stdout:gsub("\n> ", "\n> "))
    assert.is_true(changed > 10 and changed < 30, changed .. " lines")
    local doc = assert(io.open("docs/multi-socket.md")):read("a")
    for line in process.run({ "diff", "-U1", "examples/port/curl.c",
      "examples/port/multisocket.c" }).stdout:gsub("^.-\n.-\n", ""):gmatch("[^\n]+") do
      assert.is_truthy(doc:find(line, 1, true), line)
    end
    local program = compile("examples/port/multisocket.c", "$(pkg-config --libs multisocket)",
      "port")
    local result = process.run({ program, nginx:url("/small"), nginx:url("/status/404"),
      "http://127.0.0.1:1/" }, { env = env, timeout = 60000 })
    local lines = {}
    for line in result.stdout:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ "0 failed", "200 fine", "404 fine" }, lines)
  end)

  it("the static library", function()
    local program = compile("examples/c/epoll.c",
      "-Wl,-Bstatic -L$(pkg-config --variable=libdir multisocket) -lmultisocket -Wl,-Bdynamic "
      .. "$(pkg-config --static --libs-only-l multisocket | sed s/-lmultisocket//)", "static")
    assert.is_nil(succeed({ "ldd", program }).stdout:find("multisocket", 1, true))
    assert_fetches(program)
  end)

  it("the shared library has nothing but the header's names", function()
    local header = {}
    for _, name in ipairs({ "multisocket.h", "multisocket_jar.h", "multisocket_options.h",
      "multisocket_url.h" }) do
      for line in io.lines("src/" .. name) do
        for symbol in line:gmatch("ms_[%w_]+") do header[symbol] = true end
      end
    end
    local listing = succeed({ "nm", "-D", "--defined-only", tmp .. "/lib/libmultisocket.so" })
    local count = 0
    for name in listing.stdout:gmatch(" T ([^\n]+)") do
      assert.is_true(header[name], name)
      count = count + 1
    end
    assert.is_true(count > 50)
  end)

  it("needs a build", function()
    local result = process.run({ "make", "install-c", "SHARED_LIB=" .. tmp .. "/none.so",
      "DESTDIR=" .. tmp }, { env = NO_MAKE })
    assert.equal(2, result.code)
    assert.truthy(result.stderr:find("run make first", 1, true))
  end)
end)
