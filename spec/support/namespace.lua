-- SPDX-License-Identifier: MIT
--
-- A Lua program in a network and mount namespace of its own, where it is root
-- and nobody else is: with an /etc/resolv.conf to choose, and a loopback on
-- which every port is free. Needs no privileges on systems that let users make
-- namespaces.
--
--   local r = namespace.run(text, { resolv_conf = "nameserver 127.0.0.1\n" })
--   r = namespace.run(text, { hosts = "::1 two\n127.0.0.1 two\n" })
local process = require "spec.support.process"

local namespace = {}

local SETUP = [[
ip link set lo up && mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/hosts &&
shift 2 && exec "$@"
]]

local function write_file(text)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
  return path
end

---@return boolean possible here
function namespace.possible()
  return process.run({ "unshare", "-Urnm", "ip", "link", "set", "lo", "up" }).code == 0
end

---Runs a Lua program (its text) there to its end. `opts` as for process.run,
---and resolv_conf and hosts, the text of these files (default: empty, and localhost).
---@param text string
---@param opts? table
---@return spec.Result
function namespace.run(text, opts)
  opts = setmetatable({ stdin = text }, { __index = opts })
  local resolv_conf = write_file(opts.resolv_conf or "")
  local hosts = write_file(opts.hosts or "127.0.0.1 localhost\n::1 localhost\n")
  local result = process.run({ "unshare", "-Urnm", "sh", "-c", SETUP, "sh", resolv_conf, hosts,
    "lua5.4", "-" }, opts)
  os.remove(resolv_conf)
  os.remove(hosts)
  return result
end

return namespace
