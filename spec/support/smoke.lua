-- SPDX-License-Identifier: MIT
--
-- The shortest proof that an installation works: serves one request on
-- loopback, fetches it, prints where the library came from and what it got.
-- Needs nothing of the checkout, so that it can be run from anywhere.
local uv = require "luv"
local ms = require "multisocket"

local BODY = "installed and working\n"

local server = uv.new_tcp()
assert(server:bind("127.0.0.1", 0))
assert(server:listen(1, function()
  local client, request = uv.new_tcp(), ""
  server:accept(client)
  server:close()
  client:read_start(function(_, data)
    request = request .. (data or "")
    if data and not request:find("\r\n\r\n", 1, true) then return end
    client:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(
      #BODY, BODY))
    client:close()
  end)
end))

local port = server:getsockname().port
local res = assert(ms.fetch(("http://127.0.0.1:%d/"):format(port), { timeout = 30000 }))
assert(res.status == 200 and res.body == BODY, "not what the server sent")

print(package.searchpath("multisocket", package.path))
print(package.searchpath("multisocket.core", package.cpath))
io.write(res.body)
