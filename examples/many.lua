-- SPDX-License-Identifier: MIT
--
-- Many fetches at once, two ways: `each` when what comes first is to be used
-- first, `gather` when the results are wanted in order.
--
--   lua5.4 examples/server.lua &
--   lua5.4 examples/many.lua [URL of the server]
local ms = require "multisocket"

local server = arg[1] or "http://127.0.0.1:8080"

-- A list would do; an iterator function makes the requests as they are needed,
-- so that a million of them take no memory.
local function pages(n)
  local i = 0
  return function()
    i = i + 1
    if i <= n then return server .. "/echo/page-" .. i end
  end
end

local good, bad = 0, 0
for i, res, err in ms.each(pages(100), { concurrency = 8 }) do
  if res and res.body == "page-" .. i then
    good = good + 1
  else
    bad = bad + 1
    print("page " .. i .. ": " .. tostring(err or res.status))
  end
end
print(good .. " pages were right, " .. bad .. " were not")

-- Three different things at the same time. Each is a function, which may do
-- more than one fetch; it fails when it returns nil and an error.
local results = ms.gather {
  function() return ms.fetch(server .. "/echo/first") end,
  function() return ms.fetch("http://127.0.0.1:1/") end, -- nobody listens there
  function()
    ms.sleep(20)
    local res, err = ms.fetch(server .. "/delay/20/third")
    if not res then return nil, err end
    return res.body:upper()
  end,
}
print("1", results[1].ok, results[1].ok and results[1].value.body)
print("2", results[2].ok, results[2].ok or results[2].error.code)
print("3", results[3].ok, results[3].ok and results[3].value)

os.exit(bad == 0 and results[1].ok and results[3].ok)
