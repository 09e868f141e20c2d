-- SPDX-License-Identifier: MIT
--
-- For specs about names: clients that ask a DNS server of the test's own, and
-- what their fetches come to.
--
--   it("...", asked.asking({ ["a.test"] = { "127.0.0.1" } }, function(client, server)
--     asked.ok(client:fetch(url("a.test")))
--     asked.fails("dns_not_found", client:fetch(url("b.test")))
--   end))
local ms = require "multisocket"
local assert = require "luassert"
local async = require "spec.support.async"
local dns = require "spec.support.dns"

local asked = {}

local NO_CONTENT = "HTTP/1.1 204 No Content\r\n\r\n"

---Steps of a peer that answers as `ok` expects.
asked.SERVE = { { "request" }, { "send", NO_CONTENT }, { "repeat" } }

function asked.ok(res, err)
  assert.equal(204, res and res.status, tostring(err))
  return res
end

function asked.fails(code, res, err)
  assert.is_nil(res)
  assert.equal(code, err.code, tostring(err))
  return err
end

---A test with a client that asks a server with these records.
---@param records table see spec/support/dns.lua
---@param fn fun(client: multisocket.Client, server: table)
---@param opts? table of the client
---@return fun()
function asked.asking(records, fn, opts)
  return async(function()
    local server <close> = dns.start(records)
    local all = { dns = { servers = server.address, timeout = 200, tries = 2 } }
    for name, value in pairs(opts or {}) do all[name] = value end
    local client <close> = ms.client(all)
    fn(client, server)
  end)
end

return asked
