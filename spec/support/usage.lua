-- SPDX-License-Identifier: MIT
--
-- What should be raised as a mistake of the program's.
--
--   local usage = require "spec.support.usage"
--   assert.matches("must be a string", usage(ms.fetch, 1).message)
local assert = require "luassert"

---Calls fn(...), which has to raise a usage error.
---@param fn function
---@return multisocket.Error
return function(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("usage", err.category)
  return err
end
