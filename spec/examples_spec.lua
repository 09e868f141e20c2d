-- SPDX-License-Identifier: MIT
--
-- Every program in examples/ is run as its reader would run it, in a process
-- of its own, and must print what it promises and end well.
local uv = require "luv"

local process = require "spec.support.process"
local port = require "spec.support.port"

local LUA = "lua5.4"
local LIMIT = 30000 -- ms any of these programs may take

-- Ran to its end: not killed, and quiet on stderr.
local function run(...)
  local argv = { LUA, ... }
  argv[2] = "examples/" .. argv[2]
  return process.run(argv, { timeout = LIMIT })
end

local function assert_ended_well(result)
  assert.equal("", result.stderr)
  assert.is_nil(result.signal)
  assert.equal(0, result.code)
end

local function has(text, part)
  assert.is_truthy(text:find(part, 1, true), ("%q is not in:\n%s"):format(part, text))
end

describe("the examples", function()
  local server, url

  setup(function()
    server = process.start({ LUA, "examples/server.lua", "--port", "0" })
    url = "http://127.0.0.1:" .. server:first_line(LIMIT)
  end)
  teardown(function() server:stop() end)

  it("fetch.lua prints a page", function()
    local r = run("fetch.lua", url .. "/echo/hello")
    assert_ended_well(r)
    assert.equal("200\ttext/plain\t1.1\nhello\n", r.stdout)
  end)

  it("fetch.lua ends with the reason when there is no server", function()
    local r = run("fetch.lua", "http://127.0.0.1:" .. port.free() .. "/")
    assert.equal(1, r.code)
    has(r.stderr, "refused")
    assert.equal("", r.stdout)
  end)

  it("fetch.lua talks to nginx", function()
    local nginx = require("spec.support.server").start()
    finally(function() nginx:stop() end)
    local r = run("fetch.lua", nginx:url("/small"))
    assert_ended_well(r)
    has(r.stdout, "hello, world\n")
  end)

  it("many.lua gets every page and both good results", function()
    local r = run("many.lua", url)
    assert_ended_well(r)
    has(r.stdout, "100 pages were right, 0 were not\n")
    has(r.stdout, "1\ttrue\tfirst\n")
    has(r.stdout, "2\tfalse\tconnection_refused\n")
    has(r.stdout, "3\ttrue\tTHIRD\n")
  end)

  it("luv_app.lua answers its clients while its timer goes on", function()
    local r = run("luv_app.lua", url)
    assert_ended_well(r)
    assert.equal("/delay/100/one\tone\n/delay/150/two\ttwo\n/delay/200/three\tthree\n"
      .. "the timer went on meanwhile: yes\n", r.stdout)
  end)

  it("request_callback.lua hears of each request once", function()
    local r = run("request_callback.lua", url)
    assert_ended_well(r)
    has(r.stdout, "big\t200\t1000000\n")
    has(r.stdout, "big\t1000000 bytes\n")
    has(r.stdout, "post\tfirst\n")
    has(r.stdout, "get\tsecond\n")
    has(r.stdout, "slow\tcancelled\n")
    assert.equal(5, select(2, r.stdout:gsub("\n", "")))
  end)

  it("login.lua logs in once, and stays so", function()
    local jar = os.tmpname()
    os.remove(jar)
    local first, second = run("login.lua", url, jar), run("login.lua", url, jar)
    os.remove(jar)
    assert_ended_well(first)
    assert.equal("not logged in\nhello, anna\n127.0.0.1\t/\tname\tanna\n", first.stdout)
    assert_ended_well(second)
    assert.equal("hello, anna\n127.0.0.1\t/\tname\tanna\n", second.stdout)
  end)

  it("resume.lua goes on where it was interrupted", function()
    local file = os.tmpname()
    local r = run("resume.lua", url .. "/bytes/5000000", file)
    assert_ended_well(r)
    local there = tonumber(r.stdout:match("^1\t0 bytes were there\tcancelled\n"
      .. "2\t(%d+) bytes were there\t206\n5000000 bytes are in "))
    assert.is_true(there > 0, r.stdout)
    local f <close> = assert(io.open(file, "rb"))
    assert.is_true(("0123456789"):rep(500000) == f:read("a"))
    os.remove(file)
  end)

  it("events.lua prints events, and connects again", function()
    local r = run("events.lua", url .. "/events/2")
    assert_ended_well(r)
    local round = "\ttext/event-stream\nmessage\t1\tevent 1\nmessage\t2\tevent 2\n"
    assert.equal("connection 1" .. round .. "connection 2" .. round, r.stdout)
  end)

  it("multipart.lua sends a form with files", function()
    local r = run("multipart.lua", url .. "/form")
    assert_ended_well(r)
    local f <close> = assert(io.open("examples/multipart.lua", "rb"))
    has(r.stdout, "title\t-\t14\n")
    has(r.stdout, ("report\tmultipart.lua\t%d\n"):format(f:seek("end")))
    has(r.stdout, "table\tmay.csv\t8\nlog\tlog.txt\t8893\n")
    has(r.stdout, " bytes were sent\n")
  end)

  it("polite.lua gets every page of a busy server", function()
    local r = run("polite.lua", url)
    assert_ended_well(r)
    assert.equal("20 of 20 pages came\n", r.stdout)
  end)

  it("core_loop.lua drives the engine by hand", function()
    local r = run("core_loop.lua", url)
    assert_ended_well(r)
    for i = 1, 5 do has(r.stdout, ("%s/echo/number-%d\t200\t8\n"):format(url, i)) end
  end)
end)

describe("the demonstration", function()
  local function demo(...)
    return process.run({ LUA, "examples/demo.lua", "--requests", "400",
      "--concurrency", "50", ... }, { timeout = LIMIT })
  end

  it("checks every body, holds transfers open and ends with 0", function()
    local r = demo("--held", "300", "--hold", "1500")
    assert_ended_well(r)
    has(r.stdout, "100 %  400 of 400")
    assert.equal(2, select(2, r.stdout:gsub("failed or wrong%s+0\n", "")))
    has(r.stdout, "300, counted by the server")
    has(r.stdout, "Everything came back, and came back right.")
    assert.is_nil(r.stdout:find("\r", 1, true)) -- no bar where there is no terminal
  end)

  it("says so when the limit of open files is too low, and does less", function()
    local r = process.run({ LUA, "examples/demo.lua", "--requests", "100", "--concurrency", "20",
      "--held", "10000", "--hold", "1000" }, { timeout = LIMIT, files = 300 })
    assert_ended_well(r)
    has(r.stdout, "is 300 here and 300 in the server: scaled down from 10,000 to 100 transfers.")
    has(r.stdout, "100, counted by the server")
  end)

  it("leaves no server behind", function()
    local mark = ("SPEC_MARK=%x"):format(math.random(0)) -- the server inherits it
    local argv = { "env", mark, LUA, "examples/demo.lua", "--requests", "10", "--concurrency", "5",
      "--held", "10", "--hold", "200" }
    assert_ended_well(process.run(argv, { timeout = LIMIT }))
    local left = process.run({ "sh", "-c", "grep -lsa " .. mark .. " /proc/[0-9]*/environ" })
    assert.equal("", left.stdout)
  end)

  it("ends with 1 and says what failed when the server dies", function()
    local child = process.start({ LUA, "examples/demo.lua", "--requests", "10",
      "--concurrency", "5", "--held", "100", "--hold", "60000" })
    finally(function() child:stop() end)
    local function second_part() return child:stdout():find("Part 2", 1, true) end
    assert.is_truthy(process.wait_until(second_part))
    local f = assert(io.open(("/proc/%d/task/%d/children"):format(child.pid, child.pid)))
    local server_pid = f:read("n")
    f:close()
    uv.kill(server_pid, "sigkill")
    local r = child:wait(LIMIT)
    assert.is_false(r.timed_out)
    assert.equal(1, r.code)
    has(r.stdout, "failed or wrong            100\n")
    has(r.stdout, "Something failed or was wrong: see above.\n")
  end)
end)

describe("examples/server.lua", function()
  it("says what is wrong with its arguments", function()
    local r = run("server.lua", "--prot", "1")
    assert.equal(2, r.code)
    has(r.stderr, "usage:")
  end)

  it("ends with its standard input when asked to", function()
    local r = process.run({ LUA, "examples/server.lua", "--port", "0", "--stdin" },
      { timeout = LIMIT })
    assert_ended_well(r)
    assert.is_truthy(r.stdout:match("^%d+\n$"))
  end)
end)
