-- SPDX-License-Identifier: MIT
--
-- A contract drive in a namespace where the host "two" has two addresses: ::1,
-- which is "refused" (nobody listens), "slow" (connecting to it never ends)
-- or "both" (the same server), and 127.0.0.1 with a server.
--
--   two_hosts.run("raw", "slow", [[ assert.equal(200, easy:response().status) ]])
--
-- The text sees d, with its transfer `easy` to two done, and `assert` as busted
-- has it.
local namespace = require "spec.support.namespace"

local two_hosts = {}

local PROGRAM = [[
local assert = require "luassert"
local contract = require "spec.support.contract"
local peer = require "spec.support.peer"
local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local script = { { { "request" }, { "send", ANSWER }, { "repeat" } } }
local v6 = %q
local v4 = peer.start(script)
local other
if v6 == "slow" then other = peer.start(script, { host = "::1", port = v4.port, full = true }) end
if v6 == "both" then other = peer.start(script, { host = "::1", port = v4.port }) end
local d = contract.drive(%q, { logged = true })
local url = "http://two:" .. v4.port .. "/"
local easy
do %s end
if not easy then
  easy = d:add(url)
  d:run()
  assert.is_true(d:ended(easy))
end
do %s end
assert.equal("", d:check())
d:close()
assert.same({}, d.watched)
v4:stop()
if other then other:stop() end
print("fine")
]]

---@param kind string a way of driving
---@param v6 "refused"|"slow"|"both"
---@param text string runs when the transfer is done
---@param before? string runs before; it may add the transfer, `easy`, itself
function two_hosts.run(kind, v6, text, before)
  if not namespace.possible() then return end
  local r = namespace.run(PROGRAM:format(v6, kind, before or "", text),
    { hosts = "::1 two\n127.0.0.1 two\n", timeout = 60000 })
  if r.stdout ~= "fine\n" then error(r.stdout .. r.stderr, 2) end
end

return two_hosts
