-- SPDX-License-Identifier: MIT
--
-- Callbacks instead of coroutines: `request` returns at once, and its callback
-- runs exactly once, later, on the loop.
--
--   lua5.4 examples/server.lua &
--   lua5.4 examples/request_callback.lua [URL of the server]
local uv = require "luv"
local ms = require "multisocket"

local server = arg[1] or "http://127.0.0.1:8080"

-- The body in pieces, as they come: with on_data it is not collected.
local size = 0
ms.request(server .. "/bytes/1000000", {
  on_headers = function(head) print("big", head.status, head.headers["content-length"]) end,
  on_data = function(chunk) size = size + #chunk end,
}, function(err) print("big", err or size .. " bytes") end)

-- A request can be given up. Its callback hears of that, too.
local slow = ms.request(server .. "/delay/60000/never", function(err, res)
  print("slow", err and err.code or res.status)
end)

-- One request after the other: the second is started by the first's callback.
ms.request(server .. "/echo/", { body = "first" }, function(err, res)
  print("post", err or res.body)
  ms.request(server .. "/echo/second", function(err2, res2)
    print("get", err2 or res2.body)
    slow:cancel("no longer needed")
  end)
end)

uv.run()
