-- SPDX-License-Identifier: MIT
--
-- Request bodies that are produced while they are sent: by an iterator
-- function, which may wait, or from a file. A task takes the pieces and writes
-- each when the engine has sent the one before. What lies in a file of known
-- length is one piece, which the engine sends by itself; it can be sent again,
-- for a redirect or a retry: by another task, from the start.
local core = require "multisocket.core"
local errors = require "multisocket.errors"
local task = require "multisocket.task"

-- Read at a time from a file that cannot be measured.
local PIECE = 64 * 1024

local upload = {}

-- A piece that is not a string.
local Stretch = {}

---@class multisocket.Stretch
---@field file file* open while the stretch is handed over
---@field offset integer
---@field length integer at least 1
---@field taken fun() called when it was handed over: the engine has a descriptor of its own

---@class multisocket.Source
---@field open fun(): (fun(): string|multisocket.Stretch?, any), fun() what gives the pieces (nil
---at the end; nil, err), and what is called when it is over
---@field length integer? in bytes, nil when it is not known
---@field rewinds boolean it can be opened again

local function nothing() end

-- From where the file stands to its end; nil for what cannot be measured. What
-- the kernel makes up while it is read (/proc, /dev/zero) ends at once and has
-- bytes nevertheless.
local function rest_of(file)
  local from = file:seek("cur")
  local to = from and file:seek("end")
  if not to or not file:seek("set", from) then return nil end
  if to == math.maxinteger then return nil end -- so Linux says of a directory
  if to > from then return to - from end
  local more = file:read(0)
  file:seek("set", from)
  return not more and 0 or nil
end

-- The stretch of a file between here and where `length` ends, and then nothing.
local function stretch_reader(file, from, length, taken)
  local stretch = length > 0 and setmetatable({ file = file, offset = from, length = length,
    taken = taken }, Stretch)
  return function()
    local piece = stretch
    stretch = nil
    return piece or nil
  end
end

local function reader(file, from, length, taken)
  if length then
    file:seek("set", from + length) -- where reading would have left it
    return stretch_reader(file, from, length, taken)
  end
  return function() return file:read(PIECE) end
end

-- An open file is the program's: it stays open, unless the program closes it.
local function from_file(file)
  local from, length = file:seek("cur"), rest_of(file)
  return { length = length, rewinds = length ~= nil, open = function()
    if io.type(file) ~= "file" then
      return function() return nil, "the file was closed" end, nothing
    end
    return reader(file, from, length, nothing), nothing
  end }
end

local function from_path(path)
  if type(path) ~= "string" then
    errors.usage("bad_option", "body.path must be a string, not %s", type(path))
  end
  local first, why, errno = io.open(path, "rb")
  if not first then
    return { rewinds = false, open = function()
      return function() return nil, why, errno end, nothing
    end }
  end
  local length = rest_of(first)
  -- What waits for its turn holds no file, but one that cannot be measured may be a pipe.
  if length then
    first:close()
    first = nil
  end
  return { length = length, rewinds = true, open = function()
    local file, reason, code = first, nil, nil
    if not file then file, reason, code = io.open(path, "rb") end
    first = nil
    if not file then return function() return nil, reason, code end, nothing end
    local function close()
      if file then file:close() end
      file = nil
    end
    return reader(file, 0, length, close), close
  end }
end

---What a `body` option that is no string stands for; nil for a string, false or
---none.
---@param body any
---@return multisocket.Source?
function upload.source(body)
  if not body or type(body) == "string" then return nil end
  if type(body) == "function" then
    return { rewinds = false, open = function() return body, nothing end }
  end
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
---@field round integer counts the tasks that send it, one after the other
---@field rewound boolean the next of them is to begin
local Upload = {}
Upload.__index = Upload

local function fail(self, code, category, message, cause, errno)
  self.err = core.error({ category = category, code = code, message = message, cause = cause,
    errno = math.type(errno) == "integer" and errno or nil, phase = "send", retryable = false,
    attempts = self.round })
  self.abandon()
end

-- The next piece; false at the end, nil when it failed or another round began
-- meanwhile.
local function next_piece(self, read, round)
  local ok, piece, err, errno = pcall(read)
  if self.round ~= round then return nil end
  if not ok then
    local why = "the body raised: " .. errors.text(piece)
    return fail(self, "callback_error", "callback", why, piece)
  elseif piece == nil and err ~= nil then
    return fail(self, "upload_failed", "body", "the body failed: " .. errors.text(err), err,
      errno)
  elseif piece ~= nil and type(piece) ~= "string" and getmetatable(piece) ~= Stretch then
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

-- False when it failed.
local function write(self, piece)
  if type(piece) == "string" then
    self.body:write(piece)
    return true
  end
  local ok, why, errno = self.body:write_file(piece.file, piece.offset, piece.length)
  piece.taken()
  if not ok then fail(self, "upload_failed", "body", "the body failed: " .. why, why, errno) end
  return ok
end

-- A task begins soon, and its round may be over by then.
local function pump(self, round)
  local read, close = self.source.open()
  local _ <close> = setmetatable({}, { __close = close })
  while true do
    local piece = next_piece(self, read, round)
    if piece == nil then return end
    if piece == false then break end
    if piece ~= "" then
      self.drained = false
      if not write(self, piece) then return end
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

local function rewound(self)
  self.round, self.rewound = self.round + 1, true
  self.note(self)
end

local function begin(self)
  self.task = task.spawn_watched(function() end, pump, self, self.round)
end

---For stream.wake_all: the engine has returned.
function Upload:wake()
  local waiter = self.waiter
  self.waiter = nil
  if waiter then task.wake(waiter) end
  if not self.rewound then return end
  self.rewound = false
  begin(self)
end

---@param source multisocket.Source
---@param note fun(upload: multisocket.Upload) has wake() called when the engine has returned
---@return multisocket.Upload
function upload.new(source, note)
  local self = setmetatable({ source = source, note = note, drained = false, round = 1,
    rewound = false, is_paused = function() return false end }, Upload)
  self.body = core.upload(source.length, function() return drained(self) end,
    source.rewinds and function() return rewound(self) end or nil)
  return self
end

---Begins to send, for a transfer that was just added. The task is to be
---cancelled when the transfer is over; `abandon` ends that when the body fails.
---@param easy userdata
---@param abandon fun()
function Upload:start(easy, abandon)
  self.easy, self.abandon = easy, abandon
  begin(self)
end

---The transfer is over.
function Upload:stop()
  self.rewound = false
  self.body:drop()
  if self.task then self.task:cancel("the transfer is over") end
end

return upload
