-- SPDX-License-Identifier: MIT
--
-- Tables of cases: rows that begin with the statement they prove and with what
-- they are about; those two are the title of their test.
--
--   local list = require("spec.support.rows").new()
--   list.add { "A1", "two lengths that differ", answer, "bad_response" }
--   list.each("A3", "a length that is no number", "bad_response", answers)
--   for title, group in rows.by_title(list.rows) do it(title, ...) end
local rows = {}

---@return any[] what `fn` makes of each
local function map(list, fn)
  local out = {}
  for i, v in ipairs(list) do out[i] = fn(v) end
  return out
end

---@return { rows: table[], add: fun(row: table), each: function, map: function }
function rows.new()
  local list = {}
  local function add(row) list[#list + 1] = row end

  -- The same is expected of several answers; `more` goes to each row.
  local function each(statement, what, expected, answers, more)
    for _, answer in ipairs(answers) do
      local row = { statement, what, answer, expected }
      for k, v in pairs(more or {}) do row[k] = v end
      add(row)
    end
  end
  return { rows = list, add = add, each = each, map = map }
end

---Title by title, in the order of their first rows, each with all its rows.
---@param list table[]
---@return fun(): string?, table[]?
function rows.by_title(list)
  local groups, order, at = {}, {}, 0
  for _, row in ipairs(list) do
    local title = row[1] .. ": " .. row[2]
    if not groups[title] then
      groups[title] = {}
      order[#order + 1] = title
    end
    table.insert(groups[title], row)
  end
  return function()
    at = at + 1
    return order[at], groups[order[at]]
  end
end

return rows
