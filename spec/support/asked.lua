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

---Options for names that nobody answers for.
asked.SHORT = { dns = { timeout = 300 } }

function asked.ok(res, err)
  assert.equal(204, res and res.status, tostring(err))
  return res
end

function asked.fails(code, res, err)
  assert.is_nil(res)
  assert.equal(code, err.code, tostring(err))
  return err
end

---A test with a client that asks a server with these records, and waits for it as long as a
---machine that is busy may need: opts.dns has less where an answer is not to come.
---@param records table see spec/support/dns.lua
---@param fn fun(client: multisocket.Client, server: table)
---@param opts? { dns: { timeout: integer } }
---@return fun()
function asked.asking(records, fn, opts)
  return async(function()
    local server <close> = dns.start(records)
    local client <close> = ms.client({ dns = { servers = server.address, tries = 2,
      timeout = opts and opts.dns.timeout or 10000 } })
    fn(client, server)
  end)
end

return asked
