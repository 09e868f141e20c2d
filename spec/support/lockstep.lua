-- SPDX-License-Identifier: MIT
--
-- A server in this process and on its loop that answers in pieces, each sent
-- only when the client has read the one before. So what the client reads is
-- cut exactly where the pieces are, which no pause between them can promise.
--
--   local server <close> = lockstep.start()
--   local res, err = server:fetch(client, {}, { "HTTP/1.1 2", "00 OK\r\n..." })
--
-- One fetch at a time; the client must have no other transfers meanwhile.
-- lockstep.start(fn) asks fn(input) instead of looking for the end of a head
-- whether the client has said enough.
local uv = require "luv"

local lockstep = {}

---@class spec.Lockstep
---@field port integer
---@field job table?
local Server = {}
Server.__index = Server

-- Sends the next piece; after the last one the connection ends.
local function step(job)
  job.at = job.at + 1
  local piece = job.pieces[job.at]
  if piece then
    job.target = job.client:stats().bytes_in + #piece
    job.socket:write(piece)
    return
  end
  job.target = math.huge
  if not job.reset then
    job.socket:shutdown() -- fetch() closes it: what is unread then would make it a reset
    return
  end
  job.socket:close_reset()
  job.socket = nil
end

local function on_turn(job)
  if job and job.socket and job.client:stats().bytes_in >= job.target then step(job) end
end

local function has_head(input) return input:find("\r\n\r\n", 1, true) end

local function serve(socket, job, is_enough)
  local input = ""
  socket:read_start(function(err, data)
    if err or not data or not job then return end -- fetch() closes it
    input = input .. data
    if not is_enough(input) then return end
    input = ""
    job.socket = socket
    step(job)
  end)
end

---@param is_enough? fun(input: string): any
---@return spec.Lockstep
function lockstep.start(is_enough)
  local listener = uv.new_tcp()
  local self = setmetatable({ listener = listener, turns = uv.new_idle() }, Server)
  assert(listener:bind("127.0.0.1", 0))
  assert(listener:listen(128, function(err)
    assert(not err, err)
    local socket = uv.new_tcp()
    assert(listener:accept(socket))
    socket:nodelay(true)
    serve(socket, self.job, is_enough or has_head)
  end))
  self.turns:start(function() on_turn(self.job) end)
  self.port = listener:getsockname().port
  return self
end

---Fetches in the running coroutine what `pieces` are together. `reset`: the
---connection ends with a reset, not in order.
---@param client multisocket.Client
---@param options table
---@param pieces string[]
---@param reset? boolean
---@return multisocket.Response?, multisocket.Error?
function Server:fetch(client, options, pieces, reset)
  local job = { client = client, pieces = pieces, at = 0, reset = reset }
  self.job = job
  local res, err = client:fetch(("http://127.0.0.1:%d/"):format(self.port), options)
  if job.socket then job.socket:close() end
  self.job = nil
  return res, err
end

function Server:close()
  self.turns:close()
  self.listener:close()
end

Server.__close = Server.close

return lockstep
