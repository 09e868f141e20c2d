-- SPDX-License-Identifier: MIT
--
-- Types and numbers of what scripts hand in (I6): every option there is, at
-- every door it goes in by, with every wrong type; numbers at their bounds;
-- tables that contain themselves; metamethods that raise. An option without a
-- row here fails.
local core = require "multisocket.core"
local ms = require "multisocket"
local request = require "multisocket.request"
local async = require "spec.support.async"
local peer = require "spec.support.peer"

local SERVE = { { { "request" }, { "send", "HTTP/1.1 204 No\r\n\r\n" }, { "repeat" } } }

-- ---- what is wrong ---------------------------------------------------------

-- One value of each Lua type, with its name in messages.
local VALUES = {
  boolean = true, number = 7, string = "x", table = {}, ["function"] = print,
  thread = coroutine.create(print), ["FILE*"] = io.stdout,
  ["multisocket.easy"] = core.easy(),
}

-- A row: `words` say what the option has to be, `types` are right (none of
-- these is tried), `also` are further right values, `more` are wrong values of
-- a right type and what is said of them.
local function whole(least)
  local more = {}
  for _, value in ipairs({ 0 / 0, math.huge, -math.huge, -1, least - 1, 0.5, least + 0.5, 2 ^ 63,
    -2 ^ 63, math.mininteger }) do
    more[#more + 1] = { value, "a whole number of at least " .. least }
  end
  return more
end

local function number(least)
  return { words = "a number or false", types = { number = true }, more = whole(least),
    also = { least, least + 1, 2 ^ 53, math.maxinteger, false } }
end

local BOOLEAN = { words = "a boolean", types = { boolean = true }, also = { false } }
local FUNCTION = { words = "a function or false", types = { ["function"] = true },
  also = { false } }

local function group(words, types, members, more, first, listed)
  local row = { words = words, types = types, members = members, also = { false, {} } }
  row.first = first or "total" -- the member that a number stands for
  row.more, row.listed = more, listed -- what is said of the first of a list
  return row
end

local TIMEOUT = number(1)

local MAP = 'must be a map, or a list of { name, value }'
local cyclic = {}
cyclic[1] = cyclic

-- An option that makes connections of its own; `apart = false`: no limit.
local function apart(row)
  row.apart = true
  return row
end

local WORD = { words = "a string or false", types = { string = true }, also = { "", false } }
local BAD_VERSION =
  'option "version" must be "auto", "1.1", "2" or "2-prior-knowledge"'
local BAD_IP = 'option "ip" must be 4, 6 or false'
local PORT = 'option "local_port" must be a whole number from 1 to 65535, not '

-- A map of strings to `what`.
local function map(name, what, ...)
  local option = ('option "%s" '):format(name)
  local ttl = "a ttl of " .. option .. "must be a whole number from 1, not "
  local row = { words = "a table or false", types = { table = true }, also = { false, {} },
    said = { [{ 1 }] = option .. "must be made of strings, not number",
      [{ [true] = "x" }] = option .. "must be made of strings, not boolean",
      [{ a = 1 }] = option .. "must be " .. what .. ", not number",
      [{ a = { {} } }] = option .. "must be made of strings, not table",
      [{ ["a=b"] = "x" }] = option .. 'cannot have "a=b" in it',
      [{ [""] = "x" }] = option .. 'cannot have "" in it',
      [{ a = { "::1", ttl = 0 } }] = ttl .. "0",
      [{ a = { "::1", ttl = 0.5 } }] = ttl,
      [{ a = { "::1", ttl = "60" } }] = ttl,
      [{ a = { "::1;5" } }] = option .. 'cannot have "::1;5" in it',
      [{ a = "x\ny=z" }] = option .. "cannot have",
      [{ ["a\0b"] = "x" }] = option .. "cannot have" } }
  for _, value in ipairs({ ... }) do row.also[#row.also + 1] = { ["a:1"] = value } end
  return row
end

local UNSET = { words = "a string", types = { string = true }, also = { false, "" } }
local NAMES = { words = "a string or a list of them", types = { string = true, table = true },
  also = { false, {}, { "a", "b" } } }
local STATUSES = { words = "a string or a list of them", types = NAMES.types,
  also = { false, { 503 }, { "503", 429 }, "503" } }
local TLS = { words = "a table", types = { table = true }, also = { {} }, members = {
  verify = BOOLEAN, verify_host = BOOLEAN, ca_file = UNSET, ca_path = UNSET, crl_file = UNSET,
  cert = UNSET, key = UNSET, key_password = UNSET, min_version = UNSET, max_version = UNSET,
  ciphers = UNSET, alpn = NAMES, pinned_public_key = NAMES, session_reuse = BOOLEAN,
  server_name = UNSET, staple = UNSET } }

-- Options of the engine: taken by fetch, client and easy alike.
local ENGINE = {
  method = UNSET,
  body = UNSET,
  headers = { words = "a table", types = { table = true },
    also = { {}, false,
      { A = "1" }, { A = 1 }, { A = { "1", 2 } }, { A = false }, { { "A", "1" } } },
    said = {
      [{ 1 }] = 'option "headers" ' .. MAP,
      [{ { "A", "1" }, 2 }] = 'option "headers" ' .. MAP,
      [{ { "A", "1" }, A = "x" }] = 'option "headers" ' .. MAP,
      [{ { 1 } }] = "names of headers are strings, not number",
      [{ {} }] = "names of headers are strings, not nil",
      [{ [true] = "x" }] = "names of headers are strings, not boolean",
      [{ A = true }] = 'header "A" must be a string, a number, a list of them or false, '
        .. "not boolean",
      [{ A = print }] = 'header "A" must be a string, a number, a list of them or false, '
        .. "not function",
      [{ A = { {} } }] = 'header "A" must be a string, a number, a list of them or false, '
        .. "not table",
      [{ A = { true } }] = 'header "A" must be a string, a number, a list of them or false, '
        .. "not boolean",
      [{ A = 0 / 0 }] = 'header "A" must be a finite number, not ',
      [{ A = { 1, 1 / 0 } }] = 'header "A" must be a finite number, not inf',
      [cyclic] = "names of headers are strings, not table",
    } },
  user_agent = { words = "a string", types = { string = true }, also = { false, "" } },
  timeout = group("a number, a table or false", { number = true, table = true },
    { total = TIMEOUT, connect = TIMEOUT, first_byte = TIMEOUT, idle = TIMEOUT }, TIMEOUT.more),
  low_speed = group("a table or false", { table = true },
    { limit = number(1), time = number(1) }),
  max_send_speed = number(1),
  max_recv_speed = number(1),
  redirect = number(0),
  redirect_post = BOOLEAN,
  allow_downgrade = BOOLEAN,
  unrestricted_auth = BOOLEAN,
  retry = group("a number, a table or false", { number = true, table = true },
    { max = number(0), status = STATUSES, methods = NAMES, max_delay = number(1),
      budget = number(0) }, number(0).more, "max"),
  max_body = number(0),
  max_header_size = number(1),
  decompress = BOOLEAN,
  resume_from = number(0),
  range = { words = "{ from, to }, a string or false", types = { table = true, string = true },
    also = { false, { 0, 1 }, { 5 }, { -5 }, "1-2" },
    said = { [{}] = 'option "range" must be { from, to }, a string or false, not table',
      [{ 1.5 }] = 'option "range" must be made of whole numbers, not 1.5',
      [{ 2, 1 }] = 'option "range" ends before it begins',
      [{ -2, 1 }] = 'option "range" ends before it begins' } },
  tcp_nodelay = BOOLEAN,
  fresh_connection = BOOLEAN,
  expect_continue = BOOLEAN,
  version = { words = "a string", types = { string = true },
    also = { "auto", "1.1", "2", "2-prior-knowledge", false },
    said = { ["3"] = BAD_VERSION, ["2.0"] = BAD_VERSION, [""] = BAD_VERSION } },
  priority = UNSET,
  cookies = { words = "a boolean or a jar", types = { boolean = true },
    also = { true, false, core.jar() } },
  auth = group("a table or false", { table = true },
    { user = UNSET, password = UNSET, digest = BOOLEAN }, nil, nil,
    'option "auth.user" must be a string, not number'),
  bearer = UNSET,
  netrc = { words = "a path, true or false", types = { string = true, boolean = true },
    also = { true, false, "", "/x" }, said = { ["a\0b"] = 'option "netrc" has a NUL in it' } },
  ip = { words = "a number or false", apart = false, types = { number = true },
    also = { 4, 6, false }, more = whole(4),
    said = { [5] = BAD_IP, [7] = BAD_IP } },
  interface = WORD,
  unix_socket = WORD,
  tcp_keepalive = BOOLEAN,
  happy_eyeballs_delay = apart(number(10)),
  local_port = { words = "a port, { from, to } or false", apart = false,
    types = { number = true, table = true }, also = { 1, 65535, { 1, 65535 }, { 7, 7 }, false },
    said = { [0] = PORT, [65536] = PORT, [0.5] = PORT, [-1] = PORT, [{ 0, 1 }] = PORT,
      [{ 1, 65536 }] = PORT, [{ 2, 1 }] = 'option "local_port" ends before it begins',
      [{}] = 'option "local_port" must be a port, { from, to } or false, not nil' } },
  resolve = map("resolve", "made of strings or lists of them", "::1", { "::1", "127.0.0.1" }),
  connect_to = map("connect_to", "made of strings or lists of them", "b:1"),
  dns = group("a table or false", { table = true }, {
    servers = { words = "made of strings or lists of them",
      types = { string = true, table = true },
      also = { "127.0.0.1", { "127.0.0.1:53", "::1" }, {}, false },
      said = { [{ 1 }] = 'option "dns.servers" must be made of strings, not number',
        [cyclic] = 'option "dns.servers" must be made of strings, not table',
        [{ "a,b" }] = 'option "dns.servers" cannot have "a,b" in it' } },
    timeout = apart(number(1)), tries = apart(number(1)), cache_ttl = apart(number(1)) }),
  resolver = { words = 'a function, "system" or false', types = { ["function"] = true },
    also = { print, "system", false } },
  allow_address = { words = '"public", a function or false',
    types = { string = true, ["function"] = true }, also = { "public", "any", print, false } },
  tls = TLS,
  on_headers = FUNCTION,
  on_data = FUNCTION,
  on_debug = FUNCTION,
  on_progress = FUNCTION,
}

local function fields(what)
  local value = what .. ' "a" must be a string, a number or a list of these, not a '
  local name = what .. " names must be strings, not a "
  return { words = "a table or false", types = { table = true },
    also = { false, {}, { a = "1" }, { a = 1 }, { a = { 1, "2" } }, { { "a", 1 } } },
    said = { [{ a = true }] = value .. "boolean", [{ a = print }] = value .. "function",
      [{ a = { {} } }] = value .. "table", [{ 1 }] = name .. "number",
      [{ [true] = 1 }] = name .. "boolean", [{ { 1, 2 } }] = name .. "number",
      [{ a = -1 / 0 }] = what .. ' "a" must be a finite number, not -inf',
      [{ a = { 0 / 0 } }] = what .. ' "a" must be a finite number, not ',
      [{ {} }] = name .. "nil", [cyclic] = name .. "table",
      [{ { "a", "b" }, 1 }] = ('option "%s" %s'):format(what, MAP) } }
end

local UNENCODABLE = "the json option cannot be encoded: "

local PATHS = { words = "a path, an open file, a function or { path = ... }",
  said_of_type = "sink must be a path, an open file, a function or { path = ... }, not %s",
  types = { string = true, ["function"] = true, ["FILE*"] = true, table = true },
  also = { false },
  said = { [{}] = 'option "sink.path" must be a string, not nil',
    [{ path = 1 }] = 'option "sink.path" must be a string, not number',
    [{ path = "x", resume = 1 }] = 'option "sink.resume" must be a boolean, not number',
    [{ path = "x", more = 1 }] = 'unknown option "more"', [cyclic] = "option names are strings" } }

-- What Lua understands: of a fetch, of a client, or of both.
local LUA = {
  query = fields("query"),
  form = fields("form"),
  json = { types = { boolean = true, number = true, string = true, table = true },
    said_of_type = UNENCODABLE, also = { false, {}, { 1 } }, said = { [cyclic] = UNENCODABLE } },
  multipart = { words = "a list of parts or false", types = { table = true },
    also = { false, {}, { { name = "a", value = 1 } }, { { name = "a", data = "" } } },
    said = { [{ a = "b" }] = "multipart must be a list of parts",
      [{ 1 }] = "part 1 of multipart must be a table, not number",
      [{ {} }] = "part 1 of multipart has no name",
      [cyclic] = "option names are strings, not a number",
      [{ { name = "a", value = 0 / 0 } }] = 'multipart "a" must be a finite number, not ' } },
  fail = BOOLEAN,
  stream = BOOLEAN,
  sink = PATHS,
  url = { code = "bad_argument", said_of_type = "the URL must be a string, not a %s",
    types = { string = true } },
  base_url = { words = "a string or false", types = { string = true },
    also = { false, "http://h", "HTTP://h/x?y" },
    said = { ["x"] = 'base_url must be an absolute URL, not "x"',
      [""] = 'base_url must be an absolute URL, not ""',
      ["/a"] = 'base_url must be an absolute URL, not "/a"' } },
}

-- Without a false.
local PLAIN = { words = "a number", types = { number = true }, more = whole(1),
  also = { 1, 2 ^ 53, math.maxinteger } }

-- Options of a multi; a client hands on the numbers.
local MULTI = {
  max_idle = number(0),
  max_concurrent_streams = number(1),
  ping_interval = number(1),
  idle_timeout = PLAIN,
  max_connections = number(1),
  max_connections_per_host = number(1),
  max_age = number(1),
  per_host = group("a table or false", { table = true },
    { concurrency = number(1), rate = number(1) }),
  edge_triggered = BOOLEAN,
  errorfunction = FUNCTION, donefunction = FUNCTION, socketfunction = FUNCTION,
  timerfunction = FUNCTION,
}

-- A body of a fetch may be more than the engine's.
local FETCH_BODY = { types = { string = true, ["function"] = true, ["FILE*"] = true },
  said_of_type = "body must be a string, a file, { path = ... } or a function, not %s",
  said = {
    [{ path = 1 }] = "body.path must be a string, not number",
    [{ path = "x", more = 1 }] = "body must be a string, a file, { path = ... } or a function, "
      .. "not table",
    [cyclic] = "body must be a string, a file, { path = ... } or a function, not table",
  } }

-- ---- walking the rows ------------------------------------------------------

local function raises(code, words, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, words)
  assert.is_true(core.is_error(err), tostring(err))
  assert.equal("usage", err.category, words)
  assert.equal(code, err.code, words)
  if err.message:sub(1, #words) ~= words then assert.equal(words, err.message) end
end

-- What is said of a value of a wrong type. Lua's half does not know the names
-- of userdata.
local function words_of_type(name, row, type_name)
  if LUA[name] == row or row == FETCH_BODY then
    type_name = type(VALUES[type_name])
  end
  if row.said_of_type then return row.said_of_type:format(type_name) end
  return ('option "%s" must be %s, not '):format(name, row.words)
end

-- Calls try(value, code, words) with every wrong value of the option.
local function each_wrong(name, row, try)
  local code = row.code or "bad_option"
  for type_name, value in pairs(VALUES) do
    if not row.types[type_name] then try(value, code, words_of_type(name, row, type_name)) end
  end
  for value, words in pairs(row.said or {}) do try(value, code, words) end
  for _, case in ipairs(row.more or {}) do
    local full = row.members and name .. "." .. row.first or name
    try(case[1], code, ('option "%s" must be %s, not %s'):format(full, case[2],
      tostring(case[1])))
  end
  for member, member_row in pairs(row.members or {}) do
    each_wrong(name .. "." .. member, member_row, function(value, c, words)
      return try({ [member] = value }, c, words)
    end)
  end
  if row.members then
    try({ no_such = 1 }, code, ('unknown option "%s.no_such"'):format(name))
    try({ 1 }, code, row.listed or "option names are strings, not number")
    try({ [0] = 1 }, code, "option names are strings, not number")
    try({ [cyclic] = 1 }, code, "option names are strings, not table")
  end
end

local function ignore() end

-- The doors that take the engine's options.
local function engine_doors()
  local easy, multi = core.easy({ url = "http://a/" }), core.multi({})
  return {
    ["core.options"] = function(t) return core.options(t) end,
    ["core.easy"] = function(t) return core.easy(t) end,
    ["easy:setopt"] = function(t) return easy:setopt(t) end,
    ["ms.client"] = function(t) return ms.client(t) end,
    -- An option set that was begun is taken wholly or not at all.
    ["easy:setopt, later"] = function(t)
      multi:add_handle(easy)
      local ok, err = pcall(easy.setopt, easy, t)
      multi:remove_handle(easy)
      if not ok then error(err, 0) end
    end,
  }
end

-- The doors that take those of a fetch.
local function fetch_doors(client, url)
  return {
    ["client:fetch"] = function(t) return client:fetch(url, t) end,
    ["client:request"] = function(t) return client:request(url, t, ignore) end,
    ["ms.fetch"] = function(t) return ms.fetch(url, t) end,
    ["ms.request"] = function(t) return ms.request(url, t, ignore) end,
    ["client:each"] = function(t)
      local copy = { url = url }
      for name, value in pairs(t) do copy[name] = value end
      for _ in client:each({ copy }) do error("nothing can come", 0) end
    end,
  }
end

describe("I6: types:", function()
  local p

  setup(function() p = peer.start(SERVE) end)
  teardown(function() p:stop() end)

  -- Runs fn(client), which connects nobody and leaves nothing.
  local function harmless(fn)
    return async(function()
      local before = p:connections()
      local client <close> = ms.client()
      fn(client)
      local stats = client:stats()
      assert.equal(0, stats.running)
      assert.equal(0, stats.queued)
      assert.equal(0, stats.opened)
      assert.equal(before, p:connections())
    end)
  end

  local function all_refused(doors, name, row)
    for door, enter in pairs(doors) do
      each_wrong(name, row, function(value, code, words)
        raises(code, words, enter, { [name] = value })
      end)
      raises("bad_option", ('unknown option "%sx"'):format(name), enter, { [name .. "x"] = 1 })
      assert.is_string(door)
    end
  end

  it("every option of the engine at each of its doors", harmless(function()
    for name, row in pairs(ENGINE) do all_refused(engine_doors(), name, row) end
  end))

  it("every option of a fetch at each of its doors", harmless(function(client)
    local doors = fetch_doors(client, p:url())
    for name in pairs(request.option_names().fetch) do
      local row = name == "body" and FETCH_BODY or ENGINE[name] or LUA[name]
      if name == "url" then
        raises("bad_option", 'unknown option "urlx" (did you mean "url"?)', ms.fetch, { urlx = 1 })
        each_wrong(name, row, function(value, code, words)
          raises(code, words, ms.fetch, { url = value })
          raises(code, words, ms.request, { url = value }, ignore)
        end)
      else
        all_refused(doors, name, row)
      end
    end
  end))

  it("every option of a client", harmless(function()
    for name in pairs(request.option_names().client) do
      all_refused({ client = ms.client }, name, ENGINE[name] or LUA[name] or MULTI[name])
    end
  end))

  it("every option of a multi at each of its doors", harmless(function()
    local multi = core.multi({})
    local doors = { core = core.multi, setopt = function(t) multi:setopt(t) end }
    for _, name in ipairs(core.multi_option_names()) do all_refused(doors, name, MULTI[name]) end
  end))

  it("names that are no strings", harmless(function(client)
    local doors = fetch_doors(client, p:url())
    doors["client:each"] = nil -- a list has no such keys to copy
    for key, type_name in pairs({ [1] = "number", [true] = "boolean", [cyclic] = "table" }) do
      for _, enter in pairs(doors) do
        raises("bad_option", "option names are strings, not a " .. type_name, enter,
          { [key] = 1 })
      end
      for _, enter in ipairs({ core.options, core.easy, core.multi }) do
        raises("bad_option", "option names are strings, not " .. type_name, enter, { [key] = 1 })
      end
    end
  end))
end)

describe("I6: right values:", function()
  it("all are taken", async.main(function()
    for name, row in pairs(ENGINE) do
      for _, value in ipairs(row.also) do
        local easy = core.easy({ [name] = value })
        easy:setopt({ [name] = value })
        core.options({ [name] = value }, core.options({ [name] = value }))
        easy:close()
      end
      for member, member_row in pairs(row.members or {}) do
        for _, value in ipairs(member_row.also) do
          core.options({ [name] = { [member] = value } })
        end
      end
    end
    for _, name in ipairs(core.multi_option_names()) do
      for _, value in ipairs(MULTI[name].also) do
        local multi = core.multi({ [name] = value })
        multi:setopt({ [name] = value })
        multi:close()
      end
    end
    for name in pairs(request.option_names().client) do
      for _, value in ipairs((ENGINE[name] or LUA[name] or MULTI[name]).also) do
        ms.client({ [name] = value }):close()
      end
    end
  end))

  it("every option has a row, and every row an option", function()
    local of = request.option_names()
    local engine, multi = {}, {}
    for _, name in ipairs(core.option_names()) do engine[name] = true end
    for _, name in ipairs(core.multi_option_names()) do multi[name] = true end
    for name in pairs(engine) do assert.is_table(ENGINE[name], name) end
    for name in pairs(ENGINE) do assert.is_true(engine[name], name) end
    for name in pairs(multi) do assert.is_table(MULTI[name], name) end
    for name in pairs(MULTI) do assert.is_true(multi[name], name) end
    for name in pairs(of.fetch) do assert.is_table(ENGINE[name] or LUA[name], name) end
    for name in pairs(of.client) do
      assert.is_table(ENGINE[name] or LUA[name] or MULTI[name], name)
    end
    for name in pairs(LUA) do assert.is_string(of.fetch[name] or of.client[name], name) end
  end)

  -- M6: no sum of times wraps, however large they are.
  for _, value in ipairs({ 2 ^ 31, 2 ^ 53, 1 << 62, math.maxinteger, math.maxinteger - 1 }) do
    it(("a limit of %s is none that is met"):format(value), async(function()
      local p <close> = peer.start(SERVE)
      local client <close> = ms.client({ idle_timeout = value, max_idle = value })
      local function answered(opts)
        local res, err = client:fetch(p:url(), opts)
        assert.equal(204, res and res.status, tostring(err))
      end
      local ways = 1
      local function limited(row, opts)
        if not row.types.number or row.apart == false then return end
        if row.apart then ways = ways + 1 end
        answered(opts)
      end
      for name, row in pairs(ENGINE) do
        limited(row, { [name] = value })
        for member, member_row in pairs(row.members or {}) do
          limited(member_row, { [name] = { [member] = value } })
        end
      end
      answered({ low_speed = { limit = 1, time = value } })
      -- All on one, which was kept; what leads there another way has its own.
      assert.equal(ways, client:stats().opened)
      assert.equal(ways, client:stats().idle)
      assert.equal(1, select(2, assert(ms.with_timeout(value, function() return true, 1 end))))
      local t = ms.spawn(function() ms.sleep(value) end)
      assert.equal("timed_out", select(2, t:wait(1)).code)
      t:cancel()
    end))
  end

  it("max_idle may be false: all are kept", async(function()
    local p <close> = peer.start(SERVE)
    local client <close> = ms.client({ max_idle = false })
    assert.equal(2, #ms.map({ 1, 2 }, function() return assert(client:fetch(p:url())) end))
    assert.equal(2, client:stats().idle)
  end))
end)

-- ---- metamethods that raise ------------------------------------------------

local PLANTED = setmetatable({}, { __tostring = function() error("no text of this", 0) end })

local function raising() error(PLANTED, 0) end

-- Everything that can be asked of it raises.
local EVIL = { __index = raising, __newindex = raising, __pairs = raising, __len = raising,
  __tostring = raising, __concat = raising, __eq = raising, __call = raising, __lt = raising,
  __unm = raising, __close = raising }

local function evil(t) return setmetatable(t or {}, EVIL) end

-- Comes out as it went in.
local function comes_out(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(rawequal(PLANTED, err))
end

describe("I6: metamethods that raise:", function()
  local p

  setup(function() p = peer.start(SERVE) end)
  teardown(function() p:stop() end)

  -- Runs fn(client); then nothing is left, and the client works.
  local function survived(fn, closed)
    return async(function()
      local client <close> = ms.client()
      fn(client)
      if closed then return end
      local stats = client:stats()
      assert.equal(0, stats.running)
      assert.equal(0, stats.queued)
      assert.equal(204, assert(client:fetch(p:url())).status)
    end)
  end

  it("of the table of options: raised unchanged", survived(function(client)
    comes_out(ms.fetch, evil())
    comes_out(client.fetch, client, p:url(), evil())
    comes_out(client.fetch, client, p:url(), evil({ timeout = 1000 }))
    comes_out(client.fetch, client, p:url(), evil({ fail = true }))
    comes_out(client.request, client, p:url(), evil(), ignore)
    comes_out(client.get, client, p:url(), evil({ stream = true }))
    comes_out(ms.client, evil())
    comes_out(ms.gather, {}, evil())
    comes_out(ms.gather, evil())
    comes_out(ms.map, evil(), ignore)
    comes_out(ms.race, evil())
    comes_out(ms.use, evil())
    comes_out(client.each, client, {}, evil())
  end))

  it("of tables in it: raised unchanged, or not looked at", survived(function(client)
    for _, name in ipairs({ "form", "query" }) do
      comes_out(client.fetch, client, p:url(), { [name] = evil({ a = "1" }) })
    end
    comes_out(client.fetch, client, p:url(), { json = { 1 }, headers = evil({ A = "1" }) })
    comes_out(client.fetch, client, p:url(), { body = evil() })
    -- The engine's half never calls any.
    local opts = evil({ headers = evil({ A = evil({ "1" }) }), timeout = evil({ total = 9999 }) })
    core.options(opts)
    core.easy(evil({ url = p:url(), headers = opts.headers }))
    core.multi(evil({ max_idle = 1 })):close()
  end))

  it("of values where a string, a number or a function has to be", survived(function(client)
    local doors = fetch_doors(client, p:url())
    for name in pairs(request.option_names().fetch) do
      for _, enter in pairs(doors) do
        local row = ENGINE[name] or LUA[name]
        if name ~= "url" and not row.types.table then
          local ok, err = pcall(enter, { [name] = evil() })
          assert.is_false(ok, name)
          if not rawequal(PLANTED, err) then
            assert.equal("usage", err.category, name)
            assert.equal(row.code or "bad_option", err.code, name)
          end
        end
      end
    end
    raises("bad_argument", "the URL must be a string, not a table", ms.fetch, { url = evil() })
    raises("bad_argument", "the URL must be a string, not table", ms.url, evil())
    raises("bad_argument", "the time to sleep must be a number, not a table", ms.sleep, evil())
    raises("bad_argument", "what to spawn must be a function, not a table", ms.spawn, evil())
    raises("bad_argument", "a semaphore has a whole number of at least 1 permits, not (table "
      .. "value)", ms.semaphore, evil())
    raises("bad_option", "concurrency must be a whole number of at least 1, not (table value)",
      ms.gather, {}, { concurrency = evil() })
  end))

  it("of what callbacks, bodies and sinks raise or return: the cause, unchanged",
    survived(function(client)
      local function fails(code, opts)
        local res, err = client:fetch(p:url(), opts)
        assert.is_nil(res)
        assert.equal(code, err.code)
        assert.is_true(rawequal(PLANTED, err.cause))
        assert.is_string(err.message)
        assert.is_string(tostring(err))
        assert.equal(0, client:stats().running)
      end
      fails("callback_error", { on_headers = raising })
      fails("callback_error", { body = raising })
      fails("upload_failed", { body = function() return nil, PLANTED end })
      fails("callback_error", { body = raising, stream = true })
      local q <close> = peer.start({ { { "request" },
        { "send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }, { "repeat" } } })
      for _, opts in ipairs({ { on_data = raising }, { sink = raising } }) do
        local res, err = client:fetch(q:url(), opts)
        assert.is_nil(res)
        assert.equal("callback_error", err.code)
        assert.is_true(rawequal(PLANTED, err.cause))
      end
      local res, err = assert(client:fetch(q:url())):json(raising)
      assert.is_nil(res)
      assert.equal("decode_failed", err.code)
      assert.is_true(rawequal(PLANTED, err.cause))
    end))

  it("of reasons to cancel and of errors nobody catches", survived(function(client)
    local q <close> = peer.start({ { { "request" }, { "hang" } } })
    local got
    local handle = client:request(q:url(), function(err) got = err end)
    assert.is_true(handle:cancel(PLANTED))
    local t = ms.spawn(client.fetch, client, q:url())
    t:cancel(PLANTED)
    while not got do ms.sleep(1) end
    for _, err in ipairs({ got, t.error }) do
      assert.equal("cancelled", err.code)
      assert.is_true(rawequal(PLANTED, err.cause))
    end
    local reports = async.reports(function()
      client:request(p:url(), raising)
      ms.spawn(raising)
      while client:stats().running > 0 do ms.sleep(1) end
      ms.spawn(ignore):wait() -- behind both
    end)
    assert.equal(2, #reports)
    for _, report in ipairs(reports) do assert.is_true(rawequal(PLANTED, report.err)) end
    local entries = ms.gather({ raising, function() return 1 end })
    assert.is_true(rawequal(PLANTED, entries[1].error))
    assert.equal(1, entries[2].value)
    local _, err = ms.any({ raising })
    assert.equal("all_failed", err.code)
    assert.is_true(rawequal(PLANTED, err.cause))
  end))

  it("__close of what a fetching coroutine holds", survived(function(client)
    local q <close> = peer.start({ { { "request" }, { "hang" } } })
    local co = coroutine.create(function()
      local _ <close> = evil()
      client:fetch(q:url())
    end)
    assert(coroutine.resume(co))
    assert.equal(1, client:stats().running)
    local ok, err = coroutine.close(co)
    assert.is_false(ok)
    assert.is_true(rawequal(PLANTED, err))
    assert.equal(0, client:stats().running)

    local reports = async.reports(function()
      local t = ms.spawn(function()
        local _ <close> = evil()
        client:fetch(q:url())
      end)
      while client:stats().running == 0 do ms.sleep(1) end
      assert.is_true(t:cancel())
    end)
    assert.equal(1, #reports)
    assert.is_true(rawequal(PLANTED, reports[1].err))
  end))

  it("__gc of what was handed in", survived(function(client)
    local collected = 0
    local function dying(t)
      return setmetatable(t, { __gc = function()
        collected = collected + 1
        error("from a finaliser", 0)
      end })
    end
    local wanted = 0
    for i = 1, 20 do
      local held = dying({})
      local opts = dying({ headers = dying({ A = dying({ "1" }) }),
        timeout = dying({ total = 9999 }), form = dying({ a = dying({ 1 }) }),
        on_headers = function() return held end })
      wanted = wanted + 7
      if i % 2 == 0 then
        opts.timeout.no_such = 1
        pcall(client.fetch, client, p:url(), opts)
      else
        assert.equal(204, assert(client:fetch(p:url(), opts)).status)
      end
      collectgarbage("step", 0)
    end
    client:fetch(p:url()) -- the client's operation holds the last options until then
    client:close()
    collectgarbage()
    collectgarbage()
    assert.equal(wanted, collected)
  end, true))
end)
