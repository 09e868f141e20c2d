-- SPDX-License-Identifier: MIT
--
-- Request bodies that functions give.
--
--   local producer = require "spec.support.producer"
--   ms.fetch(url, { body = producer({ "a", "b" }, 1) })
local ms = require "multisocket"

---An iterator over the elements of a list.
---@param list string[]
---@param pause? integer ms that it waits before each
---@return fun(): string?
return function(list, pause)
  local i = 0
  return function()
    i = i + 1
    if pause then ms.sleep(pause) end
    return list[i]
  end
end
