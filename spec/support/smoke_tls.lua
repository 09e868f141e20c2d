-- SPDX-License-Identifier: MIT
--
-- What `make valgrind` watches of TLS: connections that are made, resumed and
-- reused, that fail in several ways, are broken off and closed.
local ms = require "multisocket"
local certs = require "spec.support.certs"
local server = require "spec.support.server"
local tls_peer = require "spec.support.tls_peer"

local UPLOAD = 300000 -- bytes: more than a socket takes at once
local SLOW = 120000 -- ms; valgrind is not in a hurry

local nginx = server.start({ tls = certs.get("valid"), listen = "http2",
  config = "ssl_protocols TLSv1.2 TLSv1.3;",
  more = { { tls = certs.get("expired"), port = true } } })
local cutting = tls_peer.start({ { { "request" },
  { "send", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal" }, { "truncate" } } })
local client = ms.client({ tls = { ca_file = certs.get("root").cert }, timeout = SLOW })

local function get(version, tls)
  for i, fresh in ipairs({ false, true, true, false }) do
    local res = assert(client:fetch(nginx:url("/bytes/100000"), { version = version, tls = tls,
      fresh_connection = fresh }))
    assert(#res.body == 100000)
    assert(res.reused or res.tls.resumed == (i > 1))
    assert(res.tls.peer_certificate.subject == "CN=valid")
  end
end

get("1.1")
get("auto")
get("1.1", { max_version = "1.2" })

local function fails(code, url, opts)
  local _, err = client:fetch(url, opts)
  assert(err.code == code, tostring(err))
end

fails("certificate_expired", ("https://127.0.0.1:%d/small"):format(nginx.ports[1]))
fails("bad_option", nginx:url("/small"), { tls = { cert = "/nonexistent" } })
fails("certificate_pin_mismatch", nginx:url("/small"),
  { tls = { pinned_public_key = certs.pin("rsa") } })
fails("tls_truncated", cutting:url(), { version = "1.1" })

local res = assert(client:post(nginx:url("/sink"), { body = ("x"):rep(UPLOAD), version = "1.1" }))
assert(res.body == ("read %d bytes\n"):format(UPLOAD))

local ended
local handle = client:request(nginx:url("/slow"), {}, function(err) ended = err.code end)
ms.sleep(100)
handle:cancel()
while not ended do ms.sleep(1) end
assert(ended == "cancelled")
client:close()
nginx:stop()
cutting:stop()
print("1 passed, 0 failed")
