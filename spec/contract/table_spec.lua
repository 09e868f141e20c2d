-- SPDX-License-Identifier: MIT
--
-- The table in docs/multi-socket.md and the items in this folder are the same.
local FILES = { "a_adding", "b_socket", "b_callback", "c_timer", "d_action", "e_reading",
  "f_reentrancy", "g_driving", "h_pool", "i_errors", "k_data" }
local ITEMS = 145

-- The items of a file, without running any: number -> row of the table.
local function read_items(name, rows)
  local fake = { begin = function()
    return function(n, statement, fn)
      assert(not rows[n], "item " .. n .. " is there twice")
      local where = type(fn) == "string" and "pending: " .. fn or "`" .. name .. "`"
      rows[n] = ("| %d | %s | %s |"):format(n, statement, where)
    end
  end }
  local env = setmetatable({
    describe = function(_, fn) fn() end,
    require = function(module)
      return module == "spec.support.contract" and fake or require(module)
    end,
  }, { __index = _G })
  assert(loadfile("spec/contract/" .. name .. "_spec.lua", "t", env))()
end

it("the contract's table in the guide is true", function()
  local rows, listed = {}, {}
  for _, name in ipairs(FILES) do read_items(name, rows) end
  for line in io.lines("docs/multi-socket.md") do
    local n = tonumber(line:match("^| (%d+) | "))
    if n then listed[n] = line end
  end
  for n = 1, ITEMS do assert.equal(rows[n], listed[n]) end
  assert.equal(ITEMS, #rows)
  assert.equal(ITEMS, #listed)
end)
