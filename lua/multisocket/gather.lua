-- SPDX-License-Identifier: MIT
--
-- gather: many functions at once, all results in order.
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
      tostring(value))
  end
  return n
end

local function entry_of(t)
  if t.status == "done" then return { ok = true, value = t.values[1], values = t.values } end
  return { ok = false, error = t.error }
end

local function cancel_running(state)
  for t in pairs(state.running) do t:cancel("gather has ended") end
end

local start_next

-- The rest is not started, and each gets an entry that says so.
local function stop(state)
  for i = state.next, #state.functions do
    state.results[i] = { ok = false, error = errors.cancelled(STOPPED, "the function") }
    state.left = state.left - 1
  end
  state.next = #state.functions + 1
  for t in pairs(state.running) do t:cancel(STOPPED) end
end

local function on_end(state, i, t)
  state.running[t] = nil
  if state.op.gone then return end
  state.results[i] = entry_of(t)
  state.left = state.left - 1
  if t.status == "failed" and state.stop_on_error then stop(state) end
  if state.left == 0 then return task.later(state.op) end
  start_next(state)
end

function start_next(state)
  local i = state.next
  local fn = state.functions[i]
  if not fn then return end
  state.next = i + 1
  local t = task.spawn_watched(function(t) on_end(state, i, t) end, fn)
  state.running[t] = true
end

local function copy_functions(list)
  errors.check_type(list, "table", "what to gather")
  local copy = {}
  for i, fn in ipairs(list) do
    errors.check_type(fn, "function", ("entry %d to gather"):format(i))
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
  errors.check_options(opts, OPTIONS)
  opts = opts or {}
  local concurrency = gather.check_concurrency(opts.concurrency)
  local state = { functions = copy_functions(functions), results = {}, running = {}, next = 1,
    stop_on_error = opts.stop_on_error }
  state.left = #state.functions
  if state.left == 0 then return {} end
  state.op = task.waiter(function(op)
    op.gone = true
    cancel_running(state)
  end)
  for _ = 1, math.min(concurrency, state.left) do start_next(state) end
  task.await(state.op)
  return state.results
end

return gather
