-- SPDX-License-Identifier: MIT
--
-- Prints a compilation database for editors.
--
--   lua5.4 .ci/compile_commands.lua 'gcc -Isrc ...' FILE.c... > compile_commands.json
local command = table.remove(arg, 1)
local pwd = io.popen("pwd"):read("l")

local entries = {}
for i, file in ipairs(arg) do
  entries[i] = ('  { "directory": %q, "file": %q, "command": %q }'):format(
    pwd, file, command .. " -c " .. file)
end
print("[\n" .. table.concat(entries, ",\n") .. "\n]")
