-- SPDX-License-Identifier: MIT
--
-- Where a body goes that is not read by hand: a path, an open file, a function.
local core = require "multisocket.core"
local errors = require "multisocket.errors"
local stream = require "multisocket.stream"

-- Bytes asked for at a time: whatever has come.
local ALL = math.maxinteger
-- What is being written has this added to its name until it is whole.
local PART = ".part"

local sink = {}

local function is_file(value)
  return io.type(value) == "file"
end

-- { path =, resume = }, for a body that may come in several fetches.
local function check_download(value)
  errors.check_options(value, { path = true, resume = true })
  errors.check_option(value.path, "string", "sink.path")
  if value.resume ~= nil then errors.check_option(value.resume, "boolean", "sink.resume") end
  return value.resume and value or value.path
end

---@param value any
---@return any value
function sink.check(value)
  if type(value) == "table" then return check_download(value) end
  if type(value) == "string" or type(value) == "function" or is_file(value) then return value end
  return errors.usage("bad_option",
    "sink must be a path, an open file, a function or { path = ... }, not %s",
    io.type(value) or type(value))
end

---The err of a body that could not be saved.
function sink.failed(res, code, category, why, cause)
  return core.error({ category = category, code = code, message = why, cause = cause,
    phase = "body", url = core.shown_url(res.url), retryable = false, attempts = res.attempts })
end

---The err of a file that could not be written, by what the function of io said.
---@param why string
---@param errno integer?
function sink.not_written(res, why, errno)
  local err = sink.failed(res, "save_failed", "body", "cannot write: " .. why, why)
  err.errno = errno
  return err
end

-- A sink that waits may be closed there, and then nobody reads on.
local Pour = {}

function Pour.__close(guard)
  if not guard.reading then guard.source:cancel("its sink was closed") end
end

-- Hands every chunk to write(chunk), which returns an err when it fails; that
-- ends the transfer.
local function pour(res, write)
  local source = stream.of(res)
  source:check_can_read()
  local guard <close> = setmetatable({ source = source, reading = false }, Pour)
  while true do
    guard.reading = true
    local chunk, err = source:next(ALL)
    guard.reading = false
    if not chunk then
      if err then return nil, err end
      return true
    end
    err = write(chunk)
    if err then
      source:cancel("it could not be written")
      return nil, err
    end
  end
end

local function to_file(res, file)
  return pour(res, function(chunk)
    local ok, why, errno = file:write(chunk)
    if not ok then return sink.not_written(res, why, errno) end
  end)
end

local function to_function(res, fn)
  return pour(res, function(chunk)
    local ok, cause, refusal = pcall(fn, chunk)
    if ok and cause == nil and refusal ~= nil then
      return sink.failed(res, "save_failed", "body", "the sink failed: " .. errors.text(refusal),
        refusal)
    end
    if ok then return end
    local why = "the sink raised: " .. errors.text(cause)
    return sink.failed(res, "callback_error", "callback", why, cause)
  end)
end

-- Written beside its place and moved there when it is whole: who looks at the
-- path finds all of it or what was there before.
local function to_path(res, path)
  local file, why, errno = io.open(path .. PART, "wb")
  if not file then
    stream.of(res):cancel("it could not be written")
    return nil, sink.not_written(res, why, errno)
  end
  local _ <close> = setmetatable({}, { __close = function()
    if io.type(file) == "file" then -- given up, or it failed
      file:close()
      os.remove(path .. PART)
    end
  end })
  local ok, err = to_file(res, file)
  if not ok then return nil, err end
  ok, why, errno = file:close()
  if ok then ok, why, errno = os.rename(path .. PART, path) end
  if ok then return true end
  os.remove(path .. PART)
  return nil, sink.not_written(res, why, errno)
end

---Takes the rest of the body; true when all of it went there.
---@param res multisocket.Response
---@param target string|file*|fun(chunk: string) a path, an open file, a function
---@return boolean?
---@return multisocket.Error? err
function sink.drain(res, target)
  if type(target) == "string" then return to_path(res, target) end
  if type(target) == "function" then return to_function(res, target) end
  return to_file(res, target)
end

---Reads the rest and forgets it.
---@param res multisocket.Response
function sink.discard(res)
  return pour(res, function() end)
end

return sink
