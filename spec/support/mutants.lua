-- SPDX-License-Identifier: MIT
--
-- spec/mutants.txt and what the sources have of it.
local mutants = {}

local TABLE = "spec/mutants.txt"

---@class spec.Mutant
---@field n integer
---@field what string what it breaks
---@field spec string the file that has to notice
---@field filter string busted's pattern for the title

---@return table<integer, spec.Mutant>
function mutants.rows()
  local rows = {}
  for line in io.lines(TABLE) do
    if line ~= "" and line:sub(1, 1) ~= "#" then
      local n, what, spec, filter = line:match("^(%d+)%s*|%s*(.-)%s*|%s*(%S+)%s*|%s*(.-)%s*$")
      assert(n, "not a row: " .. line)
      n = math.tointeger(tonumber(n))
      assert(not rows[n], "mutant " .. n .. " is there twice")
      rows[n] = { n = n, what = what, spec = spec, filter = filter }
    end
  end
  return rows
end

---@return table<integer, table<string, true>> of each number the files that mention it
function mutants.mentions()
  local found = {}
  local lines <close> = assert(io.popen("grep -o 'MS_MUTANT_IS([0-9]*)' src/*/*.[ch]"))
  for line in lines:lines() do
    local path, n = line:match("^(.-):MS_MUTANT_IS%((%d+)%)$")
    if n then
      n = math.tointeger(tonumber(n))
      found[n] = found[n] or {}
      found[n][path] = true
      found[n].header = found[n].header or path:find("%.h$") ~= nil
    end
  end
  return found
end

return mutants
