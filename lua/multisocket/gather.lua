-- SPDX-License-Identifier: MIT
--
-- gather and map: many functions at once, or one over a list; all results in
-- order.
local errors = require "multisocket.errors"
local task = require "multisocket.task"

local gather = {}

-- Enough to hide latencies, and polite to a single server.
local DEFAULT_CONCURRENCY = 8
local STOPPED = "another one failed"
local OPTIONS = { concurrency = true, stop_on_error = true }

---@param value any the option `concurrency`
---@return integer
function gather.check_concurrency(value)
  if value == nil then return DEFAULT_CONCURRENCY end
  local n = math.type(value) and math.tointeger(value)
  if not n or n < 1 then
    errors.usage("bad_option", "concurrency must be a whole number of at least 1, not %s",
      errors.text(value))
  end
  return n
end

local function entry_of(t)
  if t.status == "done" then return { ok = true, value = t.values[1], values = t.values } end
  return { ok = false, error = t.error }
end

local function cancel_running(state)
  for t in pairs(state.running) do t:cancel("its caller has ended") end
end

local start_next

-- The rest is not started, and each gets an entry that says so.
local function stop(state)
  for i = state.next, state.count do
    state.results[i] = { ok = false, error = errors.cancelled(STOPPED, "the function") }
    state.left = state.left - 1
  end
  state.next = state.count + 1
  for t in pairs(state.running) do t:cancel(STOPPED) end
end

local function on_end(state, i, t)
  state.running[t] = nil
  if state.gone then return task.report_failure(t) end
  state.results[i] = entry_of(t)
  state.left = state.left - 1
  if t.status == "failed" and state.stop_on_error then stop(state) end
  if state.left == 0 then return task.later(state.op) end
  start_next(state)
end

function start_next(state)
  local i = state.next
  if i > state.count then return end
  state.next = i + 1
  local t = state.spawn(function(t) on_end(state, i, t) end, i)
  state.running[t] = true
end

-- Runs `count` tasks, of which spawn(on_end, i) makes the i-th.
local function run(count, spawn, opts)
  errors.check_options(opts, OPTIONS)
  opts = opts or {}
  local concurrency = gather.check_concurrency(opts.concurrency)
  if opts.stop_on_error ~= nil then
    errors.check_option(opts.stop_on_error, "boolean", "stop_on_error")
  end
  if count == 0 then return {} end
  local state = { count = count, spawn = spawn, left = count, next = 1, results = {}, running = {},
    stop_on_error = opts.stop_on_error, gone = false }
  state.op = task.waiter(function()
    state.gone = true
    cancel_running(state)
  end)
  for _ = 1, math.min(concurrency, count) do start_next(state) end
  task.await(state.op)
  return state.results
end

---A copy of a list of functions; raises for anything else in it.
---@param list any
---@param what string "gather"
---@return function[]
function gather.copy_functions(list, what)
  errors.check_type(list, "table", "what to " .. what)
  local copy = {}
  for i, fn in ipairs(list) do
    errors.check_type(fn, "function", ("entry %d to %s"):format(i, what))
    copy[i] = fn
  end
  return copy
end

---Runs the functions as tasks and returns an entry for each, in their order:
---`{ ok = true, value =, values = }` or `{ ok = false, error = }`.
---@param functions function[]
---@param opts? { concurrency: integer?, stop_on_error: boolean? }
---@return table[]
function gather.gather(functions, opts)
  local copy = gather.copy_functions(functions, "gather")
  return run(#copy, function(told, i) return task.spawn_watched(told, copy[i]) end, opts)
end

---The same with fn(item, i) for every item of a list.
---@param list any[]
---@param fn fun(item: any, i: integer): any
---@param opts? { concurrency: integer?, stop_on_error: boolean? }
---@return table[]
function gather.map(list, fn, opts)
  errors.check_type(list, "table", "the list to map")
  errors.check_type(fn, "function", "what to map it with")
  local items = table.move(list, 1, #list, 1, {})
  return run(#items, function(told, i) return task.spawn_watched(told, fn, items[i], i) end, opts)
end

return gather
