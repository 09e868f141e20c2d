-- SPDX-License-Identifier: MIT
--
-- A Lua program in a network and mount namespace of its own, where it is root
-- and nobody else is: with an /etc/resolv.conf to choose, and a loopback on
-- which every port is free. Needs no privileges on systems that let users make
-- namespaces.
--
--   local r = namespace.run(text, { resolv_conf = "nameserver 127.0.0.1\n" })
local process = require "spec.support.process"

local namespace = {}

local SETUP = [[
ip link set lo up && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"
]]

---@return boolean possible here
function namespace.possible()
  return process.run({ "unshare", "-Urnm", "ip", "link", "set", "lo", "up" }).code == 0
end

---Runs a Lua program (its text) there to its end. `opts` as for process.run,
---and resolv_conf, the text of that file (default: empty).
---@param text string
---@param opts? table
---@return spec.Result
function namespace.run(text, opts)
  opts = setmetatable({ stdin = text }, { __index = opts })
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  f:write(opts.resolv_conf or "")
  f:flush()
  local result = process.run({ "unshare", "-Urnm", "sh", "-c", SETUP, "sh", path, "lua5.4", "-" },
    opts)
  os.remove(path)
  return result
end

return namespace
