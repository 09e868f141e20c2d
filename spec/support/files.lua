-- SPDX-License-Identifier: MIT
--
-- Whole files, byte by byte as they are.
--
--   local files = require "spec.support.files"
--   files.write(path, "text")
--   files.read(path)            -- "text"; nil where there is no such file
local files = {}

---@param path string
---@param text string
function files.write(path, text)
  local f <close> = assert(io.open(path, "wb"))
  assert(f:write(text))
end

---@param path string
---@return string?
function files.read(path)
  local f <close> = io.open(path, "rb")
  return f and f:read("a")
end

return files
