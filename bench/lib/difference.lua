-- SPDX-License-Identifier: MIT
--
-- Counting what one request costs by running a client twice: whatever start, connecting and the end
-- cost is in both runs, so the difference of the counts belongs to the difference in requests.

local clients = require "clients"
local server = require "server"

local difference = {}

local TIMEOUT = 1200000 -- callgrind makes a client fifty times slower

---@class bench.situation
---@field name string
---@field title string
---@field base integer
---@field more integer
---@field concurrency integer
---@field new_connections boolean?
---@field http2 boolean?
---@field server string? default nginx
---@field no_resume boolean?
---@field ours boolean? our clients only: libcurl's under callgrind would take hours

--- The situations in which requests are counted. The longer run adds `more` requests to `base`;
--- `base` is enough for every connection to be open and every cache warm.
---@type bench.situation[]
difference.situations = {
  { name = "c=1", title = "keep-alive, c=1", base = 200, more = 5000, concurrency = 1 },
  { name = "c=100", title = "keep-alive, c=100", base = 2000, more = 10000, concurrency = 100 },
  { name = "c=1000", title = "keep-alive, c=1000", base = 10000, more = 10000, concurrency = 1000,
    ours = true },
  {
    name = "new",
    title = "new connection, c=100",
    base = 500,
    more = 2000,
    concurrency = 100,
    new_connections = true,
  },
  { name = "h2", title = "HTTP/2, 100 streams", base = 2000, more = 10000, concurrency = 100,
    server = "nginx-h2", http2 = true },
  { name = "tls", title = "TLS, keep-alive, c=100", base = 2000, more = 10000, concurrency = 100,
    server = "nginx-tls" },
  { name = "tls-new", title = "TLS, new connection", base = 100, more = 200, concurrency = 20,
    server = "nginx-tls", new_connections = true, no_resume = true },
  { name = "tls-resumed", title = "TLS, resumed connection", base = 100, more = 400,
    concurrency = 20, server = "nginx-tls", new_connections = true },
  { name = "h2-tls", title = "HTTP/2 and TLS, 100 streams", base = 2000, more = 10000,
    concurrency = 100, server = "nghttpd", http2 = true },
  { name = "h2-tls-nginx", title = "the same, nginx", base = 2000, more = 10000,
    concurrency = 100, server = "nginx-h2-tls", http2 = true },
}

--- The situations named in `args`, or all; raises on an unknown name.
---@param args string[]
---@return bench.situation[]
function difference.selected(args)
  if #args == 0 then return difference.situations end
  local list = {}
  for _, name in ipairs(args) do
    local found
    for _, s in ipairs(difference.situations) do found = s.name == name and s or found end
    list[#list + 1] = found or error("no such situation: " .. name, 0)
  end
  return list
end

-- The clients that run a given number of requests; the Lua fetch also in its other shapes.
function difference.clients()
  local ready, complete = clients.prepare({
    engine = true, fetch = true, ["fetch-epoll"] = true, curl = true, bare = true,
    h2load = true,
  })
  local list = {}
  for _, client in ipairs(ready) do
    list[#list + 1] = client
    if client.key == "fetch" then
      list[#list + 1] = clients.variant(client, "fetch with options", "--with-options")
      list[#list + 1] = clients.variant(client, "fetch in new coroutines", "--new-coroutines")
    end
  end
  return list, complete
end

--- Whether `client` takes part in `situation`. For libcurl and HTTP/2 in the clear, see
--- workloads.lua.
---@param client bench.client
---@param situation bench.situation
---@return boolean
function difference.applies(client, situation)
  local http2 = situation.http2 or false
  local tls = situation.server ~= nil and not situation.server:find("h2$")
  if client.key == "h2load" then return http2 end
  if client.key == "bare" then return tls and not http2 end
  if client.key == "curl" then return not situation.ours and (tls or not http2) end
  return true
end

--- Runs `client` at both lengths below `count`, which runs one command line and returns a table of
--- counters. Returns each counter per request.
---@param client bench.client
---@param situation bench.situation
---@param count fun(argv: string[], options: table): table<string, number>
---@return table<string, number>
function difference.per_request(client, situation, count)
  local s = server.get(situation.server or "nginx")
  local function at(requests)
    local argv = client.argv({
      url = server.next_url(s),
      ca = s.ca,
      no_resume = situation.no_resume,
      requests = requests,
      concurrency = situation.concurrency,
      new_connections = situation.new_connections,
      http2 = situation.http2,
    })
    return count(argv, { env = client.env and client.env(), timeout = TIMEOUT })
  end
  local short, long = at(situation.base), at(situation.base + situation.more)
  local each = {}
  for name, n in pairs(long) do each[name] = (n - (short[name] or 0)) / situation.more end
  return each
end

return difference
