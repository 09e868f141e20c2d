-- SPDX-License-Identifier: MIT
--
-- A session: log in once, and the cookie that the server sets goes along from
-- then on, also in the next run of the program.
--
--   lua5.4 examples/server.lua &
--   lua5.4 examples/login.lua [URL of the server [FILE]]
local ms = require "multisocket"

local server = arg[1] or "http://127.0.0.1:8080"
local file = arg[2] or "cookies.txt" -- curl reads and writes such files, too

local jar = ms.jar()
jar:load(file) -- nothing is there the first time

local client <close> = ms.client { base_url = server, cookies = jar, timeout = 10000 }

local res = assert(client:get("/me"))
if res.status == 401 then
  print("not logged in")
  -- The answer sets a cookie and points to /me, which is asked for with it.
  res = assert(client:post("/login/anna", { form = { password = "secret" }, fail = true }))
end
print(res.body)

for cookie in jar:each() do print(cookie.domain, cookie.path, cookie.name, cookie.value) end
assert(jar:save(file))
