-- SPDX-License-Identifier: MIT
--
-- TCP ports on loopback, read from /proc/net/tcp and tcp6: no socket is made.
--
--   port.free()           a port nobody uses now; also good for "refused".
--                         Somebody may take it before you do: who listens on
--                         it must retry with another (spec.support.server does)
--   port.listening(n)     somebody listens on it
--   port.count(n, "ESTABLISHED")   sockets of clients to that remote port, in
--                         that state; for "no connection is left"
local uv = require "luv"

local port = {}

-- Below Linux' ephemeral range (32768 and up), so that no outgoing connection
-- of another test can hold it.
local LOWEST, HIGHEST = 20000, 32000

local STATES = {
  ESTABLISHED = "01", SYN_SENT = "02", FIN_WAIT1 = "04", FIN_WAIT2 = "05",
  TIME_WAIT = "06", CLOSE_WAIT = "08", LAST_ACK = "09", LISTEN = "0A",
}

-- Calls fn(local_port, remote_port, state) for every TCP socket.
local function each_socket(fn)
  for _, path in ipairs({ "/proc/net/tcp", "/proc/net/tcp6" }) do
    local f = io.open(path)
    for line in f and f:lines() or function() end do
      local l, r, state = line:match("^%s*%d+: %x+:(%x+) %x+:(%x+) (%x%x)")
      if l then fn(tonumber(l, 16), tonumber(r, 16), state) end
    end
    if f then f:close() end
  end
end

-- Not math.random's: processes that begin in the same second may count alike.
local function any_port()
  return LOWEST + string.unpack("I4", uv.random(4)) % (HIGHEST - LOWEST + 1)
end

---@return integer
function port.free()
  local used = {}
  each_socket(function(l, r) used[l], used[r] = true, true end)
  local n
  repeat n = any_port() until not used[n]
  return n
end

---@param n integer
---@return boolean
function port.listening(n)
  local found = false
  each_socket(function(l, _, state) found = found or l == n and state == STATES.LISTEN end)
  return found
end

---Sockets whose remote port is `n`, that is, the clients' side.
---@param n integer
---@param state? string default "ESTABLISHED"
---@return integer
function port.count(n, state)
  local wanted, count = assert(STATES[state or "ESTABLISHED"], "unknown state"), 0
  each_socket(function(_, r, s)
    if r == n and s == wanted then count = count + 1 end
  end)
  return count
end

return port
