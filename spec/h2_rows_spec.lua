-- SPDX-License-Identifier: MIT
--
-- HTTP/2 as servers may speak it, and as they may not: spec/support/h2_rows.lua
-- row by row. spec/h2_peer_spec.lua has what takes more than one answer.
local async = require "spec.support.async"
local h2 = require "spec.support.h2_peer"
local lockstep = require "spec.support.lockstep"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local by_title = require("spec.support.rows").by_title
local rows = require "spec.support.h2_rows"

local FEW = 20 -- places where what is long is cut

local function cut(text, size)
  local list = {}
  for at = 1, #text, size do list[#list + 1] = text:sub(at, at + size - 1) end
  return list
end

-- What the peer says, whole, byte by byte and in two parts; what is long only
-- here and there.
local function pieces_of(row)
  local text = row[3]
  local list = { { text }, cut(text, row.long and 1000 or 1) }
  for at = 1, #text - 1, row.long and #text // FEW or 1 do
    list[#list + 1] = { text:sub(1, at), text:sub(at + 1) }
  end
  return list
end

local function check(row, res, err)
  local expected = row[4]
  if type(expected) == "string" then
    assert.is_nil(res, row[2])
    assert.equal(expected, err.code, row[2] .. ": " .. err.message)
    if row.message then assert.matches(row.message, err.message, 1, true) end
    return
  end
  assert(res, err)
  assert.same(expected, { res.status, res.body }, row[2])
  for name, value in pairs(row.trailers or {}) do assert.equal(value, res.trailers[name]) end
end

local function options_of(row)
  local options = { method = row.method, timeout = 30000 }
  for k, v in pairs(row.options or {}) do options[k] = v end
  return options
end

-- The client's preface, and a request.
local function has_asked(input)
  if input:sub(1, 3) ~= "PRI" then return false end
  for _, frame in ipairs(h2.frames(input)) do
    if frame.kind == h2.HEADERS then return true end
  end
end

local HELLO = h2.settings() .. h2.settings_ack

local function play_in_pieces(row)
  local server <close> = lockstep.start(has_asked)
  local client <close> = ms.client { version = "2-prior-knowledge", fresh_connection = true }
  for _, pieces in ipairs(pieces_of(row)) do
    if not row.bare then table.insert(pieces, 1, HELLO) end
    check(row, server:fetch(client, options_of(row), pieces))
  end
end

-- What did not get an answer when the connection ended is asked for again.
local function has_sibling(row)
  return row[1] ~= "B5" and row[1] ~= "B17" and row[4] ~= "unexpected_eof"
end

-- The row's answer, and one for stream 3.
local function script_of(row)
  local read, send = h2.hello()
  return { read, send, { "frame", h2.HEADERS }, { "frame", h2.HEADERS },
    { "send", row[3] .. (row.all and "" or h2.ok(3) .. h2.data(3, "fine", 1)) },
    { "hang" } }
end

local function check_sibling(row, ok, res)
  if row.all then
    assert.is_false(ok, row[2])
    assert.equal(row[4], res.code, row[2])
    return
  end
  assert(ok, res)
  assert.equal("fine", res.body, row[2])
end

-- B16: what concerns one stream leaves the other alone.
local function play_beside_another(list)
  local scripts = {}
  for i, row in ipairs(list) do scripts[i] = script_of(row) end
  local p <close> = peer.start(scripts)
  for i, row in ipairs(list) do
    local client <close> = ms.client { version = "2-prior-knowledge", timeout = 30000 }
    local first = ms.spawn(function() return client:fetch(p:url("/"), options_of(row)) end)
    local other = ms.spawn(function() return client:fetch(p:url("/")) end)
    check_sibling(row, other:wait())
    local ok, res = first:wait()
    check(row, ok and res or nil, res)
    assert.equal(1, client:stats().opened)
    client:close()
    if row.all and row[4] == "http2_error" then -- the peer is told
      assert.is_truthy(p:wait(function()
        return p:received(i):find("\7\0\0\0\0\0", 1, true) ~= nil
      end), row[2])
    end
  end
end

describe("HTTP/2:", function()
  for title, group in by_title(rows) do
    it(title, async(function()
      local list = {}
      for _, row in ipairs(group) do
        play_in_pieces(row)
        if has_sibling(row) then list[#list + 1] = row end
      end
      if #list > 0 then play_beside_another(list) end
    end))
  end
end)
