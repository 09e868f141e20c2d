-- SPDX-License-Identifier: MIT
--
-- Builds spec/support/fork.c and gives the piece of program that loads it.
local process = require "spec.support.process"

local fork = {}

local SOURCE = debug.getinfo(1, "S").source:match("^@(.*)fork%.lua$") .. "fork.c"

---@return string code `local fork, wait, _exit = ...`
---@return string path of the library, to be removed
function fork.build()
  local path = os.tmpname()
  local flags = assert(io.popen("pkg-config --cflags lua5.4")):read("l")
  local r = process.run({ "sh", "-c", ('exec gcc -shared -fPIC -O1 %s -o "$1" "$2"'):format(flags),
    "sh", path, SOURCE }, { env = { LD_PRELOAD = false } })
  if r.code ~= 0 then error("fork.c does not compile: " .. r.stderr, 2) end
  local code = ("local forks = assert(package.loadlib(%q, 'luaopen_spec_fork'))() "
    .. "local fork, wait, _exit = forks.fork, forks.wait, forks._exit "):format(path)
  return code, path
end

return fork
