-- SPDX-License-Identifier: MIT
--
-- Many pages of one host, politely: a few at a time, not too many a second, and
-- when it says that it is busy, again after the time that it asks for.
--
--   lua5.4 examples/server.lua &
--   lua5.4 examples/polite.lua [URL of the server]
local ms = require "multisocket"

local server = arg[1] or "http://127.0.0.1:8080"

local client <close> = ms.client {
  base_url = server,
  per_host = { concurrency = 4, rate = 100 }, -- at a time; begun in a second
  -- 408, 429, 502, 503 and 504, and broken connections, of GET and the like. Not
  -- when it wants more than a minute of waiting.
  retry = { max = 3, max_delay = 60000 },
  timeout = 120000, -- for a page, with all waiting
}

local paths = {}
for i = 1, 20 do paths[i] = "/busy/2/page-" .. i end -- each is refused twice at first

local good = 0
for i, res, err in client:each(paths, { concurrency = 20 }) do
  if res and res.body == "page-" .. i then
    good = good + 1
  else
    print(paths[i], err or res.status, err and err.attempts)
  end
end
print(good .. " of " .. #paths .. " pages came")
