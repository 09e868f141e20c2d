-- SPDX-License-Identifier: MIT
--
-- Server-sent events made at random, in random pieces, against a reader that
-- follows the words of the HTML Standard (9.2.5 and 9.2.6) on the whole text at
-- once. SEED and COUNT choose others.
local charset = require "multisocket.charset"
local events = require "multisocket.events"

local COUNT = tonumber(os.getenv("COUNT")) or 4000
local SEED = tonumber(os.getenv("SEED")) or 1

local PIECES = { "data", "event", "id", "retry", "Data", "x", ":", ":", ": ", ":  ", " ", "\t",
  "\n", "\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", "0", "12", "99999999999999999999", "\0",
  "\xEF\xBB\xBF", "\u{e4}", "\u{1F600}", "\xE4", "\xF0\x9F", "\xED\xA0\x80",
  "data: a\n", "data:b\r\n", "data\n\n", "data: c\r\r", "event: e\n", "id: b\r", "id\n",
  "retry: 7\n" }

local function make(random)
  local t = {}
  for i = 1, random(0, 24) do t[i] = PIECES[random(#PIECES)] end
  return table.concat(t)
end

-- The whole text, as the standard has it.
local function read(text)
  local list, data, kind, id, retry = {}, "", "", "", nil
  text = charset.clean(text):gsub("^\xEF\xBB\xBF", ""):gsub("\r\n", "\n"):gsub("\r", "\n")
  local fields = {
    event = function(value) kind = value end,
    data = function(value) data = data .. value .. "\n" end,
    id = function(value) if not value:find("\0", 1, true) then id = value end end,
    retry = function(value)
      if value:find("^[0-9]+$") and #value < 16 then retry = math.tointeger(value) end
    end,
  }
  local function dispatch()
    if data ~= "" then
      list[#list + 1] = { event = kind ~= "" and kind or "message", data = data:sub(1, -2), id = id,
        retry = retry }
      retry = nil
    end
    data, kind = "", ""
  end
  for line in text:gmatch("([^\n]*)\n") do
    local colon = line:find(":", 1, true)
    local name = colon and line:sub(1, colon - 1) or line
    local value = colon and line:sub(colon + 1):gsub("^ ", "") or ""
    if line == "" then dispatch() elseif fields[name] then fields[name](value) end
  end
  return list
end

local function parse(text, cut)
  local parser, list, at = events.parser(), {}, 1
  while at <= #text do
    local n = cut()
    assert.is_true(parser:feed(text:sub(at, at + n - 1)))
    for event in function() return parser:next() end do list[#list + 1] = event end
    at = at + n
  end
  return list
end

local function same(a, b)
  if #a ~= #b then return false end
  for i, x in ipairs(a) do
    for _, name in ipairs({ "event", "data", "id", "retry" }) do
      if x[name] ~= b[i][name] then return false end
    end
  end
  return true
end

describe("random events", function()
  it("are read as the standard reads them", function()
    local state, seen = SEED, 0
    local function random(from, to)
      state = (state * 6364136223846793005 + 1442695040888963407)
      if not to then from, to = 1, from end
      return from + (state >> 33) % (to - from + 1)
    end
    for _ = 1, COUNT do
      local text = make(random)
      local want = read(text)
      seen = seen + #want
      local most = random(1, 12)
      for _, cut in ipairs({ function() return #text end, function() return 1 end,
        function() return random(1, most) end }) do
        local got = parse(text, cut)
        if not same(want, got) then
          error(("%q\nwant %s\ngot %s"):format(text, require("cjson").encode(want),
            require("cjson").encode(got)))
        end
      end
    end
    assert.is_true(seen > COUNT / 10, ("only %d events"):format(seen))
  end)
end)
