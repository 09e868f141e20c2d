-- SPDX-License-Identifier: MIT
--
-- Checks every #include below a folder (default src) against its LAYERS file,
-- whose format is explained there.
--
--   lua5.4 .ci/layers.lua [FOLDER]
local root = arg[1] or "src"
local layers = root .. "/LAYERS"

local failed = false

local function complain(file, line, ...)
  failed = true
  io.stderr:write(("%s:%d: %s\n"):format(file, line, string.format(...)))
end

-- "lua*" as a Lua pattern.
local function glob(text)
  return "^" .. text:gsub("[%.%-%+]", "%%%0"):gsub("%*", ".*") .. "$"
end

local function folder_of(module) return module:match("^(.*/)") or "" end

-- Does a list such as { "net/", "lua/core" } contain the module?
local function lists(places, module)
  for _, place in ipairs(places) do
    if place == module or place == folder_of(module) then return true end
  end
  return false
end

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

-- modules[name] = { line =, uses = list of modules and folders }
-- confined = list of { pattern =, places = }
local modules, confined = {}, {}

local function read_module(line, name, uses)
  if modules[name] then return complain(layers, line, "%s is listed twice", name) end
  for _, used in ipairs(uses) do
    if not used:find("/$") and not modules[used] then
      complain(layers, line, "%s is not listed above %s", used, name)
    end
  end
  modules[name] = { line = line, uses = uses }
end

local function read_layers()
  local number = 0
  for line in io.lines(layers) do
    number = number + 1
    line = line:gsub("%s*#.*", "")
    local left, right = line:match("^(.-)%s*:%s*(.*)$")
    if not left and line ~= "" then
      complain(layers, number, "neither a module nor a system header")
    elseif left and left:find("^<") then
      for pattern in left:gmatch("<(.-)>") do
        confined[#confined + 1] = { pattern = glob(pattern), places = words(right) }
      end
    elseif left then
      read_module(number, left, words(right))
    end
  end
end

local function check_own(file, line, module, other)
  local from, to = modules[module], modules[other]
  if other == module then return end
  if not to then
    complain(file, line, "\"%s.h\" is no module of %s", other, layers)
  elseif not lists(from.uses, other) or to.line > from.line then
    complain(file, line, "%s may not include %s", module, other)
  end
end

local function check_system(file, line, module, header)
  for _, rule in ipairs(confined) do
    if header:find(rule.pattern) and not lists(rule.places, module) then
      local places = #rule.places > 0 and table.concat(rule.places, ", ") or "no place"
      complain(file, line, "<%s> is allowed in %s, not in %s", header, places, module)
    end
  end
end

local function check_file(file)
  local module = file:sub(#root + 2, -3)
  if not modules[module] then return complain(file, 1, "not listed in %s", layers) end
  modules[module].exists = true
  local number = 0
  for line in io.lines(file) do
    number = number + 1
    local own = line:match('^%s*#%s*include%s*"(.-)%.h"')
    local system = line:match("^%s*#%s*include%s*<(.-)>")
    if own then check_own(file, number, module, own) end
    if system then check_system(file, number, module, system) end
  end
end

read_layers()
local files = io.popen(("find '%s' -name '*.[ch]' | sort"):format(root))
for file in files:lines() do check_file(file) end
files:close()
for name, module in pairs(modules) do
  if not module.exists then complain(layers, module.line, "there is no %s", name) end
end
os.exit(not failed)
