-- SPDX-License-Identifier: MIT
--
-- Saving a body that may come in several fetches. What is there of `path` is in
-- `path.part` until it is whole. Beside it, `path.part.tag` says of what it is
-- the beginning: the strongest name that the server gave it (its ETag, or the
-- date of its last change), and the URL. The next fetch asks for the rest of
-- just that; when it is something else by now, everything comes again.
--
-- A part of something that has no such name is not kept.
local core = require "multisocket.core"
local sink = require "multisocket.sink"

local resume = {}

---@class multisocket.Download
---@field path string
---@field url string
---@field part string
---@field tag string
---@field validator string? what is there is the beginning of this
---@field from integer? and so many bytes

local function read_tag(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local _ <close> = file
  return file:read("l", "l")
end

local function size_of(path)
  local file = io.open(path, "rb")
  if not file then return 0 end
  local _ <close> = file
  return file:seek("end") or 0
end

---What is there of it.
---@param path string
---@param url string
---@return multisocket.Download
function resume.plan(path, url)
  url = core.shown_url(url) -- no password in a file that anybody may read
  local self = { path = path, url = url, part = path .. ".part", tag = path .. ".part.tag" }
  local validator, of = read_tag(self.tag)
  local size = size_of(self.part)
  if validator and of == url and size > 0 then self.validator, self.from = validator, size end
  return self
end

---The options of the next fetch. Bytes are kept as they come, so they may not be
---coded.
---@param self multisocket.Download
---@return table
function resume.options(self)
  return { decompress = false, range = self.from and { self.from } or nil,
    headers = self.from and { ["If-Range"] = self.validator } or nil }
end

---Forgets what is there.
---@param self multisocket.Download
function resume.forget(self)
  os.remove(self.part)
  os.remove(self.tag)
  self.from, self.validator = nil, nil
end

-- What the response is called, strongly enough for If-Range (RFC 9110, 13.1.5):
-- no weak ETag, and a date only if something later could not have it, too.
local function validator_of(res)
  local etag, changed = res.headers.etag, res.headers["last-modified"]
  if etag and etag:find('^"') then return etag end
  local date = res.headers.date
  return changed and date and date ~= changed and changed or nil
end

-- The length of everything, when it is known.
local function total_of(res)
  local total = res.status == 206 and res.headers["content-range"]:match("/(%d+)$")
    or res.status == 200 and res.headers["content-length"]
  return math.tointeger(tonumber(total))
end

-- Opens the part, at its end or empty; says beforehand what it will be a part of.
local function open(self, res)
  if res.status == 206 then return io.open(self.part, "ab") end
  resume.forget(self)
  self.validator = validator_of(res)
  if self.validator then
    local tag, why, errno = io.open(self.tag, "wb")
    if not tag then return nil, why, errno end
    tag:write(self.validator, "\n", self.url, "\n")
    tag:close()
  end
  return io.open(self.part, "wb")
end

local function finish(self, res, file)
  local size, total = file:seek("end"), total_of(res)
  local ok, why, errno = file:close()
  if ok and total and size ~= total then
    return nil, sink.failed(res, "unexpected_eof", "protocol",
      ("%d of %d bytes came"):format(size, total))
  end
  if ok then ok, why, errno = os.rename(self.part, self.path) end
  if not ok then return nil, sink.not_written(res, why, errno) end
  os.remove(self.tag)
  return true
end

-- What is no continuation must not be put behind what is there.
local function is_unasked(self, res) return res.status == 206 and not self.from end

local function is_other(self, res)
  local etag = res.headers.etag
  return res.status == 206 and etag and self.validator:find('^"') and etag ~= self.validator
end

---Takes the body of a 200 or 206; that of any other status is passed over.
---@param self multisocket.Download
---@param res multisocket.Response
---@return boolean?
---@return multisocket.Error? err what came is kept for the next time
function resume.save(self, res)
  if res.status ~= 200 and res.status ~= 206 then return sink.discard(res) end
  if is_unasked(self, res) then
    res:cancel("it is a part that nobody asked for")
    return nil, sink.failed(res, "bad_response", "protocol",
      "a part, and all of it was asked for")
  end
  if is_other(self, res) then
    resume.forget(self)
    res:cancel("it is of something else")
    return nil, sink.failed(res, "bad_response", "protocol",
      "the rest of something else than was asked for")
  end
  local file, why, errno = open(self, res)
  if not file then
    res:cancel("it could not be written")
    return nil, sink.not_written(res, why, errno)
  end
  local _ <close> = setmetatable({}, { __close = function()
    if io.type(file) == "file" then file:close() end
    if not self.validator then os.remove(self.part) end
  end })
  local ok, err = sink.drain(res, file)
  if not ok then return nil, err end
  return finish(self, res, file)
end

return resume
