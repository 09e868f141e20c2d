-- SPDX-License-Identifier: MIT
--
-- The table of mutants and the sources agree. That each is noticed shows
-- `make mutants`.
local mutants = require "spec.support.mutants"

local LAWS, ITEMS = 13, 40

describe("mutants", function()
  local rows, mentions = mutants.rows(), mutants.mentions()

  it("are in the table and in the sources", function()
    for n in pairs(rows) do assert.truthy(mentions[n], "no source mentions mutant " .. n) end
    for n in pairs(mentions) do assert.truthy(rows[n], "the table has no mutant " .. n) end
  end)

  it("break every law and enough items of the contract", function()
    local items = 0
    for n in pairs(rows) do items = items + (n <= 145 and 1 or 0) end
    for law = 1, LAWS do assert.truthy(rows[200 + law], "no mutant of law " .. law) end
    assert.truthy(items >= ITEMS)
  end)

  it("have a spec with such a title", function()
    for n, row in pairs(rows) do
      local f <close> = assert(io.open(row.spec), row.spec)
      local number = row.filter:match("^%%f%[%%d%](%d+)%%%.")
      local needle = number and "item(" .. number .. "," or row.filter:gsub("%%(%p)", "%1")
      assert.truthy(f:read("a"):find(needle, 1, true), n .. ": " .. needle)
    end
  end)
end)
