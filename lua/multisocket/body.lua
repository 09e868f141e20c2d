-- SPDX-License-Identifier: MIT
--
-- Turns the options `query`, `json` and `form` into bytes.
local errors = require "multisocket.errors"

local body = {}

-- RFC 3986, 2.3: what needs no escape anywhere in a URL.
local RESERVED = "[^%w%-%._~]"
-- The same for forms as the URL standard has it, with "+" for a space.
local FORM_RESERVED = "[^%w%-%._%* ]"

local function escape_byte(c)
  return ("%%%02X"):format(c:byte())
end

local function escape_query(text)
  return (text:gsub(RESERVED, escape_byte))
end

local function escape_form(text)
  return (text:gsub(FORM_RESERVED, escape_byte):gsub(" ", "+"))
end

-- The shortest of two that reads back as the same number.
local function float_text(value)
  local text = ("%.14g"):format(value)
  return tonumber(text) == value and text or ("%.17g"):format(value)
end

---A string, or a number as text.
---@param value any
---@param what string the option it is in
---@param name string its own
---@return string
function body.value(value, what, name)
  if type(value) == "string" then return value end
  if type(value) == "number" then
    local whole = math.tointeger(value)
    if whole then return ("%d"):format(whole) end
    if value - value == 0 then return float_text(value) end
    return errors.usage("bad_option", '%s "%s" must be a finite number, not %s', what, name, value)
  end
  return errors.usage("bad_option",
    '%s "%s" must be a string, a number or a list of these, not a %s', what, name, type(value))
end

-- Calls each(name, value) for one field, which may have a list of values.
local function each_value(name, value, what, each)
  if type(name) ~= "string" then
    errors.usage("bad_option", "%s names must be strings, not a %s", what, type(name))
  end
  if type(value) ~= "table" then return each(name, body.value(value, what, name)) end
  for _, item in ipairs(value) do each(name, body.value(item, what, name)) end
end

-- Fields come as a list of { name, value }, or as a map, which is taken in
-- the order of the names so that equal tables make equal bytes.
local function each_field(fields, what, each)
  errors.check_option(fields, "table", what, "a table or false")
  if type(fields[1]) == "table" then
    for _, pair in ipairs(fields) do
      if type(pair) ~= "table" then
        errors.usage("bad_option", 'option "%s" must be a map, or a list of { name, value }', what)
      end
      each_value(pair[1], pair[2], what, each)
    end
    return
  end
  local names = {}
  for name in pairs(fields) do
    if type(name) ~= "string" then
      errors.usage("bad_option", "%s names must be strings, not a %s", what, type(name))
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do each_value(name, fields[name], what, each) end
end

local function encode(fields, what, escape)
  local list = {}
  each_field(fields, what, function(name, value)
    list[#list + 1] = escape(name) .. "=" .. escape(value)
  end)
  return table.concat(list, "&")
end

---@param fields table map or list of { name, value }
---@return string
function body.form(fields) return encode(fields, "form", escape_form) end

---@param fields table map or list of { name, value }
---@return string
function body.query(fields) return encode(fields, "query", escape_query) end

---Puts a query string behind a URL's own, before its fragment.
---@param url string
---@param query string
---@return string
function body.add_query(url, query)
  if query == "" then return url end
  local start, fragment = url:match("^([^#]*)(.*)$")
  local separator = not start:find("?", 1, true) and "?"
    or start:find("[?&]$") and "" or "&"
  return start .. separator .. query .. fragment
end

-- ---- JSON ------------------------------------------------------------------

local codec -- the module found first, kept

---lua-cjson, else dkjson; raises when neither is installed.
---@return { encode: fun(value: any): string, decode: fun(text: string): any }
function body.json_codec()
  if codec then return codec end
  for _, name in ipairs({ "cjson.safe", "dkjson" }) do
    local found, module = pcall(require, name)
    if found then
      codec = module
      return module
    end
  end
  return errors.usage("no_json", "JSON needs lua-cjson or dkjson, and neither is installed")
end

---@param value any
---@return string
function body.json(value)
  local ok, text, why = pcall(body.json_codec().encode, value)
  if ok and text then return text end
  return errors.usage("bad_option", "the json option cannot be encoded: %s",
    errors.text(ok and why or text))
end

return body
