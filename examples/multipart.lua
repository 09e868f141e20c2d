-- SPDX-License-Identifier: MIT
--
-- A form with files. Nothing of it is in memory as a whole: files are read, and
-- functions called, while it is sent.
--
--   lua5.4 examples/server.lua &
--   lua5.4 examples/multipart.lua [URL [FILE]]
local ms = require "multisocket"

local url = arg[1] or "http://127.0.0.1:8080/form"
local file = arg[2] or arg[0]

-- A part that is made while it is sent. It could wait for something, too.
local line = 0
local function next_line()
  line = line + 1
  if line <= 1000 then return ("line %d\n"):format(line) end
end

local sent
local res, err = ms.post(url, {
  multipart = {
    { name = "title", value = "Figures of May" },
    { name = "report", path = file },
    { name = "table", data = "a;b\n1;2\n", filename = "may.csv", content_type = "text/csv" },
    { name = "log", data = next_line, filename = "log.txt" },
  },
  fail = true,
  on_progress = function(now) sent = now.up end, -- about once a second, and at the end
})
if not res then error(err) end
io.write(res.body)
print(sent .. " bytes were sent")
