-- SPDX-License-Identifier: MIT
--
-- Request bodies that are produced while they are sent: by an iterator
-- function, which may wait, or from a file. A task takes the pieces and writes
-- each when the engine has sent the one before.
local core = require "multisocket.core"
local errors = require "multisocket.errors"
local task = require "multisocket.task"

-- Read from a file at a time.
local PIECE = 64 * 1024

local upload = {}

---@class multisocket.Source
---@field next fun(): string?, any what comes next; nil at the end; nil, err
---@field length integer? in bytes, nil when it is not known
---@field close fun()? when it is over

local function nothing() end

-- From where the file stands to its end; nil for what cannot be measured.
local function rest_of(file)
  local from = file:seek("cur")
  local to = from and file:seek("end")
  if not to or not file:seek("set", from) then return nil end
  return to - from
end

local function from_file(file, close)
  return { next = function() return file:read(PIECE) end, length = rest_of(file),
    close = close or nothing }
end

local function from_path(path)
  if type(path) ~= "string" then
    errors.usage("bad_option", "body.path must be a string, not %s", type(path))
  end
  local file, why = io.open(path, "rb")
  if not file then
    return { next = function() return nil, why end, close = nothing }
  end
  return from_file(file, function() file:close() end)
end

---What a `body` option that is no string stands for; nil for a string or none.
---@param body any
---@return multisocket.Source?
function upload.source(body)
  if body == nil or type(body) == "string" then return nil end
  if type(body) == "function" then return { next = body, close = nothing } end
  if io.type(body) == "file" then return from_file(body) end
  if type(body) == "table" and body.path ~= nil and next(body, next(body)) == nil then
    return from_path(body.path)
  end
  return errors.usage("bad_option",
    "body must be a string, a file, { path = ... } or a function, not %s",
    io.type(body) or type(body))
end

-- ---- sending ---------------------------------------------------------------

---@class multisocket.Upload
---@field body userdata for the engine
---@field easy userdata? of the transfer
---@field err multisocket.Error? why it failed
local Upload = {}
Upload.__index = Upload

local function fail(self, code, category, message, cause)
  self.err = core.error({ category = category, code = code, message = message, cause = cause,
    phase = "send", retryable = false })
  self.abandon()
end

-- The next piece; false at the end, nil when it failed.
local function next_piece(self)
  local ok, piece, err = pcall(self.source.next)
  if not ok then
    local why = "the body raised: " .. errors.text(piece)
    return fail(self, "callback_error", "callback", why, piece)
  elseif piece == nil and err ~= nil then
    return fail(self, "upload_failed", "body", "the body failed: " .. errors.text(err), err)
  elseif piece ~= nil and type(piece) ~= "string" then
    return fail(self, "upload_failed", "body",
      ("the body must give strings, not %s"):format(type(piece)))
  end
  return piece or false
end

local function go_on(self)
  self.easy:pause(self.is_paused() and core.PAUSE_RECV or core.PAUSE_CONT)
end

local function wait_until_drained(self)
  local op = task.waiter()
  self.waiter = op
  task.await(op)
end

local function pump(self)
  local _ <close> = setmetatable({}, { __close = self.source.close })
  while true do
    local piece = next_piece(self)
    if piece == nil then return end
    if piece == false then break end
    if piece ~= "" then
      self.drained = false
      self.body:write(piece)
      go_on(self)
      if not self.drained then wait_until_drained(self) end
    end
  end
  self.body:finish()
  go_on(self)
end

local function drained(self)
  self.drained = true
  if self.waiter then self.note(self) end
end

---For stream.wake_all: the engine has returned.
function Upload:wake()
  local waiter = self.waiter
  self.waiter = nil
  if waiter then task.wake(waiter) end
end

---@param source multisocket.Source
---@param note fun(upload: multisocket.Upload) has wake() called when the engine has returned
---@return multisocket.Upload
function upload.new(source, note)
  local self = setmetatable({ source = source, note = note, drained = false,
    is_paused = function() return false end }, Upload)
  self.body = core.upload(source.length, function() return drained(self) end)
  return self
end

---Begins to send, for a transfer that was just added. The task is to be
---cancelled when the transfer is over; `abandon` ends that when the body fails.
---@param easy userdata
---@param abandon fun()
function Upload:start(easy, abandon)
  self.easy, self.abandon = easy, abandon
  self.task = task.spawn_watched(function() end, pump, self)
end

---The transfer is over.
function Upload:stop()
  if self.task then self.task:cancel("the transfer is over") end
end

return upload
