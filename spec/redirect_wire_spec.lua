-- SPDX-License-Identifier: MIT
--
-- Redirects of a real server, over HTTP/1.1 and HTTP/2 with TLS: where we end
-- and where curl does. Where they differ docs/differences.md says why.
local async = require "spec.support.async"
local json = require "cjson"
local redirects = require "spec.support.redirects"
local wire = require "spec.support.wire"

local failure = redirects.failure
local STATUSES = { 301, 302, 303, 307, 308 }
local TOO_MANY = 47 -- curl's CURLE_TOO_MANY_REDIRECTS

-- A value for the path of the server, which undoes it.
local function escape(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- What the server says of the request that came, as far as it may be compared.
local function request_of(body)
  local said = json.decode(body)
  local got = { method = said.method, url = said.url, body = said.body }
  for _, field in ipairs(said.headers) do
    local name, value = table.unpack(field)
    if name:find("^content%-") or name == "authorization" or name == "cookie" then
      got[name] = value
    end
  end
  return got
end

for _, v in ipairs(wire.VERSIONS) do

describe("a redirect, ours and curl's " .. v.over, function()
  local node, other, path

  setup(function()
    node, other, path = v:node(true), v:node(true), os.tmpname()
    local f <close> = assert(io.open(path, "wb"))
    f:write("the body")
  end)
  teardown(function()
    node:stop()
    other:stop()
    os.remove(path)
  end)

  local function ours(url, opts)
    local res = assert(v:fetch(url, opts))
    assert.equal(v.name, res.version)
    return request_of(res.body), res
  end

  local function curl(url, ...)
    local r = v:curl("-L", url, ...)
    assert.equal(0, r.code, url)
    return request_of(r.stdout)
  end

  it("asks again with the same method and body", async(function()
    for _, status in ipairs(STATUSES) do
      local url = node:url(("/redirect/%d/inspect?a=b"):format(status))
      assert.same(curl(url), ours(url))
      assert.same(curl(url, "-d", "a=b"), ours(url, { form = { a = "b" } }), status)
      assert.same(curl(url, "-T", path), ours(url, { method = "PUT", body = { path = path } }))
      assert.same(curl(url, "--post301", "--post302", "-d", "a=b"),
        ours(url, { form = { a = "b" }, redirect_post = true }), status)
      assert.equal("", assert(v:fetch(url, { method = "HEAD" })).body)
    end
  end))

  it("leaves the body's fields behind with it, curl not those by hand", async(function()
    for _, status in ipairs(STATUSES) do
      local url = node:url(("/redirect/%d/inspect"):format(status))
      local kept = status > 303
      local got = ours(url, { body = "x", headers = { ["Content-Type"] = "text/x" } })
      local said = curl(url, "-d", "x", "-H", "Content-Type: text/x")
      assert.equal(kept and "text/x" or nil, got["content-type"])
      assert.equal("text/x", said["content-type"])
      said["content-type"] = got["content-type"]
      assert.same(said, got)
    end
  end))

  it("is a GET behind 303, where curl keeps what -X says", async(function()
    local url = node:url("/redirect/303/inspect")
    assert.equal("GET", ours(url, { method = "DELETE" }).method)
    assert.equal("DELETE", curl(url, "-X", "DELETE").method)
  end))

  -- Locations seen from /to/302, and what is asked for; curl's where it differs.
  it("leads to the same place", async(function()
    for _, row in ipairs { { "/x?y" }, { "inspect" }, { "./x" }, { "../../x" }, { "?302" },
      { "//127.0.0.1:" .. node.port .. "/y" }, { "/a/./b/../c" }, { "/%7e%zz" }, { "/;p=1" },
      { node:url("/whole") }, { "/a b", "/a%20b" }, { "/\u{e4}", "/%C3%A4", "/%c3%a4" },
      { "/\"<>|", "/%22%3C%3E|", '/"<>|' }, { "/x\\y", "/x/y", "/x\\y" }, { "/#new" } } do
      local location, target, curls = table.unpack(row)
      local url = node:url("/to/302?" .. escape(location))
      local got, res = ours(url .. "#old")
      assert.equal(target or got.url, got.url, location)
      assert.equal(curls or got.url, curl(url).url, location)
      assert.equal(location == "/#new" and "#new" or "#old", res.url:match("#.*$"))
    end
  end))

  it("comes to an end where it goes round", async(function()
    for _, status in ipairs(STATUSES) do
      local url = node:url("/loop/" .. status)
      failure("too_many_redirects", v:fetch(url))
      assert.equal(TOO_MANY, v:curl("-L", "--max-redirs", "10", url).code)
    end
    local url = node:url("/redirect/302" .. ("/redirect/302"):rep(9) .. "/inspect")
    assert.equal(10, #assert(v:fetch(url)).redirects)
    assert.equal("/inspect", curl(url, "--max-redirs", "10").url)
    url = node:url("/redirect/302/redirect/302/inspect")
    failure("too_many_redirects", v:fetch(url, { redirect = 1 }))
    assert.equal(TOO_MANY, v:curl("-L", "--max-redirs", "1", url).code)
  end))

  -- { the way, whether credentials arrive, whether curl's do where it differs };
  -- A is where they belong, B another port, N another name of A.
  it("takes credentials along only where they belong", async(function()
    local function at(hop, where)
      if hop == "B" then return other:url(where) end
      return node:url(where, hop == "N" and "localhost" or nil)
    end
    local function way(hops)
      local url = at(hops:sub(-1), "/inspect")
      for i = #hops - 1, 1, -1 do url = at(hops:sub(i, i), "/to/302?" .. escape(url)) end
      return url
    end
    local opts = { headers = { Authorization = "Mine secret", Cookie = "a=secret" } }
    local words = { "-H", "Authorization: Mine secret", "-H", "Cookie: a=secret" }
    for _, row in ipairs { { "A", true }, { "AA", true }, { "AAA", true }, { "AB", false },
      { "AN", false }, { "ABB", false }, { "ABA", false, true }, { "ANA", false, true },
      { "AAB", false } } do
      local url, arrives, curls = way(row[1]), row[2], row[3]
      if curls == nil then curls = arrives end
      local got, said = ours(url, opts), curl(url, table.unpack(words))
      for field, value in pairs { authorization = "Mine secret", cookie = "a=secret" } do
        assert.equal(arrives and value or nil, got[field], row[1])
        assert.equal(curls and value or nil, said[field], row[1])
      end
      opts.unrestricted_auth = true
      assert.same(curl(url, "--location-trusted", table.unpack(words)), ours(url, opts))
      opts.unrestricted_auth = nil
    end
  end))

  it("takes logins and tokens along only where they belong", async(function()
    local url = node:url("/to/307?" .. escape(other:url("/inspect")))
    local same = node:url("/redirect/307/inspect")
    for words, opts in pairs { ["-u anna:secret"] = { auth = { "anna", "secret" } },
      ["--oauth2-bearer tok"] = { bearer = "tok" } } do
      local name, value = words:match("^(%S+) (%S+)$")
      assert.is_string(ours(same, opts).authorization)
      assert.same(curl(same, name, value), ours(same, opts), words)
      assert.is_nil(ours(url, opts).authorization)
      assert.same(curl(url, name, value), ours(url, opts), words)
    end
    local login = same:gsub("//", "//anna:secret@", 1)
    assert.same(curl(login), ours(login))
    login = url:gsub("//", "//anna:secret@", 1)
    assert.same(curl(login), ours(login))
  end))

  it("does not lead from https to http, but for curl", async(function()
    local plain <close> = v:node()
    local url = node:url("/to/302?" .. escape(plain:url("/inspect")))
    failure("redirect_blocked", v:fetch(url))
    if v.is_h2 then return end -- with --http2 curl would speak HTTP/1.1 there
    assert.same(curl(url), ours(url, { allow_downgrade = true }))
  end))
end)

end
