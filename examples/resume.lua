-- SPDX-License-Identifier: MIT
--
-- A download that may be interrupted: what came is kept beside the file, and the
-- next attempt asks for the rest of it, if it is still the same.
--
--   lua5.4 examples/server.lua &
--   lua5.4 examples/resume.lua [URL [FILE]]
local ms = require "multisocket"

local url = arg[1] or "http://127.0.0.1:8080/bytes/5000000"
local file = arg[2] or "download.bin"
local ATTEMPTS = 5

local function size_of(path)
  local f <close> = io.open(path, "rb")
  return f and f:seek("end") or 0
end

local attempt = 0
repeat
  attempt = attempt + 1
  local there = size_of(file .. ".part")
  local res, err = ms.fetch(url, {
    sink = { path = file, resume = true },
    fail = true, -- a 404 is an error, too
    low_speed = { limit = 1000, time = 10000 }, -- a server that stands still
    -- To see it happen, the first attempt is given up in the middle.
    on_progress = attempt == 1 and function(now) return now.down < 1000000 end,
    max_recv_speed = attempt == 1 and 1000000,
  })
  print(attempt, there .. " bytes were there", res and res.status or err.code)
until res or attempt == ATTEMPTS

print(size_of(file) .. " bytes are in " .. file)
