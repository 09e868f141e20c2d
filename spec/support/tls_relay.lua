-- SPDX-License-Identifier: MIT
--
-- A TCP relay in a process of its own, between a client and a TLS server. It
-- reads the heads of the TLS records that go by, and does what its plan says
-- at an exact place of the stream.
--
--   local tls_relay = require "spec.support.tls_relay"
--   local r = tls_relay.start { to = s.port, plan = { { "cut", from = "server", records = 2 } } }
--   ... connect to r.port instead of s.port ...
--   r:hello(1).sni, r:records("server"), r:bytes("client")
--   r:stop()
--
-- Options of tls_relay.start:
--   to        port of the server; address: its address, default "127.0.0.1"
--   host      address to listen on, default "127.0.0.1"
--   plan      list of acts for every connection, default none; or
--   plans     a list of such lists: the first connection has the first, and
--             so on; later ones have the last
--
-- An act is { name, from =, records =, bytes = }. It happens once so much of
-- what `from` ("server" or "client") sent has been passed on: `records` whole
-- records, and `bytes` more; both default to 0. Names:
--   "cut"      the receiver gets FIN after exactly that, the sender's
--              connection is closed. What the receiver still sends is dropped
--   "reset"    both connections are reset
--   "stall"    nothing more of that sender goes on, ever, and it is no longer
--              read; the other direction goes on
--   "drip"     from there, every byte is a write of its own
--   "inject"   `data` (default: a record of a type that does not exist) goes
--              in between; it does not count
--   "corrupt"  the next byte has its lowest bit turned over
-- As "cut", "reset" and "stall" are about what was passed on, a receiver has
-- been sent all of it before.
--
-- What went by is written down before it is passed on.
local reporter = require "spec.support.reporter"

local tls_relay = {}

local MAIN = debug.getinfo(1, "S").source:match("^@(.*)tls_relay%.lua$") .. "tls_relay_main.lua"

---@class spec.RelayEvent
---@field event string "accept", "record", "hello", "act", "eof", "error", "closed"
---@field connection integer counted from 1
---@field from string? "server" or "client"
---@field type integer? of a record: 20 change cipher spec, 21 alert, 22 handshake, 23 data
---@field size integer? of a record, without its head of 5 bytes
---@field messages integer[]? of a record: the handshake messages that end in it, as far as
---they are not encrypted: 1 ClientHello, 2 ServerHello, 11 Certificate ...
---@field name string? of the act, or of the error
---@field writes table<string, integer>? when closed: how many writes passed on what "server"
---and "client" had sent

---@class spec.Hello
---@field sni string? nil: none was sent
---@field alpn string[] the names offered, in order
---@field versions integer[] supported_versions, e.g. 0x0304 for TLS 1.3
---@field extensions table<integer, true> by number: 5 status_request, 35 session_ticket,
---41 pre_shared_key, 42 early_data ...
---@field ticket boolean a session is offered: TLS 1.3 PSK, or a TLS 1.2 ticket or id

---@class spec.TlsRelay: spec.Reporter
local Relay = reporter.class()

---Starts a relay and returns when it accepts connections.
---@param opts { to: integer, address: string?, host: string?, plan: table[]?, plans: table[][]? }
---@return spec.TlsRelay
function tls_relay.start(opts)
  return reporter.start(Relay, { "lua5.4", MAIN }, reporter.source, {
    to = assert(opts.to, "to which port?"), address = opts.address or "127.0.0.1",
    host = opts.host or "127.0.0.1", plans = opts.plans or { opts.plan or {} },
  }) --[[@as spec.TlsRelay]]
end

---@param path? string default "/small"
---@param host? string default the address it listens on
---@return string
function Relay:url(path, host)
  host = host or self.host
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return ("https://%s:%d%s"):format(host, self.port, path or "/small")
end

---The records that `from` sent, in order.
---@param from "server"|"client"
---@param connection? integer default 1
---@return spec.RelayEvent[]
function Relay:records(from, connection)
  local list = {}
  for _, e in ipairs(self:all("record", connection or 1)) do
    if e.from == from then list[#list + 1] = e end
  end
  return list
end

---@param from "server"|"client"
---@param connection? integer default 1
---@return integer bytes that `from` sent in whole records, their heads included
function Relay:bytes(from, connection)
  local sum = 0
  for _, e in ipairs(self:records(from, connection)) do sum = sum + 5 + e.size end
  return sum
end

---@param connection? integer default 1
---@return spec.Hello? the first ClientHello
function Relay:hello(connection) return self:all("hello", connection or 1)[1] end

return tls_relay
