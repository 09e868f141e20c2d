-- SPDX-License-Identifier: MIT
--
-- What reaches a user: the rock and `make install` work outside the checkout.
local process = require "spec.support.process"

local ROCKSPEC = "multisocket-scm-1.rockspec"
local BUILD_TIMEOUT = 180000 -- ms; the rock is compiled from scratch

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
