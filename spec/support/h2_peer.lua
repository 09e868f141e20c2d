-- SPDX-License-Identifier: MIT
--
-- A peer that speaks HTTP/2 frame by frame, right or wrong: frames as strings,
-- and spec.support.peer to send them. It knows no rules, so it can break any.
--
--   local p <close> = h2.peer { h2.answer(1, "hello"), { "hang" } }
--
-- plays, on every connection: the preface is read, SETTINGS are sent, the
-- first request is waited for, then the steps given. h2.peer{ bare = true, ... }
-- leaves all of that to the steps.
local peer = require "spec.support.peer"

local h2 = { DATA = 0, HEADERS = 1, PRIORITY = 2, RST_STREAM = 3, SETTINGS = 4, PUSH_PROMISE = 5,
  PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8, CONTINUATION = 9 }

h2.END_STREAM, h2.END_HEADERS, h2.ACK = 1, 4, 1

---@return string one frame
function h2.frame(kind, flags, id, payload)
  return (">I3BBI4"):pack(#payload, kind, flags, id) .. payload
end

-- A length as HPACK writes it, without Huffman coding.
local function hpack_string(s)
  if #s < 127 then return string.char(#s) .. s end
  local out, n = "\127", #s - 127
  while n >= 128 do
    out = out .. string.char(n % 128 + 128)
    n = n // 128
  end
  return out .. string.char(n) .. s
end

---@param fields string[][] list of { name, value }
---@return string a header block, every field a literal
function h2.block(fields)
  local out = {}
  for i, field in ipairs(fields) do
    out[i] = "\0" .. hpack_string(field[1]) .. hpack_string(field[2])
  end
  return table.concat(out)
end

---@param flags? integer default END_HEADERS
function h2.headers(id, fields, flags)
  return h2.frame(h2.HEADERS, flags or h2.END_HEADERS, id, h2.block(fields))
end

function h2.data(id, text, flags) return h2.frame(h2.DATA, flags or 0, id, text) end
function h2.rst(id, code) return h2.frame(h2.RST_STREAM, 0, id, (">I4"):pack(code)) end
function h2.goaway(last, code) return h2.frame(h2.GOAWAY, 0, 0, (">I4I4"):pack(last, code)) end
function h2.window(id, n) return h2.frame(h2.WINDOW_UPDATE, 0, id, (">I4"):pack(n)) end

---@param list? table<integer, integer>
function h2.settings(list)
  local out = ""
  for id, value in pairs(list or {}) do out = out .. (">I2I4"):pack(id, value) end
  return h2.frame(h2.SETTINGS, 0, 0, out)
end

h2.ping = h2.frame(h2.PING, 0, 0, "12345678")
h2.settings_ack = h2.frame(h2.SETTINGS, h2.ACK, 0, "")

---@return string the head of a 200 that goes on
function h2.ok(id) return h2.headers(id, { { ":status", "200" } }) end

---@return any[] a step that sends a whole response
function h2.answer(id, body)
  return { "send", h2.ok(id) .. h2.data(id, body or "", h2.END_STREAM) }
end

---What a client sent, frame by frame.
---@param bytes string all of it, with the preface
---@return { kind: integer, flags: integer, id: integer, payload: string }[]
function h2.frames(bytes)
  local list, at = {}, 25
  while at + 8 <= #bytes do
    local n, kind, flags, id = (">I3BBI4"):unpack(bytes, at)
    list[#list + 1] = { kind = kind, flags = flags, id = id,
      payload = bytes:sub(at + 9, at + 8 + n) }
    at = at + 9 + n
  end
  return list
end

---@return integer how many frames of that kind (and stream) the peer got
function h2.count(p, kind, id)
  local n = 0
  for _, frame in ipairs(h2.frames(p:received())) do
    if frame.kind == kind and (not id or frame.id == id) then n = n + 1 end
  end
  return n
end

---What begins a connection: the client's preface is read, ours sent. Without
---`ack` the client does not learn the round trip and keeps to its first windows.
---@param ack? boolean default true
---@return any[], any[]
function h2.hello(settings, ack)
  return { "bytes", 24 },
    { "send", h2.settings(settings) .. (ack == false and "" or h2.settings_ack) }
end

---The same steps on every connection; `steps.settings` and `ack` as for hello.
---@return spec.Peer
function h2.peer(steps)
  local script = steps
  if not steps.bare then
    local read, send = h2.hello(steps.settings, steps.ack)
    script = { read, send, { "frame", h2.HEADERS }, table.unpack(steps) }
  end
  return peer.start({ script })
end

---Different steps on each connection, as h2.peer has them; the last again.
---@return spec.Peer
function h2.peers(...)
  local scripts = {}
  for i, steps in ipairs { ... } do
    local read, send = h2.hello(steps.settings, steps.ack)
    scripts[i] = { read, send, { "frame", h2.HEADERS }, table.unpack(steps) }
  end
  return peer.start(scripts)
end

return h2
