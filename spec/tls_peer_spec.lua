-- SPDX-License-Identifier: MIT
--
-- The scripted TLS server plays its steps, as OpenSSL's own client and the
-- relay see it.
local certs = require "spec.support.certs"
local port = require "spec.support.port"
local s_client = require "spec.support.s_client"
local tls_peer = require "spec.support.tls_peer"
local tls_relay = require "spec.support.tls_relay"

local HEAD = "HTTP/1.1 200 OK\r\n\r\n"
local ANSWER = { "send", HEAD .. "hello" }
local TLS12, TLS13 = { "-tls1_2" }, { "-tls1_3" }

-- Runs fn with a server of these options, every connection playing `script`.
local function with(script, opts, fn)
  local p <close> = tls_peer.start({ script }, opts)
  fn(p)
end

-- One s_client against such a server; its result, and the server, which has
-- closed the connection.
local function get(script, opts, client)
  local result, peer
  with(script, opts, function(p)
    result, peer = s_client.run(p.port, client), p
    assert(p:wait("closed"))
  end)
  return result, peer
end

describe("scripted TLS server:", function()
  it("answers requests, and tells of the handshake", function()
    local r, p = get({ { "request" }, ANSWER }, nil,
      { ca = certs.get("root").cert, args = { "-tls1_3" } })
    assert.is_true(r.verified, r.text)
    assert.is_truthy(r.text:find("hello", 1, true))
    local hello = p:all("handshake")[1]
    assert.equal("TLSv1.3", hello.version)
    assert.equal("localhost", hello.sni)
    assert.is_nil(hello.alpn)
    assert.is_nil(hello.client)
    assert.is_false(hello.resumed)
    assert.is_truthy(hello.cipher:find("TLS_AES", 1, true))
    assert.equal("GET /small HTTP/1.0\r\nHost: localhost\r\n\r\n", p:requests()[1])
    assert.equal(p:requests()[1], p:received())
    assert.equal(1, p:count("end"))
  end)

  it("waits for whole requests, of a length or chunked", function()
    for _, body in ipairs({
      "Content-Length: 7\r\n\r\nhe\r\n\r\nl",
      "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    }) do
      local request = "POST / HTTP/1.1\r\n" .. body
      local r, p = get({ { "request" }, { "send", "one" }, { "request" }, { "send", "two" } }, nil,
        { quiet = true, request = request .. request })
      assert.equal("onetwo", r.received)
      assert.same({ request, request }, p:requests())
    end
    local _, p = get({ { "head" }, { "bytes", 3 }, { "repeat", 2 } }, nil,
      { request = ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"):rep(2) })
    assert.equal(2, #p:requests())
    assert.equal(1, p:count("end"))
  end)

  it("has a script for each connection, the last for all that follow", function()
    local p = tls_peer.start { { { "request" }, { "send", "1" } },
      { { "request" }, { "send", "2" } } }
    for i = 1, 3 do
      assert.equal(tostring(math.min(i, 2)), s_client.run(p.port, { quiet = true }).received)
    end
    assert.equal(3, p:connections())
    assert.equal(("https://127.0.0.1:%d/"):format(p.port), p:url())
    p:stop()
    p:stop()
    assert.is_false(port.listening(p.port))
    assert.equal(3, p:connections())
  end)

  it("serves several at once", function()
    with({ { "hang" } }, nil, function(p)
      local one <close> = s_client.start(p.port)
      local two <close> = s_client.start(p.port)
      assert.is_truthy(p:wait(function() return p:connections() == 2 end))
      assert.is_true(one:running() and two:running())
    end)
  end)

  it("sends any bytes, in records of any size", function()
    local bytes = {}
    for i = 0, 255 do bytes[i + 1] = string.char(i) end
    local all = table.concat(bytes)
    with({ { "request" }, { "send", all, 16 }, { "fill", 40000 } }, nil, function(p)
      local relay <close> = tls_relay.start { to = p.port }
      local r = s_client.run(relay.port, { quiet = true, args = TLS13 })
      assert.equal(all .. ("x"):rep(40000), r.received)
      local small = 0
      for _, record in ipairs(relay:records("server")) do
        if record.size == 16 + 17 then small = small + 1 end -- type and tag
      end
      assert.equal(16, small)
    end)
  end)

  it("ends with close_notify or without it, or with a reset", function()
    local fine = get({ { "request" }, ANSWER, { "close" } }, nil, { quiet = true })
    assert.equal(0, fine.code)
    assert.equal("hello", fine.body)
    local short = get({ { "request" }, ANSWER, { "truncate" } }, nil, { quiet = true })
    assert.equal("hello", short.body)
    assert.is_truthy(short.text:find("unexpected eof", 1, true), short.text)
    local reset = get({ { "request" }, { "reset" } }, nil, { quiet = true })
    assert.not_equal(0, reset.code)
    assert.is_nil(reset.text:find("unexpected eof", 1, true))
  end)

  it("goes on after its own close_notify", function()
    local r, p = get({ { "request" }, ANSWER, { "shutdown" }, { "eof" } }, nil, { quiet = true })
    assert.equal("hello", r.body)
    assert.equal(1, p:count("close_notify"))
    assert.equal(1, p:count("end"))
  end)

  it("acts before the handshake", function()
    local plain = get({ { "raw", "HTTP/1.1 400 Bad Request\r\n\r\n" }, { "close" } })
    assert.is_truthy(plain.text:find("wrong version number", 1, true), plain.text)
    local gone, p = get({ { "truncate" } })
    assert.is_nil(gone.protocol)
    assert.equal(0, p:count("handshake"))
    assert.is_nil(get({ { "reset" } }).protocol)
  end)

  it("breaks records", function()
    local r = get({ { "request" }, { "raw", "\x17\x03\x03\x00\x14" .. ("x"):rep(20) } }, nil,
      { quiet = true })
    assert.is_truthy(r.text:find("bad record mac", 1, true), r.text)
  end)

  -- Runs fn with such a server, a relay to it, and a client that sends what
  -- one writes to it.
  local function talk(script, args, fn)
    local pipe = os.tmpname()
    os.remove(pipe)
    assert(os.execute("mkfifo " .. pipe))
    local p <close> = tls_peer.start { script }
    local relay <close> = tls_relay.start { to = p.port }
    local client <close> = s_client.start(relay.port, { quiet = true, args = args, input = pipe })
    local input <close> = assert(io.open(pipe, "w"))
    input:setvbuf("no")
    os.remove(pipe)
    fn(p, relay, client, input)
  end

  local function with_size(records, size)
    local n = 0
    for _, record in ipairs(records) do n = n + (record.size == size and 1 or 0) end
    return n
  end

  it("updates keys, its own or both", function()
    local KEY_UPDATE = 4 + 1 + 1 + 16 -- RFC 8446: head, request, content type, tag
    for _, follow in ipairs({ false, true }) do
      talk({ { "request" }, { "send", "a" }, { "key_update", follow }, { "send", "bb" },
        { "request" }, { "send", "ccc" } }, TLS13, function(p, relay, client, input)
        input:write("GET /1 HTTP/1.1\r\n\r\n")
        assert(p:wait(function() return client:stdout() == "abb" end))
        input:write("GET /22 HTTP/1.1\r\n\r\n")
        assert(p:wait(function() return client:stdout() == "abbccc" end))
        assert.equal(2, #p:requests())
        assert.equal(1, with_size(relay:records("server"), KEY_UPDATE))
        assert.equal(follow and 1 or 0, with_size(relay:records("client"), KEY_UPDATE))
      end)
    end
  end)

  it("cannot update keys of TLS 1.2", function()
    local _, p = get({ { "request" }, { "key_update" } }, nil, { args = TLS12 })
    assert.equal("wrong ssl version", p:all("error")[1].name)
  end)

  it("renegotiates", function()
    local function handshakes(relay)
      local n = 0
      for _, record in ipairs(relay:records("client")) do
        n = n + (record.type == 22 and not record.messages and 1 or 0)
      end
      return n
    end
    talk({ { "request" }, { "renegotiate" }, { "request" }, { "send", "ok" } }, TLS12,
      function(p, relay, client, input)
        input:write("GET /1 HTTP/1.1\r\n\r\n")
        -- Finished; then ClientHello and, as the session is resumed, Finished
        assert(p:wait(function() return handshakes(relay) == 3 end))
        input:write("GET /22 HTTP/1.1\r\n\r\n")
        assert(p:wait(function() return client:stdout() == "ok" end))
        assert.equal(1, p:count("renegotiated"))
        assert.equal(2, #p:requests())
      end)
  end)

  it("sends tickets when it likes", function()
    local r = get({ { "request" }, { "ticket" }, { "send", "x" }, { "ticket" } },
      { tickets = 1 }, { args = TLS13 })
    assert.equal(3, select(2, r.text:gsub("New Session Ticket arrived", "")))
  end)

  it("resumes sessions, or does not", function()
    for _, args in ipairs({ TLS12, TLS13 }) do
      for _, tickets in ipairs({ 2, 0 }) do
        local path = os.tmpname()
        with({ { "request" }, ANSWER }, { tickets = tickets }, function(p)
          s_client.run(p.port, { args = { args[1], "-sess_out", path } })
          s_client.run(p.port, { args = { args[1], "-sess_in", path } })
          local second = p:all("handshake")[2] -- none: there was no session to offer
          assert.equal(tickets > 0, second ~= nil and second.resumed)
        end)
        os.remove(path)
      end
    end
  end)
end)

describe("scripted TLS server, with options:", function()
  local OK = { { "request" }, ANSWER }

  it("speaks one version", function()
    for version, name in pairs({ tls1 = "TLSv1", tls1_1 = "TLSv1.1", tls1_2 = "TLSv1.2",
      tls1_3 = "TLSv1.3" }) do
      local r, p = get(OK, { version = version }, { args = { "-cipher", "DEFAULT:@SECLEVEL=0" } })
      assert.equal(name, r.protocol)
      assert.equal(name, p:all("handshake")[1].version)
    end
    local r, p = get(OK, { version = "tls1_3" }, { args = TLS12 })
    assert.is_nil(r.protocol)
    assert.equal("unsupported protocol", p:all("error")[1].name)
  end)

  it("shows any certificate", function()
    for _, name in ipairs({ "rsa", "expired", "weak_key", "wrong_key", "long_chain" }) do
      local r = get(OK, { cert = certs.get(name) }, { args = { "-cipher", "DEFAULT:@SECLEVEL=0" } })
      assert.is_truthy(r.text:find("subject=CN = " .. name, 1, true), r.text)
    end
    local c = certs.get("client_encrypted")
    assert.is_truthy(get(OK, { cert = c }).text:find("hello", 1, true))
  end)

  it("listens on ::1, and on a port it is given", function()
    local p = tls_peer.start({ OK }, { host = "::1" })
    assert.is_truthy(s_client.run(p.port, { address = "::1" }).text:find("hello", 1, true))
    assert.equal(("https://[::1]:%d/x"):format(p.port), p:url("/x"))
    p:stop()
    local again = tls_peer.start({ OK }, { host = "::1", port = p.port })
    assert.equal(p.port, again.port)
    again:stop()
  end)

  it("agrees on a protocol, insists on one, or invents one", function()
    local both = { args = { "-alpn", "h2,http/1.1" } }
    local r, p = get(OK, { alpn = { "http/1.1", "h2" } }, both)
    assert.equal("http/1.1", r.alpn)
    assert.equal("http/1.1", p:all("handshake")[1].alpn)
    assert.is_nil(get(OK, { alpn = { "spdy/1" } }, both).alpn)
    local refused = get(OK, { alpn = { "spdy/1" }, alpn_strict = true }, both)
    assert.is_truthy(refused.text:find("no application protocol", 1, true), refused.text)
    -- later versions of OpenSSL 3.0 do not take what they have not offered
    local invented = get(OK, { alpn = { "spdy/1" }, alpn_force = true }, both)
    assert.is_true(invented.alpn == "spdy/1"
      or invented.text:find("tls_parse_stoc_alpn:bad extension", 1, true) ~= nil, invented.text)
  end)

  it("insists on a client certificate", function()
    local c = certs.get("client")
    local _, p = get(OK, { client_ca = c.ca }, { args = { "-cert", c.cert, "-key", c.key } })
    assert.equal("client", p:all("handshake")[1].client)
    _, p = get(OK, { client_ca = c.ca })
    assert.equal("peer did not return a certificate", p:all("error")[1].name)
  end)

  it("staples an OCSP answer", function()
    local r = get(OK, { staple = certs.ocsp("revoked") }, { args = { "-status" } })
    assert.is_truthy(r.text:find("Cert Status: revoked", 1, true), r.text)
  end)

  it("counts without keeping", function()
    local _, p = get(OK, { record = false })
    assert.equal("", p:received())
    assert.is_true(p:all("data")[1].size > 0)
  end)

  it("says what is wrong with its job", function()
    local ok, err = pcall(tls_peer.start, { { { "dance" } } })
    assert.is_false(ok)
    assert.is_truthy(err:find("unknown step dance", 1, true), err)
  end)

  it("tells which alert the client sent", function()
    local _, p = get(OK, nil, { args = { "-verify_return_error" } })
    assert.equal("tlsv1 alert unknown ca", p:all("error")[1].name)
  end)
end)
