-- SPDX-License-Identifier: MIT
--
-- The err tables that Lua code makes: all of them come from core.error, so
-- they look and print like the engine's own. Expected failures are returned,
-- misuse is raised with `usage`.
local core = require "multisocket.core"

local errors = {}

-- A suggestion further away than this is a guess, not a typing error.
local MAX_DISTANCE = 2

---Raises an err of category "usage".
---@param code string
---@param fmt string
---@param ... any
function errors.usage(code, fmt, ...)
  error(core.error({ category = "usage", code = code, message = fmt:format(...) }), 0)
end

---A value as text for a message: whatever its metamethods do, it is a string.
---@param value any
---@return string
function errors.text(value)
  local ok, text = pcall(tostring, value)
  return ok and text or "(" .. type(value) .. " value)"
end

---Raises unless the value of an option has the Lua type `wanted`, in the words
---of the engine's own options.
---@param value any
---@param wanted string
---@param name string of the option
---@param words string? what would be right, default "a <wanted>"
function errors.check_option(value, wanted, name, words)
  if type(value) == wanted then return end
  errors.usage("bad_option", 'option "%s" must be %s, not %s', name, words or "a " .. wanted,
    type(value))
end

---Raises unless `value` has the Lua type `wanted`.
---@param value any
---@param wanted string
---@param what string how the message names the value
function errors.check_type(value, wanted, what)
  if type(value) == wanted then return end
  errors.usage("bad_argument", "%s must be a %s, not %s", what, wanted,
    value == nil and "nil" or "a " .. type(value))
end

---Raises because a method was called on something else.
---@param self any
---@param wanted string
function errors.wrong_self(self, wanted)
  errors.usage("bad_argument", "argument #1 must be %s, not %s: call methods with a colon", wanted,
    type(self))
end

---A whole number of milliseconds, rounded up; raises for anything else.
---@param value any
---@param what string
---@return integer
function errors.check_ms(value, what)
  errors.check_type(value, "number", what)
  local rounded = value >= 0 and math.tointeger(math.ceil(value))
  if not rounded then
    errors.usage("bad_argument", "%s must be a time in ms, not %s", what, value)
  end
  return rounded
end

---@param reason any what :cancel() was given
---@param what string
---@return multisocket.Error
function errors.cancelled(reason, what)
  local message = what .. " was cancelled"
  if type(reason) == "string" then message = message .. ": " .. reason end
  return core.error({ category = "cancelled", code = "cancelled", message = message,
    cause = reason, retryable = false })
end

---@param message string
---@return multisocket.Error
function errors.timed_out(message)
  return core.error({ category = "timeout", code = "timed_out", message = message,
    retryable = false })
end

-- Statuses of servers that may answer better soon, and methods that may be
-- asked again: the defaults of the option retry.
local PASSING = { [408] = true, [429] = true, [502] = true, [503] = true, [504] = true }
local IDEMPOTENT = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true,
  TRACE = true }

---The err of a response with a status of 400 or more.
---@param res multisocket.Response
---@return multisocket.Error
function errors.status(res)
  local line = ("%d %s"):format(res.status, res.reason):gsub(" $", "")
  local url = core.shown_url(res.url)
  return core.error({ category = "http", code = "status", url = url, response = res,
    message = ("the server answered %s for %s"):format(line, url), phase = "body",
    attempts = res.attempts,
    retryable = (PASSING[res.status] and IDEMPOTENT[res.request.method]) == true })
end

-- Typing errors between two words: letters left out, added or changed, and
-- neighbours that changed places.
local function distance(a, b)
  local before, last, row = {}, {}, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, last, row = last, row, before
  end
  return last[#b]
end

---Raises for an option name that is not a key of `known`, and names the
---nearest one that is.
---@param name any
---@param known table<string, any>
function errors.unknown_option(name, known)
  if type(name) ~= "string" then
    errors.usage("bad_option", "option names are strings, not a %s", type(name))
  end
  local best, nearest = MAX_DISTANCE + 1, nil
  for other in pairs(known) do
    local d = distance(name, other)
    if d < best or d == best and nearest and other < nearest then best, nearest = d, other end
  end
  local hint = nearest and (' (did you mean "%s"?)'):format(nearest) or ""
  errors.usage("bad_option", 'unknown option "%s"%s', name, hint)
end

---Raises for the first key of `opts` that is not a key of `known`.
---@param opts table?
---@param known table<string, any>
function errors.check_options(opts, known)
  if opts == nil then return end
  errors.check_type(opts, "table", "options")
  for name in pairs(opts) do
    if known[name] == nil then errors.unknown_option(name, known) end
  end
end

return errors
