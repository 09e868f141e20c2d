-- SPDX-License-Identifier: MIT
--
-- Builds what the benchmark runs, into build/bench/. The engine is linked from the very objects
-- of the release module, so the C client measures the code that scripts get.

local process = require "process"

local build = {}

local TIMEOUT = 300000

--- Where Lua programs find this checkout.
---@return table<string, string>
function build.lua_env()
  local root = require("luv").cwd()
  return {
    LUA_PATH = root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua;;",
    LUA_CPATH = root .. "/?.so;;",
  }
end

local function compile(name, rest)
  local argv = {
    "gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-flto=auto", "-g", "-Wall", "-Wextra", "-Isrc",
    "-o", "build/bench/" .. name, "bench/c/" .. name .. ".c",
  }
  table.move(rest or {}, 1, #(rest or {}), #argv + 1, argv)
  process.must(argv, { timeout = TIMEOUT })
end

-- What `pkg-config --libs` or a similar program says, else `default`.
local function flags(argv, default)
  local words = {}
  local child = process.exists(argv[1]) and process.run(argv, { timeout = TIMEOUT })
  local text = child and child.code == 0 and child.out or default
  for word in text:gmatch("%S+") do words[#words + 1] = word end
  return words
end

--- The servers and the ruler.
function build.tools()
  process.must({ "mkdir", "-p", "build/bench" }, { timeout = TIMEOUT })
  compile("measure")
  compile("hold_server")
  compile("send_file")
end

--- The libcurl client. Returns libcurl's version; raises when its headers are missing.
---@return string
function build.curl()
  local libs = flags({ "curl-config", "--libs" }, "-lcurl")
  compile("curl_client", { "bench/c/client.c", table.unpack(libs) })
  local child = process.run({ "curl-config", "--version" }, { timeout = TIMEOUT })
  return child.out:match("libcurl (%S+)") or "?"
end

--- The bare TLS client.
function build.openssl()
  local libs = flags({ "pkg-config", "--libs", "openssl" }, "-lssl -lcrypto")
  compile("openssl_client", { "bench/c/client.c", table.unpack(libs) })
end

--- The Lua module, as `make` builds it, and a look whether it loads.
function build.module()
  process.must({ "make", "-s", "core" }, { timeout = TIMEOUT })
  process.must({ "lua5.4", "-e", "require 'multisocket'" },
    { timeout = TIMEOUT, env = build.lua_env() })
end

--- The C client of our engine.
function build.engine()
  process.must({ "make", "-s", "VARIANT=release", "build/release/engine.a" },
    { timeout = TIMEOUT })
  local libs = flags({ "make", "-s", "print-libs" }, "")
  compile("engine_client",
    { "bench/c/client.c", "build/release/engine.a", table.unpack(libs) })
end

return build
