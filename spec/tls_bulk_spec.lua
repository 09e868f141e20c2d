-- SPDX-License-Identifier: MIT
--
-- Large bodies over TLS, both ways, in a process of their own: every byte, and
-- memory that does not grow with them. (1 GiB: `bench/run bulk-tls`.)
local certs = require "spec.support.certs"
local process = require "spec.support.process"
local tls_peer = require "spec.support.tls_peer"

local MIB = 1 << 20
local SIZE = 64 * MIB
-- Of growth: generous, and far below SIZE. A tool keeps what was freed: there it says nothing.
local MOST = os.getenv("SPEC_TOOL") and math.huge or 12 * MIB
local LIMIT = 60000 -- ms

-- arg: url, ca, a file to be sent or nothing. Prints how many bytes came, by how
-- many the memory grew above what it was after a first fetch, and how often that
-- was looked at.
local CHILD = [[
  local ms = require "multisocket"
  local page = 4096
  local function resident()
    local file <close> = assert(io.open("/proc/self/statm"))
    return tonumber(file:read("a"):match("^%d+ (%d+)")) * page
  end
  local client = ms.client({ version = "1.1", tls = { ca_file = arg[2] } })
  assert(client:fetch(arg[1]))
  collectgarbage()
  local before, most, got, looks, over = resident(), 0, 0, 0, false
  ms.run(function()
    ms.spawn(function()
      while not over do
        looks = looks + 1
        most = math.max(most, resident() - before)
        ms.sleep(2)
      end
    end)
    local res = assert(client:fetch(arg[1], {
      method = arg[3] and "PUT" or "GET",
      body = arg[3] and { path = arg[3] },
      on_data = function(chunk) got = got + #chunk end,
    }))
    assert(res.status == 200)
    over = true
  end)
  client:close()
  io.write(got, " ", most, " ", looks)
]]

local WARM = { { "request" }, { "send", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" } }

-- Runs the child against a peer that goes on like that after a first request.
local function run(steps, version, ...)
  local script = table.move(steps, 1, #steps, #WARM + 1, { table.unpack(WARM) })
  local p <close> = tls_peer.start({ script }, { version = version, record = false })
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write(CHILD)
  f:close()
  local r = process.run({ "lua5.4", path, p:url(), certs.get("root").cert, ... },
    { timeout = LIMIT })
  os.remove(path)
  assert.equal(0, r.code, r.stderr)
  local got, most, looks = r.stdout:match("^(%d+) (%-?%d+) (%d+)$")
  assert.is_true(tonumber(looks) > 3)
  return tonumber(got), tonumber(most)
end

describe("a large body over TLS", function()
  for _, version in ipairs({ "tls1_2", "tls1_3" }) do
    it("comes whole, and memory stays flat, " .. version, function()
      local got, most = run({ { "request" },
        { "send", ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(SIZE) },
        { "fill", SIZE }, { "eof" } }, version)
      assert.equal(SIZE, got)
      assert.is_true(most < MOST, most)
    end)

    it("is sent whole, and memory stays flat, " .. version, function()
      local path = os.tmpname()
      assert(os.execute(("truncate -s %d '%s'"):format(SIZE, path)))
      local got, most = run({ { "head" }, { "bytes", SIZE },
        { "send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }, { "eof" } }, version,
        path)
      os.remove(path)
      assert.equal(2, got)
      assert.is_true(most < MOST, most)
    end)
  end
end)
