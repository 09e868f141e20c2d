-- SPDX-License-Identifier: MIT
--
-- Does a request cost more when thousands of names are in the cache? Two clients take turns: one
-- knows one name, the other many, looked up at a DNS server of this process, which is silent while
-- anything is measured. Requests on kept connections go to one name, those on new ones to all.
--
--   names.lua --url URL [--hosts N] [--requests R] [--concurrency C]
--
-- Ends with 1 when a name was looked up twice, or at a ratio above MOST.

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;./?.lua;" .. package.path

local common = require "common"
local dns = require "spec.support.dns"
local ms = require "multisocket"

--- What issue and README promise: CPU time per request, many names to one.
local MOST = 1.2
local ROUNDS = 5
local CLOSE = { headers = { Connection = "close" } }

local function url_of(options, i)
  return (options.url:gsub("//[^/:]+", ("//n%d.bench.test"):format(i), 1))
end

-- `count` fetches, the i-th of `pick(i)`.
local function fetch_all(client, options, count, pick, opts)
  local next_one = 0
  local function work()
    while next_one < count do
      next_one = next_one + 1
      local res, err = client:fetch(pick(next_one), opts)
      if not res then error(err) end
    end
  end
  local tasks = {}
  for i = 1, options.concurrency do tasks[i] = ms.spawn(work) end
  for _, task in ipairs(tasks) do assert(task:wait()) end
end

local function measure(client, options, pick, opts)
  local from = common.usage()
  fetch_all(client, options, options.requests, pick, opts)
  return common.cpu_us(from, common.usage(), options.requests)
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

-- The two clients in turns; CPU microseconds of each, and the median of the ratios.
local function compare(options, clients, pick, opts)
  local one, many, ratios = {}, {}, {}
  for i = 1, ROUNDS do
    one[i] = measure(clients.one, options, function() return url_of(options, 1) end, opts)
    many[i] = measure(clients.many, options, pick, opts)
    ratios[i] = many[i] / one[i]
  end
  return median(one), median(many), median(ratios)
end

local function report(what, options, one, many, ratio)
  print(("%s: one_name_us=%.2f names=%d many_names_us=%.2f ratio=%.3f"):format(what, one,
    options.hosts, many, ratio))
  return ratio <= MOST
end

local function run(options)
  local server <close> = dns.start(setmetatable({}, { __index = function()
    return { "127.0.0.1" }
  end }))
  server.ttl = 86400
  local asking = { dns = { servers = server.address } }
  local clients = { one = ms.client(asking), many = ms.client(asking) }
  local function any(i) return url_of(options, i * 7919 % options.hosts + 1) end
  local function first() return url_of(options, 1) end
  fetch_all(clients.one, options, 1, first, CLOSE)
  fetch_all(clients.many, options, options.hosts,
    function(i) return url_of(options, i) end, CLOSE)
  local kept = report("kept", options, compare(options, clients, first))
  local new = report("new", options, compare(options, clients, any, CLOSE))
  local lookups = clients.many:stats().lookups
  print(("lookups=%d questions=%d"):format(lookups, server.total))
  for _, client in pairs(clients) do client:close() end
  return kept and new and lookups == options.hosts and server.total == 2 * options.hosts + 2
end

os.exit(ms.run(run, common.options({ hosts = 10000, requests = 5000, concurrency = 20 })))
