-- SPDX-License-Identifier: MIT
--
-- What `make tsan` watches: eight threads at once, each with a Lua state, a
-- loop and a client of its own, a thousand transfers each, with and without
-- TLS, over HTTP/1 and HTTP/2. Between them are the cache of trusted
-- certificates and the wakers' numbers. The main thread waits for wakes in
-- poll, and clients come and go all the while.
--
--   threads.lua [THREADS [TRANSFERS]]
local uv = require "luv"
uv.os_unsetenv("LD_PRELOAD") -- shells do not live long with this sanitizer

local certs = require "spec.support.certs"
local core = require "multisocket.core"
local server = require "spec.support.server"

local THREADS, TRANSFERS = tonumber(arg[1]) or 8, tonumber(arg[2]) or 1000
local PATIENCE = 600000 -- ms; a sanitizer takes its time

-- In a state of its own: everything it knows comes in as arguments. Says in
-- `path` how many went well.
local function work(plain, secure, ca, transfers, waker, path)
  local ms = require "multisocket"
  local other = require "multisocket.core"
  local CLIENTS, AT_ONCE = 10, 10
  local fine = 0
  for round = 1, CLIENTS do
    local urls = {}
    for i = 1, transfers // CLIENTS do urls[i] = i % 2 == 0 and plain or secure end
    local client <close> = ms.client({ tls = { ca_file = ca }, timeout = 300000,
      max_idle = round % 2 == 0 and 3 or 100 })
    ms.map(urls, function(url)
      local res = client:fetch(url)
      if res and res.body == "hello, world\n" then fine = fine + 1 end
    end, { concurrency = AT_ONCE })
    other.wake(waker)
  end
  local f <close> = assert(io.open(path, "w"))
  f:write(fine)
end

local function read_count(path)
  local f = io.open(path)
  local n = f and f:read("n")
  if f then f:close() end
  os.remove(path)
  return n or 0
end

local secure = server.start({ listen = "http2", tls = certs.get("valid") })
local plain = server.start()
local multi <close> = core.multi {}
local threads, paths = {}, {}
for i = 1, THREADS do
  paths[i] = os.tmpname()
  os.remove(paths[i])
  threads[i] = uv.new_thread(work, plain:url("/small"), secure:url("/small"),
    certs.get("root").cert, TRANSFERS, multi:waker(), paths[i])
end

local function all_done()
  for _, path in ipairs(paths) do
    if not uv.fs_stat(path) then return false end
  end
  return true
end

local wakes, deadline = 0, uv.hrtime() + PATIENCE * 1000000
while not all_done() and uv.hrtime() < deadline do
  multi:poll(1000)
  wakes = wakes + 1
end
local fine = 0
for i, thread in ipairs(threads) do
  thread:join()
  fine = fine + read_count(paths[i])
end
plain:stop()
secure:stop()
print(("%d threads, %d transfers went well, %d wakes"):format(THREADS, fine, wakes))
print(("%d passed, %d failed"):format(fine == THREADS * TRANSFERS and 1 or 0,
  fine == THREADS * TRANSFERS and 0 or 1))
