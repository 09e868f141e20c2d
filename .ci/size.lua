-- SPDX-License-Identifier: MIT
--
-- Fails on functions and files that grew too long to be read in one go.
--
--   lua5.4 .ci/size.lua [FILE...]          default: all C and Lua files
--
-- C functions are found by their braces in the first column (clang-format
-- sees to that), Lua functions by the compiler. A describe() block is a
-- chapter of a spec, not a function.
local MAX_FUNCTION = 70 -- lines, braces or `end` included
local MAX_FILE = 900 -- lines

local failed = false

local function report(file, line, what, lines, max)
  failed = true
  io.stderr:write(("%s:%d: %s has %d lines, %d are allowed\n"):format(
    file, line, what, lines, max))
end

local function c_functions(lines)
  local list, start = {}, nil
  for n, line in ipairs(lines) do
    if line == "{" then
      start = n
    elseif start and line == "}" then
      list[#list + 1] = { start, n }
      start = nil
    end
  end
  return list
end

local function lua_functions(lines, file)
  local list = {}
  local listing = io.popen(("luac5.4 -p -l '%s' 2>&1"):format(file))
  for line in listing:lines() do
    local from, to = line:match("^function <.*:(%d+),(%d+)>")
    from, to = tonumber(from), tonumber(to)
    if from and not lines[from]:find("^%s*describe%(") then list[#list + 1] = { from, to } end
  end
  if not listing:close() then
    failed = true
    io.stderr:write(file, ": luac5.4 cannot compile it\n")
  end
  return list
end

local function check(file)
  local lines = {}
  for line in io.lines(file) do lines[#lines + 1] = line end
  if #lines > MAX_FILE then report(file, 1, "file", #lines, MAX_FILE) end
  local functions = file:find("%.lua$") and lua_functions or c_functions
  for _, f in ipairs(functions(lines, file)) do
    local length = f[2] - f[1] + 1
    if length > MAX_FUNCTION then report(file, f[1], "function", length, MAX_FUNCTION) end
  end
end

local function all_files()
  local list = {}
  local found = io.popen([[find . -name build -prune -o -type f \
    \( -name '*.c' -o -name '*.h' -o -name '*.lua' \) -print | sort]])
  for file in found:lines() do list[#list + 1] = file end
  found:close()
  return list
end

for _, file in ipairs(#arg > 0 and arg or all_files()) do check(file) end
os.exit(not failed)
