-- SPDX-License-Identifier: MIT
--
-- spec/support/digest_server.js, which see.
--
--   local s <close> = require("spec.support.digest").start()
--   s:url("/MD5/auth" [, "2"])   its HTTP/2 port with "2"
--   s:stop()
local process = require "spec.support.process"

local digest = {}

local START_TIMEOUT = 30000 -- ms
local HERE = debug.getinfo(1, "S").source:match("^@(.*)digest%.lua$")

local Server = {}
Server.__index = Server

function Server:url(path, version)
  return ("http://127.0.0.1:%d%s"):format(version == "2" and self.second or self.first, path)
end

function Server:stop()
  if not self.child then return end
  self.child:kill("sigkill")
  self.child:wait()
  self.child = nil
end
Server.__close = Server.stop

function digest.start()
  local child = process.start({ "node", HERE .. "digest_server.js" })
  local first, second = child:first_line(START_TIMEOUT):match("^(%d+) (%d+)")
  return setmetatable({ child = child, first = tonumber(first), second = tonumber(second) },
    Server)
end

return digest
