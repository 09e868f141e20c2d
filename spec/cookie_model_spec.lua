-- SPDX-License-Identifier: MIT
--
-- A jar beside the text of RFC 6265bis (spec/support/cookie_model.lua): random
-- lines from random URLs, taken or refused alike, and alike what comes back.
-- SEED=n plays one run again, RUNS=n more of them.
local ms = require "multisocket"
local model = require "spec.support.cookie_model"

local RUNS = tonumber(os.getenv("RUNS")) or 300
local LINES = 40 -- of a run: many enough for cookies to meet
local SEED = tonumber(os.getenv("SEED"))

local HOSTS = { "example.org", "a.example.org", "b.example.org", "x.a.example.org", "other.org",
  "localhost", "127.0.0.1", "[::1]" }
local PATHS = { "/", "/p", "/p/", "/p/q", "/p/q/", "/p/q/r", "/pq", "/P", "/p//q", "/%70" }
local NAMES = { "a", "a", "A", "b", "", " a ", "__Host-a", "__Secure-a", "__hOSt-", "__SECURE-b",
  "a b", '"a', "$a", "\xC3\xA9", "a\t", "\1" }
local VALUES = { "1", "2", "3", "", " 4 ", '"5"', '"', "=6", "a=7", "8, b=9", "__Host-b", "\xFF",
  "\t0", "1\0002", ("x"):rep(4093), ("x"):rep(4096) }
local SEPARATORS = { ";", "; ", " ;", "; ;", ";;", ";\t" }

local ATTRIBUTES = {
  domain = { "", ".", "example.org", ".example.org", "a.example.org", "A.Example.Org",
    ".a.example.org", "x.a.example.org", "b.example.org", "other.org", "org", ".org", "localhost",
    "127.0.0.1", "0.0.1", "[::1]", "example.org.", "..example.org", '"example.org"',
    "example.org:80", "\xC3\xA9.org", ("a"):rep(1024), ("a"):rep(1025) },
  path = { "", "/", "/p", "/p/", "/p/q", "/p/q/r", "/pq", "p", '"/p"', "/P", "/%70",
    "/" .. ("a"):rep(1024), " /p " },
  ["max-age"] = { "", "0", "00", "-1", "100", "0100", "99999999999", "1x", "x1", "+1", "1 2", "-",
    '"1"', "1.5" },
  expires = { "", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31-Dec-2038 23:59:59 GMT",
    "31 Dec 2038 24:00:00", "1 Feb 2000 1:2:3" },
  secure = { "", "x", "false" },
  httponly = { "", "no" },
  samesite = { "None", "lax", "STRICT", "", "other" },
  partitioned = { "" },
  ["secure x"] = { "" },
}
local KINDS = {}
for kind in pairs(ATTRIBUTES) do KINDS[#KINDS + 1] = kind end
table.sort(KINDS) -- one order for one seed

local function any(list) return list[math.random(#list)] end

local function any_url()
  return { scheme = any({ "http", "https" }), host = any(HOSTS), path = any(PATHS) }
end

local function text_of(url) return ("%s://%s%s"):format(url.scheme, url.host, url.path) end

local function any_case(s)
  local how = math.random(4)
  return how == 1 and s:upper() or how == 2 and s:gsub("^%l", string.upper) or s
end

local function any_attribute()
  local kind = any(KINDS)
  local value = any(ATTRIBUTES[kind])
  if value == "" and math.random(2) == 1 then return any_case(kind) end
  return any_case(kind) .. any({ "=", " = ", "=", "\t=" }) .. value
end

local function any_line()
  local list = { any(NAMES) .. any({ "=", "=", "=", "=", "=", "" }) .. any(VALUES) }
  for i = 2, math.random(5) do list[i] = any(SEPARATORS) .. any_attribute() end
  return table.concat(list)
end

local function compare(ours, theirs, what)
  for i = 1, math.max(#ours, #theirs) do
    local one, other = ours[i] or {}, theirs[i] or {}
    for _, key in ipairs({ "name", "value", "domain", "path", "host_only", "secure",
      "http_only" }) do
      if one[key] ~= other[key] then
        error(("%s: cookie %d: %s is %s, not %s"):format(what, i, key, one[key], other[key]), 0)
      end
    end
    local site = one.same_site or "default"
    if site ~= other.same_site then error(what .. ": same_site is " .. site, 0) end
    local left = (one.expires or math.maxinteger) - other.expires
    if math.abs(left) > 30 then error(what .. ": it ends at " .. tostring(one.expires), 0) end
  end
end

local function play(seed)
  math.randomseed(seed)
  local jar, store, taken, found = ms.jar(), model.new(), 0, 0
  for step = 1, LINES do
    local url, line = any_url(), any_line()
    local what = ("SEED=%d RUNS=1, line %d, %q from %s"):format(seed, step, line, text_of(url))
    local ours = jar:set(text_of(url), line) or false
    if ours ~= store:set(url, line) then error(what .. ": ours is " .. tostring(ours), 0) end
    local from = any_url()
    local list = jar:get(text_of(from))
    compare(list, store:get(from), what .. ", to " .. text_of(from))
    taken, found = taken + (ours and 1 or 0), found + #list
  end
  return taken, found
end

describe("E1: a jar and the text of RFC 6265bis", function()
  it("take the same and send the same", function()
    local first = SEED or os.time() * 1000
    local taken, found = 0, 0
    for seed = first, first + RUNS - 1 do
      local t, f = play(seed)
      taken, found = taken + t, found + f
    end
    -- Lines that are all refused, or never come back, would prove nothing.
    assert.is_true(SEED or (taken > 5 * RUNS and found > 5 * RUNS), taken .. " " .. found)
  end)
end)
