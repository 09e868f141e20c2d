-- SPDX-License-Identifier: MIT
--
-- Server-sent events, as they come. The loop ends when the connection does; who
-- wants more connects again and says what he has seen.
--
--   lua5.4 examples/server.lua &
--   lua5.4 examples/events.lua [URL]
local ms = require "multisocket"

local url = arg[1] or "http://127.0.0.1:8080/events/5"
local ROUNDS = 2

local last -- id of the last event
local wait = 100 -- ms between two connections, unless the server says another time

ms.run(function()
  for round = 1, ROUNDS do
    local res, err = ms.fetch(url, { stream = true, fail = true,
      headers = { Accept = "text/event-stream", ["Last-Event-ID"] = last },
      timeout = { idle = 60000 } }) -- a comment from time to time keeps it open
    if not res then error(err) end
    print("connection " .. round, res.headers["content-type"])
    local ok, why = pcall(function()
      for event in res:events() do
        print(event.event, event.id, event.data)
        last, wait = event.id, event.retry or wait
      end
    end)
    if not ok then print("broken off: " .. tostring(why)) end
    ms.sleep(wait)
  end
end)
