-- SPDX-License-Identifier: MIT
--
-- race, any, with_timeout: functions against each other or against the clock.
-- Whoever loses is cancelled, and has really ended when the call returns.
--
-- A function has failed when it raised, and when it returned nil and something
-- behind it; either comes back as nil and that. What a loser raises while it
-- ends has nobody else to catch it, and is reported.
local core = require "multisocket.core"
local errors = require "multisocket.errors"
local gather = require "multisocket.gather"
local task = require "multisocket.task"

local race = {}

local DECIDED = "another one was first"
local GIVEN_UP = "its caller has ended"

-- An error value can be nil, but nil, nil would be no failure.
local function error_of(t)
  if t.error ~= nil then return t.error end
  return core.error({ category = "callback", code = "callback_error", retryable = false,
    message = "the function raised nil" })
end

-- What an ended task came to, as a function returns it.
local function outcome(t)
  if t.values then return table.unpack(t.values, 1, t.values.n) end
  return nil, error_of(t)
end

-- ---- many functions --------------------------------------------------------

local function cancel_running(state, reason)
  state.over = true
  for t in pairs(state.running) do t:cancel(reason) end
end

local function decide(state, t)
  state.winner = t
  cancel_running(state, DECIDED)
  task.later(state.op)
end

-- Runs all functions until judge(state, i, t), told of each that ended,
-- decides.
local function run(functions, judge)
  local state = { running = {}, over = false, left = #functions, failures = {} }
  state.op = task.waiter(function() cancel_running(state, GIVEN_UP) end)
  for i, fn in ipairs(functions) do
    local t = task.spawn_watched(function(t)
      state.running[t] = nil
      if state.over then return task.report_failure(t) end
      return judge(state, i, t)
    end, fn)
    state.running[t] = true
  end
  task.await(state.op)
  return state
end

local function check_functions(functions, what)
  local copy = gather.copy_functions(functions, what)
  if #copy == 0 then errors.usage("bad_argument", "there is nothing to %s", what) end
  return copy
end

local function judge_race(state, _, t) return decide(state, t) end

---Runs the functions as tasks. What the first one to end returned, be it a
---failure; the others are cancelled.
---@param functions function[]
---@return any ...
function race.race(functions)
  return outcome(run(check_functions(functions, "race"), judge_race).winner)
end

local function judge_any(state, i, t)
  if t.status == "done" then return decide(state, t) end
  state.failures[i] = error_of(t)
  state.left = state.left - 1
  if state.left == 0 then task.later(state.op) end
end

local function all_failed(failures)
  local retryable = false
  for _, err in ipairs(failures) do
    retryable = retryable or core.is_error(err) and err.retryable == true
  end
  local first = errors.text(failures[1])
  return core.error({ category = "callback", code = "all_failed", retryable = retryable,
    message = ("all of %d functions failed, the first with: %s"):format(#failures, first),
    cause = failures[1], errors = failures })
end

---Runs the functions as tasks. What the first one to succeed returned, and the
---others are cancelled; or nil and an err of code "all_failed", whose `errors`
---has the error of each.
---@param functions function[]
---@return any ...
function race.any(functions)
  local state = run(check_functions(functions, "any"), judge_any)
  if not state.winner then return nil, all_failed(state.failures) end
  return outcome(state.winner)
end

-- ---- the clock -------------------------------------------------------------

local function stop_timer(state)
  if state.timer then task.stop_timer(state.timer) end
  state.timer = nil
end

local function finish(state)
  state.over = true
  stop_timer(state)
end

-- Comes through the run queue, so that a function that was to begin before
-- that has begun.
local function expire(op)
  local state = op.state
  if state.over then return end
  finish(state)
  state.expired = true
  state.task:cancel("the time was up")
  task.later(state.op)
end

local function start_timer(state, ms)
  local op = { state = state, on_wake = expire }
  state.timer = task.start_timer(ms, function()
    stop_timer(state)
    task.wake(op)
  end)
end

---Runs fn(...) as a task for that long. What it returned; or nil and an err of
---code "timed_out" when it had to be cancelled.
---@param ms number
---@param fn function
---@param ... any
---@return any ...
function race.with_timeout(ms, fn, ...)
  ms = errors.check_ms(ms, "the timeout")
  errors.check_type(fn, "function", "what to run with a timeout")
  local state = { over = false }
  state.op = task.waiter(function()
    finish(state)
    state.task:cancel(GIVEN_UP)
  end)
  state.task = task.spawn_watched(function(t)
    if state.over then return task.report_failure(t) end
    finish(state)
    task.later(state.op)
  end, fn, ...)
  start_timer(state, ms)
  task.await(state.op)
  if not state.expired then return outcome(state.task) end
  return nil, errors.timed_out(("the function has not ended within %d ms"):format(ms))
end

return race
