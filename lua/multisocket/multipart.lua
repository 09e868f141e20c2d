-- SPDX-License-Identifier: MIT
--
-- The option `multipart`: a form whose fields may be files, as browsers send
-- it (multipart/form-data, RFC 7578, names written as the HTML standard has
-- them). What comes from files or functions is read while it is sent; a form
-- that is all text is a body like any other.
local body = require "multisocket.body"
local errors = require "multisocket.errors"
local loop = require "multisocket.loop"
local upload = require "multisocket.upload"

local multipart = {}

local PART = { name = "string", value = true, data = true, path = "string", filename = "string",
  content_type = "string", headers = "table" }

-- By the end of a file's name; all others are bytes.
local TYPES = { css = "text/css", csv = "text/csv", gif = "image/gif", gz = "application/gzip",
  htm = "text/html", html = "text/html", jpeg = "image/jpeg", jpg = "image/jpeg",
  js = "text/javascript", json = "application/json", md = "text/markdown", mp3 = "audio/mpeg",
  mp4 = "video/mp4", pdf = "application/pdf", png = "image/png", svg = "image/svg+xml",
  txt = "text/plain", webp = "image/webp", xml = "application/xml", zip = "application/zip" }
local BYTES = "application/octet-stream"

-- Those that would say what is said already.
local OURS = { ["content-disposition"] = "name and filename", ["content-type"] = "content_type" }

local function bad(...) return errors.usage("bad_option", ...) end

-- ---- the head of a part ----------------------------------------------------

local ESCAPES = { ['"'] = "%22", ["\r"] = "%0D", ["\n"] = "%0A" }

-- HTML, "escape a multipart/form-data name".
local function escape(text) return (text:gsub('["\r\n]', ESCAPES)) end

-- The same standard has line ends in names be CRLF, whatever they were.
local function escape_name(text)
  return escape((text:gsub("\r\n", "\n"):gsub("\r", "\n"):gsub("\n", "\r\n")))
end

local function check_line(text, what)
  if text:find("[%c\127]") then bad("%s of a part has a control character", what) end
  return text
end

local function header_lines(headers)
  local names, lines = {}, {}
  for name, value in pairs(headers) do
    if type(name) ~= "string" or type(value) ~= "string" then
      bad("headers of a part must be a map of strings to strings")
    end
    if not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      bad('headers of a part cannot have the name "%s"', name)
    end
    if OURS[name:lower()] then bad("%s of a part is given by %s", name, OURS[name:lower()]) end
    check_line(value, name)
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do lines[i] = ("%s: %s\r\n"):format(name, headers[name]) end
  return table.concat(lines)
end

local function type_of(part, filename)
  if part.content_type then return check_line(part.content_type, "content_type") end
  if part.value ~= nil then return nil end
  local ending = filename and filename:match("%.(%w+)$")
  return ending and TYPES[ending:lower()] or BYTES
end

local function filename_of(part)
  if part.filename then return part.filename end
  if part.path then return part.path:match("[^/]*$") end
  return part.data ~= nil and "blob" or nil -- as for a Blob without a name
end

local function head(part)
  local filename = filename_of(part)
  local content_type = type_of(part, filename)
  return ('Content-Disposition: form-data; name="%s"%s\r\n%s%s\r\n'):format(
    escape_name(part.name), filename and ('; filename="%s"'):format(escape(filename)) or "",
    content_type and ("Content-Type: %s\r\n"):format(content_type) or "",
    part.headers and header_lines(part.headers) or "")
end

-- ---- what is in it ---------------------------------------------------------

local function check_part(part, i)
  if type(part) ~= "table" then
    bad("part %d of multipart must be a table, not %s", i, type(part))
  end
  for name, value in pairs(part) do
    local wanted = PART[name]
    if not wanted then errors.unknown_option(name, PART) end
    if wanted ~= true and type(value) ~= wanted then
      bad('"%s" of part %d of multipart must be a %s, not %s', name, i, wanted, type(value))
    end
  end
  if not part.name then bad("part %d of multipart has no name", i) end
  local count = 0
  for _, name in ipairs({ "value", "data", "path" }) do
    count = count + (part[name] ~= nil and 1 or 0)
  end
  if count ~= 1 then bad("part %d of multipart must have one of value, data and path", i) end
end

-- A string, or a source.
local function content(part, i)
  if part.path then return upload.source({ path = part.path }) end
  if part.data ~= nil then
    if type(part.data) == "string" then return part.data end
    if type(part.data) == "function" or io.type(part.data) == "file" then
      return upload.source(part.data)
    end
    return bad('"data" of part %d of multipart must be a string, a file or a function, not %s', i,
      io.type(part.data) or type(part.data))
  end
  return body.value(part.value, "multipart", part.name)
end

-- ---- the whole -------------------------------------------------------------

-- Nobody who wrote what is in the form can have guessed it.
local function new_boundary()
  local bytes = loop.get().random(16)
  return "----multisocket" .. bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
end

-- Strings and sources by turns, no two strings one behind the other.
local function pieces_of(parts, boundary)
  local pieces, text = {}, {}
  local function flush()
    if #text > 0 then pieces[#pieces + 1] = table.concat(text) end
    text = {}
  end
  for i, part in ipairs(parts) do
    check_part(part, i)
    text[#text + 1] = ("--%s\r\n%s"):format(boundary, head(part))
    local what = content(part, i)
    if type(what) == "table" then
      flush()
      pieces[#pieces + 1] = what
    else
      text[#text + 1] = what
    end
    text[#text + 1] = "\r\n"
  end
  text[#text + 1] = ("--%s--\r\n"):format(boundary)
  flush()
  return pieces
end

-- How long all of it is, if that is known, and whether it can be sent again.
local function measure(pieces)
  local length, rewinds = 0, true
  for _, piece in ipairs(pieces) do
    local own = type(piece) == "string" and #piece or piece.length
    length = length and own and length + own
    rewinds = rewinds and (type(piece) == "string" or piece.rewinds)
  end
  return length or nil, rewinds
end

-- Gives one piece after the other; what is open then is closed by the second
-- function.
local function open(pieces)
  local at, read, close = 0, nil, nil
  local function close_one()
    local fn = close
    read, close = nil, nil
    if fn then fn() end
  end
  local function next_piece()
    while true do
      if read then
        local data, err, errno = read()
        if data ~= nil or err ~= nil then return data, err, errno end
        close_one()
      end
      at = at + 1
      local piece = pieces[at]
      if type(piece) ~= "table" then return piece end
      read, close = piece.open()
    end
  end
  return next_piece, close_one
end

---What the option stands for: a body, or what produces one, and its type.
---@param parts table
---@return string? text when all of it is
---@return multisocket.Source? source otherwise
---@return string content_type
function multipart.body(parts)
  errors.check_option(parts, "table", "multipart", "a list of parts or false")
  if #parts == 0 and next(parts) ~= nil then bad("multipart must be a list of parts") end
  local boundary = new_boundary()
  local pieces = pieces_of(parts, boundary)
  local content_type = "multipart/form-data; boundary=" .. boundary
  if #pieces == 1 then return pieces[1], nil, content_type end
  local length, rewinds = measure(pieces)
  return nil, { length = length, rewinds = rewinds, open = function() return open(pieces) end },
    content_type
end

return multipart
