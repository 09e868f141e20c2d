-- SPDX-License-Identifier: MIT
--
-- The methods of a response that are written in Lua. Its fields are the
-- engine's and are made when they are first asked for.
local core = require "multisocket.core"
local body = require "multisocket.body"
local errors = require "multisocket.errors"

local response = core.response_methods

local BOM = "\xEF\xBB\xBF"
local LATIN1 = { ["iso-8859-1"] = true, ["latin1"] = true, ["iso8859-1"] = true }
local NO_BODY = "the body was not collected: it went to on_data"

local function body_error(res, message, cause)
  return core.error({ category = "body", code = "decode_failed", message = message, cause = cause,
    phase = "body", url = res.url, retryable = false })
end

local function charset(res)
  local header = res.headers["content-type"] or ""
  return (header:lower():match(';%s*charset%s*=%s*"?([^%s;"]+)') or "utf-8")
end

---The body as UTF-8: without a byte order mark, and converted when the server
---says it is ISO-8859-1. Other charsets are left as they are.
---@return string?
---@return multisocket.Error? err the body was not collected
function response:text()
  local text = self.body
  if not text then return nil, body_error(self, NO_BODY) end
  if LATIN1[charset(self)] then
    return (text:gsub("[\x80-\xFF]", function(c) return utf8.char(c:byte()) end))
  end
  return text:sub(1, 3) == BOM and text:sub(4) or text
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
  if decoder ~= nil then errors.check_type(decoder, "function", "the decoder") end
  local text, err = self:text()
  if not text then return nil, err end
  local value, why = decode(decoder or body.json_codec().decode, text)
  if why == nil then return value end
  return nil, body_error(self, ("the body from %s is not JSON: %s"):format(self.url,
    tostring(why)), why)
end

---Returns the response, or raises an err of code "status" when its status is
---400 or more.
---@return multisocket.Response
function response:raise_for_status()
  if self.status >= 400 then error(errors.status(self), 0) end
  return self
end

return response
