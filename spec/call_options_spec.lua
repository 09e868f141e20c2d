-- SPDX-License-Identifier: MIT
--
-- The options of one call: where they are simple they are read in C (src/lua/lcall.c), where they
-- are not by lua/multisocket/request.lua. Nobody can tell which.
local async = require "spec.support.async"
local ms = require "multisocket"
local peer = require "spec.support.peer"

-- The same table, but never simple: what stands behind a metatable is read in Lua.
local function hidden(opts)
  return opts and setmetatable(opts, {})
end

-- What a call came to: the requests that came in and what the caller sees of them.
local function outcome(p, client, opts)
  local before = #p:requests()
  local ok, res, err = pcall(client.fetch, client, p:url("/path"), opts)
  if not ok then return { raised = tostring(res), code = res.code, message = res.message } end
  if not res then return { err = err.code, message = err.message } end
  local sent, told = p:requests()[before + 1], {}
  for name, value in res.request.headers:each() do told[#told + 1] = name .. ": " .. value end
  return { sent = sent.head or sent, told = told, method = res.request.method,
    url = res.request.url, status = res.status }
end

local function timeouts(total) return { timeout = { total = total, connect = 1000 } } end

local CALLS = {
  nothing = {},
  ["a header"] = { headers = { accept = "text/plain" } },
  ["a header in other letters"] = { headers = { ["X-BASE"] = "call", Host = "by.hand" } },
  ["a header less"] = { headers = { ["x-base"] = false, ["User-Agent"] = false } },
  ["a number as header"] = { headers = { ["X-Number"] = 12 } },
  ["lists of headers"] = { headers = { { "X-A", "1" }, { "X-A", "2" }, { "X-B", { "3", "4" } } } },
  ["a header without a name"] = { headers = { [""] = "x" } },
  ["a header of nonsense"] = { headers = { ["X A"] = "1" } },
  ["a header of another type"] = { headers = { ["X-A"] = {} , [1] = 2 } },
  ["headers that are none"] = { headers = "x" },
  ["a method and a body"] = { method = "PUT", body = "hello" },
  ["a body"] = { body = "" },
  ["a method of nonsense"] = { method = "G T" },
  ["a length that is wrong"] = { body = "abc", headers = { ["Content-Length"] = "2" } },
  ["the end of the connection"] = { headers = { Connection = "close" } },
  ["a range"] = { range = "0-4" },
  ["a range in numbers"] = { range = { 0, 4 } },
  ["what is there already"] = { resume_from = 3, range = "1-2" },
  ["a timeout"] = { timeout = 5000 },
  ["timeouts"] = timeouts(5000),
  ["no timeout"] = { timeout = false },
  ["a timeout by another name"] = { timeout = { totl = 5 } },
  ["a timeout of nothing"] = { timeout = 0 },
  ["half a timeout"] = { timeout = 0.5 },
  ["a timeout in words"] = { timeout = "5" },
  ["true as timeout"] = { timeout = true },
  ["numbers"] = { max_body = 100, redirect = false, max_header_size = 5000 },
  ["a number that is too small"] = { max_header_size = 0 },
  ["a body that is too long"] = { max_body = 1 },
  ["booleans"] = { decompress = false, fresh_connection = true },
  ["a word for a boolean"] = { decompress = "no" },
  ["a token"] = { bearer = "abc" },
  ["a login"] = { auth = { "anna", "secret" } },
  ["a version"] = { version = "1.1" },
  ["no version"] = { version = "3" },
  ["a priority"] = { priority = "u=1" },
  ["a query"] = { query = { a = 1 } },
  ["json"] = { json = { 1 } },
  ["a typing error"] = { header = { a = "b" } },
  ["a member by itself"] = { ["timeout.total"] = 5 },
  ["a number as name"] = { [1] = "x" },
  ["an option of clients"] = { user_agent = "x" },
}

describe("the options of a call", function()
  for name, opts in pairs(CALLS) do
    it("mean the same wherever they are read: " .. name, async(function()
      local answer = { "send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }
      local p <close> = peer.start { { { "request" }, answer, { "repeat" } } }
      local client <close> = ms.client({ headers = { ["X-Base"] = "base" }, user_agent = "me" })
      local plain = outcome(p, client)
      local simple = outcome(p, client, opts)
      local again = outcome(p, client, opts)
      assert.same(outcome(p, client, hidden(opts)), simple)
      assert.same(simple, again)
      assert.same(plain, outcome(p, client))
    end))
  end

  it("are added to those of the client that is given, whose method it ever was", async(function()
    local answer = { "send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }
    local p <close> = peer.start { { { "request" }, answer, { "repeat" } } }
    local mine <close> = ms.client({ headers = { Authorization = "mine" } })
    local other <close> = ms.client({ headers = { Authorization = "other" } })
    for _, opts in ipairs({ false, {}, { max_body = 5 } }) do
      local res = assert(mine.fetch(other, p:url("/"), opts or nil))
      assert.equal("other", res.request.headers.authorization)
    end
    assert.equal("usage", select(2, pcall(mine.fetch, {}, p:url("/"))).category)
  end))
end)
