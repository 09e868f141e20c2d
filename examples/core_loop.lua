-- SPDX-License-Identifier: MIT
--
-- Driving the engine by hand: the classic multi_socket loop, with luv as the
-- event library. `multisocket.luv` does this for you; with another event
-- library you write these two callbacks.
--
--   lua5.4 examples/server.lua &
--   lua5.4 examples/core_loop.lua [URL of the server]
local uv = require "luv"
local core = require "multisocket.core"

local server = arg[1] or "http://127.0.0.1:8080"
local WATCH = { [core.POLL_IN] = "r", [core.POLL_OUT] = "w", [core.POLL_INOUT] = "rw" }

local multi
local timer = uv.new_timer()

-- Transfers that ended. Called after every turn of the engine.
local function collect()
  for easy, ok, err in function() return multi:info_read() end do
    if ok then
      print(easy:getinfo("url"), easy:getinfo("status"), #easy:response().body)
    else
      print(tostring(err))
    end
    multi:remove_handle(easy)
  end
  -- Kept-alive connections are still watched: without this the loop would go
  -- on until the server closes them.
  if multi:running() == 0 then multi:close() end
end

local function act(fd, mask)
  multi:socket_action(fd, mask)
  collect()
end

local function watch(poll, fd, what)
  poll:start(WATCH[what], function(err, events)
    if not err then
      local readable = events:find("r") and core.CSELECT_IN or 0
      local writable = events:find("w") and core.CSELECT_OUT or 0
      return act(fd, readable | writable)
    end
    -- luv stops a poll that reports an error, and there may be data to read.
    act(fd, core.CSELECT_ERR)
    if not poll:is_closing() and not poll:is_active() then watch(poll, fd, what) end
  end)
end

-- The engine says what an fd is to be watched for. `poll` is what assign()
-- stored for it: nil the first time.
local function on_socket(_, fd, what, poll)
  if what == core.POLL_REMOVE then
    poll:close() -- now: the engine closes the fd after this
    return
  end
  if not poll then
    poll = uv.new_poll(fd)
    multi:assign(fd, poll)
  end
  watch(poll, fd, what)
end

-- The engine says when it wants to be called next; -1 is "not at all".
local function on_timer(_, timeout)
  if timeout < 0 then return timer:stop() end
  uv.update_time() -- the loop's clock may be old by now
  -- Never 0: a timer that starts itself with 0 would keep old versions of
  -- libuv from looking at sockets.
  timer:start(math.max(timeout, 1), 0, function() act(core.SOCKET_TIMEOUT, 0) end)
end

multi = core.multi { socketfunction = on_socket, timerfunction = on_timer }
for i = 1, 5 do
  multi:add_handle(core.easy { url = server .. "/echo/number-" .. i })
end

uv.run()
timer:close()
uv.run("nowait") -- a closed handle goes in the loop's next turn
