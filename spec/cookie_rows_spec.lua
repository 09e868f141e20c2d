-- SPDX-License-Identifier: MIT
--
-- What comes back of the cookies of a response, row by row of
-- spec/support/cookie_rows.lua: by a jar alone, over connections, and by curl
-- on the same server.
local ms = require "multisocket"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
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

setup(function()
  nginx = server.start({ locations = LOCATIONS, more = {
    { port = true, tls = certs.get("valid") } } })
end)
teardown(function() nginx:stop() end)

-- A line, or what a place stands for, without its "tls:"; and whether it had one.
local function without_tls(text)
  local rest = text:match("^tls:(.*)$")
  return rest or text, rest ~= nil
end

local function at(tls, host, path)
  return ("%s://%s:%d%s"):format(tls and "https" or "http", host,
    tls and nginx.ports[1] or nginx.port, path)
end

local OWN = "a.example.test"

-- The URL that a row's WHERE stands for.
local function place(where)
  local rest, tls = without_tls(where)
  if rest:find("^/") then return at(tls, OWN, rest) end
  return at(tls, rest == "" and OWN or rest, "/set/here")
end

-- Goes through the lines: where each is from, and what it says.
local function each(lines, fn)
  for _, line in ipairs(lines) do
    local rest, tls = without_tls(line)
    fn(at(tls, OWN, "/set/here"), rest)
  end
end

local function by_jar(lines, where)
  local jar, list = ms.jar(), {}
  each(lines, function(from, line) jar:set(from, line) end)
  for i, c in ipairs(assert(jar:get(where))) do
    list[i] = c.name == "" and c.value or c.name .. "=" .. c.value
  end
  return table.concat(list, "; ")
end

-- Another name than the certificate's: what is looked at are the cookies.
local function by_us(lines, where)
  local client <close> = ms.client({ cookies = true, resolve = RESOLVE, tls = { verify = false } })
  each(lines, function(from, line)
    assert.equal(200, assert(client:fetch(from, { headers = { ["X-Set"] = line } })).status)
  end)
  return assert(client:fetch(where)).request.headers.cookie or ""
end

-- What one run of curl sends with the last of some requests, each a list of words.
local function run_curl(requests)
  local argv = { "curl" }
  for i, words in ipairs(requests) do
    if i > 1 then argv[#argv + 1] = "--next" end
    table.move({ "-s", "-v", "-k", "--http1.1" }, 1, 4, #argv + 1, argv)
    table.move(words, 1, #words, #argv + 1, argv)
    for name in pairs(RESOLVE) do
      for _, port in ipairs({ nginx.port, nginx.ports[1] }) do
        argv[#argv + 1] = "--resolve"
        argv[#argv + 1] = ("%s:%d:127.0.0.1"):format(name, port)
      end
    end
  end
  local result = process.run(argv, { env = { LD_PRELOAD = false } })
  assert.equal(0, result.code, result.stderr)
  local _, sent = result.stderr:gsub("> GET ", "")
  assert.equal(#requests, sent)
  return result.stderr:match("^.*> GET (.*)$"):match("> Cookie: ([^\r\n]*)") or ""
end

-- Programs that start are what takes the time here, so one run where it makes
-- no difference. It does with several lines: read from a file cookies have
-- another order than those that were always in memory.
local function by_curl(lines, where)
  if #lines == 1 then
    local both
    each(lines, function(from, line)
      both = { { from, "-b", "", "-H", "X-Set: " .. line }, { where, "-b", "" } }
    end)
    return run_curl(both)
  end
  local jar = os.tmpname()
  each(lines, function(from, line)
    run_curl({ { from, "-b", jar, "-c", jar, "-H", "X-Set: " .. line } })
  end)
  local cookie = run_curl({ { where, "-b", jar } })
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
