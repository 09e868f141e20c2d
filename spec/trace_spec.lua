-- SPDX-License-Identifier: MIT
--
-- docs/architecture.md shows one request as MULTISOCKET_TRACE prints it; here
-- it is made again and compared.
local process = require "spec.support.process"
local server = require "spec.support.server"

-- What varies from run to run, made equal: times, descriptors, ports. Heads are
-- debug_spec.lua's.
local function normalised(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    if not line:find("xfer [<>] ") then
      lines[#lines + 1] = line:gsub("^%d+%.%d+ ", ""):gsub("fd %d+", "fd N")
        :gsub("127%.0%.0%.1:%d+", "127.0.0.1:PORT")
    end
  end
  return lines
end

local function shown()
  local f <close> = assert(io.open("docs/architecture.md"))
  local text = f:read("a")
  return assert(text:match("MULTISOCKET_TRACE=all:debug.-```\n(.-)```"), "no trace in the document")
end

local PROGRAM = [[
  local ms = require "multisocket"
  local client = ms.client()
  ms.run(function()
    for _ = 1, 2 do assert(client:fetch("%s")) end
  end)
  client:close()]]

describe("the trace in docs/architecture.md", function()
  local nginx

  setup(function() nginx = server.start() end)
  teardown(function() nginx:stop() end)

  it("is what the engine prints", function()
    local r = process.run({ "lua5.4", "-" }, { stdin = PROGRAM:format(nginx:url("/small")),
      env = { MULTISOCKET_TRACE = "all:debug" }, timeout = 60000 })
    assert.equal(0, r.code, r.stderr)
    assert.same(normalised(shown()), normalised(r.stderr))
  end)

  it("is of chosen areas only, and none without the variable", function()
    local text = PROGRAM:format(nginx:url("/small"))
    local r = process.run({ "lua5.4", "-" }, { stdin = text, timeout = 60000,
      env = { MULTISOCKET_TRACE = "pool:debug" } })
    assert.same({ "#c1 pool idle", "#c1 pool idle" }, normalised(r.stderr))
    r = process.run({ "lua5.4", "-" }, { stdin = text, timeout = 60000 })
    assert.equal("", r.stderr)
  end)
end)
