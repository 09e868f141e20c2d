-- SPDX-License-Identifier: MIT
--
-- Which request may go over which connection. The rows are the engine's own
-- list of options: for each, two values and what the table in
-- src/engine/options.c says about connections, tried over http and https, in
-- both orders. An option that has no row here, or two values that do not do
-- what it says there, fails.
local async = require "spec.support.async"
local certs = require "spec.support.certs"
local core = require "multisocket.core"
local drive = require "spec.support.drive"
local files = require "spec.support.files"
local fork = require "spec.support.fork"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local server = require "spec.support.server"
local tls_peer = require "spec.support.tls_peer"

local SCHEMES = { "http", "https" }
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

local temporary = {} -- files and folders

local function new_path()
  local path = os.tmpname()
  temporary[#temporary + 1] = path
  return path
end

-- A file of the same content by another name.
local function twin(path)
  local copy = new_path()
  files.write(copy, files.read(path))
  return copy
end

local function two_folders()
  local a, b = new_path(), new_path()
  for _, path in ipairs({ a, b }) do
    os.remove(path)
    assert(os.execute("mkdir " .. path))
  end
  return a, b
end

-- Rows of what is decided between the requests of a run.
local function add_policies(rows)
  rows.redirect = { 1, 2 }
  rows.redirect_post = { true, false }
  rows.allow_downgrade = { true, false }
  rows.unrestricted_auth = { true, false }
  rows["retry.max"] = { 1, 2 }
  rows["retry.status"] = { { 503 }, { 504 } }
  rows["retry.methods"] = { { "GET" }, { "GET", "POST" } }
  rows["retry.max_delay"] = { 1, 2 }
  rows["retry.budget"] = { 1, 2 }
  return rows
end

-- By option: the two values, `with` what else both requests have, and where
-- scopes alone do not say it, what the second of a pair gets.
local function make_rows(sockets)
  local good = certs.get("valid")
  local cert = { cert = good.cert, key = good.key }
  local folder, other_folder = two_folders()
  local pin = certs.pin("valid")
  local function allowed() return true end
  return add_policies({
    method = { "GET", "HEAD" },
    headers = { { Authorization = "Bearer of-anna" }, { Authorization = "Bearer of-otto" } },
    body = { "a", "b" }, user_agent = { "a", "b" },
    priority = { "u=1", "u=2" },
    cookies = { core.jar(), core.jar() },
    ["auth.user"] = { "anna", "otto" },
    ["auth.password"] = { "a", "b", with = { auth = { user = "anna" } } },
    ["auth.digest"] = { true, false, with = { auth = { user = "anna" } } },
    bearer = { "of-anna", "of-otto" }, netrc = { new_path(), new_path() },
    version = { "1.1", "auto", http = { "1.1", "2-prior-knowledge", fails = true } },
    tcp_nodelay = { true, false },
    -- The key is the same; that it takes none is what it asks for.
    fresh_connection = { false, true, second = { [true] = false, [false] = true } },
    expect_continue = { true, false },
    max_send_speed = { 1000000, 2000000 }, max_recv_speed = { 1000000, 2000000 },
    max_body = { 1000, 2000 },
    decompress = { true, false }, range = { "0-1", "0-2" }, resume_from = { 0, false },
    max_header_size = { 10000, 20000 },
    ["timeout.total"] = { 9000, 8000 },
    ["timeout.connect"] = { 9000, 8000 },
    ["timeout.first_byte"] = { 9000, 8000 },
    ["timeout.idle"] = { 9000, 8000 },
    ["low_speed.limit"] = { 1, 2 },
    ["low_speed.time"] = { 9000, 8000, with = { low_speed = { limit = 1 } } },
    ip = { 4, false },
    interface = { "127.0.0.1", "127.0.0.2" },
    local_port = { { 20000, 30000 }, { 20000, 30001 } },
    unix_socket = { http = { sockets[1], sockets[2] }, https = { sockets[3], sockets[4] } },
    tcp_keepalive = { true, false },
    happy_eyeballs_delay = { 250, 300 },
    resolve = { { ["a.test"] = "127.0.0.1" }, { ["a.test"] = "127.0.0.2" } },
    connect_to = { { ["a.test"] = "b.test" }, { ["a.test"] = "c.test" } },
    ["dns.servers"] = { "127.0.0.1", "127.0.0.2" },
    ["dns.timeout"] = { 1000, 2000 },
    ["dns.tries"] = { 1, 2 }, ["dns.cache_ttl"] = { 1000, 2000 },
    allow_address = { allowed, false },
    ["tls.verify"] = { true, false },
    ["tls.verify_host"] = { true, false },
    ["tls.ca_file"] = { good.ca, twin(good.ca) },
    ["tls.ca_path"] = { folder, other_folder },
    ["tls.crl_file"] = { certs.crl(), twin(certs.crl()) },
    ["tls.cert"] = { cert.cert, twin(cert.cert), with = { tls = cert } },
    ["tls.key"] = { cert.key, twin(cert.key), with = { tls = cert } },
    ["tls.key_password"] = { "secret", "Secret", with = { tls = cert } },
    ["tls.min_version"] = { "1.2", "1.3" },
    ["tls.max_version"] = { "1.2", "1.3" },
    ["tls.ciphers"] = { "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384" },
    ["tls.alpn"] = { { "http/1.1" }, { "http/1.1", "x" } },
    ["tls.pinned_public_key"] = { { pin }, { pin, "sha256//" .. ("A"):rep(43) .. "=" } },
    ["tls.session_reuse"] = { true, false },
    ["tls.server_name"] = { "localhost", "127.0.0.1" },
    ["tls.staple"] = { false, "require" },
  })
end

-- The options of a request: those of every one, those of the row, the value.
local function options_with(url, row, name, value)
  local t = { url = url, headers = {}, tls = { ca_file = certs.get("valid").ca } }
  for key, more in pairs(row.with or {}) do
    t[key] = t[key] or {}
    for member, v in pairs(more) do t[key][member] = v end
  end
  local group, member = name:match("^(.-)%.(.*)$")
  if group then
    t[group] = t[group] or {}
    t[group][member] = value
  else
    t[name] = value
  end
  return t
end

-- Runs one transfer to its end: whether it worked, and why not.
local function fetch(d, options)
  local easy = core.easy(options)
  d.multi:add_handle(easy)
  d:run()
  local _, ok, err = d.multi:info_read()
  d.multi:remove_handle(easy)
  return ok, err
end

-- Whether the second request went over the connection of the first.
local function shared(url, row, name, values)
  local d <close> = drive.new()
  for _, value in ipairs({ 1, 2 }) do
    local ok, err = fetch(d, options_with(url, row, name, values[value]))
    assert(ok or values.fails, tostring(err))
  end
  return d.multi:stats().opened == 1
end

describe("J1, J2: a connection is used again", function()
  local nginx, rows, urls
  local scopes = core.option_scopes()
  local names = {}
  for name in pairs(scopes) do names[#names + 1] = name end
  table.sort(names)

  setup(function()
    local sockets = {}
    for i = 1, 4 do
      sockets[i] = new_path()
      os.remove(sockets[i])
    end
    rows = make_rows(sockets)
    nginx = server.start({ more = {
      { port = true, tls = certs.get("valid"), config = ([[
        ssl_protocols TLSv1.2 TLSv1.3; ssl_stapling on; ssl_stapling_file %s;
        listen unix:%s ssl; listen unix:%s ssl;]]):format(certs.ocsp("good"), sockets[3],
          sockets[4]) },
      { port = true, config = ("listen unix:%s; listen unix:%s;"):format(sockets[1],
        sockets[2]) } } })
    urls = { http = nginx:url("/inspect"),
      https = ("https://127.0.0.1:%d/inspect"):format(nginx.ports[1]) }
  end)
  teardown(function()
    nginx:stop()
    os.execute("rm -rf " .. table.concat(temporary, " "))
  end)

  it("every option has a row here, and every row an option", function()
    for _, name in ipairs(names) do assert.is_table(rows[name], name) end
    for name in pairs(rows) do assert.is_string(scopes[name], name) end
  end)

  local function expected(row, name, scheme, second)
    if row.second then return row.second[second] end
    return scopes[name] == "same" or scopes[name] == "tls" and scheme == "http"
  end

  for _, name in ipairs(names) do
    local scope = scopes[name]
    local class = scope == "same" and "whatever %s is"
      or scope == "tls" and "over TLS only with the same %s (wrong-option reuse, CVE-2022-27782)"
      or "only with the same %s (wrong-option reuse)"
    it(class:format(name), function()
      local row = rows[name]
      for _, scheme in ipairs(SCHEMES) do
        local values = row[scheme] or row
        for first = 1, 2 do
          local pair = { values[first], values[3 - first], fails = values.fails }
          local what = ("%s over %s, %s first"):format(name, scheme, tostring(pair[1]))
          assert.equal(expected(row, name, scheme, pair[2]), shared(urls[scheme], row, name, pair),
            what)
          pair[2] = pair[1]
          if not values.fails and name ~= "fresh_connection" then
            assert.is_true(shared(urls[scheme], row, name, pair), what .. " and again")
          end
        end
      end
    end)
  end

  -- CVE-2016-5420: a connection made with one client certificate served a
  -- transfer with another, or none.
  it("never by who has another client certificate, or none (CVE-2016-5420)", function()
    local good = certs.get("valid")
    local one = { cert = good.cert, key = good.key, ca_file = good.ca }
    local none = { ca_file = good.ca }
    for _, pair in ipairs({ { one, none }, { none, one } }) do
      local d <close> = drive.new()
      for _, tls in ipairs(pair) do assert(fetch(d, { url = urls.https, tls = tls })) end
      assert.equal(2, d.multi:stats().opened)
    end
  end)

  -- CVE-2021-22924: paths were compared without case, and some not at all.
  it("never with a path that differs in case only (CVE-2021-22924)", function()
    local lower = twin(certs.get("valid").ca)
    local upper = lower:gsub("[^/]+$", string.upper)
    if upper == lower then upper = lower .. "A" end
    assert(os.rename(twin(lower), upper))
    temporary[#temporary + 1] = upper
    local d <close> = drive.new()
    for _, path in ipairs({ lower, upper, lower, upper }) do
      assert(fetch(d, { url = urls.https, tls = { ca_file = path } }))
    end
    assert.equal(2, d.multi:stats().opened)
  end)

  it("only for the same scheme, host and port", function()
    local number = nginx.port
    local function url(...) return ("%s://%s:%d/inspect"):format(...) end
    local base = url("http", "127.0.0.1", number)
    for _, other in ipairs({ url("http", "localhost", number), url("http", "127.1", nginx.ports[1]),
      url("https", "127.0.0.1", number), url("https", "127.0.0.1", nginx.ports[1]) }) do
      for _, pair in ipairs({ { base, other }, { other, base } }) do
        local d <close> = drive.new()
        for _, u in ipairs(pair) do fetch(d, { url = u, tls = { verify = false } }) end
        assert.equal(0, d.multi:stats().reused, other)
      end
    end
    -- Different ways to write one host are one host.
    local d <close> = drive.new()
    for _, host in ipairs({ "127.0.0.1", "127.1", "0x7f000001" }) do
      assert(fetch(d, { url = url("HTTP", host, number) }))
    end
    assert.equal(1, d.multi:stats().opened)
  end)
end)

local function until_true(condition)
  while not condition() do ms.sleep(5) end -- a test has its limit
end

-- One peer without TLS, one with; `script` for each connection.
local function peers(script)
  local plain, secure = peer.start({ script }), tls_peer.start({ script })
  return { { p = plain, tls = {} }, { p = secure, tls = { ca_file = certs.get("valid").ca } } }
end

local function with_peers(script, fn)
  for _, side in ipairs(peers(script)) do
    local ok, err = pcall(function()
      local client <close> = ms.client({ tls = side.tls })
      fn(client, side.p)
    end)
    side.p:stop()
    assert(ok, err)
  end
end

describe("J3: credentials are the request's", function()
  local function header(text, name) return text:lower():match("\n" .. name .. ": ([^\r]*)") end

  it("each has its own on one connection (wrong-credential reuse, CVE-2015-3143, "
    .. "CVE-2022-22576)", async(function()
    with_peers({ { "request" }, { "send", OK }, { "repeat" } }, function(client, p)
      for _, who in ipairs({ "anna", "otto", false, "anna" }) do
        assert(client:fetch(p:url("/"), { headers = who and {
          Authorization = "Bearer " .. who, Cookie = "of=" .. who } or nil }))
      end
      assert.equal(1, client:stats().opened)
      until_true(function() return #p:all("request") == 4 end)
      for i, who in ipairs({ "anna", "otto", false, "anna" }) do
        local text = p:all("request")[i].data
        assert.equal(who and "bearer " .. who or nil, header(text, "authorization"))
        assert.equal(who and "of=" .. who or nil, header(text, "cookie"))
      end
    end)
  end))
end)

describe("J4:", function()
  it("at the cap the connection that was used longest ago is closed", async(function()
    local list = {}
    for i = 1, 3 do list[i] = peer.start({ { { "request" }, { "send", OK }, { "repeat" } } }) end
    local client <close> = ms.client({ max_idle = 2 })
    for _, i in ipairs({ 1, 2, 1, 3 }) do assert(client:fetch(list[i]:url("/"))) end
    assert.equal(2, client:stats().idle)
    assert.is_true(assert(client:fetch(list[1]:url("/"))).reused)
    assert.is_true(assert(client:fetch(list[3]:url("/"))).reused)
    assert.is_false(assert(client:fetch(list[2]:url("/"))).reused)
    for _, p in ipairs(list) do p:stop() end
  end))
end)

describe("J6: no connection is kept", function()
  -- What follows has to go over a connection of its own.
  local function is_not_kept(client, p, opts)
    local res = client:fetch(p:url("/"), opts)
    if res then assert.equal("ok", res.body) end
    until_true(function() return client:stats().connections == 0 end)
    res = assert(client:fetch(p:url("/")))
    assert.same({ "ok", false }, { res.body, res.reused })
    assert.equal(2, client:stats().opened)
  end

  it("with bytes behind the response (response splitting)", async(function()
    with_peers({ { "request" }, { "send", OK .. OK:gsub("ok$", "no") }, { "hang" } },
      is_not_kept)
  end))

  it("with bytes that come while nobody uses it", async(function()
    with_peers({ { "request" }, { "send", OK }, { "delay", 20 }, { "send", OK:gsub("ok$", "no") },
      { "hang" } }, is_not_kept)
  end))

  it("whose request body was not sent to its end", async(function()
    with_peers({ { "head" }, { "send", OK }, { "hang" } }, function(client, p)
      is_not_kept(client, p, { method = "PUT", body = function()
        ms.sleep(10)
        return "more"
      end })
    end)
  end))

  it("whose response was not read to its end", async(function()
    with_peers({ { "request" }, { "send", OK:sub(1, -2) }, { "bytes", 1 } }, function(client, p)
      local res = assert(client:fetch(p:url("/"), { stream = true }))
      res:cancel()
      until_true(function() return client:stats().connections == 0 end)
      assert.equal(0, client:stats().idle)
    end)
  end))

  it("that either side said is the last", async(function()
    local last = OK:gsub("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
    with_peers({ { "request" }, { "send", last }, { "hang" } }, function(client, p)
      assert(client:fetch(p:url("/")))
      assert.equal(0, client:stats().idle)
    end)
    with_peers({ { "request" }, { "send", OK }, { "hang" } }, function(client, p)
      assert(client:fetch(p:url("/"), { headers = { Connection = "close" } }))
      assert.equal(0, client:stats().idle)
    end)
  end))
end)

describe("J7: after fork", function()
  local FORK, library

  setup(function() FORK, library = fork.build() end)
  teardown(function() os.remove(library) end)

  it("the child uses no connection of its parent, and says nothing on one", function()
    local nginx = server.start({ tls = certs.get("valid") })
    local hanging = peer.start({ { { "request" }, { "hang" } } })
    local text = ("local URL, CA, HANG = %q, %q, %q "):format(nginx:url("/small"),
      certs.get("valid").ca, hanging:url("/")) .. FORK .. [[
      local ms = require "multisocket"
      local c = ms.client({ tls = { ca_file = CA }, max_connections = 2 })
      local function connection(client)
        return assert(client:fetch(URL, { timeout = 30000 })).headers["x-connection"]
      end
      local first = connection(c)
      local handles = {}
      for i = 1, 4 do handles[i] = c:request(HANG, function() end) end
      ms.sleep(20)
      assert(c:stats().waiting > 0)
      local pid = fork()
      if pid == 0 then
        for i = 1, 4 do handles[i]:cancel() end -- those that wait could begin now
        c:close()
        local mine = ms.client({ tls = { ca_file = CA } })
        local ok, number = pcall(connection, mine)
        _exit(ok and number ~= first and 0 or 1)
      end
      assert(wait(pid) == 0)
      for i = 4, 1, -1 do handles[i]:cancel() end -- and here they could not
      ms.sleep(10)
      assert(c:stats().running == 0)
      io.write("ok")]]
    local r = process.run({ "lua5.4", "-" }, { stdin = text })
    nginx:stop()
    assert.same({ 0, "ok", "" }, { r.code, r.stdout, r.stderr })
    hanging:wait(function() return hanging:connections() >= 2 end)
    assert.equal(2, hanging:connections()) -- none of the child's
    hanging:stop()
  end)
end)
