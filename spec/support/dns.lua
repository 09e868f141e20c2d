-- SPDX-License-Identifier: MIT
--
-- A DNS server of the test's own, on UDP at 127.0.0.1, in this process and on
-- its luv loop: for specs whose client runs on that loop too.
--
--   local server <close> = dns.start { ["a.test"] = { "127.0.0.1", "::1" } }
--   ms.fetch(url, { dns = { servers = server.address } })
--   server.records["a.test"] = { "127.0.0.2" }   -- from now on
--   server.asked["a.test A"]                     -- how often
--
-- A name without a record does not exist; `false` as a record is silence, a
-- number a response code. `ttl` is of all records, in seconds.
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

local function reply(self, packet)
  local name, at = read_name(packet)
  local type_number = (">I2"):unpack(packet, at)
  local question = ("%s %s"):format(name, TYPES[type_number] or type_number)
  self.asked[question] = (self.asked[question] or 0) + 1
  self.total = self.total + 1
  local record = self.records[name]
  if record == nil then record = NXDOMAIN end
  if not record then return nil end
  local list = type(record) == "table" and answers(record, type_number, self.ttl) or {}
  local code = type(record) == "number" and record or 0
  return packet:sub(1, 2) .. (">I2I2I2I2I2"):pack(0x8180 | code, 1, #list, 0, 0)
    .. packet:sub(13, at + 3) .. table.concat(list)
end

---@param records table<string, string[]|integer|false>
function dns.start(records)
  local self = { records = records, asked = {}, total = 0, ttl = 60 }
  local udp = uv.new_udp()
  assert(udp:bind("127.0.0.1", 0))
  udp:recv_start(function(err, packet, from)
    if err or not packet then return end
    local answer = reply(self, packet)
    if answer then udp:try_send(answer, from.ip, from.port) end
  end)
  udp:unref()
  self.address = ("127.0.0.1:%d"):format(udp:getsockname().port)
  return setmetatable(self, { __close = function() udp:close() end })
end

return dns
