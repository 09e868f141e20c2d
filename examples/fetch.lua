-- SPDX-License-Identifier: MIT
--
-- The first fetch: no loop, no callback, no set-up.
--
--   lua5.4 examples/server.lua &
--   lua5.4 examples/fetch.lua [URL]
local ms = require "multisocket"

local res, err = ms.fetch(arg[1] or "http://127.0.0.1:8080/echo/hello")
if not res then error(err) end
print(res.status, res.headers["content-type"], res.version)
print(res.body)
