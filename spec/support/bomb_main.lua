-- SPDX-License-Identifier: MIT
--
-- Takes a bomb, or any other large body, in a process of its own, whose memory is
-- all there is to see:
--
--   lua5.4 bomb_main.lua whole|chunks URL VERSION [MAX_BODY]
--
-- Prints the bytes that came, the code of the err or "ok", and by how many KiB
-- the process has grown at most.
local ms = require "multisocket"
local process = require "spec.support.process"

local MiB = 1 << 20
local how, url, version, max_body = table.unpack(arg)
local options = { version = version, max_body = tonumber(max_body), stream = how == "chunks" }

-- A reader that is slow, so that everything that can fill up does.
local function read(res, look)
  local n = 0
  for chunk in res:chunks() do
    n = n + #chunk
    if n // (16 * MiB) > (n - #chunk) // (16 * MiB) then
      ms.sleep(5)
      look()
    end
  end
  return n
end

ms.run(function()
  assert(ms.fetch((url:gsub("/%a+/%d+$", "/gzip")), { version = version })) -- all is loaded
  collectgarbage()
  local before, most = process.rss_kib(), 0
  local function look() most = math.max(most, process.rss_kib() - before) end
  local res, err = ms.fetch(url, options)
  local n = res and res.body and #res.body or 0
  if res and how == "chunks" then
    local ok, result = pcall(read, res, look)
    if ok then n = result else err = result end
  end
  look()
  print(n, err and err.code or "ok", most)
end)
