-- SPDX-License-Identifier: MIT
--
-- The methods of a response that are written in Lua. Its fields are the
-- engine's and are made when they are first asked for.
local core = require "multisocket.core"
local body = require "multisocket.body"
local charset = require "multisocket.charset"
local errors = require "multisocket.errors"
local events = require "multisocket.events"
local sink = require "multisocket.sink"
local stream = require "multisocket.stream"

local response = core.response_methods
local check = core.attached -- raises for what is no response

-- Bytes of one line, unless it is said otherwise: what waits in memory for its
-- end. Records of a line each (logs, bulk exports) are well below it.
local MOST_LINE = 16 * 1024 * 1024

-- An err about the body from a URL: `fmt` has a place for that, and may have
-- more for what follows.
local function body_error(res, code, fmt, ...)
  local url = core.shown_url(res.url)
  return core.error({ category = "body", code = code, message = fmt:format(url, ...),
    phase = "body", url = url, retryable = false })
end

-- What stands in quotes from `at` on, and where that ends; one that is left open
-- goes on to the end.
local function unquote(text, at)
  local value = {}
  while at <= #text and text:byte(at) ~= 34 do
    if text:byte(at) == 92 and at < #text then at = at + 1 end
    value[#value + 1] = text:sub(at, at)
    at = at + 1
  end
  return table.concat(value), at
end

-- The charset that the server names, the first that says anything; nil: none.
-- What looks like one within quotes is none (mimesniff.spec.whatwg.org, 4.4).
local function named_charset(res)
  local header = res.headers["content-type"] or ""
  local at = header:find(";", 1, true)
  while at do
    local name, value
    name, at = header:match("^%s*([^;=]*)()", at + 1)
    local equals, from = header:match("^(=)%s*()", at)
    if equals and header:byte(from) == 34 then
      value, at = unquote(header, from + 1)
    elseif equals then
      value, at = header:match("^([^;]*)()", from)
      value = value:match("^(.-)%s*$")
    end
    if name:lower():find("^charset%s*$") and value and value ~= "" then return value:lower() end
    at = header:find(";", at, true)
  end
end

---What the body is, in lower case and without parameters, such as "text/html",
---and the charset that the server names.
---@return string? type nil: it does not say
---@return string? charset
function response:content_type()
  check(self)
  local kind = (self.headers["content-type"] or ""):match("^%s*([^;%s]+)")
  return kind and kind:lower(), named_charset(self)
end

---When the response was made, by the server's clock.
---@return integer? seconds since 1970; nil: it does not say, or nothing that is a date
function response:date()
  check(self)
  local text = self.headers.date
  return text and core.http_date(text)
end

---The body as UTF-8: from the charset that a byte order mark or else the server
---tells, UTF-8 when none does. What means nothing in it becomes U+FFFD.
---@return string?
---@return multisocket.Error? err the body was not collected, or its charset is not known
function response:text()
  check(self)
  local body_text = self.body
  if not body_text then
    return nil, body_error(self, "decode_failed",
      "the body from %s was not collected: it went to on_data, a sink or whoever reads it")
  end
  local label = named_charset(self)
  local text = charset.decode(body_text, label)
  if text then return text end
  return nil, body_error(self, "decode_failed",
    'the body from %s is in the charset "%s", which is not known', label)
end

-- Decoders differ: cjson.safe gives nil, why; dkjson nil, position, why; others
-- raise.
local function decode(decoder, text)
  local result = table.pack(pcall(decoder, text))
  if not result[1] then return nil, result[2] end
  if result[2] == nil and result.n > 2 then
    local why = type(result[4]) == "string" and result[4] or result[3]
    if why ~= nil then return nil, why end
  end
  return result[2]
end

---The body as JSON, by lua-cjson or else dkjson, or by a decoder of yours.
---@param decoder? fun(text: string): any
---@return any
---@return multisocket.Error? err
function response:json(decoder)
  check(self)
  if decoder ~= nil then errors.check_type(decoder, "function", "the decoder") end
  local text, err = self:text()
  if not text then return nil, err end
  local value, why = decode(decoder or body.json_codec().decode, text)
  if why == nil then return value end
  local failure = body_error(self, "decode_failed", "the body from %s is not JSON: %s",
    errors.text(why))
  failure.cause = why
  return nil, failure
end

---Returns the response, or raises an err of code "status" when its status is
---400 or more.
---@return multisocket.Response
function response:raise_for_status()
  check(self)
  if self.status >= 400 then error(errors.status(self), 0) end
  return self
end

-- ---- reading ---------------------------------------------------------------

local ALL = math.maxinteger

-- Up to `most` bytes of the body of `res`. Who waits here keeps `res`: a
-- response that nobody has any more ends its transfer, so whatever reads goes
-- through here, and none of it by a tail call.
local function next_of(res, most)
  local chunk, err = stream.of(res):next(most)
  return chunk, err
end

local function read_all(res)
  stream.of(res):check_can_read()
  local chunks, n = {}, 0
  while true do
    local chunk, err = next_of(res, ALL)
    if not chunk then
      if err then return nil, err end
      return n > 0 and table.concat(chunks) or nil
    end
    n = n + 1
    chunks[n] = chunk
  end
end

---What is there of the body, at least a byte; waits for it. With a number not
---more than that, with "a" everything. Nil at the end.
---@param how? integer|"a"
---@return string?
---@return multisocket.Error? err it ended early
function response:read(how)
  if how == "a" then return read_all(self) end
  if how == nil then return next_of(self, ALL) end
  if math.type(how) ~= "integer" or how < 1 then
    errors.usage("bad_argument", 'read takes a number of bytes or "a", not %s', errors.text(how))
  end
  return next_of(self, how)
end

-- Leaving the loop early ends the transfer, unless it is left because nobody
-- can read here: that raises, and the transfer goes on.
local Loop = {}

function Loop.__close(guard)
  if not guard.reading then stream.of(guard.res):cancel("the loop over it was left") end
end

-- What a generic for takes: read(res, state) for each turn. After an err there
-- is nothing more.
local function loop(res, read, state)
  local guard = setmetatable({ res = res, reading = false }, Loop)
  local function advance()
    if state.err then error(state.err, 0) end
    guard.reading = true
    local piece, err = read(res, state)
    guard.reading = false
    if not err then return piece end
    state.err = err
    error(err, 0)
  end
  return advance, nil, nil, guard
end

local function next_chunk(res)
  local chunk, err = next_of(res, ALL)
  return chunk, err
end

---An iterator over the body as it comes. It raises the err of a body that
---ends early; leaving the loop ends the transfer.
---@return fun(): string?
function response:chunks()
  check(self)
  return loop(self, next_chunk, {})
end

-- The line that was found, without its end.
local function take_line(state)
  local line = table.concat(state.pieces)
  state.pieces, state.size, state.open = {}, 0, 0
  return line:byte(-1) == 13 and line:sub(1, -2) or line
end

-- The next line of the body. What was read is `state.text`, of which the part
-- from `state.at` on is still to be looked at; the pieces found of a line,
-- `state.size` bytes, stay in `state.pieces` when the rest of it cannot be
-- waited for. `state.open` of those bytes are a "\r" that may be its end's.
local function next_line(res, state)
  local pieces = state.pieces
  while true do
    if not state.text then
      local text, err = next_of(res, ALL)
      if err then return nil, err end
      if not text then break end
      state.text, state.at = text, 1
    end
    local text, at = state.text, state.at
    local stop = text:find("\n", at, true)
    local piece = text:sub(at, stop and stop - 1)
    pieces[#pieces + 1], state.size = piece, state.size + #piece
    if piece ~= "" then state.open = piece:byte(-1) == 13 and 1 or 0 end
    if state.size - state.open > state.most then
      state.pieces, state.text = nil, nil
      return nil, body_error(res, "body_too_large", "a line from %s is longer than %d bytes",
        state.most)
    end
    state.text, state.at = stop and stop < #text and text or nil, stop and stop + 1
    if stop then return take_line(state) end
  end
  state.pieces, state.size = {}, 0
  return #pieces > 0 and table.concat(pieces) or nil
end

---The same in lines, without their ends ("\n" or "\r\n"). One of more than
---`most` bytes is an err of code "body_too_large", which is raised.
---@param most? integer default 16 MiB
---@return fun(): string?
function response:lines(most)
  check(self)
  if most ~= nil and (math.type(most) ~= "integer" or most < 1) then
    errors.usage("bad_argument", "lines takes a number of bytes, not %s", errors.text(most))
  end
  return loop(self, next_line, { pieces = {}, size = 0, open = 0, most = most or MOST_LINE })
end

-- The next event of the body; what was read and not taken yet is in
-- `state.parser`.
local function next_event(res, state)
  local parser = state.parser
  while true do
    local event = parser:next()
    if event then return event end
    if state.full then
      return nil, body_error(res, "body_too_large", "an event from %s is larger than %d bytes",
        events.MOST)
    end
    local text, err = next_of(res, ALL)
    if not text then return nil, err end
    state.full = not parser:feed(text)
  end
end

---An iterator over the server-sent events of the body, as they come. It raises
---the err of a body that ends early; leaving the loop ends the transfer.
---@return fun(): multisocket.Event?
function response:events()
  check(self)
  return loop(self, next_event, { parser = events.parser() })
end

---Writes the body to a file, which is there when all of it is.
---@param path string
---@return boolean?
---@return multisocket.Error? err
function response:save(path)
  check(self)
  errors.check_type(path, "string", "the path")
  return sink.drain(self, path)
end

---Reads the rest of the body and forgets it, so that the connection can be
---used again.
---@return boolean?
---@return multisocket.Error? err
function response:discard()
  return sink.discard(self)
end

---Ends the transfer; what was not read yet is gone.
---@param reason? any
function response:cancel(reason)
  stream.of(self):cancel(reason)
end

return response
