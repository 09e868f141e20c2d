-- SPDX-License-Identifier: MIT
--
-- The same spec over HTTP/1.1 and over HTTP/2, for us and for curl.
--
--   for _, v in ipairs(wire.VERSIONS) do
--     describe("a part of a body " .. v.over, function() ... end)
--   end
--
--   v.name, v.over        "1.1" or "2", "over HTTP/1.1" or "over HTTP/2"
--   v.is_h2               where the two are not alike
--   v:options(t)          options of a fetch: t's, and what the version takes
--   v:client(t)           a client with them
--   v:fetch(url, t)       ms.fetch with them
--   v:peer(scripts, o)    spec.support.peer
--   v:nginx(o)            spec.support.server, which speaks that version alone
--   v:node([secure])      wire_server.js, with TLS if secure: s:url(path [, host]),
--                         s:stop(), s.port
--   v:curl(...)           what curl -s does with these words: process.run's result
--   v:start_curl(...)     the same of process.start
--
-- A scripted peer speaks HTTP/1.1. For HTTP/2 there is a haproxy before all of
-- them: connections to them are made to it (connect_to, which curl has, too),
-- and the authority of a request says which one is meant. So they have URLs and
-- requests as ever; the names of fields are in lower case then.
local certs = require "spec.support.certs"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local server = require "spec.support.server"
local servers = require "spec.support.h2_servers"

local wire = {}

local START_TIMEOUT = 30000 -- ms
local LIMIT = 30000 -- ms, of a fetch
local BARE = { env = { LD_PRELOAD = false } } -- curl is not what is looked at
local HERE = debug.getinfo(1, "S").source:match("^@(.*)wire%.lua$")

local Version = {}
Version.__index = Version

local Node = {}
Node.__index = Node

function Node:url(path, host)
  return ("%s://%s:%d%s"):format(self.secure and "https" or "http", host or "127.0.0.1",
    self.port, path or "/")
end

function Node:stop()
  if not self.child then return end
  self.child:kill("sigkill")
  self.child:wait()
  self.child = nil
end
Node.__close = Node.stop

function Version:options(t)
  local opts = { timeout = LIMIT }
  for k, v in pairs(t or {}) do opts[k] = v end
  opts.version = self.version
  opts.connect_to = opts.connect_to or self.routes
  opts.tls = opts.tls or { ca_file = certs.get("valid").ca }
  return opts
end

function Version:client(t) return ms.client(self:options(t)) end
function Version:fetch(url, t) return ms.fetch(url, self:options(t)) end

function Version:node(secure)
  local cert = secure and certs.get("valid") or {}
  local child = process.start({ "node", HERE .. "wire_server.js", cert.key, cert.full })
  local ports = {}
  for n in child:first_line(START_TIMEOUT):gmatch("%d+") do ports[#ports + 1] = tonumber(n) end
  return setmetatable({ child = child, secure = secure,
    port = ports[(self.is_h2 and 2 or 1) + (secure and 2 or 0)] }, Node)
end

function Version:nginx(opts)
  opts = opts or {}
  if self.is_h2 then
    opts.listen = " http2"
    for _, block in ipairs(opts.more or {}) do block.listen = " http2" end
  end
  return server.start(opts)
end

function Version:peer(scripts, opts)
  local p = peer.start(scripts, opts)
  if self.is_h2 then
    self.proxy = self.proxy or servers.haproxy("any")
    self.routes[("%s:%d"):format(p.host, p.port)] = "127.0.0.1:" .. self.proxy.port
  end
  return p
end

-- curl 7.88 fails when it uses a connection of --http2-prior-knowledge again.
function Version:how(...)
  if not self.is_h2 then return "--http1.1" end
  local secure = table.concat({ ... }, " "):find("https://", 1, true)
  return secure and "--http2" or "--http2-prior-knowledge"
end

function Version:argv(...)
  local argv = { "curl", "-s", "--max-time", tostring(LIMIT // 1000), "--cacert",
    certs.get("valid").ca, self:how(...) }
  for from, to in pairs(self.routes or {}) do
    argv[#argv + 1] = "--connect-to"
    argv[#argv + 1] = from .. ":" .. to
  end
  return table.move({ ... }, 1, select("#", ...), #argv + 1, argv)
end

function Version:start_curl(...) return process.start(self:argv(...), BARE) end

function Version:curl(...) return process.run(self:argv(...), BARE) end

function Version:__gc()
  if self.proxy then self.proxy:stop() end
end

local function version_of(name)
  local is_h2 = name == "2"
  return setmetatable({ name = name, is_h2 = is_h2, over = "over HTTP/" .. name,
    routes = is_h2 and {} or nil, version = is_h2 and "2-prior-knowledge" or "1.1" }, Version)
end

wire.VERSIONS = { version_of("1.1"), version_of("2") }

return wire
