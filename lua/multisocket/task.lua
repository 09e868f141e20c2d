-- SPDX-License-Identifier: MIT
--
-- Waiting. What somebody waits for is an *operation*, a table with
--
--   thread    the coroutine that waits for it, or
--   main      true: the main thread waits for it, or
--   on_wake   what to call on the main thread; it must not raise
--
-- and a metatable whose `__close` cancels it while somebody waits. Who finishes
-- an operation calls wake(op) or later(op), once; await(op) waits for that and
-- is the only place in this library that yields.
--
-- Coroutines are resumed by step() and by nobody else, one after the other
-- from one queue: what finishes while one runs waits its turn, so resumes
-- never nest, and no callback of the engine runs below a user's code that
-- waits.
local core = require "multisocket.core"
local driver = require "multisocket.luv"
local errors = require "multisocket.errors"
local loop = require "multisocket.loop"

local running, resume, yield = coroutine.running, core.resume, coroutine.yield
local status, close = coroutine.status, coroutine.close
local unpack, pack = table.unpack, table.pack

local task = {}

-- What a waiting coroutine yields, and behind it what it waits for: nobody else
-- can make this value.
local TOKEN = setmetatable({}, {
  __name = "multisocket.waiting",
  __tostring = function() return "multisocket: this coroutine waits for a transfer" end,
})
task.TOKEN = TOKEN

local exit = loop.exit
local tasks = setmetatable({}, { __mode = "k" }) -- by coroutine

-- ---- errors nobody catches -------------------------------------------------

local pumping = false -- the main thread waits in await()
local failure -- what it has to raise: { err, traceback }
local interrupt -- an error that is nobody's own (Ctrl-C), for it to raise

---The default of ms.on_error.
---@param err any
---@param traceback string
function task.print_error(err, traceback)
  io.stderr:write("multisocket: nobody caught: ", errors.text(err), "\n", traceback or "", "\n")
end

-- The table whose field `on_error` the application may set.
task.hooks = { on_error = task.print_error }

-- Lua's own handler of Ctrl-C raises this in whatever runs on the main thread.
local function is_interrupt(err)
  return type(err) == "string" and err:find("interrupted!$") ~= nil
end

-- For the main thread that waits. When none does, it goes on through whoever
-- called us, in the end through luv, which ends the program.
local function pass_on_interrupt(err)
  if not pumping then error(err, 0) end
  interrupt = interrupt or err
  loop.stop()
end

-- An error handed to here is never raised into the loop.
local function tell(err, traceback)
  local on_error = task.hooks.on_error or task.print_error
  local ok, second = pcall(on_error, err, traceback)
  if ok then return end
  task.print_error(err, traceback)
  if is_interrupt(second) then return pass_on_interrupt(second) end
  task.print_error(second, "(raised by ms.on_error)")
end

---Hands on an error that nobody catches: to the main thread that waits in this
---library, else to ms.on_error.
---@param err any
---@param traceback string
function task.report(err, traceback)
  if is_interrupt(err) then return pass_on_interrupt(err) end
  if pumping and not failure then
    failure = { err, traceback }
    loop.stop()
  else
    tell(err, traceback)
  end
end

local trace -- of the error that call() is just catching

local function keep_trace(err)
  trace = debug.traceback(nil, 2)
  return err
end

---Calls a user's function on the main thread; an error is reported.
---@param fn function
---@param ... any
function task.call(fn, ...)
  local ok, err = xpcall(fn, keep_trace, ...)
  if not ok then task.report(err, trace) end
end

-- ---- the run queue ---------------------------------------------------------

-- The queue holds operations and, from the engine's own fetches, easies. Who
-- holds the turn runs it; everybody else only appends. Entries may be nil.
local queue, last = {}, 0
local turn
local draining, kicked = false, false
local doomed = 0 -- tasks that were cancelled while they ran

local function doom(n)
  doomed = doomed + n
  turn:watch(doomed > 0)
end

local function close_thread(co)
  local ok, err = close(co)
  if not ok then task.report(err, debug.traceback()) end
end

local function end_doomed(co)
  local t = tasks[co]
  if t and t.doomed and status(co) == "suspended" then close_thread(co) end
end

-- A task settles itself before its coroutine ends; what dies here with an
-- error is a coroutine of the user's own.
local function after_resume(co, ok, err)
  if ok then
    if doomed > 0 then end_doomed(co) end
    return
  end
  task.report(err, debug.traceback(co))
  local _, second = close(co) -- runs what it has to be closed
  if not rawequal(second, err) then task.report(second, debug.traceback()) end
end

local function step(op)
  if type(op) == "userdata" then return turn:resume(op) end
  local co = op.thread
  if co then
    op.thread = nil
    return after_resume(co, resume(co))
  end
  if op.main then
    op.main = false
    return loop.stop()
  end
  local on_wake = op.on_wake
  if on_wake then return on_wake(op) end
end

-- For the holder of the turn, which is given back.
local function drain()
  draining, kicked = true, false
  local i = 1
  while i <= last do
    local op = queue[i]
    if op then
      queue[i] = nil
      step(op)
    end
    i = i + 1
  end
  last = 0
  draining = false
  turn:give()
end

---An operation is finished: runs what waits for it, after what is in the queue
---already. For engine and loop callbacks only.
---@param op table|userdata
function task.wake(op)
  last = last + 1
  queue[last] = op
  if turn:take() then drain() end
end

turn = core.turn(TOKEN, after_resume, task.wake, drain)
task.turn = turn

---A donefunction that wakes the operations of transfers, by easy.
---@param ops table<userdata, table>
---@return fun(easy: userdata, ok: boolean, err: table?)
function task.completion(ops)
  return function(easy, ok, err)
    local op = ops[easy]
    if not op then return end -- cancelled
    op.ended = true
    if not ok then op.err = err end
    return task.wake(op)
  end
end

-- ---- callbacks of the loop -------------------------------------------------

local guarded

-- Has the queue run by the loop, soon.
local function kick()
  if kicked or exit.now then return end
  kicked = true
  local uv = loop.get()
  local idle = uv.new_idle()
  idle:start(guarded(function()
    loop.close(uv, idle)
    if kicked and turn:take() then drain() end
  end))
end

-- The turn is given back; what is in the queue goes on later.
local function leave_queue()
  turn:give()
  if last == 0 then return end
  turn:queue()
  kick()
end

-- An error came through the queue.
local function recover()
  draining, kicked = false, false
  leave_queue()
end

---Takes an error that interrupted the library itself. The waiting main thread
---raises it; without one it goes through luv, which prints it and ends the
---program, as Ctrl-C should.
---@param err any
function task.interrupted(err)
  recover()
  pass_on_interrupt(err)
end

-- A function for luv to call: never raises into it.
function guarded(fn)
  return function()
    if exit.now then return end
    local ok, err = pcall(fn)
    if not ok then task.interrupted(err) end
  end
end

---An operation is finished; what waits for it runs soon, but never before
---this returned. May be called from anywhere.
---@param op table
function task.later(op)
  last = last + 1
  queue[last] = op
  if not turn:queue() then kick() end
end

---Calls fn(...), during which nothing that waits is resumed.
---@param fn function
---@param ... any
function task.hold(fn, ...)
  local free = turn:take()
  local ok, err = pcall(fn, ...)
  if free then leave_queue() end
  if not ok then error(err, 0) end
end

---Calls fn once, in `ms` from now.
---@param ms integer
---@param fn fun()
---@return userdata timer close it with task.stop_timer
function task.start_timer(ms, fn)
  local uv = loop.get()
  local timer = uv.new_timer()
  uv.update_time()
  timer:start(ms, 0, guarded(fn))
  return timer
end

---@param timer userdata
function task.stop_timer(timer)
  loop.close(loop.get(), timer)
end

-- ---- await -----------------------------------------------------------------

local CANNOT_YIELD = "attempt to yield across a C-call boundary" -- as Lua says it
local CALLBACK = "cannot wait inside a callback on the main thread: use ms.request, or ms.spawn a "
  .. "task that waits"
local BOUNDARY = "cannot wait here: a coroutine cannot be suspended below a C function (such as "
  .. "table.sort or string.gsub) nor while it is closed"
local CLOSING = "cannot wait any more: the Lua state is being closed"
local DEADLOCK = "would wait for ever: nothing is left in the event loop that could end it"

local function check_main_thread()
  local uv = loop.get()
  if exit.now then errors.usage("wrong_context", CLOSING) end
  if pumping or draining or driver.inside() or uv.loop_mode and uv.loop_mode() then
    errors.usage("wrong_context", CALLBACK)
  end
end

---Raises where nobody can wait, before anything is waited for: what would be
---cancelled with the wait stays as it is.
function task.check_can_wait()
  if select(2, running()) then return check_main_thread() end
  if not coroutine.isyieldable() then errors.usage("wrong_context", BOUNDARY) end
end

local function run_turns(op)
  local _ <close> = op
  op.main = true
  local function done() return not op.main or failure ~= nil or interrupt ~= nil end
  if last > 0 and turn:take() then drain() end
  while not done() do
    local alive = loop.turn(done)
    if not alive and not done() and last == 0 then errors.usage("deadlock", DEADLOCK) end
  end
end

local function raise(err, traceback)
  if type(err) == "string" then err = err .. "\n" .. traceback end
  error(err, 0)
end

-- Where nobody can wait, what was to be waited for is cancelled.
local function refuse_callbacks(op)
  local _ <close> = op
  op.main = true
  check_main_thread()
  op.main = nil
end

-- On the main thread: runs the loop. Reports that come meanwhile are raised.
local function pump(op)
  refuse_callbacks(op)
  pumping = true
  local ok, err = pcall(run_turns, op)
  if not ok then recover() end
  local settled, why = pcall(loop.settle)
  pumping = false
  local report, stop = failure, interrupt or not ok and err or not settled and why
  failure, interrupt = nil, nil
  if stop then
    if report then tell(report[1], report[2]) end
    error(stop, 0)
  end
  if report then raise(report[1], report[2]) end
end

---Waits until `op` is finished. In a coroutine it suspends the innermost one;
---on the main thread it runs the loop. A resume by anybody but the queue is
---answered with another yield. Whatever ends the wait early (the coroutine is
---closed, an interrupt) closes `op` and so cancels it.
---@param op table
local function await(op)
  local co, main = running()
  if main then return pump(op) end
  local _ <close> = op
  op.thread = co
  repeat yield(TOKEN, op) until not op.thread
end
task.await = await

---For `__close` of operations that were not finished: words for the error that
---Lua has where a coroutine cannot yield.
---@param err any
function task.explain(err)
  if err == CANNOT_YIELD then errors.usage("wrong_context", BOUNDARY) end
end

-- ---- waiters ---------------------------------------------------------------

local Waiter = {}

function Waiter.__close(op, err)
  if not op.thread and not op.main then return end
  op.thread, op.main = nil, nil
  local cancel = op.cancel
  if cancel then cancel(op) end
  task.explain(err)
end

---An operation that somebody finishes with wake or later; `cancel(op)` is
---called when the one who waits for it gives up.
---@param cancel? fun(op: table)
---@return table
function task.waiter(cancel)
  return setmetatable({ cancel = cancel }, Waiter)
end

local function stop_timer_of(op)
  if op.timer then task.stop_timer(op.timer) end
  op.timer = nil
end

---Suspends the caller for that long; other tasks go on.
---@param ms number
function task.sleep(ms)
  ms = errors.check_ms(ms, "the time to sleep")
  local op = task.waiter(stop_timer_of)
  op.timer = task.start_timer(ms, function()
    stop_timer_of(op)
    task.wake(op)
  end)
  await(op)
end

-- ---- tasks -----------------------------------------------------------------

---A group is the tasks of one ms.run: it ends when all of them have.
---@class multisocket.Group
---@field count integer tasks that have not ended
---@field tasks table<multisocket.Task, true>
---@field unseen table failures that nobody has asked for yet
---@field op table finished when count is 0
---@field ended boolean? nobody waits for it any more

local root ---@type multisocket.Group? of the run that pumps now

---@class multisocket.Task
local Task = {}
Task.__index = Task
Task.__name = "multisocket.Task"

function Task.__tostring(t)
  return ("multisocket.Task (%s)"):format(t.status)
end

local function ended_unseen(t)
  local group = t.group
  local record = { err = t.error, traceback = t.traceback }
  if not group or group.ended then return task.report(record.err, record.traceback) end
  t.record = record
  group.unseen[record] = true
  -- Collected without being asked, it can never be asked: no need to wait
  -- for the end of the run.
  setmetatable(t, task.UnseenTask)
end

local function leave_group(t)
  local group = t.group
  if not group then return end
  group.tasks[t] = nil
  group.count = group.count - 1
  if group.count == 0 and group.op then task.later(group.op) end
end

-- The task has ended: everybody who waits for it hears of it.
local function settle(t)
  if t.doomed then doom(-1) end
  local waiters = t.waiters
  t.waiters = nil
  for _, op in ipairs(waiters or {}) do task.later(op) end
  if t.on_end then
    t.on_end(t)
  elseif t.raised and not waiters then
    ended_unseen(t)
  end
  leave_group(t)
end

local function finish(t, ok, ...)
  if not ok then
    t.status, t.error, t.raised = "failed", ..., true
  else
    local value, err = ...
    local failed = value == nil and err ~= nil
    t.status, t.error = failed and "failed" or "done", failed and err or nil
    t.values = pack(...)
  end
  settle(t)
end

local function end_early(t)
  if t.status ~= "running" then return end
  t.status = "cancelled"
  t.error = errors.cancelled(t.reason, "the task")
  settle(t)
end

local function on_task_error(err)
  local t = tasks[running()]
  if t then t.traceback = debug.traceback(nil, 2) end
  return err
end

local function start(group, on_end, fn, ...)
  local t = setmetatable({ status = "running", group = group, co = false, thread = false }, Task)
  local co = core.new_body(t, finish, on_task_error, fn, ...)
  t.co, t.thread, t.on_end, tasks[co] = co, co, on_end, t
  if group then
    group.tasks[t] = true
    group.count = group.count + 1
  end
  task.later(t)
  return t
end

local function current_group()
  local t = tasks[running()]
  local group = root
  if t then group = t.group end
  return not (group and group.ended) and group or nil
end

---Starts fn(...) as a task of its own. It begins soon, never before this
---returned.
---@param fn function
---@param ... any
---@return multisocket.Task
function task.spawn(fn, ...)
  errors.check_type(fn, "function", "what to spawn")
  return start(current_group(), nil, fn, ...)
end

---The same, with a function that is told of the end; errors are its business
---(task.report_failure is for those nobody waits for any more). It must not
---raise nor wait.
---@param on_end fun(t: multisocket.Task)
---@param fn function
---@param ... any
---@return multisocket.Task
function task.spawn_watched(on_end, fn, ...)
  return start(current_group(), on_end, fn, ...)
end

---For an `on_end` that comes too late for anybody to hear of it.
---@param t multisocket.Task
function task.report_failure(t)
  if t.raised then task.report(t.error, t.traceback) end
end

local function check_task(t)
  local meta = getmetatable(t)
  if meta ~= Task and meta ~= task.UnseenTask then errors.wrong_self(t, "a task") end
end

---Ends a task where it waits: everything it waits for is cancelled and its
---to-be-closed variables are closed. One that runs right now, or resumes
---another coroutine, ends when it waits the next time. False when it has
---ended already.
---@param reason? any
---@return boolean
function Task:cancel(reason)
  check_task(self)
  if self.status ~= "running" then return false end
  self.reason = reason
  if self.doomed then return true end
  if status(self.co) ~= "suspended" then
    self.doomed = true
    doom(1)
    return true
  end
  self.thread = nil
  close_thread(self.co)
  end_early(self) -- a task that never ran had nothing to close
  return true
end

---The scope of a `<close>` variable was left: some caller's, or that of the
---task's own coroutine, which somebody closes.
function Task.__close(t)
  if t.co == running() then return end_early(t) end
  t:cancel("its scope was left")
end

local function remove(list, item)
  for i, other in ipairs(list or {}) do
    if other == item then return table.remove(list, i) end
  end
end

local function wait_for_end(t, timeout)
  if t.co == running() then errors.usage("wrong_context", "a task cannot wait for itself") end
  local op = task.waiter(function(op)
    remove(t.waiters, op)
    stop_timer_of(op)
  end)
  t.waiters = t.waiters or {}
  table.insert(t.waiters, op)
  if timeout then
    op.timer = task.start_timer(timeout, function()
      stop_timer_of(op)
      remove(t.waiters, op)
      task.wake(op)
    end)
  end
  await(op)
  stop_timer_of(op)
end

---Waits for the end: true and what the function returned, or false and the
---error. With a timeout it may be false and an err of code "timed_out", and
---the task goes on.
---@param timeout? number ms
---@return boolean ok
---@return any ...
function Task:wait(timeout)
  check_task(self)
  timeout = timeout and errors.check_ms(timeout, "the timeout")
  if self.record then
    self.group.unseen[self.record] = nil
    self.record = nil
  end
  if self.status == "running" then wait_for_end(self, timeout) end
  if self.status == "running" then
    return false, errors.timed_out(("the task has not ended within %d ms"):format(timeout))
  elseif self.status == "done" then
    return true, unpack(self.values, 1, self.values.n)
  end
  return false, self.error
end

-- A failed task that nobody has asked yet.
task.UnseenTask = {}
for name, value in pairs(Task) do task.UnseenTask[name] = value end
task.UnseenTask.__index = Task

function task.UnseenTask.__gc(t)
  local record, group = t.record, t.group
  if exit.now or not record or not group.unseen[record] then return end
  if not pumping then return end -- its ms.run will raise it
  group.unseen[record] = nil
  task.report(record.err, record.traceback)
end

-- ---- run -------------------------------------------------------------------

local function cancel_all(group)
  for t in pairs(group.tasks) do t:cancel("ms.run has ended") end
end

local function await_group(group)
  local outer = root
  if select(2, running()) then root = group end
  group.op = task.waiter(function() cancel_all(group) end)
  local ok, err = pcall(await, group.op)
  root, group.ended = outer, true
  if not ok then error(err, 0) end
end

---Runs fn(...) as a task and waits until it and all tasks spawned below it have
---ended. Returns what fn returned. An error of fn, or of a task nobody waited
---for, ends them all and is raised.
---@param fn function
---@param ... any
---@return any ...
function task.run(fn, ...)
  errors.check_type(fn, "function", "what to run")
  local group = { count = 0, tasks = {}, unseen = {} }
  if select(2, running()) then check_main_thread() end
  local t = start(group, function(t)
    if t.raised then cancel_all(group) end
  end, fn, ...)
  await_group(group)
  if t.raised then raise(t.error, t.traceback) end
  local record = next(group.unseen)
  group.unseen = {}
  if record then raise(record.err, record.traceback) end
  if t.status == "cancelled" then error(t.error, 0) end
  return unpack(t.values, 1, t.values.n)
end

---True for an err table of this library.
task.is_error = core.is_error

return task
