-- SPDX-License-Identifier: MIT
--
-- Medians, and tables that read well in a terminal and as Markdown.

local report = {}

--- The middle value; nil of nothing.
---@param list number[]
---@return number?
function report.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local n = #sorted
  if n == 0 then return nil end
  return (sorted[(n + 1) // 2] + sorted[n // 2 + 1]) / 2
end

--- `value` with `digits` decimals, "-" for nil.
---@param value number?
---@param digits integer
---@return string
function report.number(value, digits)
  return value and ("%." .. digits .. "f"):format(value) or "-"
end

-- Columns, not bytes: the signs used here are all one column wide.
local function pad(text, width, left)
  local space = (" "):rep(width - utf8.len(text))
  return left and text .. space or space .. text
end

--- Prints rows of strings under a header; the first column is text, the others are numbers.
---@param header string[]
---@param rows string[][]
function report.table(header, rows)
  local widths = {}
  local function measure(row)
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 3, utf8.len(cell)) end
  end
  measure(header)
  for _, row in ipairs(rows) do measure(row) end

  local function line(row)
    local cells = {}
    for i, width in ipairs(widths) do cells[i] = pad(row[i] or "", width, i == 1) end
    print("| " .. table.concat(cells, " | ") .. " |")
  end
  line(header)
  local rule = {}
  for i, width in ipairs(widths) do
    rule[i] = i == 1 and ("-"):rep(width) or ("-"):rep(width - 1) .. ":"
  end
  line(rule)
  for _, row in ipairs(rows) do line(row) end
end

return report
