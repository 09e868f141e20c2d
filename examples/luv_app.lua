-- SPDX-License-Identifier: MIT
--
-- Fetching inside an application that has a luv loop of its own, with its own
-- timers and servers. Nothing special is needed: multisocket's sockets are
-- watched by the same loop.
--
-- The application is a TCP server: who connects and sends a line with a path
-- gets what the web server has there. A timer ticks all the while, and to have
-- something to see, the application asks itself three times.
--
--   lua5.4 examples/server.lua &
--   lua5.4 examples/luv_app.lua [URL of the server]
local uv = require "luv"
local ms = require "multisocket"

local web = arg[1] or "http://127.0.0.1:8080"
local ticks, answered = 0, 0

-- A callback of luv cannot wait, so the work is given to a task, which can.
local function serve(client)
  client:read_start(function(_, line)
    if not line then return client:close() end
    ms.spawn(function()
      local res, err = ms.fetch(web .. line:match("^(%S*)"))
      local text = res and res.body or "error: " .. tostring(err)
      client:write(text, function() client:shutdown() end)
    end)
  end)
end

local gateway = uv.new_tcp()
gateway:bind("127.0.0.1", 0)
gateway:listen(16, function(err)
  assert(not err, err)
  local client = uv.new_tcp()
  gateway:accept(client)
  serve(client)
end)

local ticker = uv.new_timer()
ticker:start(10, 10, function() ticks = ticks + 1 end)

local function finish()
  answered = answered + 1
  if answered < 3 then return end
  print("the timer went on meanwhile: " .. (ticks >= 5 and "yes" or "no"))
  ticker:close()
  gateway:close()
end

local function ask(path)
  local socket, text = uv.new_tcp(), ""
  socket:connect("127.0.0.1", gateway:getsockname().port, function(err)
    assert(not err, err)
    socket:write(path .. "\n")
    socket:read_start(function(_, data)
      text = text .. (data or "")
      if data then return end
      print(path, text)
      socket:close()
      finish()
    end)
  end)
end

ask("/delay/100/one")
ask("/delay/150/two")
ask("/delay/200/three")

uv.run() -- the application's own; it ends when nothing is left to do
