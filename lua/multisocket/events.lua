-- SPDX-License-Identifier: MIT
--
-- Server-sent events, by the rules of the HTML Standard (html.spec.whatwg.org,
-- 9.2.6): bytes go in as they come, split anywhere, and events come out. It
-- knows no connection and does not come back after one ends.
local charset = require "multisocket.charset"

local events = {}

-- Bytes of one event, or of a line that does not end: what waits in memory. The
-- largest that are seen are answers of language models, well below it.
events.MOST = 4 * 1024 * 1024

-- Longer numbers are no time anybody waits: 15 digits are 30,000 years.
local RETRY_DIGITS = 15

---@class multisocket.Event
---@field event string its type, "message" where none was sent
---@field data string lines with "\n" between
---@field id string the id last sent, of this event or one before; "" for none
---@field retry integer? ms to wait before connecting again, when that was sent since the last event

---@class multisocket.EventParser
---@field ready multisocket.Event[] parsed and not taken yet
local Parser = {}
Parser.__index = Parser

---@return multisocket.EventParser
function events.parser()
  return setmetatable({ ready = {}, first = 1, last = 0, rest = "", pieces = {}, size = 0,
    lines = {}, bytes = 0, id = "", at_start = true, after_cr = false }, Parser)
end

-- Forgets the event in progress; what it said of ids and times stays.
local function clear(self)
  self.lines, self.type, self.bytes = {}, nil, 0
end

local function dispatch(self)
  if #self.lines > 0 then
    self.last = self.last + 1
    self.ready[self.last] = { event = self.type or "message", data = table.concat(self.lines, "\n"),
      id = self.id, retry = self.retry }
    self.retry = nil
  end
  clear(self)
end

local FIELDS = {
  data = function(self, value) self.lines[#self.lines + 1] = value end,
  event = function(self, value) self.type = value ~= "" and value or nil end,
  id = function(self, value)
    if not value:find("\0", 1, true) then self.id = value end
  end,
  retry = function(self, value)
    if value:find("^%d+$") and #value <= RETRY_DIGITS then self.retry = math.tointeger(value) end
  end,
}

-- A whole line, without its end. Comments have the empty name.
local function take_line(self, line)
  if line == "" then return dispatch(self) end
  local name, value = line:match("^([^:]*):? ?(.*)$")
  local field = FIELDS[name]
  if not field then return end -- a comment: some servers send nothing else for hours
  self.bytes = self.bytes + #line
  field(self, charset.clean(value))
end

-- The byte order mark that may stand before everything, and may come in pieces.
-- Nil: it is not known yet whether it is there.
local function without_mark(self, text)
  if not self.at_start then return text end
  text = self.rest .. text
  self.rest = ""
  if #text < 3 and ("\xEF\xBB\xBF"):sub(1, #text) == text then
    self.rest = text
    return nil
  end
  self.at_start = false
  return text:sub(1, 3) == "\xEF\xBB\xBF" and text:sub(4) or text
end

local function keep(self, piece)
  if piece == "" then return end
  self.pieces[#self.pieces + 1] = piece
  self.size = self.size + #piece
end

local function joined(self, tail)
  if #self.pieces == 0 then return tail end
  keep(self, tail)
  local line = table.concat(self.pieces)
  self.pieces, self.size = {}, 0
  return line
end

---Takes what came.
---@param text string
---@return boolean fits false: an event is larger than events.MOST
function Parser:feed(text)
  text = without_mark(self, text)
  local at = 1
  while text and at <= #text do
    local stop = text:find("[\r\n]", at)
    if self.after_cr and stop == at and text:byte(at) == 10 then
      self.after_cr, at = false, at + 1 -- the second half of a line's end
    elseif not stop then
      self.after_cr = false
      keep(self, text:sub(at))
      break
    else
      take_line(self, joined(self, text:sub(at, stop - 1)))
      self.after_cr = text:byte(stop) == 13
      at = stop + 1
    end
    if self.bytes > events.MOST then return false end
  end
  return self.size + self.bytes <= events.MOST
end

---The next event that is whole; nil when more has to come. What the stream ends
---in the middle of is none.
---@return multisocket.Event?
function Parser:next()
  if self.first > self.last then return nil end
  local event = self.ready[self.first]
  self.ready[self.first] = nil
  self.first = self.first + 1
  return event
end

return events
