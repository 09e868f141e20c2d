-- SPDX-License-Identifier: MIT
--
-- Credentials: where they come from, whom they go to, what is done about a
-- 401. Against the scripted peer, over HTTP/1.1 and HTTP/2; servers that check
-- them are in auth_wire_spec.lua and auth_digest_spec.lua.
local async = require "spec.support.async"
local files = require "spec.support.files"
local ms = require "multisocket"
local port = require "spec.support.port"
local redirects = require "spec.support.redirects"
local wire = require "spec.support.wire"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local REFUSED = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: %s\r\nContent-Length: 3\r\n\r\nwho"
local SERVE = { { { "request" }, { "send", OK }, { "repeat" } } }
local ANNA = { "anna", "secret", digest = true }
local LIMIT = 30000 -- ms

-- base64 of "anna:secret", "otto:geheim", "anna:"
local BASIC = { anna = "Basic YW5uYTpzZWNyZXQ=", otto = "Basic b3R0bzpnZWhlaW0=",
  empty = "Basic YW5uYTo=" }

local function authorization(request) return (redirects.header(request, "authorization")) end

-- What each request had, "-" for nothing; of Digest the nonce and count.
local function sent(p)
  local list = {}
  for i, request in ipairs(p:requests()) do
    local value = authorization(request) or "-"
    local nonce, count = value:match('^Digest .* nonce="(.-)".* nc=(%x+)')
    list[i] = nonce and ("%s %d"):format(nonce, tonumber(count, 16)) or value
  end
  return list
end

local function challenge(nonce, more)
  return ('Digest realm="r", nonce="%s", qop="auth"%s'):format(nonce, more or "")
end

-- A connection that answers one request after the other so.
local function answers(...)
  local steps = {}
  for _, text in ipairs({ ... }) do
    steps[#steps + 1] = { "request" }
    steps[#steps + 1] = { "send", text }
  end
  steps[#steps + 1] = { "hang" }
  return { steps }
end

local function refused(...) return REFUSED:format(challenge(...)) end

-- The login in the URL of a peer.
local function with_login(p, login, path)
  return (p:url(path):gsub("//", function() return "//" .. login .. "@" end, 1))
end

for _, v in ipairs(wire.VERSIONS) do

describe("credentials " .. v.over, function()
  local p

  before_each(function() p = v:peer(SERVE) end)
  after_each(function() p:stop() end)

  local ROWS = {
    { "a login", BASIC.anna, { auth = { "anna", "secret" } } },
    { "a login by name", BASIC.anna, { auth = { user = "anna", password = "secret" } } },
    { "a login without password", BASIC.empty, { auth = { "anna" } } },
    { "a login that is off", "-", { auth = false } },
    { "UTF-8", "Basic dGVzdDoxMjPCow==", { auth = { "test", "123\xc2\xa3" } } },
    { "a token", "Bearer mF_9.B5f-4.1JqM", { bearer = "mF_9.B5f-4.1JqM" } },
    { "a token before a login", "Bearer t", { bearer = "t", auth = { "anna", "secret" } } },
    { "a header before a token and a login", "Mine x",
      { headers = { authorization = "Mine x" }, bearer = "t", auth = { "anna", "secret" } },
      "authorization" },
    { "no header where it is removed", "-",
      { headers = { Authorization = false }, bearer = "t", auth = { "anna", "secret" } } },
    { "the URL", BASIC.otto, {}, login = "otto:geheim" },
    { "the URL, encoded", BASIC.otto, {}, login = "%6ftt%6F:geh%65im" },
    { "the URL, a user only", BASIC.empty, {}, login = "anna" },
    { "the URL, a password only", "Basic OnB3", {}, login = ":pw" },
    { "the URL, what is no encoding", "Basic YSV6ejol", {}, login = "a%zz:%" },
    { "a login before the URL", BASIC.anna, { auth = { "anna", "secret" } },
      login = "otto:geheim" },
    { "a token before the URL", "Bearer t", { bearer = "t" }, login = "otto:geheim" },
    { "no header where it is removed, whatever the URL says", "-",
      { headers = { Authorization = false } }, login = "otto:geheim" },
  }

  for _, row in ipairs(ROWS) do
    it("are " .. row[1], async(function()
      local opts = row[3]
      opts.timeout = LIMIT
      local res = assert(v:fetch(row.login and with_login(p, row.login) or p:url(), opts))
      assert.equal("ok", res.body)
      local value = p:requests()[1]:match("\r\n[Aa]uthorization: ([^\r]*)\r\n") or "-"
      assert.equal(row[2], value)
      assert.equal(row[2], res.request.headers.authorization or "-")
      local _, lines = p:requests()[1]:lower():gsub("\r\nauthorization:", "")
      assert.equal(row[2] == "-" and 0 or 1, lines)
    end))
  end

  it("are a client's, until a call has its own", async(function()
    local calls = {
      { "Bearer t", { bearer = "t" }, {} },
      { BASIC.anna, { bearer = "t" }, { auth = { "anna", "secret" } } },
      { "Bearer u", { auth = { "anna", "secret" } }, { bearer = "u" } },
      { BASIC.empty, { auth = { "otto", "geheim" } }, { auth = { "anna" } } },
      { BASIC.empty, { auth = { "otto", "x", digest = true } }, { auth = { "anna" } } },
      { "-", { auth = { "otto", "x" } }, { auth = false } },
      { "-", { bearer = "t" }, { bearer = false } },
    }
    for i, row in ipairs(calls) do
      local client <close> = v:client(row[2])
      assert(client:fetch(p:url(), row[3]))
      assert.equal(row[1], sent(p)[i], tostring(i))
    end
  end))

  it("go with the request, not with the connection (J3)", async(function()
    local client <close> = v:client({})
    for _, user in ipairs({ "anna", "otto", "anna" }) do
      assert(client:fetch(p:url(), { auth = { user, "" } }))
    end
    assert(client:fetch(p:url()))
    assert.equal(1, p:connections())
    assert.same({ BASIC.empty, "Basic b3R0bzo=", BASIC.empty, "-" }, sent(p))
  end))

  it("that cannot be sent are an error that does not show them", async(function()
    local rows = {
      { { auth = { "an:na", "secret" } }, "a user with a colon in it has no place in Basic" },
      { { auth = { "anna", "sec\nret" } }, "may not hold control characters" },
      { { auth = { "an\rna", "secret" } }, "may not hold control characters" },
      { { auth = { "an\0na", "secret", digest = true } }, "may not hold control characters" },
      { { auth = { nil, "secret" } }, "auth has a password and no user" },
      { { bearer = "sec ret" }, "a bearer token is made of visible ASCII" },
      { { bearer = "sec\r\nX: ret" }, "a bearer token is made of visible ASCII" },
      { { bearer = "" }, "a bearer token is made of visible ASCII" },
      { {}, "may not hold control characters", login = "anna:%0d%0aX:secret" },
      { { auth = { digest = true } }, "may not hold control characters", login = "%00:secret" },
    }
    for _, row in ipairs(rows) do
      local res, err = v:fetch(row.login and with_login(p, row.login) or p:url(), row[1])
      assert.is_nil(res)
      assert.equal("bad_option", err.code)
      assert.matches(row[2], err.message, 1, true)
      assert.is_nil(tostring(err):find("ret", 1, true))
      assert.is_nil(err.url:find("secret", 1, true))
    end
    assert.same({}, p:requests())
  end))
end)

describe("a 401 " .. v.over, function()
  it("to Basic is the response: no password is sent twice", async(function()
    for _, opts in ipairs({ { auth = { "anna", "secret" } }, { bearer = "t" }, {} }) do
      local p <close> = v:peer(answers(REFUSED:format('Basic realm="r"')))
      opts.timeout = LIMIT
      local res = assert(v:fetch(p:url(), opts))
      assert.same({ 401, "who" }, { res.status, res.body })
      assert.equal('Basic realm="r"', res.headers["www-authenticate"])
      assert.equal(1, #p:requests())
    end
  end))

  -- { name, the answers, what the requests have, the status }
  local ROWS = {
    { "is answered", { refused("1"), OK }, { "-", "1 1" }, 200 },
    { "is answered by whoever is strongest",
      { "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x, Negotiate\r\nWWW-Authenticate: "
        .. challenge("1") .. "\r\nwww-authenticate: " .. challenge("2", ", algorithm=SHA-256")
        .. ", " .. challenge("3", ", algorithm=SHA-1") .. "\r\nContent-Length: 0\r\n\r\n", OK },
      { "-", "2 1" }, 200 },
    { "that comes again is the response", { refused("1"), refused("2") }, { "-", "1 1" }, 401 },
    { "that comes again for an old nonce is answered",
      { refused("1"), refused("2", ", stale=TRUE"), OK }, { "-", "1 1", "2 1" }, 200 },
    { "is answered twice at most",
      { refused("1"), refused("2", ", stale=true"), refused("3", ", stale=true") },
      { "-", "1 1", "2 1" }, 401 },
    { "whose first nonce is said to be old is answered",
      { refused("1", ", stale=true"), OK }, { "-", "1 1" }, 200 },
    { "of another kind is the response", { REFUSED:format('Basic realm="r"') }, { "-" }, 401 },
    { "that is malformed is the response",
      { REFUSED:format('Digest realm="r", nonce="1') }, { "-" }, 401 },
    { "without a nonce is the response", { REFUSED:format('Digest realm="r"') }, { "-" }, 401 },
    { "of an unknown algorithm is the response",
      { refused("1", ", algorithm=SHA-1") }, { "-" }, 401 },
    { "without a challenge is the response",
      { "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n" }, { "-" }, 401 },
    { "of a proxy's field is the response",
      { "HTTP/1.1 401 No\r\nProxy-Authenticate: " .. challenge("1")
        .. "\r\nContent-Length: 0\r\n\r\n" }, { "-" }, 401 },
  }

  for _, row in ipairs(ROWS) do
    it(row[1], async(function()
      local list, seen = { table.unpack(row[2]) }, {}
      list[#list + 1] = OK -- for a request that should not be
      local p <close> = v:peer(answers(table.unpack(list)))
      local res = assert(v:fetch(p:url("/a?b"), { auth = ANNA, timeout = LIMIT,
        on_headers = function(head) seen[#seen + 1] = head.status end }))
      assert.equal(row[4], res.status)
      assert.same({ row[4] }, seen, "on_headers has what is delivered")
      assert.same(row[3], sent(p))
      assert.equal(1, p:connections())
      for _, request in ipairs(p:requests()) do
        assert.equal("GET /a?b HTTP/1.1", request:match("^[^\r]*"))
      end
    end))
  end

  it("that ends the connection is answered on another", async(function()
    local p <close> = v:peer {
      { { "request" }, { "send", "HTTP/1.1 401 No\r\nConnection: close\r\nWWW-Authenticate: "
        .. challenge("1") .. "\r\n\r\nsome body" }, { "close" } },
      { { "request" }, { "send", OK }, { "hang" } } }
    assert.equal("ok", assert(v:fetch(p:url(), { auth = ANNA, timeout = LIMIT })).body)
    assert.equal(2, p:connections())
  end))

  it("has a body that nobody gets", async(function()
    local p <close> = v:peer(answers(refused("1"), OK))
    local pieces = {}
    assert(v:fetch(p:url(), { auth = ANNA, timeout = LIMIT,
      on_data = function(piece) pieces[#pieces + 1] = piece end }))
    assert.equal("ok", table.concat(pieces))
  end))

  it("is answered with the body again", async(function()
    local path = os.tmpname()
    files.write(path, "hello")
    for _, body in ipairs({ "hello", { path = path } }) do
      local p <close> = v:peer(answers(refused("1"), OK))
      assert(v:fetch(p:url(), { auth = ANNA, method = "PUT", body = body, timeout = LIMIT }))
      for _, request in ipairs(p:requests()) do
        assert.matches("^PUT / ", request)
        assert.equal("5", redirects.header(request, "content-length"))
        assert.matches("\r\n\r\nhello$", request)
      end
      assert.same({ "-", "1 1" }, sent(p))
    end
    os.remove(path)
  end))

  it("is an error where the body cannot be had again", async(function()
    local p <close> = v:peer(answers(refused("1"), OK))
    local given = false
    local res, err = v:fetch(p:url(), { auth = ANNA, timeout = LIMIT, body = function()
      if given then return nil end
      given = true
      return "hello"
    end })
    assert.is_nil(res)
    assert.equal("body_not_replayable", err.code)
    assert.matches("Digest", err.message, 1, true)
    assert.same({ "-" }, sent(p))
  end))

  it("that comes before the body spares it", async(function()
    local p <close> = v:peer {
      { { "head" }, { "send", refused("1") }, { "hang" } },
      { { "head" }, { "send", "HTTP/1.1 100 Continue\r\n\r\n" }, { "bytes", 10 }, { "send", OK },
        { "hang" } } }
    local given = 0
    assert.equal("ok", assert(v:fetch(p:url(), { auth = ANNA, timeout = LIMIT, method = "PUT",
      expect_continue = true, body = function()
        given = given + 1
        return given == 1 and "hello" or nil
      end })).body)
    assert.same({ "-", "1 1" }, sent(p))
  end))

  it("may stay unanswered", async(function()
    local p <close> = v:peer { { { "request" }, { "send", refused("1") }, { "request" },
      { "hang" } } }
    local res, err = v:fetch(p:url(), { auth = ANNA, timeout = 200 })
    assert.is_nil(res)
    assert.equal("timed_out", err.code)
    local client <close> = v:client({})
    local q <close> = v:peer { { { "request" }, { "send", refused("1") }, { "request" },
      { "hang" } } }
    local handle = client:request(q:url(), { auth = ANNA }, function() end)
    q:wait(function() return #q:requests() == 2 end, LIMIT, function() ms.sleep(1) end)
    handle:cancel()
  end))
end)

describe("what a server said about Digest " .. v.over, function()
  -- Fetches `n` times as `auth`; what the requests had.
  local function after(client, p, auth, n)
    local before = #p:requests()
    for _ = 1, n or 1 do assert(client:fetch(p:url(), v:options({ auth = auth }))) end
    return table.concat(sent(p), ", ", before + 1)
  end

  it("is used at once, and counted", async(function()
    local p <close> = v:peer(answers(refused("1"), OK, OK, OK))
    local client <close> = v:client({})
    assert.equal("-, 1 1", after(client, p, ANNA))
    assert.equal("1 2, 1 3", after(client, p, ANNA, 2))
  end))

  it("is of no use to another login, nor to another client", async(function()
    local p <close> = v:peer(answers(refused("1"), OK, OK, OK, OK, OK))
    local client <close> = v:client({})
    local other <close> = v:client({})
    assert.equal("-, 1 1", after(client, p, ANNA))
    assert.equal("-", after(client, p, { "otto", "secret", digest = true }))
    assert.equal("-", after(client, p, { "anna", "geheim", digest = true }))
    assert.equal("1 2", after(client, p, ANNA))
    p:stop()
    local q <close> = v:peer(SERVE)
    assert.equal("-", after(client, q, ANNA), "another origin")
    assert.equal("-", after(other, q, ANNA))
  end))

  it("is forgotten when it does not do", async(function()
    local p <close> = v:peer(answers(refused("1"), refused("2"), OK, OK))
    local client <close> = v:client({})
    assert.equal("-, 1 1", after(client, p, ANNA))
    assert.equal("-", after(client, p, ANNA))
  end))

  it("is used by nobody else before an answer was accepted", async(function()
    local p <close> = v:peer { { { "request" }, { "send", refused("1") }, { "request" },
      { "hang" } }, { { "request" }, { "send", OK }, { "hang" } } }
    local client <close> = v:client({})
    local handle = client:request(p:url(), { auth = ANNA }, function() end)
    p:wait(function() return #p:requests() == 2 end, LIMIT, function() ms.sleep(1) end)
    assert.equal("-", after(client, p, ANNA))
    handle:cancel()
  end))

  it("is not what it was when the server starts again", async(function()
    local p <close> = v:peer(answers(refused("1"), OK, refused("2"), OK, OK))
    local client <close> = v:client({})
    assert.equal("-, 1 1", after(client, p, ANNA))
    assert.equal("1 2, 2 1", after(client, p, ANNA))
    assert.equal("2 2", after(client, p, ANNA))
  end))

  it("goes on with the nonce that a response names", async(function()
    local next_one = OK:gsub("\r\n", '\r\nAuthentication-Info: qop=auth, nextnonce="%%d"\r\n', 1)
    local p <close> = v:peer(answers(refused("1"), (next_one:gsub("%%d", "2")), OK))
    local client <close> = v:client({})
    assert.equal("-, 1 1", after(client, p, ANNA))
    assert.equal("2 1", after(client, p, ANNA))
  end))

  it("holds for what the URL says", async(function()
    local p <close> = v:peer(answers(refused("1"), OK, OK))
    local client <close> = v:client({ auth = { digest = true } })
    for _ = 1, 2 do assert(client:fetch(with_login(p, "anna:secret"))) end
    assert.same({ "-", "1 1", "1 2" }, sent(p))
    for _, request in ipairs(p:requests()) do assert.is_nil(request:find("secret", 1, true)) end
  end))

  it("outlives a redirect and a retry", async(function()
    local p <close> = v:peer(answers(refused("1"),
      "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", OK))
    local res = assert(v:fetch(p:url("/here"), { auth = ANNA, timeout = LIMIT,
      retry = { max = 1, max_delay = 1 } }))
    assert.equal(200, res.status)
    assert.same({ "-", "1 1", "1 2", "1 3" }, sent(p))
    assert.matches('uri="/there"', authorization(p:requests()[4]), 1, true)
  end))
end)

describe("D2: on a redirect " .. v.over, function()
  local function moved(to)
    return ("HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"):format(to)
  end

  -- What the other origin gets, of a fetch that is sent there by the first.
  local function other_gets(opts, login, target_login)
    local b <close> = v:peer(SERVE)
    local to = target_login and with_login(b, target_login) or b:url()
    local a <close> = v:peer(answers(moved(to)))
    opts.timeout = LIMIT
    assert.equal("ok", assert(v:fetch(login and with_login(a, login) or a:url(), opts)).body)
    assert.equal(1, #b:requests())
    return sent(b)[1], sent(a)[1]
  end

  it("nothing goes to another origin", async(function()
    for _, opts in ipairs({ { auth = { "anna", "secret" } }, { bearer = "t" },
      { headers = { Authorization = "Mine x" } } }) do
      local there, here = other_gets(opts)
      assert.equal("-", there)
      assert.not_equal("-", here)
    end
    assert.equal("-", (other_gets({}, "anna:secret")))
    assert.equal("-", (other_gets({ auth = ANNA })))
  end))

  it("all goes along where that is wanted", async(function()
    local go = { unrestricted_auth = true, auth = { "anna", "secret" } }
    assert.equal(BASIC.anna, (other_gets(go)))
    assert.equal(BASIC.anna, (other_gets({ unrestricted_auth = true }, "anna:secret")))
    assert.equal("Bearer t", (other_gets({ unrestricted_auth = true, bearer = "t" })))
  end))

  it("the new URL may have its own", async(function()
    assert.equal(BASIC.otto, (other_gets({}, "anna:secret", "otto:geheim")))
    assert.equal(BASIC.otto, (other_gets({ bearer = "t" }, nil, "otto:geheim")))
  end))

  it("a challenge from elsewhere is not answered", async(function()
    local b <close> = v:peer(answers(refused("1"), OK))
    local a <close> = v:peer(answers(moved(b:url())))
    assert.equal(401, assert(v:fetch(a:url(), { auth = ANNA, timeout = LIMIT })).status)
    assert.same({ "-" }, sent(b))
  end))

  it("the URL's go on within the origin, and are not back after leaving it", async(function()
    local a <close> = v:peer(answers(moved("/x"), OK))
    assert(v:fetch(with_login(a, "anna:secret"), { timeout = LIMIT }))
    assert.same({ BASIC.anna, BASIC.anna }, sent(a))
    local number = port.free()
    local b <close> = v:peer(answers(moved(("http://127.0.0.1:%d/back"):format(number))))
    local again <close> = v:peer(answers(moved(b:url()), OK), { port = number })
    assert(v:fetch(with_login(again, "anna:secret"), { timeout = LIMIT }))
    assert.same({ "-" }, sent(b))
    assert.same({ BASIC.anna, "-" }, sent(again), "stays dropped (D1)")
  end))
end)

end
