-- SPDX-License-Identifier: MIT
--
-- A client: defaults, a pool of connections (one multi handle) and the driver
-- that connects it to the loop.
--
-- Fetches of coroutines are the engine's (core.fetcher). Every other transfer
-- is an operation (see task.lua) with an easy handle of its own. Both are used
-- again, so that in steady state nothing is allocated here. One that was
-- cancelled is not used again: the run queue may still know it.
local core = require "multisocket.core"
local driver = require "multisocket.luv"
local errors = require "multisocket.errors"
local loop = require "multisocket.loop"
require "multisocket.resolver" -- what `resolver = "system"` means
local request = require "multisocket.request"
local resume = require "multisocket.resume"
local sink = require "multisocket.sink"
local stream = require "multisocket.stream"
local task = require "multisocket.task"
local upload = require "multisocket.upload"

local await, prepare, isyieldable = task.await, request.prepare, coroutine.isyieldable

-- So much of what a refusal says is kept: more than people read of one.
local MOST_OF_REFUSAL = 64 * 1024

-- The methods of every fetch, looked up once.
local sample = core.easy()
local begin, take = sample.begin, sample.take
local add_handle = core.multi({}).add_handle

local client = {}

-- ---- operations ------------------------------------------------------------

-- What client and operations share. It does not know the client, so that one
-- that is dropped can be collected while its multi still stands.
---@class multisocket.Engine
---@field multi multisocket.Multi
---@field driver multisocket.Driver
---@field ops table<userdata, table> operations by easy
---@field free table? operations to use again, linked by `next`
---@field closed boolean
---@field ready multisocket.Stream[] those that something came for in this entry
---@field fetch fun(options: userdata, url: string): multisocket.Response?, multisocket.Error?

local function abandon(op)
  local engine = op.engine
  op.thread, op.on_wake = nil, nil
  engine.ops[op.easy] = nil
  op.easy:close()
  if not engine.closed then engine.driver:refresh() end
end

local Op = {}

function Op.__close(op, err)
  if not op.thread and not op.main then return end
  op.main = nil
  abandon(op)
  task.explain(err)
end

local function new_op(engine)
  local easy = core.easy()
  easy:oneshot(true)
  local op = setmetatable({ engine = engine, easy = easy }, Op)
  engine.ops[easy] = op
  return op
end

local function release(op)
  local engine = op.engine
  op.next = engine.free
  engine.free = op
end

-- Adds a transfer; its operation is finished when it is done.
local function start(engine, url, options, fail)
  local op = engine.free
  if op then engine.free = op.next else op = new_op(engine) end
  op.url, op.fail, op.ended = url, fail, false
  local easy = op.easy
  begin(easy, url, options)
  add_handle(engine.multi, easy)
  return op
end

-- With `fail` a status of 400 or more is an error.
local function checked(res, err, fail)
  if fail and res and res.status >= 400 then return nil, errors.status(res) end
  return res, err
end

-- What a finished operation came to; it is free afterwards.
local function outcome(op)
  local err, fail = op.err, op.fail
  local res
  if err then
    err.url = err.url or core.shown_url(op.url) -- one that is no URL is not known to a response
  else
    res = take(op.easy)
  end
  op.err, op.fail, op.url = nil, nil, nil
  release(op)
  return checked(res, err, fail)
end

local function new_engine(multi_options)
  local ops = {}
  multi_options.donefunction = task.completion(ops)
  multi_options.errorfunction = task.report
  local uv = loop.get()
  local multi = core.multi(multi_options)
  local engine = { multi = multi, ops = ops, free = nil, closed = false, ready = {},
    driver = driver.attach(multi, uv, { mode = client.mode, on_raise = task.interrupted }) }
  engine.driver.after = function() return stream.wake_all(engine) end
  return engine
end

-- Gives `self` the fetch functions of its coroutines. The plain one stands
-- before the method of the class: unless URLs or statuses are looked at, a
-- call without options need not come through Lua at all.
local function add_fetcher(self)
  local engine, defaults = self.engine, self.defaults
  local function on_closed()
    if not engine.closed then engine.driver:refresh() end
  end
  local plain
  plain, engine.fetch = core.fetcher(engine.multi, task.turn, on_closed, defaults.options,
    client.Client.fetch, self)
  if not defaults.rewrites and not defaults.fail then self.fetch = plain end
end

-- ---- the client ------------------------------------------------------------

---@class multisocket.Client
---@field cookies multisocket.Jar? where its cookies are kept
local Client = {}
Client.__index = Client
Client.__name = "multisocket.Client"

-- How drivers watch sockets; ms.use sets it. With a poll handle each, luv
-- would write a line to stderr for every connection that a peer resets.
client.mode = "epoll"

---@param opts table?
---@return multisocket.Client
function client.new(opts)
  local defaults = request.defaults(opts)
  local engine = new_engine(request.pool(opts))
  local self = setmetatable({ engine = engine, defaults = defaults, cookies = defaults.cookies },
    Client)
  add_fetcher(self)
  loop.renew_sentinel(engine.driver.uv) -- it has to be finalised before this client
  return self
end

local transfers = { start = start, abandon = abandon, outcome = function(op)
  op.owner, op.on_wake = nil, nil
  return outcome(op)
end }

-- A status that is a failure: nothing goes to a sink, and what the server says
-- about it is there to be read, while nobody need do it for the connection's sake.
local function refused(res, fail, special)
  if special.sink then stream.of(res):settle(MOST_OF_REFUSAL) end
  return checked(res, nil, fail)
end

local function is_refused(res, fail) return fail and res.status >= 400 end

-- The response is there when its head is; a sink gets the body first.
local function run_stream(self, url, options, fail, special, on_start)
  local res, err = stream.open(self.engine, transfers, url, options, special.on_headers, on_start)
  if not res then return nil, err end
  if is_refused(res, fail) then return refused(res, fail, special) end
  if special.sink then
    local ok, why = sink.drain(res, special.sink)
    if not ok then return nil, why end
  end
  return res
end

-- A body that is saved over several fetches. A part that the server knows
-- nothing about any more is worth nothing, and everything is asked for again.
local function run_download(self, url, options, fail, special)
  local plan = resume.plan(special.sink.path, url)
  while true do
    local with = core.options(resume.options(plan), options)
    local res, err = stream.open(self.engine, transfers, url, with, special.on_headers)
    if not res then return nil, err end
    if is_refused(res, fail) and res.status ~= 416 then return refused(res, fail, special) end
    local ok, why = resume.save(plan, res)
    if not ok then return nil, why end
    if res.status ~= 416 or not plan.from then return checked(res, nil, fail) end
    resume.forget(plan)
  end
end

local Stopper = { __close = function(stopper) stopper[1]:stop() end }

-- A body that is sent while it is produced. When it fails the transfer is
-- ended, and whoever waits for that gets the reason.
local function run_upload(self, url, options, fail, special)
  local engine = self.engine
  local up = upload.new(special.source, function(u) stream.note(engine, u) end)
  options = core.options({ body = up.body }, options)
  if special.stream then
    local res, err = run_stream(self, url, options, fail, special, function(op, source)
      up.is_paused = function() return source.paused end
      source.on_over = function() up:stop() end
      up:start(op.easy, function() source:fail(up.err) end)
    end)
    return res, not res and (up.err or err) or nil
  end
  local _ <close> = setmetatable({ up }, Stopper)
  local op = start(engine, url, options, fail)
  up:start(op.easy, function()
    if op.ended then return end -- the answer was faster
    engine.multi:remove_handle(op.easy)
    engine.driver:refresh()
    op.err = up.err
    task.wake(op)
  end)
  await(op)
  return outcome(op)
end

local function run_special(self, url, options, fail, special)
  if type(special.sink) == "table" and not special.source then
    return run_download(self, url, options, fail, special)
  end
  if special.source then return run_upload(self, url, options, fail, special) end
  return run_stream(self, url, options, fail, special)
end

-- In a coroutine the engine does it all; the main thread runs the loop.
local function run(self, url, options, fail, special)
  if special then return run_special(self, url, options, fail, special) end
  if isyieldable() then
    local res, err = self.engine.fetch(options, url)
    return checked(res, err, fail)
  end
  local op = start(self.engine, url, options, fail)
  await(op)
  return outcome(op)
end

-- Every method with options begins here.
local function defaults_of(self)
  if getmetatable(self) ~= Client then errors.wrong_self(self, "a client") end
  return self.defaults
end

---Fetches a URL and waits for the response.
---@param url string|table
---@param opts table?
---@return multisocket.Response?
---@return multisocket.Error?
function Client:fetch(url, opts)
  return run(self, prepare(defaults_of(self), url, opts))
end

for _, name in ipairs(request.methods()) do
  local method = name:upper()
  Client[name] = function(self, url, opts)
    return run(self, prepare(defaults_of(self), url, opts, method))
  end
end

-- ---- request: a callback instead of a coroutine ----------------------------

---@class multisocket.Handle
local Handle = {}
Handle.__index = Handle
Handle.__name = "multisocket.Handle"

local function deliver(op)
  local handle = op.owner
  op.owner, op.on_wake, handle.op = nil, nil, nil
  local res, err = outcome(op)
  task.call(handle.callback, err, res)
end

local function deliver_cancelled(handle)
  task.call(handle.callback, handle.err)
end

local function is_callable(value)
  local meta = debug.getmetatable(value)
  return type(value) == "function" or meta and type(meta.__call) == "function"
end

local function deliver_result(handle)
  task.call(handle.callback, handle.err, handle.res)
end

-- A task fetches, and its end is handed on.
local function request_special(self, callback, ...)
  local handle = setmetatable({ client = self, callback = callback }, Handle)
  handle.task = task.spawn_watched(function(t)
    handle.task, handle.on_wake = nil, deliver_result
    if t.status == "done" then handle.res = t.values[1] else handle.err = t.error end
    task.later(handle)
  end, run_special, self, ...)
  return handle
end

---Starts a transfer; callback(err, res) is called from the loop, exactly once.
---@param url string|table
---@param opts table|function|nil
---@param callback? fun(err: multisocket.Error?, res: multisocket.Response?)
---@return multisocket.Handle
function Client:request(url, opts, callback)
  local defaults = defaults_of(self)
  if callback == nil and is_callable(opts) then opts, callback = nil, opts end
  if not is_callable(callback) then errors.check_type(callback, "function", "the callback") end
  local address, options, fail, special = prepare(defaults, url, opts)
  if special then return request_special(self, callback, address, options, fail, special) end
  local op = start(self.engine, address, options, fail)
  local handle = setmetatable({ client = self, callback = callback, op = op }, Handle)
  op.owner, op.on_wake = handle, deliver
  return handle
end

---Ends the transfer; its callback gets an err of code "cancelled". False when
---there is nothing left to end.
---@param reason? any
---@return boolean
function Handle:cancel(reason)
  if getmetatable(self) ~= Handle then errors.wrong_self(self, "a handle") end
  local op = self.op
  if self.task then return self.task:cancel(reason) end
  if not op then return false end
  self.op = nil
  op.owner = nil
  abandon(op)
  self.err = errors.cancelled(reason, "the request")
  self.on_wake = deliver_cancelled
  task.later(self)
  return true
end

---Cancels it unless it is done, and then calls `callback` from the loop.
---@param callback? fun()
function Handle:close(callback)
  if callback ~= nil and not is_callable(callback) then
    errors.check_type(callback, "function", "the callback")
  end
  Handle.cancel(self, "the handle was closed")
  if callback == nil then return end
  local op = task.waiter()
  op.on_wake = function() task.call(callback) end
  task.later(op)
end

---True when the transfer is done or cancelled.
---@return boolean
function Handle:is_closing()
  if getmetatable(self) ~= Handle then errors.wrong_self(self, "a handle") end
  return self.op == nil and self.task == nil
end

function Handle.__close(self) Handle.close(self) end

-- A task fetches; `op` stands for it, and is no operation of the engine.
local function start_special(self, owner, on_wake, ...)
  local op = { owner = owner, special = true }
  op.task = task.spawn_watched(function(t)
    op.task = nil
    if t.status == "done" then op.res = t.values[1] else op.err = t.error end
    if not op.owner then return task.report_failure(t) end
    op.on_wake = on_wake
    task.later(op)
  end, run_special, self, ...)
  return op
end

---Starts a transfer for code that waits in its own way: on_wake(op) is called
---in the run queue and takes the result with client.outcome.
---@param owner any kept in op.owner
---@param on_wake fun(op: table)
---@param url string|table
---@return table op
function client.start(self, owner, on_wake, url)
  local address, options, fail, special = prepare(self.defaults, url)
  if special then return start_special(self, owner, on_wake, address, options, fail, special) end
  local op = start(self.engine, address, options, fail)
  op.owner, op.on_wake = owner, on_wake
  return op
end

---The result of such a transfer, which is over with that.
---@return multisocket.Response?
---@return multisocket.Error?
function client.outcome(op)
  if op.special then return op.res, op.err end
  return transfers.outcome(op)
end

---Ends such a transfer; nobody is called.
function client.abandon(op)
  op.owner = nil
  if not op.special then return abandon(op) end
  op.on_wake = nil
  if op.task then op.task:cancel("nobody waits for it any more") end
end

-- ---- the end ---------------------------------------------------------------

---@return multisocket.Stats
function Client:stats()
  if getmetatable(self) ~= Client then errors.wrong_self(self, "a client") end
  return self.engine.multi:stats()
end

---Forgets what belongs to another network: addresses, answers of DNS, and idle
---connections. Transfers go on.
function Client:network_changed()
  if getmetatable(self) ~= Client then errors.wrong_self(self, "a client") end
  self.engine.multi:network_changed()
end

---Ends every transfer (code "cancelled") and closes every connection. Harmless
---twice.
function Client:close()
  if getmetatable(self) ~= Client then errors.wrong_self(self, "a client") end
  local engine = self.engine
  if engine.closed then return end
  engine.closed = true
  engine.free = nil
  task.hold(engine.multi.close, engine.multi)
  engine.driver:close()
end

Client.__close = Client.close

-- Dropped without a close. At the end of the program everything goes anyway,
-- and the handles of luv must not be touched any more.
function Client.__gc(self)
  if not loop.exit.now then self:close() end
end

---True while transfers run.
---@return boolean
function client.busy(self)
  local multi = self.engine.multi
  return multi:running() > 0 and not multi:forked()
end

client.Client = Client

return client
