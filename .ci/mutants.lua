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

-- The objects of one mutant: its own where a source mentions it.
local function compile(n, sources)
  local objects, own = {}, 0
  for source in io.popen("ls src/*/*.c"):lines() do
    local object = "build/mutant/" .. source:gsub("c$", "o")
    if sources[source] then
      own, object = own + 1, ("%s/%d.o"):format(dir(n), own)
      assert(sh("%s -DMS_MUTANT=%d -c -o %s %s", os.getenv("COMPILE"), n, object, source))
    end
    objects[#objects + 1] = object
  end
  assert(own > 0, "no source mentions mutant " .. n)
  return table.concat(objects, " ")
end

local function build(row)
  assert(sh("rm -rf %s && mkdir -p %s/multisocket", dir(row.n), dir(row.n)))
  assert(sh("%s -o %s/multisocket/core.so %s %s", os.getenv("LINK"), dir(row.n),
    compile(row.n, table_of.mentions()[row.n] or {}), os.getenv("LIBS")))
end

-- Runs a row's spec on the module in `where`: how many passed and failed, or
-- nil when it did not get to the end. The output is kept in `log`.
local function run_spec(row, where, log)
  local code = sh([[LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;;" LUA_CPATH="$PWD/%s/?.so;;" \
    timeout --kill-after=5 %d lua5.4 .ci/busted.lua %s '--filter=%s' >%s 2>&1 </dev/null]],
    where, LIMIT, row.spec, row.filter, log)
  local passed, failed = (read_file(log) or ""):match("(%d+) passed, (%d+) failed\n")
  return code, tonumber(passed), tonumber(failed)
end

local function verdict(row)
  local own, base = dir(row.n) .. "/log", dir(row.n) .. "/base.log"
  local fine, passed = run_spec(row, BASE, base)
  if not fine or not passed or passed == 0 then return "INVALID: its spec fails anyway: " .. base end
  local survived, _, failed = run_spec(row, dir(row.n), own)
  if survived then return "SURVIVED: " .. own end
  return ("killed (%s)"):format(failed and failed > 0 and failed .. " failed" or "crashed or hung")
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
