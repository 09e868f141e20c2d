-- SPDX-License-Identifier: MIT
--
-- Builds that are broken on purpose (MS_MUTANT_IS in the sources), each with
-- the spec that has to notice: spec/mutants.txt. `make mutants` calls this.
--
--   mutants.lua list            their numbers
--   mutants.lua run N           builds one into build/mutants/N, runs its spec
--                               with and without it, keeps the verdict there
--   mutants.lua report N...     the verdicts; fails unless all are killed
--
-- The environment has COMPILE, LINK and LIBS, the Makefile's commands. What
-- does not mention the number comes from build/mutant, which nothing breaks.
local table_of = dofile("spec/support/mutants.lua")

local LIMIT = 90 -- seconds for one spec; one that hangs has noticed, too
local BASE = "build/mutants/0"

local function dir(n) return "build/mutants/" .. n end

local function sh(...) return os.execute(string.format(...)) end

local function write_file(path, text)
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
end

local function read_file(path)
  local f <close> = io.open(path)
  return f and f:read("a")
end

-- The objects of one mutant: its own where a source mentions it, all when a
-- header does. A C test has
-- no Lua around it.
local function compile(n, sources, is_unit)
  local objects, own = {}, 0
  local list = is_unit and "ls src/*/*.c | grep -v src/lua/" or "ls src/*/*.c"
  for source in io.popen(list):lines() do
    local object = "build/mutant/" .. source:gsub("c$", "o")
    if sources[source] or sources.header then
      own, object = own + 1, ("%s/%d.o"):format(dir(n), own)
      assert(sh("%s -DMS_MUTANT=%d -c -o %s %s", os.getenv("COMPILE"), n, object, source))
    end
    objects[#objects + 1] = object
  end
  assert(own > 0, "no source mentions mutant " .. n)
  return table.concat(objects, " ")
end

-- The name of a row's C test, nil when its spec is in Lua.
local function unit_of(row) return row.spec:match("^spec/unit/(.*)%.c$") end

local function build(row)
  local unit = unit_of(row)
  assert(sh("rm -rf %s && mkdir -p %s/multisocket", dir(row.n), dir(row.n)))
  local objects = compile(row.n, table_of.mentions()[row.n] or {}, unit)
  if not unit then
    return assert(sh("%s -shared -o %s/multisocket/core.so %s %s", os.getenv("LINK"), dir(row.n),
      objects, os.getenv("LIBS")))
  end
  assert(sh("%s -o %s/%s build/mutant/spec/unit/%s.o build/mutant/spec/unit/unit.o %s %s -pthread",
    os.getenv("LINK"), dir(row.n), unit, unit, objects, os.getenv("LIBS")))
end

-- What runs a row's spec on what was built in `where`.
local function command_of(row, where)
  local unit = unit_of(row)
  if unit then
    return ("%s/%s %s"):format(where == BASE and "build/mutant" or where, unit, row.filter)
  end
  return ([[env LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;;" LUA_CPATH="$PWD/%s/?.so;;" \
    lua5.4 .ci/busted.lua %s '--filter=%s']]):format(where, row.spec, row.filter)
end

-- How many passed and failed, or nil when it did not get to the end (what
-- happens after that is not looked at: luv 1.44 may crash at exit). The output
-- is kept in `log`.
local function run_spec(row, where, log)
  sh("timeout --kill-after=5 %d %s >%s 2>&1 </dev/null", LIMIT, command_of(row, where), log)
  local passed, failed = (read_file(log) or ""):match("(%d+) passed, (%d+) failed\n")
  return tonumber(passed), tonumber(failed)
end

local function verdict(row)
  local own, base = dir(row.n) .. "/log", dir(row.n) .. "/base.log"
  local passed, failed = run_spec(row, BASE, base)
  if failed ~= 0 or passed == 0 then return "INVALID: its spec fails anyway: " .. base end
  passed, failed = run_spec(row, dir(row.n), own)
  if failed == 0 and passed > 0 then return "SURVIVED: " .. own end
  return ("killed (%s)"):format(failed and failed .. " failed" or "crashed or hung")
end

local function run(n)
  local row = assert(table_of.rows()[n], "spec/mutants.txt has no mutant " .. n)
  build(row)
  local text = verdict(row)
  write_file(dir(n) .. "/verdict", text)
  print(("%4d %-58s %s"):format(n, row.what, text))
  return text:find("^killed") ~= nil
end

local function report(numbers)
  local killed = 0
  for _, n in ipairs(numbers) do
    local text = read_file(dir(n) .. "/verdict") or "NOT BUILT"
    if text:find("^killed") then
      killed = killed + 1
    else
      print(("%4d %s: %s"):format(n, table_of.rows()[math.tointeger(n)].what, text))
    end
  end
  print(("mutants: %d of %d killed"):format(killed, #numbers))
  return killed == #numbers
end

local command, n = arg[1], math.tointeger(tonumber(arg[2]))
if command == "list" then
  local list = {}
  for number in pairs(table_of.rows()) do list[#list + 1] = number end
  table.sort(list)
  print(table.concat(list, " "))
elseif command == "run" then
  os.exit(run(n))
else
  os.exit(report({ table.unpack(arg, 2) }))
end
