-- SPDX-License-Identifier: MIT
--
-- One jar in many hands: of clients, multis and callbacks at once, let go of in
-- any order, changed while somebody goes through it or waits for an answer.
local core = require "multisocket.core"
local ms = require "multisocket"
local async = require "spec.support.async"
local drive = require "spec.support.drive"
local peer = require "spec.support.peer"

local LIMIT = 30000 -- ms
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

local function names(jar)
  local list = {}
  for cookie in jar:each() do list[#list + 1] = cookie.name end
  return table.concat(list, " ")
end

-- A redirect that sets a cookie, and an answer that takes its time.
local function slow_peer()
  return peer.start({ { { "request" }, { "send", "HTTP/1.1 302 Go\r\nSet-Cookie: a=1; path=/\r\n"
    .. "Location: /two\r\nContent-Length: 0\r\n\r\n" }, { "request" }, { "delay", 30 },
    { "send", "HTTP/1.1 200 OK\r\nSet-Cookie: b=2; path=/\r\nContent-Length: 2\r\n\r\nok" } } })
end

-- All orders of a list.
local function orders(list, at, out)
  at, out = at or 1, out or {}
  if at > #list then out[#out + 1] = { table.unpack(list) } end
  for i = at, #list do
    list[at], list[i] = list[i], list[at]
    orders(list, at + 1, out)
    list[at], list[i] = list[i], list[at]
  end
  return out
end

describe("a jar in many hands", function()
  for _, order in ipairs(orders({ "first", "second", "jar" })) do
    it("is freed by the last: " .. table.concat(order, ", "), async(function()
      local p <close> = slow_peer()
      local held = { jar = ms.jar() }
      local gone = setmetatable({ held.jar }, { __mode = "v" })
      held.first = ms.client({ cookies = held.jar })
      held.second = ms.client({ cookies = held.jar })
      local using = { client = held.first }
      using.task = ms.spawn(function() return using.client:fetch(p:url()) end)
      p:wait(function() return #p:requests() == 2 end, LIMIT, function() ms.sleep(1) end)
      for _, what in ipairs(order) do
        if what == "second" then held.second:close() end
        held[what] = nil
        collectgarbage()
        collectgarbage()
      end
      assert.equal("ok", select(2, using.task:wait()).body)
      assert.matches("\r\nCookie: a=1\r\n", p:requests()[2])
      using.client:close()
      using.client, using.task = nil, nil
      collectgarbage()
      collectgarbage()
      assert.is_nil(gone[1])
    end))
  end
end)

describe("a jar that changes", function()
  local URL = "http://a.example.org/"

  it("is gone through as it was, whatever is done to it meanwhile", function()
    local jar, path = ms.jar(), os.tmpname()
    for _, name in ipairs({ "a", "b", "c", "d" }) do jar:set(URL, name .. "=1") end
    assert(jar:save(path))
    local changes = {
      function() jar:set(URL, "a=2") end,
      function() jar:set(URL, "e=1") end,
      function() jar:set(URL, "d=; max-age=0") end,
      function() assert(jar:load(path)) end,
      function()
        for _ in jar:each() do jar:set(URL, "f=1") end
      end,
      function() jar:clear() end,
    }
    for _, change in ipairs(changes) do
      local seen, before = {}, names(jar)
      for cookie in jar:each() do
        seen[#seen + 1] = cookie.name
        change()
        collectgarbage()
      end
      assert.equal(before, table.concat(seen, " "))
    end
    os.remove(path)
    assert.equal("", names(jar))
  end)

  it("is let go of while somebody goes through it", function()
    local jar = ms.jar()
    for i = 1, 50 do jar:set(URL, ("c%d=%s"):format(i, ("x"):rep(100))) end
    local n, each = 0, jar:each()
    local gone = setmetatable({ jar }, { __mode = "v" })
    jar = nil
    for cookie in each do
      collectgarbage()
      n = n + 1
      assert.equal("c" .. n, cookie.name)
    end
    assert.equal(50, n)
    assert.is_nil(gone[1] or jar)
  end)

  it("by callbacks of the transfer that uses it changes the next request", async(function()
    local p <close> = peer.start({ { { "request" }, { "send", "HTTP/1.1 302 Go\r\n"
      .. "Set-Cookie: a=1; path=/\r\nSet-Cookie: b=2; path=/\r\nLocation: /two\r\n"
      .. "Content-Length: 0\r\n\r\n" }, { "request" }, { "send", OK }, { "request" },
      { "send", OK } } })
    local client <close> = ms.client({ cookies = true })
    local jar = client.cookies
    assert(client:fetch(p:url(), { on_headers = function() jar:set(p:url(), "c=3; path=/") end }))
    assert(client:fetch(p:url("/three"), { on_headers = function() jar:clear() end }))
    local requests = p:requests()
    assert.matches("\r\nCookie: a=1; b=2", requests[2])
    assert.matches("\r\nCookie: a=1; b=2; c=3\r\n", requests[3])
    assert.equal("", names(jar))
  end))

  it("takes what many bring at once", async(function()
    local scripts = {}
    for i = 1, 30 do
      scripts[i] = { { "request" }, { "send", ("HTTP/1.1 200 OK\r\nSet-Cookie: c%d=1; path=/\r\n"
        .. "Content-Length: 0\r\nConnection: close\r\n\r\n"):format(i) } }
    end
    local p <close> = peer.start(scripts)
    local jar, clients = ms.jar(), {}
    for i = 1, 3 do clients[i] = ms.client({ cookies = jar }) end
    local numbers = {}
    for i = 1, 30 do numbers[i] = i end
    for _, entry in ipairs(ms.map(numbers, function(i)
      return assert(clients[i % 3 + 1]:fetch(p:url()))
    end, { concurrency = 10 })) do assert.is_true(entry.ok) end
    for _, client in ipairs(clients) do client:close() end
    assert.equal(30, #jar:get(p:url()))
  end))
end)

describe("a jar of two multis", function()
  it("stays when one of them goes, with a transfer in it", function()
    local p <close> = peer.start({ { { "request" }, { "hang" } }, { { "request" }, { "send",
      "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n" }, { "repeat" } } })
    local other = drive.new()
    local held = { jar = core.jar(), waiting = drive.new() }
    held.jar:set(p:url(), "first=1")
    held.waiting.multi:add_handle(core.easy({ url = p:url(), cookies = held.jar }))
    held.waiting:run(function() return #p:requests() == 1 end)
    local easy = core.easy({ url = p:url(), cookies = held.jar })
    other.multi:add_handle(easy)
    other:run()
    held.waiting:close()
    held.waiting = nil
    collectgarbage()
    collectgarbage()
    assert.equal("first a", names(held.jar))
    held.jar = nil
    collectgarbage()
    collectgarbage()
    other.multi:remove_handle(easy)
    other.multi:add_handle(easy)
    other:run()
    assert.matches("\r\nCookie: first=1; a=1\r\n", p:requests()[3])
    other:close()
  end)
end)
