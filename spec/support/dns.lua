-- SPDX-License-Identifier: MIT
--
-- A DNS server of the test's own, on UDP and TCP at 127.0.0.1, in this process and on
-- its luv loop: for specs whose client runs on that loop too.
--
--   local server <close> = dns.start { ["a.test"] = { "127.0.0.1", "::1" } }
--   ms.fetch(url, { dns = { servers = server.address } })
--   server.records["a.test"] = { "127.0.0.2" }   -- from now on
--   server.asked["a.test A"]                     -- how often
--
-- A name without a record does not exist; `false` as a record is silence, a
-- number a response code. `ttl` is of all records, in seconds. A record may
-- also have
--   A =, AAAA =        records of their own for that type
--   truncated = true   what is there comes over TCP only ("tcp a.test A" was
--                      asked), where nobody answers with server.tcp_is_dead
--   before = bytes     something to go before the answers
--   raw = function(packet, question, type)  the bytes to answer, or a list of
--                      packets, or false
local uv = require "luv"

local dns = {}

local TYPES = { [1] = "A", [28] = "AAAA" }
local NXDOMAIN = 3

local function read_name(packet)
  local labels, at = {}, 13
  while packet:byte(at) > 0 do
    local label = packet:sub(at + 1, at + packet:byte(at))
    labels[#labels + 1] = label:lower()
    at = at + 1 + #label
  end
  return table.concat(labels, "."), at + 1
end

local function v4_bytes(text)
  local bytes = {}
  for number in text:gmatch("%d+") do bytes[#bytes + 1] = tonumber(number) end
  return string.char(table.unpack(bytes))
end

-- Groups of "a:b::c"; no dotted ends.
local function v6_bytes(text)
  local function groups(part)
    local list = {}
    for group in part:gmatch("%x+") do list[#list + 1] = (">I2"):pack(tonumber(group, 16)) end
    return list
  end
  local head, tail = text:match("^(.-)::(.*)$")
  local front, back = groups(head or text), groups(tail or "")
  return table.concat(front) .. ("\0\0"):rep(8 - #front - #back) .. table.concat(back)
end

local function answers(addresses, type_number, ttl)
  local list = {}
  for _, address in ipairs(addresses) do
    local is_v6 = address:find(":", 1, true) ~= nil
    if is_v6 == (TYPES[type_number] == "AAAA") then
      local bytes = is_v6 and v6_bytes(address) or v4_bytes(address)
      list[#list + 1] = (">I2I2I2I4s2"):pack(0xc00c, type_number, 1, ttl, bytes)
    end
  end
  return list
end

-- Without the list: who sees that comes again over TCP.
local TRUNCATED = 0x0200
local OK = 0x8180

---@param question string what was asked, to its type and class
local function message(packet, question, code, list)
  return packet:sub(1, 2) .. (">I2I2I2I2I2"):pack(OK | code, 1, #list, 0, 0) .. question
    .. table.concat(list)
end

-- The answer to a question; false when there is to be none.
local function respond(self, packet, is_tcp)
  local name, at = read_name(packet)
  local kind = TYPES[(">I2"):unpack(packet, at)] or "?"
  local question, text = packet:sub(13, at + 3), ("%s %s"):format(name, kind)
  if is_tcp then text = "tcp " .. text end
  self.asked[text] = (self.asked[text] or 0) + 1
  self.total = self.total + 1
  local record = self.records[name]
  if record == nil then record = NXDOMAIN end
  if type(record) == "table" and record[kind] ~= nil then record = record[kind] end
  if type(record) == "number" then return message(packet, question, record, {}) end
  if not record then return false end
  if record.raw then return record.raw(packet, question, kind) end
  if record.truncated and not is_tcp then return message(packet, question, TRUNCATED, {}) end
  local list = answers(record, kind == "AAAA" and 28 or 1, self.ttl)
  if record.before then table.insert(list, 1, record.before) end
  return message(packet, question, 0, list)
end

local function on_tcp(self)
  local peer = uv.new_tcp()
  self.tcp:accept(peer)
  self.peers[peer] = true
  if self.tcp_is_dead then
    self.peers[peer] = nil
    return peer:close()
  end
  local buffered = ""
  peer:read_start(function(err, data)
    if err or not data then
      self.peers[peer] = nil
      return peer:close()
    end
    buffered = buffered .. data
    while #buffered > 1 and #buffered >= 2 + (">I2"):unpack(buffered) do
      local packet, behind = (">s2"):unpack(buffered)
      buffered = buffered:sub(behind)
      local answer = respond(self, packet, true)
      if answer then peer:write((">s2"):pack(answer)) end
    end
  end)
end

-- A number that is free for both; a port that is free for UDP may be the near
-- end of some connection.
local function bind_both(at)
  for _ = 1, 100 do
    local udp, tcp = uv.new_udp(), uv.new_tcp()
    assert(udp:bind(at.host, at.port))
    local port = udp:getsockname().port
    if tcp:bind(at.host, port) and tcp:listen(16, function() end) then
      tcp:close()
      return udp, port
    end
    udp:close()
    tcp:close()
  end
  error("no port is free for both")
end

local function listen(self, at, port)
  self.tcp, self.peers = uv.new_tcp(), {}
  assert(self.tcp:bind(at.host, port))
  assert(self.tcp:listen(16, function() on_tcp(self) end))
  self.tcp:unref()
end

local function on_udp(self, udp, packet, from)
  local answer = respond(self, packet)
  for _, one in ipairs(type(answer) == "table" and answer or { answer or nil }) do
    udp:try_send(one, from.ip, from.port)
  end
end

---@param records table<string, table|integer|false>
---@param at? { host: string, port: integer } default: a free port of 127.0.0.1
function dns.start(records, at)
  at = at or { host = "127.0.0.1", port = 0 }
  local self = { records = records, asked = {}, total = 0, ttl = 60 }
  local udp, port = bind_both(at)
  listen(self, at, port)
  udp:recv_start(function(err, packet, from)
    if not err and packet then on_udp(self, udp, packet, from) end
  end)
  udp:unref()
  self.address = ("%s:%d"):format(at.host, port)
  return setmetatable(self, { __close = function()
    udp:close()
    self.tcp:close()
    for peer in pairs(self.peers) do peer:close() end
  end })
end

return dns
