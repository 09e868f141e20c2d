-- SPDX-License-Identifier: MIT
--
-- What is compared. A workload is a job for every client, on one of the two servers.

---@class bench.workload
---@field name string as given on the command line
---@field title string
---@field server string see server.get()
---@field path string? below the server's URL
---@field job bench.job without its URLs
---@field saturating boolean? the client is meant to be the limit
---@field memory boolean? show memory per transfer instead of requests per second
---@field without table<string, boolean>? clients that cannot do it
---@field beside string? the other client ratios are taken to, default wrk
---@field max_rounds integer? for runs that take long and scatter little
---@field full boolean? only with --full

-- h2load speaks HTTP/2, the bare client HTTP/1.1 over TLS, wrk takes no number of requests.
local NO_WRK = { wrk = true, h2load = true, bare = true }
local NO_H2LOAD = { h2load = true, bare = true }
local ONLY_TLS = { h2load = true }
local ONLY_H2 = { wrk = true, bare = true }
-- wrk resumes when it can, and cannot be told not to.
local NO_CHOICE = { h2load = true, wrk = true }

-- Held transfers: every slot is used this often, so that connecting is a third of it.
local USES = 3

local function held(n, delay_ms, more)
  local w = {
    server = "hold",
    path = "delay/" .. delay_ms,
    memory = true,
    without = NO_WRK,
    max_rounds = 2,
    job = { requests = n * USES, concurrency = n, hosts = 100, timeout = 150000 },
  }
  for key, value in pairs(more) do w[key] = value end
  return w
end

---@type bench.workload[]
return {
  {
    name = "keepalive-1",
    title = "small answer, keep-alive, one at a time",
    server = "nginx",
    without = NO_H2LOAD,
    job = { requests = 20000, concurrency = 1 },
  },
  {
    name = "keepalive-100",
    title = "small answer, keep-alive, 100 at a time",
    server = "nginx",
    without = NO_H2LOAD,
    saturating = true,
    job = { requests = 100000, concurrency = 100 },
  },
  {
    name = "keepalive-1000",
    title = "small answer, keep-alive, 1000 at a time, one host",
    server = "nginx",
    without = NO_H2LOAD,
    saturating = true,
    job = { requests = 100000, concurrency = 1000 },
  },
  {
    name = "new-100",
    title = "small answer, a new connection each, 100 at a time",
    server = "nginx",
    without = NO_H2LOAD,
    saturating = true,
    job = { requests = 20000, concurrency = 100, new_connections = true },
  },
  {
    name = "h2-100",
    title = "small answer, HTTP/2 without TLS, 100 at a time on one connection",
    server = "nginx-h2",
    saturating = true,
    -- libcurl 7.88 uses no connection twice that began with prior knowledge ("Error in the HTTP2
    -- framing layer").
    without = { wrk = true, curl = true, bare = true },
    job = { requests = 100000, concurrency = 100, http2 = true },
  },
  {
    name = "tls-100",
    title = "small answer, TLS 1.3, keep-alive, 100 at a time",
    server = "nginx-tls",
    without = ONLY_TLS,
    saturating = true,
    job = { requests = 100000, concurrency = 100 },
  },
  {
    name = "tls-new",
    title = "small answer, TLS 1.3, a new connection each with a full handshake",
    server = "nginx-tls",
    without = NO_CHOICE,
    beside = "bare",
    saturating = true,
    job = { requests = 4000, concurrency = 20, new_connections = true, no_resume = true },
  },
  {
    name = "tls-resumed",
    title = "small answer, TLS 1.3, a new connection each, resumed",
    server = "nginx-tls",
    without = NO_CHOICE,
    beside = "bare",
    saturating = true,
    job = { requests = 6000, concurrency = 20, new_connections = true },
  },
  {
    name = "h2-tls-100",
    title = "small answer, HTTP/2 over TLS, 100 at a time on one connection, nghttpd",
    server = "nghttpd",
    saturating = true,
    without = ONLY_H2,
    beside = "h2load",
    job = { requests = 100000, concurrency = 100, http2 = true },
  },
  {
    name = "h2-tls-100-nginx",
    title = "the same, nginx: a record of TLS for every answer",
    server = "nginx-h2-tls",
    saturating = true,
    without = ONLY_H2,
    beside = "h2load",
    job = { requests = 100000, concurrency = 100, http2 = true },
  },
  held(1000, 1000, { name = "held-1000", title = "1000 transfers wait 1 s, 100 hosts" }),
  held(10000, 3000, { name = "held-10000", title = "10,000 transfers wait 3 s, 100 hosts" }),
  held(10000, 3000, {
    name = "held-10000-one-host",
    title = "10,000 transfers wait 3 s, one host",
    max_rounds = 1,
    job = { requests = 10000 * USES, concurrency = 10000, timeout = 150000 },
  }),
  held(19000, 3000, {
    name = "held-19000",
    title = "19,000 transfers wait 3 s, 100 hosts",
    full = true,
    max_rounds = 1,
  }),
}
