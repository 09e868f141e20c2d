-- SPDX-License-Identifier: MIT
--
-- `make http-state` on a suite of ours: what it counts as passed, as RFC 6265bis
-- has it, and otherwise. The real one is not here (spec/support/http_state.lua).
local json = require "cjson"
local process = require "spec.support.process"

local TOOL = "spec/support/http_state.lua"

local folder

local function write(path, value)
  local f <close> = assert(io.open(folder .. "/" .. path, "wb"))
  f:write(json.encode(value))
end

local function case(name, received, sent, to)
  return { test = name, received = received, sent = sent, ["sent-to"] = to }
end

local GOOD = { { name = "n", value = "v" } }
local NONE = {}

local function run(cases, ...)
  write("parser.json", cases)
  return process.run({ "lua5.4", TOOL, folder, ... }, { env = { TZ = "UTC" } })
end

setup(function()
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir -p " .. folder .. "/dates"))
end)
teardown(function() os.execute("rm -rf " .. folder) end)

describe("make http-state", function()
  it("counts what passes, by a jar and over connections", function()
    local result = run({
      case("ONE", { "n=v" }, GOOD),
      case("TWO", { "n=v; domain=.example.org" }, GOOD, "http://sibling.example.org:8888/x"),
      case("THREE", { "n=v; path=/cookie-parser-result/x" }, GOOD, "/cookie-parser-result/x"),
      case("FOUR", { "n=v; secure" }, NONE),
      case("DISABLED_FIVE", { "n=v" }, NONE),
    }, "jar", "fetch")
    assert.equal("jar: 4 of 4 as the suite has it, 0 as RFC 6265bis has it, 0 otherwise\n"
      .. "fetch: 4 of 4 as the suite has it, 0 as RFC 6265bis has it, 0 otherwise\n", result.stdout)
    assert.equal(0, result.code, result.stderr)
  end)

  it("knows where RFC 6265bis has something else", function()
    local result = run({ case("0004", { "only" }, NONE) }, "jar", "fetch")
    assert.matches("jar: 0 of 1 as the suite has it, 1 as RFC 6265bis has it", result.stdout, 1,
      true)
    assert.equal(0, result.code, result.stderr)
    assert.equal(1, run({ case("ANOTHER", { "only" }, NONE) }, "jar").code) -- case by case
  end)

  it("fails, and says where", function()
    for _, way in ipairs({ "jar", "fetch" }) do
      local result = run({ case("ONE", { "n=v" }, GOOD), case("BAD", { "n=w" }, GOOD) }, way)
      assert.equal(1, result.code)
      assert.matches(way .. " BAD: n=w to http://home.example.org:8888/cookie-parser-result?bad\n"
        .. "    sends  n=w\n    wanted n=v\n", result.stdout, 1, true)
      assert.matches("1 of 2 as the suite has it, 0 as RFC 6265bis has it, 1 otherwise",
        result.stdout, 1, true)
    end
  end)

  it("reads dates", function()
    local past = { test = "Sunday, 6-Nov-94 08:49:37", expected = "Sun, 06 Nov 1994 08:49:37 GMT" }
    local none = { test = "some day", expected = json.null }
    write("dates/examples.json", { past, none })
    write("dates/bsd-examples.json", { past })
    local result = run({}, "dates")
    assert.equal("dates: 3 of 3 as the suite has it\n", result.stdout)
    assert.equal(0, result.code, result.stderr)
    write("dates/examples.json", { { test = past.test, expected = json.null } })
    assert.equal(1, run({}, "dates").code)
  end)
end)
