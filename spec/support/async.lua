-- SPDX-License-Identifier: MIT
--
-- Specs that wait. busted knows no coroutines, and an assertion that fails
-- inside a luv callback would end the whole run, so the body of such a spec
-- runs in a coroutine of its own while the main thread runs the loop, and its
-- error is raised again outside of any callback.
--
--   it("sleeps", async(function() ms.sleep(1) end))
--
-- The body has LIMIT ms. Afterwards no luv handle may be left that was not
-- there before, and everything is collected twice, so that a finaliser that
-- raises or crashes does so in the spec that caused it.
local uv = require "luv"

local async = {}

-- ms; a body that takes longer hangs. Under a tool all takes several times as long.
local LIMIT = os.getenv("SPEC_TOOL") and 240000 or 60000
local TURNS = 100 -- of the loop, for what is closing to be closed

---@return table<userdata, true> every handle of the loop that is not closing
function async.handles()
  local set = {}
  uv.walk(function(handle)
    if not handle:is_closing() then set[handle] = true end
  end)
  return set
end

local function left_over(before)
  local list = {}
  for handle in pairs(async.handles()) do
    if not before[handle] then
      list[#list + 1] = ("%s (%s%s)"):format(tostring(handle), handle:is_active() and "active" or
        "stopped", handle:has_ref() and ", keeps the loop" or "")
    end
  end
  return list
end

-- Collects everything and lets the loop close what is closing.
local function settle(before)
  collectgarbage()
  collectgarbage()
  local left
  for _ = 1, TURNS do
    uv.run("nowait")
    left = left_over(before)
    if #left == 0 then break end
  end
  return left
end

-- Where a body stands that hangs, and what the clients and multis in sight of it wait for.
local function standing(co)
  local said = { debug.traceback(co) }
  local level = 0
  while debug.getinfo(co, level, "f") do
    local index = 1
    local name, value = debug.getlocal(co, level, index)
    while name do
      local engine = type(value) == "table" and rawget(value, "engine")
      local multi = engine and engine.multi or value
      local ok, text = pcall(function() return multi:dump() end)
      if ok then said[#said + 1] = name .. ":\n" .. tostring(text) end
      index = index + 1
      name, value = debug.getlocal(co, level, index)
    end
    level = level + 1
  end
  return table.concat(said, "\n")
end

local function run_to_end(fn)
  local result, late = nil, false
  local co = coroutine.create(function()
    result = table.pack(xpcall(fn, function(err)
      return { err = err, traceback = debug.traceback(nil, 2) }
    end))
  end)
  local watchdog = uv.new_timer()
  uv.update_time() -- setup may have taken longer than that, without a turn of the loop
  watchdog:start(LIMIT, 0, function() late = true end)
  assert(coroutine.resume(co))
  while not result and not late do uv.run("once") end
  watchdog:close()
  if result then return result end
  local where = standing(co)
  coroutine.close(co)
  return nil, where
end

local function rethrow(failure)
  if type(failure.err) == "string" then
    error(failure.err .. "\n" .. (failure.traceback or ""), 0)
  end
  error(failure.err, 0) -- luassert's own kind, or an err
end

---Runs fn in a coroutine to its end, and checks what it left behind.
---@param fn fun()
function async.run(fn)
  local ms = require "multisocket"
  local before = async.handles()
  local result, where = run_to_end(fn)
  local closed, busy = pcall(ms.use, {}) -- closes the default client
  local left = settle(before)
  if result and not result[1] then rethrow(result[2]) end
  if not result then error(("the body has not ended within %d ms\n%s"):format(LIMIT, where), 0) end
  if not closed then rethrow({ err = busy }) end
  if #left > 0 then error("luv handles are left: " .. table.concat(left, ", "), 0) end
end

---@param fn fun()
---@return fun() body for `it`
function async.body(fn)
  return function() async.run(fn) end
end

---Runs `it` bodies on the main thread with the same checks at the end.
---@param fn fun()
---@return fun()
function async.main(fn)
  return function()
    local ms = require "multisocket"
    local before = async.handles()
    local ok, err = xpcall(fn, function(err)
      return { err = err, traceback = debug.traceback(nil, 2) }
    end)
    local closed, busy = pcall(ms.use, {})
    local left = settle(before)
    if not ok then rethrow(err) end
    if not closed then rethrow({ err = busy }) end
    if #left > 0 then error("luv handles are left: " .. table.concat(left, ", "), 0) end
  end
end

---Calls fn with ms.on_error collecting: returns the list of { err, traceback }.
---@param fn fun()
---@return table[]
function async.reports(fn)
  local ms = require "multisocket"
  local list, usual = {}, ms.on_error
  ms.on_error = function(err, traceback) list[#list + 1] = { err = err, traceback = traceback } end
  local ok, err = xpcall(fn, debug.traceback)
  ms.on_error = usual
  if not ok then error(err, 0) end
  return list
end

return setmetatable(async, { __call = function(_, fn) return async.body(fn) end })
