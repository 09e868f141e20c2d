-- SPDX-License-Identifier: MIT
--
-- The specs of the binding once more, with a collector that works at every
-- few calls: what is not anchored is gone when it is needed.
local EVERY = 1000 -- instructions of Lua between two collector steps

describe("with a collector in a hurry,", function()
  local mode

  setup(function()
    mode = collectgarbage("generational")
    debug.sethook(function() collectgarbage("step") end, "", EVERY)
  end)
  teardown(function()
    debug.sethook()
    collectgarbage(mode)
  end)

  for _, name in ipairs { "core_spec", "core_multi_spec" } do
    assert(loadfile(("spec/%s.lua"):format(name), "t", _ENV))()
  end
end)
