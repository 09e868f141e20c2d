-- SPDX-License-Identifier: MIT
--
-- The specs of the binding, of tasks and of what is made of them once more, with
-- a collector step every few instructions, in every coroutine: what is not
-- anchored is gone when it is needed.
local EVERY = 500 -- instructions of Lua between two collector steps

describe("with a collector in a hurry,", function()
  local mode, hurry

  setup(function()
    mode, hurry = collectgarbage("generational"), true
    debug.sethook(function() if hurry then collectgarbage("step") end end, "", EVERY)
  end)
  teardown(function()
    debug.sethook()
    hurry = false -- coroutines that are used again keep their hook
    collectgarbage(mode)
  end)

  for _, name in ipairs({ "core", "core_multi", "stream", "upload", "task",
    "gather", "race", "semaphore", "wrap", "each",
    "fetch", "callback_errors" }) do
    assert(loadfile(("spec/%s_spec.lua"):format(name), "t", _ENV))()
  end
end)
