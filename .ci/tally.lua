-- SPDX-License-Identifier: MIT
--
-- Runs test programs one after the other and adds up what they report.
--
--   lua5.4 .ci/tally.lua COMMAND...
--
-- Every program must end with a line "[name: ]N passed, N failed"; it is
-- taken out of the output, and the sum ends ours. A program that says nothing
-- of the kind (it crashed, or hung until LIMIT), or fails without naming a
-- failed test, counts as one failed test.
local LIMIT = 3600 -- seconds for one program; all tests together take a fraction, also under a tool

-- At a terminal Ctrl-C must reach the program; elsewhere a program that
-- hangs is ended with everything it started.
local timeout = ("timeout %s --kill-after=5 %d "):format(
  os.execute("test -t 0") and "--foreground" or "", LIMIT)

local function run(command)
  local passed, failed
  local output = assert(io.popen(timeout .. command .. " 2>&1"))
  for line in output:lines() do
    local p, f = line:match("^(%d+) passed, (%d+) failed$")
    if not p then p, f = line:match("^%S+: (%d+) passed, (%d+) failed$") end
    if p then passed, failed = tonumber(p), tonumber(f) end
    if not p or line:find(":", 1, true) then print(line) end
    io.flush()
  end
  local ok, how, code = output:close()
  if not passed or (not ok and failed == 0) or passed + failed == 0 then
    print(("FAILED %s (%s %d)"):format(command, how, code))
    return passed or 0, (failed or 0) + 1
  end
  return passed, failed
end

local passed, failed = 0, 0
for _, command in ipairs(arg) do
  local p, f = run(command)
  passed, failed = passed + p, failed + f
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0)
