-- SPDX-License-Identifier: MIT
--
-- each: many requests in a loop, in the order in which they complete.
--
-- The loop's own body sets the pace: requests are started when it asks for
-- the next result, so what is in flight or waits to be looked at never
-- exceeds the concurrency, however slow the body is.
local client = require "multisocket.client"
local errors = require "multisocket.errors"
local gather = require "multisocket.gather"
local task = require "multisocket.task"

local each = {}

local OPTIONS = { concurrency = true }

---@class multisocket.Each
local Each = {}

local function on_wake(op)
  local self, i = op.owner, op.index
  self.running[op] = nil
  self.in_flight = self.in_flight - 1
  local n = self.last + 1
  self.last, self.index[n] = n, i
  self.res[n], self.err[n] = client.outcome(op)
  local waiter = self.waiter
  if waiter then
    self.waiter = nil
    task.wake(waiter)
  end
end

local function start(self, request)
  local i = self.started + 1
  self.started = i
  local op = client.start(self.client, self, on_wake, request)
  op.index = i
  self.running[op] = true
  self.in_flight = self.in_flight + 1
end

local function fill(self)
  while self.requests and self.in_flight < self.concurrency do
    local request = self.requests()
    if request == nil then
      self.requests = nil
    elseif not self.closed then
      start(self, request)
    end
  end
end

local function wait(self)
  local op = task.waiter(function() self.waiter = nil end)
  self.waiter = op
  task.await(op)
end

local function next_result(self)
  if self.closed then return nil end
  fill(self)
  if self.first > self.last then
    if self.in_flight == 0 then return nil end
    wait(self)
  end
  local n = self.first
  self.first = n + 1
  local i, res, err = self.index[n], self.res[n], self.err[n]
  self.index[n], self.res[n], self.err[n] = nil, nil, nil
  return i, res, err
end

function Each.__close(self)
  self.closed, self.requests = true, nil
  for op in pairs(self.running) do client.abandon(op) end
  self.running, self.in_flight = {}, 0
end

local function iterator_of(requests)
  if type(requests) == "function" then return requests end
  errors.check_type(requests, "table", "the requests")
  local i = 0
  return function()
    i = i + 1
    return requests[i]
  end
end

---For a generic for: index, response, err of every request. Leaving the loop
---early cancels the rest.
---@param c multisocket.Client
---@param requests table|fun(): any
---@param opts? { concurrency: integer? }
function each.each(c, requests, opts)
  if getmetatable(c) ~= client.Client then errors.wrong_self(c, "a client") end
  errors.check_options(opts, OPTIONS)
  local self = setmetatable({ client = c, requests = iterator_of(requests), running = {},
    concurrency = gather.check_concurrency(opts and opts.concurrency), started = 0, in_flight = 0,
    first = 1, last = 0, index = {}, res = {}, err = {}, closed = false }, Each)
  return next_result, self, nil, self
end

return each
