-- SPDX-License-Identifier: MIT
--
-- Cookie jars in the hands of a script: what their methods take and give, and
-- their files, which curl reads and writes too. The algorithms of RFC 6265bis
-- are in spec/unit/test_cookie.c and test_jar.c, table by table; what goes over
-- the wire is in cookie_wire_spec.lua.
local core = require "multisocket.core"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local surface = require "spec.support.surface"
local async = require "spec.support.async"
local files = require "spec.support.files"

local URL = "http://a.example.org/"

local function refused(code, ok, err)
  assert.is_nil(ok)
  assert.is_true(core.is_error(err))
  assert.equal(code, err.code, tostring(err))
  return err
end

-- "a=1; b=2": what goes to `url`.
local function sent(jar, url)
  local list = {}
  for i, c in ipairs(assert(jar:get(url))) do
    list[i] = c.name == "" and c.value or c.name .. "=" .. c.value
  end
  return table.concat(list, "; ")
end

local folder

local function path(name) return folder .. "/" .. name end

setup(function()
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder))
end)

teardown(function() os.execute("rm -rf " .. folder) end)

-- ---- methods -----------------------------------------------------------------

describe("a jar", function()
  it("takes cookies, and says why not", function()
    local jar = ms.jar()
    assert.is_true(jar:set(URL, "a=1"))
    for line, why in pairs({
      ["a=1; domain=example.com"] = "its domain is not that of the URL",
      ["a=1; domain=org"] = "its domain is a public suffix",
      ["a=1; secure"] = "it is Secure and came without TLS",
      ["__Secure-a=1"] = "its name asks for Secure",
      ["a=\x01"] = "a control character in it",
      [""] = "neither name nor value",
    }) do
      local err = refused("bad_cookie", jar:set(URL, line))
      assert.equal(('"%s": not a valid cookie: %s'):format(URL, why), err.message)
      assert.equal("usage", err.category)
      assert.equal(URL, err.url)
    end
    refused("bad_url", jar:set("nonsense", "a=1"))
    refused("unsupported_scheme", jar:set("ftp://a.org/", "a=1"))
    refused("bad_url", jar:get("nonsense"))
    assert.equal("a=1", sent(jar, URL))
  end)

  it("never says the cookie itself, which may be a key", function()
    local err = refused("bad_cookie", ms.jar():set(URL, "sid=SECRET; domain=org"))
    assert.is_nil(tostring(err):find("SECRET"))
  end)

  it("gives cookies in the order they are sent in, with all there is", function()
    local jar = ms.jar()
    jar:set("https://a.example.org/p/q", "a=1; Max-Age=100; Secure; HttpOnly; SameSite=Strict")
    jar:set(URL, "b=2; path=/; domain=example.org")
    local now = os.time()
    local list = jar:get("https://a.example.org/p/")
    assert.is_true(math.abs(list[1].created - now) <= 1)
    assert.same({ name = "a", value = "1", domain = "a.example.org", path = "/p", secure = true,
      http_only = true, host_only = true, same_site = "strict", created = list[1].created,
      expires = list[1].created + 100 }, list[1])
    assert.same({ name = "b", value = "2", domain = "example.org", path = "/", secure = false,
      http_only = false, host_only = false, created = list[2].created }, list[2])
    assert.is_nil(list[3])
    assert.same({}, jar:get("http://other.org/"))
  end)

  it("goes through all of them as they were, oldest first", function()
    local jar = ms.jar()
    for _, name in ipairs({ "b", "a", "c" }) do jar:set(URL, name .. "=1; path=/" .. name) end
    local names = {}
    for cookie in jar:each() do
      names[#names + 1] = cookie.name
      jar:clear()
    end
    assert.same({ "b", "a", "c" }, names)
    for _ in jar:each() do error("it is empty") end
  end)

  it("takes nothing but strings, and is no other thing", async(function()
    local jar = ms.jar()
    local rows = {}
    local function row(name, bad)
      rows[name] = { good = function() jar:clear() end, bad = { { "bad_argument",
        "argument #1 must be a cookie jar, not table", jar[name], {} }, table.unpack(bad) } }
    end
    local TEXT = { "bad_argument", "the URL must be a string, not nil" }
    row("set", { { TEXT[1], TEXT[2], jar.set, jar }, { "bad_argument",
      "the cookie must be a string, not number", jar.set, jar, URL, 1 } })
    row("get", { { TEXT[1], TEXT[2], jar.get, jar } })
    row("each", {})
    row("clear", {})
    row("save", { { "bad_argument", "the path must be a string, not nil", jar.save, jar } })
    row("load", { { "bad_argument", "the path must be a string, not table", jar.load, jar, {} } })
    local names = {}
    for name in pairs(rows) do names[#names + 1] = name end
    surface.check({ names = names, rows = rows })
  end))

  it("frees what it holds", function()
    for _ = 1, 3 do
      local jar = ms.jar()
      for i = 1, 100 do jar:set(URL, ("c%d=%s"):format(i, ("x"):rep(1000))) end
      core.options({ cookies = jar })
    end
    collectgarbage()
    collectgarbage()
  end)
end)

describe("ms.registrable_domain", function()
  it("knows what was registered", function()
    if not ms.features().psl then
      assert.is_nil(ms.registrable_domain("example.org"))
      return
    end
    for host, domain in pairs({ ["example.org"] = "example.org", ["a.b.example.org"] =
      "example.org", ["WWW.Example.Co.UK."] = "example.co.uk", ["a.b.ck"] = "a.b.ck" }) do
      assert.equal(domain, ms.registrable_domain(host), host)
    end
    for _, host in ipairs({ "org", "co.uk", "b.ck", "127.0.0.1", "[::1]", "localhost", "", "a b",
      "a..b", "example.org..",
      ("a"):rep(300) }) do assert.is_nil(ms.registrable_domain(host), host) end
  end)
end)

-- ---- files ---------------------------------------------------------------------

-- Runs curl, which does nothing over the network.
local function curl_rewrites(from, to)
  local result = process.run({ "curl", "-s", "-b", from, "-c", to, "file:///dev/null" },
    { env = { LD_PRELOAD = false } })
  assert.equal(0, result.code, result.stderr)
end

describe("E7: the file of a jar", function()
  local function filled()
    local jar = ms.jar()
    jar:set("https://a.example.org/p/q", "a=1; Max-Age=1000; Secure; HttpOnly")
    jar:set(URL, 'b="2 3"; domain=example.org')
    jar:set("http://127.0.0.1/", "c=")
    return jar
  end

  it("reads back to the same", function()
    local jar, again = filled(), ms.jar()
    assert.is_true(jar:save(path("jar")))
    assert.is_true(again:load(path("jar")))
    for cookie in jar:each() do
      local other = again:get(("https://%s%s"):format(cookie.domain, cookie.path))[1]
      other.created, cookie.created = nil, nil
      assert.same(cookie, other)
    end
    assert.is_true(again:save(path("again")))
    assert.equal(files.read(path("jar")), files.read(path("again")))
  end)

  -- URL and line; what its file has no place for is not among them.
  local ODD = {
    { "http://[::1]/p/q", "a=1; HttpOnly" },
    { "http://127.0.0.1:8080/", "a=1; max-age=10" },
    { "https://a.example.org/", "__Host-a=1; secure; path=/" },
    { "https://a.example.org/", "__Secure-a=1; secure; domain=example.org; HttpOnly" },
    { "https://xn--bcher-kva.example.org/", "a=1; secure" },
    { URL, "#HttpOnly_a=1" }, { URL, "# a=1" }, { URL, "a b=c d" }, { URL, "=a=b" },
    { URL, "\xC3\xA9=\xFC" }, { URL, "e=" }, { URL, 'q="x"' },
    { URL, "a=1; path=/\xC3\xA9 x" }, { URL, "a=2; path=/%09" }, { URL, "a=3; path=/#" },
    { URL, "long=" .. ("x"):rep(4092) .. "; path=/" .. ("y"):rep(1023) },
    { URL, "late=1; max-age=99999999999" },
    { URL, "same=1" }, { URL, "same=2; domain=a.example.org" }, { URL, "same=3; path=/x" },
  }

  it("keeps whatever a jar does, in its order", function()
    local jar, again = ms.jar(), ms.jar()
    for _, odd in ipairs(ODD) do assert(jar:set(odd[1], odd[2])) end
    assert(jar:save(path("odd")))
    assert(again:load(path("odd")))
    local ours, theirs = jar:each(), again:each()
    for _ = 1, #ODD do
      local one, other = ours(), theirs()
      one.created, other.created = nil, nil
      assert.same(one, other)
    end
    assert.is_nil(theirs())
  end)

  it("leaves out what has a tab, and what is over", function()
    local jar, again = ms.jar(), ms.jar()
    for _, line in ipairs({ "a=1\t2", "a\tb=1", "c=1; path=/x\ty", "d=1" }) do
      assert(jar:set(URL, line))
    end
    assert(jar:save(path("tabs")))
    assert(again:load(path("tabs")))
    assert.equal("d=1", sent(again, URL))
    assert(again:set(URL, "e=1"))
    files.write(path("old"), "a.example.org\tFALSE\t/\tFALSE\t1\te\t2\n")
    assert(again:load(path("old")))
    assert.equal("d=1; e=1", sent(again, URL))
  end)

  it("is for its owner only, and a link is replaced, not followed", function()
    files.write(path("target"), "untouched")
    os.execute(("chmod 644 %s; ln -sf target %s"):format(path("target"), path("link")))
    assert.is_true(filled():save(path("link")))
    assert.equal("untouched", files.read(path("target")))
    assert.equal("600 regular file\n", process.run({ "stat", "-c", "%a %F", path("link") }).stdout)
  end)

  it("leaves nothing beside it, whatever happens", function()
    assert(os.execute("mkdir " .. path("d")))
    assert.is_true(filled():save(path("d/jar")))
    refused("file_error", filled():save(path("d")))
    assert.equal("jar\n", process.run({ "ls", "-A", path("d") }).stdout)
  end)

  it("that cannot be had is an error with its errno", function()
    for name, errno in pairs({ ["none/jar"] = 2, ["."] = 21, ["a\0b"] = 2 }) do
      for _, how in ipairs({ "save", "load" }) do
        local err = refused("file_error", ms.jar()[how](ms.jar(), path(name)))
        assert.equal(errno, err.errno, name)
      end
    end
    assert.matches("/nowhere: No such file or directory$",
      refused("file_error", ms.jar():load("/nowhere")).message)
  end)

  it("that is none is named with its line, and nothing of it is read", function()
    local jar = ms.jar()
    for text, where in pairs({
      ["# c\na.org\tFALSE\t/\tFALSE\t0\ta\t1\n<html>"] = ":3: not seven fields with a tab between",
      ["a.org\tFALSE\t/\tFALSE\tsoon\ta\t1\n"] = ":1: no time in the fifth field",
      ["\n\n#HttpOnly_\tFALSE\t/\tFALSE\t0\ta\t1"] = ":3: no domain in the first field",
      ["a.org\tFALSE\t/\tFALSE\t0\ta\t\x001"] = ":1: a control character in it",
    }) do
      files.write(path("bad"), text)
      local err = refused("bad_cookie", jar:load(path("bad")))
      assert.equal(path("bad") .. where, err.message)
    end
    for _ in jar:each() do error("it is empty") end
  end)

  it("adds to what is in the jar", function()
    local jar = filled()
    files.write(path("more"), "a.example.org\tFALSE\t/\tFALSE\t0\td\t4\n")
    assert.is_true(jar:load(path("more")))
    assert.equal('b="2 3"; d=4', sent(jar, URL))
  end)

  it("goes to curl and comes from it, of addresses too", async(function()
    for _, host in ipairs({ "::1", "127.0.0.1" }) do
      local p <close> = peer.start({ { { "request" }, { "send", "HTTP/1.1 200 OK\r\n"
        .. "Set-Cookie: a=1; HttpOnly; path=/\r\nSet-Cookie: b=2; max-age=100; path=/p\r\n"
        .. "Content-Length: 0\r\nConnection: close\r\n\r\n" } } }, { host = host })
      local function curl(how, file, url)
        local result = process.run({ "curl", "-sg", how, path(file), url },
          { env = { LD_PRELOAD = false } })
        assert.equal(0, result.code, result.stderr)
      end
      local jar = ms.jar()
      curl("-c", "from", p:url())
      assert(jar:load(path("from")))
      assert.equal("b=2; a=1", sent(jar, p:url("/p")))
      assert.same({ true, true }, { jar:get(p:url())[1].http_only, jar:get(p:url())[1].host_only })
      assert(jar:save(path("to")))
      curl("-b", "to", p:url("/p"))
      assert.matches("\r\nCookie: b=2; a=1\r\n", p:requests()[2])
    end
  end))

  it("means the same to curl, which writes it anew", function()
    assert.is_true(filled():save(path("ours")))
    curl_rewrites(path("ours"), path("curls"))
    local again = ms.jar()
    assert.is_true(again:load(path("curls")))
    assert.is_true(again:save(path("again")))
    local function lines(name)
      local list = {}
      for line in files.read(path(name)):gmatch("[^\n]+") do list[#list + 1] = line end
      table.sort(list) -- curl has an order of its own
      return list
    end
    assert.same(lines("ours"), lines("again"))
    assert.equal("a=1; b=\"2 3\"", sent(again, "https://a.example.org/p"))
  end)
end)
