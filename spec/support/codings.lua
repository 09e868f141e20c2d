-- SPDX-License-Identifier: MIT
--
-- Bodies in content codings, made by Node: coding_server.js on loopback, in
-- HTTP/1.1 and, on a port of its own, in HTTP/2 without TLS.
--
--   local node = codings.start()
--   node:url("1.1", "/gzip"), node:url("2-prior-knowledge", "/gzip+br")
--   node:stop()
--   codings.encode("gzip+br", text)      -- the same without a server
local process = require "spec.support.process"

local codings = {}

local START_TIMEOUT = 30000 -- ms
local HERE = debug.getinfo(1, "S").source:match("^@(.*)codings%.lua$")

-- What the server answers with, before it is coded.
codings.TEXT = ("what a server says is worth compressing\n"):rep(2500)

local Server = {}
Server.__index = Server

function Server:url(version, path)
  return ("http://127.0.0.1:%d%s"):format(version == "1.1" and self.h1 or self.h2, path)
end

function Server:stop()
  self.child:kill("sigkill")
  self.child:wait()
end

function codings.start()
  local child = process.start({ "node", HERE .. "coding_server.js" })
  local h1, h2 = child:first_line(START_TIMEOUT):match("^(%d+) (%d+)$")
  return setmetatable({ child = child, h1 = tonumber(h1), h2 = tonumber(h2) }, Server)
end

---@param how string codings with "+" between, in the order they are done
---@param text string
---@return string
function codings.encode(how, text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local pipe = assert(io.popen(("node %scoding_server.js encode '%s' <%s"):format(HERE, how, path)))
  local coded = pipe:read("a")
  assert(pipe:close())
  os.remove(path)
  return coded
end

return codings
