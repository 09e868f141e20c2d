-- SPDX-License-Identifier: MIT
--
-- Logins and tokens with real servers, over HTTP/1.1 and HTTP/2: what curl sends
-- and what it gets, we send and get, too; and what a trace shows of it. Digest
-- is in auth_digest_spec.lua.
local apache = require "spec.support.apache"
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local json = require "cjson"
local process = require "spec.support.process"
local wire = require "spec.support.wire"

local function authorization(body)
  for _, field in ipairs(json.decode(body).headers) do
    if field[1] == "authorization" then return field[2] end
  end
end

-- "http://host" with a login in it
local function with_login(url, login)
  return login and (url:gsub("//", function() return "//" .. login .. "@" end, 1)) or url
end

local BASIC = "dXNlcjpwYXNzd29yZA" -- base64 of "user:password", less its padding

-- { name, our options, curl's words, the login in the URL }
local WAYS = {
  { "nothing", {}, {} },
  { "a login", { auth = { "anna", "secret" } }, { "-u", "anna:secret" } },
  { "a login without password", { auth = { "anna", "" } }, { "-u", "anna:" } },
  { "a colon in a password", { auth = { "anna", "a:b" } }, { "-u", "anna:a:b" } },
  { "UTF-8", { auth = { "j\u{fc}rgen", "\u{a3}" } }, { "-u", "j\u{fc}rgen:\u{a3}" } },
  { "a token", { bearer = "mF_9.B5f-4.1JqM" }, { "--oauth2-bearer", "mF_9.B5f-4.1JqM" } },
  { "a header", { headers = { Authorization = "Mine x" } }, { "-H", "Authorization: Mine x" } },
  { "a header before a login",
    { headers = { Authorization = "Mine x" }, auth = { "anna", "secret" } },
    { "-H", "Authorization: Mine x", "-u", "anna:secret" } },
  { "the URL", {}, {}, "otto:geheim" },
  { "the URL, encoded", {}, {}, "%6ftt%6F:geh%65im%3A" },
  { "the URL, a user only", {}, {}, "anna" },
  { "a login before the URL", { auth = { "anna", "secret" } }, { "-u", "anna:secret" },
    "otto:geheim" },
}

for _, v in ipairs(wire.VERSIONS) do

describe("credentials, ours and curl's " .. v.over, function()
  local node

  setup(function() node = v:node() end)
  teardown(function() node:stop() end)

  for _, way in ipairs(WAYS) do
    it("from " .. way[1], async(function()
      local url = with_login(node:url("/inspect"), way[4])
      local res = assert(v:fetch(url, way[2]))
      local sent = authorization(res.body)
      assert.equal(authorization(v:curl(url, table.unpack(way[3])).stdout), sent)
      assert.equal(sent, res.request.headers.authorization)
    end))
  end

  it("from a netrc file", async(function()
    local path = os.tmpname()
    local f <close> = assert(io.open(path, "wb"))
    f:write("machine 127.0.0.1 login anna password secret\nmachine other login x password y\n")
    f:flush()
    for _, login in ipairs { false, "anna", "otto", "otto:geheim" } do
      local url = with_login(node:url("/inspect"), login)
      local res = assert(v:fetch(url, { netrc = path }))
      local curls = authorization(v:curl("--netrc-file", path, url).stdout)
      assert.equal(curls, authorization(res.body), tostring(login))
    end
    os.remove(path)
  end))
end)

describe("a server that checks credentials " .. v.over, function()
  local nginx, httpd

  setup(function() nginx, httpd = v:nginx(), apache.start(certs.get("valid")) end)
  teardown(function()
    nginx:stop()
    httpd:stop()
  end)

  it("lets in whom it lets in with curl, and is asked once", async(function()
    for url, right in pairs { [nginx:url("/auth")] = "user:password",
      [httpd:url("/basic/hello")] = "anna:secret" } do
      for _, login in ipairs { right, "user:wrong", "otto:password", "anna:" } do
        local user, password = login:match("^(.-):(.*)$")
        local before = #nginx:log()
        local res = assert(v:fetch(url, { auth = { user, password } }))
        local r = v:curl("-u", login, "-w", "%{http_code}", url)
        assert.equal(r.stdout, res.body .. res.status, login)
        assert.equal(login == right and 200 or 401, res.status)
        if url:find(nginx.port, 1, true) then
          process.wait_until(function() return #nginx:log() >= before + 2 end)
          assert.equal(before + 2, #nginx:log())
        end
      end
      assert.equal(401, assert(v:fetch(url)).status)
      assert.equal(200, assert(v:fetch(with_login(url, right))).status)
    end
  end))

  it("is told the whole, a trace and on_debug are not", async(function()
    local texts = {}
    local res = assert(v:fetch(with_login(nginx:url("/auth"), "user:password"), {
      headers = { Cookie = "a=password" },
      on_debug = function(_, text) texts[#texts + 1] = text end }))
    assert.equal("secret\n", res.body)
    local all = table.concat(texts, "\n"):lower()
    assert.matches("authorization: basic ***", all, 1, true)
    assert.matches("cookie: ***", all, 1, true)
    local script = ("require('multisocket').fetch(%q, { version = %q, bearer = 'password',"
      .. " headers = { Cookie = 'a=password' } })"):format(nginx:url("/auth"), v.version)
    local r = process.run({ "lua5.4", "-e", script }, { env = { MULTISOCKET_TRACE = "all:debug" } })
    assert.matches("HTTP/" .. v.name, r.stderr, 1, true)
    for _, text in ipairs { all, r.stderr } do
      assert.is_nil(text:find("password", 1, true), text)
      assert.is_nil(text:lower():find(BASIC:lower(), 1, true), text)
    end
  end))
end)

end
