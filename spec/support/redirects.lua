-- SPDX-License-Identifier: MIT
--
-- What the specs of redirects and retries share: peers that point on, and what
-- is in a request that they got.
local assert = require "luassert"
local peer = require "spec.support.peer"

local redirects = {}

redirects.OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
-- For every request.
redirects.SERVE = { { "request" }, { "send", redirects.OK }, { "repeat" } }

-- The response of such a server.
function redirects.redirect(status, location, more)
  return ("HTTP/1.1 %d There\r\nLocation: %s\r\n%sContent-Length: 0\r\n\r\n"):format(status,
    location, more or "")
end

-- A peer that points `locations` one after the other, then answers; over the
-- version of spec.support.wire, if one is given.
function redirects.chain(locations, status, version)
  local script = {}
  for _, location in ipairs(locations) do
    script[#script + 1] = { "request" }
    script[#script + 1] = { "send", redirects.redirect(status or 302, location) }
  end
  script[#script + 1] = { "request" }
  script[#script + 1] = { "send", redirects.OK }
  script[#script + 1] = { "repeat" }
  if version then return version:peer({ script }) end
  return peer.start({ script })
end

-- "GET /path"
function redirects.line_of(request) return (request:match("^(.-) HTTP/1%.1\r\n")) end

-- The value of a field, by its name in lower case.
function redirects.header(request, name)
  for other, value in request:match("^.-\r\n(.-\r\n)\r\n"):gmatch("(.-): (.-)\r\n") do
    if other:lower() == name then return value end
  end
end

function redirects.body_of(request) return request:match("\r\n\r\n(.*)$") end

-- The err of a call that has to fail with that code.
function redirects.failure(code, res, err)
  assert.is_nil(res)
  assert.equal(code, err.code, tostring(err))
  return err
end

return redirects
