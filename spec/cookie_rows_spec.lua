-- SPDX-License-Identifier: MIT
--
-- What comes back of the cookies of a response, row by row of
-- spec/support/cookie_rows.lua: by a jar alone, over connections, and by curl
-- on the same server.
local ms = require "multisocket"
local async = require "spec.support.async"
local classes = require "spec.support.cookie_rows"
local process = require "spec.support.process"
local server = require "spec.support.server"

-- /set sends the field X-Set back as Set-Cookie.
local LOCATIONS = [[
    location / { add_header Set-Cookie $http_x_set always; return 200 "ok"; }
]]

-- Names that stand for this machine.
local RESOLVE = {}
for _, name in ipairs({ "a.example.test", "x.a.example.test", "b.example.test", "example.test",
  "b.test" }) do RESOLVE[name] = "127.0.0.1" end

local nginx

setup(function() nginx = server.start({ locations = LOCATIONS }) end)
teardown(function() nginx:stop() end)

local function at(host, path) return ("http://%s:%d%s"):format(host, nginx.port, path) end

local function from() return at("a.example.test", "/set/here") end

-- The URL that a row's WHERE stands for.
local function place(where)
  if where == "" then return from() end
  return where:find("^/") and at("a.example.test", where) or at(where, "/set/here")
end

local function by_jar(lines, where)
  local jar, list = ms.jar(), {}
  for _, line in ipairs(lines) do jar:set(from(), line) end
  for i, c in ipairs(assert(jar:get(where))) do
    list[i] = c.name == "" and c.value or c.name .. "=" .. c.value
  end
  return table.concat(list, "; ")
end

local function by_us(lines, where)
  local client <close> = ms.client({ cookies = true, resolve = RESOLVE })
  for _, line in ipairs(lines) do
    assert.equal(200, assert(client:fetch(from(), { headers = { ["X-Set"] = line } })).status)
  end
  return assert(client:fetch(where)).request.headers.cookie or ""
end

local function curl(jar, where, ...)
  local argv = { "curl", "-s", "-v", "-b", jar, "-c", jar, where, ... }
  for name in pairs(RESOLVE) do
    argv[#argv + 1] = "--resolve"
    argv[#argv + 1] = ("%s:%d:127.0.0.1"):format(name, nginx.port)
  end
  local result = process.run(argv, { env = { LD_PRELOAD = false } })
  assert.equal(0, result.code, result.stderr)
  return result.stderr:match("> Cookie: ([^\r\n]*)") or ""
end

local function by_curl(lines, where)
  local jar = os.tmpname()
  for _, line in ipairs(lines) do curl(jar, from(), "-H", "X-Set: " .. line) end
  local cookie = curl(jar, where)
  os.remove(jar)
  return cookie
end

for _, class in ipairs(classes) do
  describe("E1: " .. class[1] .. ", ours and curl's:", function()
    for i = 2, #class do
      local lines, where, expected, curls = table.unpack(class[i])
      it(("%s to %s"):format(table.concat(lines, " | "):sub(1, 60), where), async(function()
        assert.equal(expected, by_jar(lines, place(where)))
        assert.equal(expected, by_us(lines, place(where)))
        local other = by_curl(lines, place(where))
        if other ~= curls then assert.equal(expected, other) end
      end))
    end
  end)
end
