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
-- records, and `bytes` more; both default to 0. Only one act for each place,
-- in any order. Names:
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
local process = require "spec.support.process"
local source = require "spec.support.source"

local tls_relay = {}

local START_TIMEOUT = 10000 -- ms
local MAIN = debug.getinfo(1, "S").source:match("^@(.*)tls_relay%.lua$") .. "tls_relay_main.lua"

---@class spec.RelayEvent
---@field event string "accept", "record", "hello", "act", "eof", "error", "closed"
---@field connection integer counted from 1
---@field from string? "server" or "client"
---@field type integer? of a record: 20 change cipher spec, 21 alert, 22 handshake, 23 data
---@field size integer? of a record, without its head of 5 bytes
---@field messages integer[]? handshake messages in it, as far as they are not encrypted
---@field name string? of the act, or of the error

---@class spec.Hello
---@field sni string? nil: none was sent
---@field alpn string[] the names offered, in order
---@field versions integer[] supported_versions, e.g. 0x0304 for TLS 1.3
---@field extensions table<integer, true> by number: 5 status_request, 35 session_ticket,
---41 pre_shared_key, 42 early_data ...
---@field ticket boolean a session is offered: TLS 1.3 PSK, or a TLS 1.2 ticket or id

---@class spec.TlsRelay
---@field host string
---@field port integer
---@field pid integer
local Relay = {}
Relay.__index = Relay
