-- SPDX-License-Identifier: MIT
--
-- Takes a bomb, or any other large body, in a process of its own, whose memory is
-- all there is to see:
--
--   lua5.4 bomb_main.lua whole|chunks|leave URL VERSION [MAX_BODY]
--
-- Prints the bytes that came, the code of the err or "ok", and by how many KiB
-- the process has grown at most. "leave" is begun often and never ended.
local ms = require "multisocket"
local process = require "spec.support.process"

local MiB = 1 << 20
local how, url, version, max_body = table.unpack(arg)
local options = { version = version, max_body = tonumber(max_body), stream = how == "chunks" }
local LEFT = 300 -- a decoder takes 40 KiB and more

-- A reader that is slow, so that everything that can fill up does.
local function read(res)
  local n = 0
  for chunk in res:chunks() do
    n = n + #chunk
    if n // (16 * MiB) > (n - #chunk) // (16 * MiB) then ms.sleep(5) end
  end
  return n
end

-- Goes away from the outside and from the inside.
local function leave()
  local client <close> = ms.client { version = version }
  for _ = 1, LEFT do
    local res = assert(client:fetch(url, { stream = true }))
    assert(res:read(10))
    res:cancel()
    local handle, came
    handle = client:request(url, { on_data = function()
      came = true
      handle:cancel()
    end }, function() end)
    while not came do ms.sleep(1) end
  end
end

ms.run(function()
  assert(ms.fetch(url:match("^%w+://[^/]+") .. "/gzip", { version = version })) -- all is loaded
  collectgarbage()
  process.forget_peak()
  local before = process.peak_kib()
  local res, err
  if how == "leave" then leave() else res, err = ms.fetch(url, options) end
  local n = res and res.body and #res.body or 0
  if res and how == "chunks" then
    local ok, result = pcall(read, res)
    if ok then n = result else err = result end
  end
  print(n, err and err.code or "ok", process.peak_kib() - before)
end)
