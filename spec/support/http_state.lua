-- SPDX-License-Identifier: MIT
--
-- Plays the cookie suite of the IETF's http-state working group (E1), whose
-- files are elsewhere: `make http-state SUITE=DIR`, DIR being its tests/data.
--
--   http_state.lua DIR jar|fetch|curl|dates...
--
-- jar     the lines go to ms.jar(), and what it has for the next URL is compared
-- fetch   a server sends the lines with a redirect there, and hears what we send
-- curl    the same, asked by curl: nothing is expected of it, only shown
-- dates   a server sends its dates as Expires, and what res.cookies says is compared
--
-- The suite is of 2011, and so must the clock be: make runs it by faketime. For
-- dates it is far ahead, as nothing may be kept for more than 400 days. The suite
-- counts by RFC 6265; MORE has where RFC 6265bis wants something else, and what
-- that is. Those are counted apart, and are held to it all the same.
local json = require "cjson"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local process = require "spec.support.process"

local HOME = "http://home.example.org:8888"
local NAMES = { "home.example.org", "sibling.example.org", "subdomain.home.example.org",
  "sibling.home.example.org" }
-- In a response no field can carry them; the suite itself has them disabled.
local DISABLED = "^DISABLED_"

-- ---- the suite -----------------------------------------------------------------

local function read(path)
  local f <close> = assert(io.open(path, "rb"))
  return json.decode(f:read("a"))
end

local function from(case) return ("%s/cookie-parser?%s"):format(HOME, case.test:lower()) end

local function to(case)
  local target = case["sent-to"] or "/cookie-parser-result?" .. case.test:lower()
  return target:find("^/") and HOME .. target or target
end

local function joined(cookies)
  local list = {}
  for i, c in ipairs(cookies) do
    list[i] = c.name == "" and c.value or c.name .. "=" .. c.value
  end
  return table.concat(list, "; ")
end

-- ---- where RFC 6265bis is another ------------------------------------------------

-- What RFC 6265bis sends more in a case: the cookie of a line of it, by number,
-- at a place in the list.
local MORE = {}
local function more(line, at, cases)
  for name in cases:gmatch("%S+") do MORE[name] = { line = line, at = at } end
end

-- A cookie without a name is kept, and its value sent (5.6, step 2; 5.8.3, step 4).
more(1, 1, "0004 0023 0024 0025 0026 0028 CHROMIUM0009 CHROMIUM0010 CHROMIUM0012 MOZILLA0014 "
  .. "NAME0017 NAME0023 NAME0025 NAME0028 NAME0031 NAME0032")
more(2, 1, "0027 MOZILLA0015 NAME0033") -- of two, the second
more(3, 1, "MOZILLA0016 MOZILLA0017")
more(2, 2, "0021 MOZILLA0012")
-- The last Domain counts, and an empty one is none (5.7, steps 7 and 10).
more(1, 1, "OPTIONAL_DOMAIN0042")

local function trim(s) return s:match("^[ \t]*(.-)[ \t]*$") end

local function cookie_of(line)
  local pair = line:match("^[^;]*")
  local name, value = pair:match("^([^=]*)=(.*)$")
  return { name = trim(name or ""), value = trim(value or pair) }
end

---@return string expected, boolean deviates
local function expected(case)
  local list, extra = { table.unpack(case.sent) }, MORE[case.test]
  if extra then table.insert(list, extra.at, cookie_of(case.received[extra.line])) end
  return joined(list), extra ~= nil
end

-- ---- the ways -------------------------------------------------------------------

local ways = {}

function ways.jar(cases)
  local got = {}
  for i, case in ipairs(cases) do
    local jar = ms.jar()
    for _, line in ipairs(case.received) do jar:set(from(case), line) end
    got[i] = joined(assert(jar:get(to(case))))
  end
  return got
end

-- Two connections for each case: the lines with a redirect, and its target.
local function scripts(cases)
  local list = {}
  for _, case in ipairs(cases) do
    local head = { "HTTP/1.1 302 Found", "Location: " .. to(case), "Content-Length: 0",
      "Connection: close" }
    for _, line in ipairs(case.received) do head[#head + 1] = "Set-Cookie: " .. line end
    list[#list + 1] = { { "request" }, { "send", table.concat(head, "\r\n") .. "\r\n\r\n" } }
    list[#list + 1] = { { "request" }, { "send",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" } }
  end
  return list
end

-- What the second request of each case had.
local function heard(p, cases)
  local got, requests = {}, p:requests()
  assert(#requests == 2 * #cases, "a request is missing")
  for i = 1, #cases do
    assert(not requests[2 * i - 1]:find("\r\nCookie:", 1, true), "a cookie of another case")
    got[i] = requests[2 * i]:match("\r\nCookie: ([^\r]*)") or ""
  end
  return got
end

function ways.fetch(cases)
  local p <close> = peer.start(scripts(cases))
  local places = {}
  for _, name in ipairs(NAMES) do places[name .. ":8888"] = "127.0.0.1:" .. p.port end
  for _, case in ipairs(cases) do
    local client <close> = ms.client({ cookies = true, connect_to = places })
    assert(client:fetch(from(case)))
  end
  return heard(p, cases)
end

function ways.curl(cases)
  local p <close> = peer.start(scripts(cases))
  for _, case in ipairs(cases) do
    local argv = { "curl", "-s", "-L", "-b", "", from(case) }
    for _, name in ipairs(NAMES) do
      table.insert(argv, "--connect-to")
      table.insert(argv, ("%s:8888:127.0.0.1:%d"):format(name, p.port))
    end
    local result = process.run(argv)
    assert(result.code == 0, result.stderr)
  end
  return heard(p, cases)
end

-- ---- the count ------------------------------------------------------------------

local function short(s) return #s > 60 and s:sub(1, 57) .. "..." or s end

-- Prints what differs; how many passed, and how many as RFC 6265bis has it.
local function compare(way, cases, got)
  local passed, deviating = 0, 0
  for i, case in ipairs(cases) do
    local want, deviates = expected(case)
    if got[i] ~= want then
      print(("  %s %s: %s to %s\n    sends  %s\n    wanted %s"):format(way, case.test,
        short(table.concat(case.received, " | ")), to(case), short(got[i]), short(want)))
    elseif deviates then
      deviating = deviating + 1
    else
      passed = passed + 1
    end
  end
  print(("%s: %d of %d as the suite has it, %d as RFC 6265bis has it, %d otherwise"):format(way,
    passed, #cases, deviating, #cases - passed - deviating))
  return passed + deviating == #cases
end

-- ---- dates ----------------------------------------------------------------------

local MONTHS = {}
for name in ("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"):gmatch("%a+") do
  MONTHS[#MONTHS + 1] = name
  MONTHS[name] = #MONTHS
end

-- "Sat, 15 Apr 2017 21:01:22 GMT" as unix seconds; TZ is UTC. null: not a date.
local function seconds(text)
  if text == json.null then return nil end
  local d, m, y, h, min, s = text:match("^%a+, (%d+) (%a+) (%d+) (%d+):(%d+):(%d+) GMT$")
  return os.time({ day = d, month = MONTHS[m], year = y, hour = h, min = min, sec = s })
end

-- All of a table in one response.
local function dates_of(cases)
  local head = { "HTTP/1.1 200 OK", "Content-Length: 0" }
  for _, case in ipairs(cases) do
    head[#head + 1] = "Set-Cookie: a=b; Expires=" .. case.test
  end
  local p <close> = peer.start({ { { "request" },
    { "send", table.concat(head, "\r\n") .. "\r\n\r\n" } } })
  local cookies = assert(ms.get(p:url())).cookies
  assert(#cookies == #cases, "a line is missing")
  return cookies
end

local function play_dates(folder)
  local passed, count = 0, 0
  for _, name in ipairs({ "examples", "bsd-examples" }) do
    local cases = read(("%s/dates/%s.json"):format(folder, name))
    for i, cookie in ipairs(dates_of(cases)) do
      local want = seconds(cases[i].expected)
      count = count + 1
      if cookie.expires == want then
        passed = passed + 1
      else
        print(("  dates %s: is %s, wanted %s"):format(cases[i].test, cookie.expires, want))
      end
    end
  end
  print(("dates: %d of %d as the suite has it"):format(passed, count))
  return passed == count
end

-- ---- all ------------------------------------------------------------------------

local function play(folder, names)
  local cases, fine = {}, true
  for _, case in ipairs(read(folder .. "/parser.json")) do
    if not case.test:find(DISABLED) then cases[#cases + 1] = case end
  end
  for _, way in ipairs(names) do
    local good
    if way == "dates" then
      good = play_dates(folder)
    else
      good = compare(way, cases, assert(ways[way], "no such way: " .. way)(cases))
    end
    fine = fine and (good or way == "curl")
  end
  return fine
end

local function main(folder, ...)
  assert(select("#", ...) > 0, "usage: http_state.lua DIR jar|fetch|curl|dates...")
  local names, fine = { ... }, false
  ms.run(function() fine = play(folder, names) end)
  return fine
end

os.exit(main(...), true)
