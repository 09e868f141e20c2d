-- SPDX-License-Identifier: MIT
--
-- Walks a table of public names: each has a row with a good use of it and a
-- list of bad ones.
--
--   surface.check {
--     names = { "fetch", ... },                  -- what there really is
--     rows = {
--       fetch = {
--         good = function() ... end,             -- asserts what it does
--         bad = { { "bad_argument", "the URL must be", ms.fetch, 1 }, ... },
--         why = "why there is no bad use",       -- in place of `bad`
--       },
--     },
--   }
--
-- A name without a row fails, and so does a row without a name. A bad use has
-- the code and the beginning of the message of the err that it raises, of
-- category "usage", then the function and its arguments. A transfer runs all
-- the time, and none of the bad uses may harm it.
local core = require "multisocket.core"
local ms = require "multisocket"
local assert = require "luassert"
local peer = require "spec.support.peer"
local process = require "spec.support.process"

local surface = {}

local NONE = { { { "request" }, { "send", "HTTP/1.1 204 No\r\n\r\n" }, { "repeat" } } }

local function pump() ms.sleep(1) end

---Waits until `condition` holds, in a coroutine.
---@param condition fun(): any
function surface.until_true(condition)
  assert.is_truthy(process.wait_until(condition, 10000, pump), "it never happened")
end

---Runs fn() while an upload stands in the middle, which then comes to its end.
---@param fn fun()
function surface.beside_a_transfer(fn)
  local p <close> = peer.start(NONE)
  local client <close> = ms.client()
  local gate = ms.semaphore(1)
  local permit = gate:acquire()
  local pieces = 0
  local t = ms.spawn(function()
    return assert(client:post(p:url(), { body = function()
      pieces = pieces + 1
      if pieces == 2 then gate:acquire() end
      return pieces < 3 and "piece" or nil
    end }))
  end)
  surface.until_true(function() return p:received():find("piece", 1, true) end)
  fn()
  assert.equal("running", t.status)
  assert.equal(1, client:stats().running)
  permit:release()
  local ok, res = t:wait()
  assert.is_true(ok)
  assert.equal(204, res.status)
  assert.equal(1, p:connections())
end

---@param what string
---@param code string
---@param words string the message begins with it
---@param fn function
---@param ... any
function surface.refused(what, code, words, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, what .. ": " .. words)
  assert.is_true(core.is_error(err), what .. ": " .. tostring(err))
  assert.equal("usage", err.category, what)
  assert.equal(code, err.code, what .. ": " .. err.message)
  if err.message:sub(1, #words) ~= words then assert.equal(words, err.message, what) end
end

local function check_names(names, rows)
  local there = {}
  for _, name in ipairs(names) do
    there[name] = true
    assert.is_table(rows[name], "no row for " .. name)
  end
  for name, row in pairs(rows) do
    assert.is_true(there[name], "there is no " .. name)
    assert.is_function(row.good, name)
    assert.is_truthy(row.bad and #row.bad > 0 or row.why, name)
  end
end

---@param t { names: string[], rows: table<string, table> }
function surface.check(t)
  check_names(t.names, t.rows)
  surface.beside_a_transfer(function()
    for name, row in pairs(t.rows) do
      row.good(name)
      for _, bad in ipairs(row.bad or {}) do
        surface.refused(name, table.unpack(bad, 1, bad.n or #bad))
      end
    end
  end)
end

---@param ... table their string keys, without metamethods'
---@return string[]
function surface.names_of(...)
  local names = {}
  for _, t in ipairs({ ... }) do
    for name in pairs(t) do
      if type(name) == "string" and not name:find("^__") then names[#names + 1] = name end
    end
  end
  return names
end

return surface
