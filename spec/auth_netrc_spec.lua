-- SPDX-License-Identifier: MIT
--
-- The netrc file: which one is read, for which host, and what is said of one
-- that cannot be read. What stands in it is spec/unit/test_netrc.c's.
local async = require "spec.support.async"
local files = require "spec.support.files"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local uv = require "luv"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local SERVE = { { { "request" }, { "send", OK }, { "repeat" } } }
local LIMIT = 30000 -- ms
-- base64 of "anna:secret", "otto:geheim"
local ANNA, OTTO = "Basic YW5uYTpzZWNyZXQ=", "Basic b3R0bzpnZWhlaW0="

local dir

local function write(name, text)
  local path = dir .. "/" .. name
  files.write(path, text)
  return path
end

local function machine(host, login)
  local user, password = login:match("^(.-):(.*)$")
  return ("machine %s login %s password %s\n"):format(host, user, password)
end

-- Runs fn with variables of the environment as given; false unsets.
local function with_environment(variables, fn)
  local before = {}
  for name, value in pairs(variables) do
    before[name] = os.getenv(name) or false
    if value then uv.os_setenv(name, value) else uv.os_unsetenv(name) end
  end
  local ok, err = pcall(fn)
  for name, value in pairs(before) do
    if value then uv.os_setenv(name, value) else uv.os_unsetenv(name) end
  end
  if not ok then error(err, 0) end
end

setup(function()
  dir = os.tmpname()
  os.remove(dir)
  assert(os.execute("mkdir " .. dir))
end)
teardown(function() os.execute("rm -r " .. dir) end)

describe("netrc", function()
  local p

  before_each(function() p = peer.start(SERVE) end)
  after_each(function() p:stop() end)

  -- The Authorization of a fetch, "-" for none.
  local function sent(netrc, opts, url)
    local t = { netrc = netrc, timeout = LIMIT }
    for k, v in pairs(opts or {}) do t[k] = v end
    assert(ms.fetch(url or p:url(), t))
    return p:requests()[#p:requests()]:match("\r\nAuthorization: ([^\r]*)\r\n") or "-"
  end

  local function with_login(login)
    return (p:url():gsub("//", function() return "//" .. login .. "@" end, 1))
  end

  it("is a file by its path", async(function()
    local path = write("a", machine("127.0.0.1", "anna:secret"))
    assert.equal(ANNA, sent(path))
    assert.equal("-", sent(write("b", machine("127.0.0.2", "anna:secret"))))
    assert.equal("-", sent(false))
    assert.equal(OTTO, sent(write("c", "default login otto password geheim")))
    assert.equal("-", sent(write("d", "")))
  end))

  it("is $NETRC, or .netrc in $HOME", async(function()
    local path = write("e", machine("127.0.0.1", "anna:secret"))
    write(".netrc", machine("127.0.0.1", "otto:geheim"))
    with_environment({ NETRC = path, HOME = dir }, function() assert.equal(ANNA, sent(true)) end)
    with_environment({ NETRC = "", HOME = dir }, function() assert.equal(OTTO, sent(true)) end)
    with_environment({ NETRC = false, HOME = dir }, function()
      assert.equal(OTTO, sent(true))
      assert.equal(OTTO, sent(""))
      assert.equal("-", sent(false))
    end)
    -- That nobody has one is no mistake.
    with_environment({ NETRC = false, HOME = dir .. "/x" }, function()
      assert.equal("-", sent(true))
    end)
    with_environment({ NETRC = false, HOME = false }, function()
      assert.equal("-", sent(true))
    end)
  end))

  it("comes after everything else", async(function()
    local path = write("f", machine("127.0.0.1", "anna:secret") .. machine("127.0.0.1", "otto:x"))
    assert.equal(OTTO, sent(path, { auth = { "otto", "geheim" } }))
    assert.equal("Bearer t", sent(path, { bearer = "t" }))
    assert.equal("Mine x", sent(path, { headers = { Authorization = "Mine x" } }))
    assert.equal("-", sent(path, { headers = { Authorization = false } }))
    assert.equal(OTTO, sent(path, nil, with_login("otto:geheim")))
    assert.equal("Basic b3R0bzp4", sent(path, nil, with_login("otto")), "has his password")
    assert.equal("Basic ZXZhOg==", sent(path, nil, with_login("eva")), "is not there")
  end))

  it("is looked at again for every call and every host", async(function()
    local path = write("g", machine("127.0.0.1", "anna:secret"))
    local client <close> = ms.client({ netrc = path })
    assert(client:fetch(p:url()))
    write("g", machine("127.0.0.1", "otto:geheim") .. machine("127.0.0.2", "anna:secret"))
    local q <close> = peer.start(SERVE, { host = "127.0.0.2" })
    local r <close> = peer.start { { { "request" }, { "send", "HTTP/1.1 307 There\r\nLocation: "
      .. q:url() .. "\r\nContent-Length: 0\r\n\r\n" }, { "hang" } } }
    assert(client:fetch(r:url()))
    assert.matches("Authorization: " .. ANNA, p:requests()[1], 1, true)
    assert.matches("Authorization: " .. OTTO, r:requests()[1], 1, true)
    assert.matches("Authorization: " .. ANNA, q:requests()[1], 1, true)
  end))

  it("has a default for the hosts of calls, not for those of redirects", async(function()
    local q <close> = peer.start(SERVE, { host = "127.0.0.2" })
    local r <close> = peer.start { { { "request" }, { "send", "HTTP/1.1 307 There\r\nLocation: "
      .. q:url() .. "\r\nContent-Length: 0\r\n\r\n" }, { "repeat" } } }
    local path = write("i", "default login otto password geheim\n")
    assert(ms.fetch(r:url(), { netrc = path }))
    assert.matches("Authorization: " .. OTTO, r:requests()[1], 1, true)
    assert.is_nil(q:requests()[1]:find("Authorization", 1, true))
    assert(ms.fetch(r:url(), { netrc = path, unrestricted_auth = true }))
    assert.matches("Authorization: " .. OTTO, q:requests()[2], 1, true)
  end))

  it("says who one is where Digest is asked for", async(function()
    local path = write("h", machine("127.0.0.1", "anna:secret"))
    local q <close> = peer.start { { { "request" }, { "send", "HTTP/1.1 401 No\r\n"
      .. 'WWW-Authenticate: Digest realm="r", nonce="n"\r\nContent-Length: 0\r\n\r\n' },
      { "request" }, { "send", OK }, { "hang" } } }
    assert(ms.fetch(q:url(), { netrc = path, auth = { digest = true }, timeout = LIMIT }))
    assert.is_nil(q:requests()[1]:find("Authorization", 1, true))
    assert.matches('Authorization: Digest username="anna"', q:requests()[2], 1, true)
  end))

  it("that cannot be read is an error", async(function()
    local rows = {
      [dir .. "/nothing"] = "netrc: there is no " .. dir .. "/nothing",
      [dir] = "netrc: cannot read " .. dir,
      [write("i", "machine a login b\npassword \"secret")] = "/i:2: a quote is not closed",
      [write("j", "machine a\n\nsecret b")] = "/j:3: not a keyword",
      [write("k", "machine a login")] = "/k:1: the file ends behind a keyword",
      [write("l", machine("127.0.0.1", "an:na:secret"):gsub("login an", "login an:na"))] =
        "a user with a colon",
      [write("m", 'default login "sec\\nret" password x')] = "control characters",
    }
    local big = dir .. "/big"
    assert(os.execute("truncate -s 1048577 " .. big))
    rows[big] = "netrc: cannot read " .. big
    for path, words in pairs(rows) do
      local res, err = ms.fetch(p:url(), { netrc = path })
      assert.is_nil(res)
      assert.equal("bad_option", err.code)
      assert.matches(words, err.message, 1, true)
      assert.is_nil(err.message:find("secret", 1, true))
    end
    assert.same({}, p:requests())
    with_environment({ NETRC = dir .. "/nothing" }, function()
      assert.equal("bad_option", select(2, ms.fetch(p:url(), { netrc = true })).code)
    end)
  end))

  local CURL = {
    ["comments, macros and quotes"] = "# c\nmacdef m\nmachine 127.0.0.1 login x\n\nmachine other "
      .. "login a password b\nmachine\t127.0.0.1\n"
      .. ' login "an\\"na" account z password "sec\\zet x"\n',
    ["the first of two"] = machine("127.0.0.1", "anna:secret") .. machine("127.0.0.1", "otto:x"),
    ["a default"] = machine("other", "anna:secret") .. "default login otto password geheim\n",
    ["a default too early"] = "default login otto password geheim\n"
      .. machine("127.0.0.1", "anna:secret"),
    ["an entry that says nothing"] = "machine 127.0.0.1\ndefault login otto password x\n",
    ["a default that says nothing"] = "default\n",
    ["nobody"] = machine("127.0.0.10", "anna:secret"),
  }

  for name, text in pairs(CURL) do
    it("says to curl what it says to us: " .. name, async(function()
      local path = write("n", text)
      local ours = sent(path)
      process.run({ "curl", "-s", "--netrc-file", path, p:url() },
        { env = { LD_PRELOAD = false } })
      local requests = p:requests()
      assert.equal(2, #requests)
      assert.equal(ours, requests[2]:match("\r\nAuthorization: ([^\r]*)\r\n") or "-")
    end))
  end
end)
