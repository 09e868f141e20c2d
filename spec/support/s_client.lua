-- SPDX-License-Identifier: MIT
--
-- `openssl s_client` as the client that the TLS helpers are tried with.
--
--   local r = s_client.run(port, { host = "localhost", ca = file, path = "/small" })
--   r.verified, r.protocol, r.alpn, r.reused, r.text
--   s_client.run(port, { quiet = true }).body
--
-- Options: host (SNI and the name to be verified, default "localhost"), sni
-- (false: sends none), address (default "127.0.0.1"), ca, path (default
-- "/small"), request (the bytes to send instead of a GET for path; "" for
-- none), input (path of a pipe it reads from instead), args (more arguments),
-- timeout (ms), quiet (true: it prints nothing but what it received, so that
-- this is exact, and there is nothing else to know).
local process = require "spec.support.process"

local s_client = {}

local TIMEOUT = 30000 -- ms

---@class spec.SClient
---@field code integer
---@field timed_out boolean it was killed
---@field text string all it printed, errors included
---@field verified boolean the chain and the name are good
---@field protocol string? "TLSv1.3"; nil: the handshake failed
---@field alpn string?
---@field reused boolean the session was resumed
---@field received string? with quiet: every byte that came
---@field body string? with quiet: what came after the head of an HTTP response

local function arguments(port, opts)
  local host, address = opts.host or "localhost", opts.address or "127.0.0.1"
  if address:find(":", 1, true) then address = "[" .. address .. "]" end
  local argv = { "openssl", "s_client", "-connect", address .. ":" .. port, "-verify_hostname",
    host, "-ign_eof", "-no-CApath", "-no-CAstore" }
  local sni = opts.sni == false and { "-noservername" } or { "-servername", host }
  table.move(sni, 1, #sni, #argv + 1, argv)
  table.move(opts.ca and { "-CAfile", opts.ca } or { "-no-CAfile" }, 1, 2, #argv + 1, argv)
  if opts.quiet then argv[#argv + 1] = "-quiet" end
  return table.move(opts.args or {}, 1, #(opts.args or {}), #argv + 1, argv)
end

-- The line about the cipher names the version that first had it.
local function protocol_in(text)
  local first = text:match("\n%a+, (TLS%S+), Cipher is ")
  return first and (text:match("\n    Protocol  : (%S+)") or first)
end

---Starts one without waiting for it.
---@param port integer
---@param opts? table
---@return spec.Process
function s_client.start(port, opts)
  opts = opts or {}
  local request = opts.request or ("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n"):format(
    opts.path or "/small", opts.host or "localhost")
  return process.start(arguments(port, opts), { stdin = not opts.input and request or nil,
    input = opts.input, env = { LD_PRELOAD = false } })
end

---@param port integer
---@param opts? table
---@return spec.SClient
function s_client.run(port, opts)
  opts = opts or {}
  local r = s_client.start(port, opts):wait(opts.timeout or TIMEOUT)
  local text = r.stdout .. r.stderr
  return { code = r.code, timed_out = r.timed_out, text = text,
    verified = text:find("Verify return code: 0 (ok)", 1, true) ~= nil,
    protocol = protocol_in(text),
    alpn = text:match("ALPN protocol: (%S+)"),
    reused = text:find("\nReused, ", 1, true) ~= nil,
    received = opts.quiet and r.stdout,
    body = opts.quiet and r.stdout:match("^HTTP/1%.[01] .-\r\n\r\n(.*)$") }
end

return s_client
