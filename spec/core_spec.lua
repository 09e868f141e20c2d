-- SPDX-License-Identifier: MIT
--
-- multisocket.core: the binding, driven by hand.
local core = require "multisocket.core"
local drive = require "spec.support.drive"
local nginx = require "spec.support.server"
local peer = require "spec.support.peer"
local port = require "spec.support.port"

-- The err that fn(...) raises.
local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "nothing was raised")
  assert.is_true(core.is_error(err), "not an err: " .. tostring(err))
  return err
end

-- fn(...) raises a usage err of that code and message.
local function assert_usage(code, message, fn, ...)
  local err = raised(fn, ...)
  assert.equal("usage", err.category)
  assert.equal(code, err.code)
  assert.equal(message, err.message)
end

local function matches(pattern, text)
  text = tostring(text)
  assert.is_truthy(text:find(pattern), ("%q is not in %q"):format(pattern, text))
end

-- A drive made with `opts`, and the list of errors its errorfunction got.
local function with_errors(opts)
  opts = opts or {}
  local errors = {}
  opts.errorfunction = function(err, traceback)
    errors[#errors + 1] = { err = err, traceback = traceback }
  end
  return drive.new(opts), errors
end

describe("core:", function()
  local server, d

  setup(function() server = nginx.start() end)
  teardown(function() server:stop() end)
  before_each(function() d = drive.new() end)
  after_each(function()
    assert.is_nil(d.multi:check())
    d:close()
    assert.same({}, d.watched)
  end)

  -- Runs one easy to its end; its response, or nil and the err.
  local function run(opts)
    local easy = core.easy(opts)
    d.multi:add_handle(easy)
    d:run()
    local done, ok, err = d.multi:info_read()
    assert.equal(easy, done)
    d.multi:remove_handle(easy)
    if not ok then return nil, err, easy end
    return easy:response(), nil, easy
  end

  describe("err tables", function()
    it("print themselves", function()
      local err = core.error { category = "usage", code = "bad_option", message = "no such thing" }
      assert.equal("bad_option: no such thing", tostring(err))
      assert.equal("so: bad_option: no such thing!", "so: " .. err .. "!")
      assert.equal("only this", tostring(core.error { message = "only this" }))
      assert.equal("code", tostring(core.error { code = "code" }))
      assert.equal("multisocket.error", tostring(core.error {}))
    end)

    it("are the table that was given, and known", function()
      local t = {}
      assert.equal(t, core.error(t))
      assert.is_true(core.is_error(t))
      for _, other in ipairs { 1, "x", {}, setmetatable({}, {}), print } do
        assert.is_false(core.is_error(other))
      end
      assert.is_false(core.is_error(nil))
      assert.is_false(core.is_error())
      assert.equal("multisocket.error", getmetatable(t).__name)
    end)

    it("are made of tables only", function()
      assert_usage("bad_argument", "an error must be a table, not string", core.error, "x")
    end)
  end)

  describe("options", function()
    it("have names", function()
      local names = core.option_names()
      table.sort(names)
      assert.same({ "allow_address", "allow_downgrade", "auth", "bearer", "body", "connect_to",
        "cookies", "decompress", "dns", "expect_continue", "fresh_connection",
        "happy_eyeballs_delay", "headers", "interface", "ip", "local_port", "low_speed",
        "max_body", "max_header_size", "max_recv_speed", "max_send_speed", "method", "netrc",
        "on_data", "on_debug", "on_headers", "on_progress", "priority", "range", "redirect",
        "redirect_post", "resolve", "resolver", "resume_from", "retry", "tcp_keepalive",
        "tcp_nodelay", "timeout", "tls", "unix_socket", "unrestricted_auth", "user_agent",
        "version" }, names)
    end)

    it("that nobody knows raise, and the nearest is named", function()
      local function unknown(t) return raised(core.options, t).message end
      assert.equal('unknown option "timout" (did you mean "timeout"?)', unknown { timout = 1 })
      assert.equal('unknown option "hedders" (did you mean "headers"?)', unknown { hedders = {} })
      assert.equal('unknown option "onheaders" (did you mean "on_headers"?)',
        unknown { onheaders = print })
      assert.equal('unknown option "colour"', unknown { colour = "red" })
      assert.equal('unknown option "x"', unknown { x = 1 })
      assert.equal('unknown option "timeout.total"', unknown { ["timeout.total"] = 1 }
        :gsub(" %(.*", ""))
      assert.equal('unknown option "timeout.totl" (did you mean "timeout.total"?)',
        unknown { timeout = { totl = 1 } })
      assert.equal("option names are strings, not number", unknown { timeout = { 1 } })
      assert.equal("option names are strings, not number", unknown { 1 })
      assert.equal("option names are strings, not table", unknown { [{}] = 1 })
      assert.equal('unknown option "' .. ("x"):rep(100) .. '"', unknown { [("x"):rep(100)] = 1 })
      assert.equal('unknown option ""', unknown { [""] = 1 })
    end)

    it("have types", function()
      local function wrong(t) return raised(core.options, t).message end
      assert.equal('option "method" must be a string, not number', wrong { method = 1 })
      assert.equal('option "body" must be a string, not boolean', wrong { body = true })
      assert.equal('option "timeout" must be a number, a table or false, not string',
        wrong { timeout = "1" })
      assert.equal('option "timeout" must be a number, a table or false, not boolean',
        wrong { timeout = true })
      assert.equal('option "timeout.connect" must be a number or false, not string',
        wrong { timeout = { connect = "1" } })
      assert.equal('option "max_body" must be a number or false, not boolean',
        wrong { max_body = true })
      assert.equal('option "tcp_nodelay" must be a boolean, not string',
        wrong { tcp_nodelay = "yes" })
      assert.equal('option "headers" must be a table, not string', wrong { headers = "a: b" })
      assert.equal('option "on_data" must be a function or false, not string',
        wrong { on_data = "print" })
      assert.equal('option "on_data" must be a function or false, not boolean',
        wrong { on_data = true })
      assert.equal('option "user_agent" must be a string, not boolean', wrong { user_agent = true })
    end)

    it("have bounds", function()
      local function wrong(t) return raised(core.options, t).message end
      local text = 'option "timeout.total" must be a whole number of at least 1, not '
      for value, shown in pairs { [0] = "0", [-1] = "-1", [1.5] = "1.5", [math.huge] = "inf",
        [2^63] = "9.2233720368548e+18" } do
        assert.equal(text .. shown, wrong { timeout = value })
      end
      matches("^" .. text .. "%-?nan$", wrong { timeout = 0 / 0 })
      assert.is_truthy(core.options { timeout = math.maxinteger })
      assert.is_truthy(core.options { timeout = 1.0, max_body = 0 })
    end)

    it("can be switched off", function()
      assert.is_truthy(core.options { timeout = false, max_body = false, max_header_size = false,
        max_send_speed = false, max_recv_speed = false,
        user_agent = false, tcp_nodelay = false, fresh_connection = false, on_data = false,
        on_headers = false })
      assert.is_truthy(core.options { timeout = { connect = false } })
    end)

    it("are tables, and a base is an option set", function()
      assert_usage("bad_argument", "options must be a table, not string", core.options, "x")
      assert_usage("bad_argument", "options must be a table, not nil", core.options)
      assert_usage("bad_argument", "argument #2 must be an option set, not table",
        core.options, {}, {})
      assert_usage("bad_argument", "argument #2 must be an option set, not multisocket.easy",
        core.options, {}, core.easy())
    end)

    it("of headers are checked", function()
      local function wrong(headers) return raised(core.options, { headers = headers }).message end
      local values = 'header "a" must be a string, a number, a list of them or false, not '
      assert.equal(values .. "boolean", wrong { a = true })
      assert.equal(values .. "function", wrong { a = print })
      assert.equal(values .. "table", wrong { a = { {} } })
      assert.equal(values .. "nil", wrong { { "a" } })
      assert.equal("names of headers are strings, not boolean", wrong { [true] = "x" })
      assert.equal("names of headers are strings, not nil", wrong { {} })
      local list = 'option "headers" must be a map, or a list of { name, value }'
      assert.equal(list, wrong { { "a", "b" }, c = "d" })
      assert.equal(list, wrong { "a: b" })
    end)
  end)

  describe("request headers", function()
    -- The lines the server got, without those the engine adds.
    local function sent(opts, base)
      local options = core.options(opts, base and core.options(base))
      local p = peer.start { { { "request" },
        { "send", "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n" } } }
      local easy = core.easy()
      easy:begin(p:url(), options)
      d.multi:add_handle(easy)
      d:run()
      d.multi:remove_handle(easy)
      p:stop()
      local lines = {}
      for line in p:requests()[1]:gmatch("[^\r\n]+") do
        if not line:find("^Host") and not line:find("^GET") then lines[#lines + 1] = line end
      end
      return lines
    end

    it("come from a map", function()
      local plain = { user_agent = "me", decompress = false, headers = { Accept = false } }
      assert.same({ "User-Agent: me" }, sent(plain))
      assert.same({ "User-Agent: me", "X: 1" }, sent({ headers = { X = 1 } }, plain))
      assert.same({ "User-Agent: me", "X: 1.5", "X: b" }, sent({ headers = { X = { 1.5, "b" } } },
        plain))
      assert.same({ "User-Agent: me", "accept: x" }, sent({ headers = { accept = "x" } }, plain))
      assert.same({}, sent({ user_agent = false }, plain))
      assert.same({}, sent({ headers = { ["user-agent"] = {} } }, plain))
    end)

    it("come from a list, in its order", function()
      local base = { user_agent = false, decompress = false,
        headers = { { "Accept", false }, { "A", "old" } } }
      assert.same({ "A: old" }, sent({}, base))
      assert.same({ "B: 1", "a: 2", "A: 3" },
        sent({ headers = { { "B", "1" }, { "a", 2 }, { "A", "3" } } }, base))
      assert.same({ "A: x", "A: y", "A: z" },
        sent({ headers = { { "A", { "x", "y" } }, { "A", "z" } } }, base))
      assert.same({}, sent({ headers = { { "A", false } } }, base))
    end)

    it("with wrong content fail the transfer", function()
      for _, headers in ipairs { { [""] = "x" }, { ["a b"] = "x" }, { a = "x\r\ny: z" },
        { a = "x\0" }, { { "", "x" } } } do
        local res, err = run { url = server:url(), headers = headers }
        assert.is_nil(res)
        assert.equal("bad_header", err.code)
      end
    end)
  end)

  describe("a transfer", function()
    it("gives a response", function()
      local res, err, easy = run { url = server:url("/small") }
      assert.is_nil(err)
      assert.equal(200, res.status)
      assert.is_true(res.ok)
      assert.equal("OK", res.reason)
      assert.equal("1.1", res.version)
      assert.equal(server:url("/small"), res.url)
      assert.equal("hello, world\n", res.body)
      assert.equal(res.body, res.body)
      assert.is_false(res.reused)
      assert.equal(server.host .. ":" .. server.port, res.remote_address)
      assert.equal("GET", res.request.method)
      assert.equal(res.url, res.request.url)
      assert.equal(("%s:%d"):format(server.host, server.port), res.request.headers.host)
      assert.is_nil(res.nothing)
      assert.is_nil(res[1])
      assert.is_nil(res[nil])
      assert.equal("multisocket.response: 200 " .. res.url, tostring(res))
      assert.equal(res, easy:response())
    end)

    it("gives times in ms", function()
      local times = run({ url = server:url("/small") }).timings
      local before = 0
      for _, name in ipairs { "queue", "resolve", "connect", "send", "first_byte", "total" } do
        assert.equal("float", math.type(times[name]), name)
        assert.is_true(times[name] >= before, name)
        before = times[name]
      end
      assert.is_true(times.total > 0 and times.total < 10000)
    end)

    it("has headers without case, in order, and all of one name", function()
      local p = peer.start { { { "request" }, { "send", "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\n"
        .. "a: 3\r\nEach: e\r\nGet_All: g\r\nEmpty:\r\nContent-Length: 0\r\n\r\n" }, { "hang" } } }
      finally(function() p:stop() end)
      local h = run({ url = p:url() }).headers
      assert.equal("1", h.a)
      assert.equal("1", h["A"])
      assert.equal("", h.empty)
      assert.is_nil(h.c)
      assert.is_nil(h[1])
      assert.same({ "1", "3" }, h:get_all("a"))
      assert.same({ "e" }, h:get_all("each"))
      assert.same({ "g" }, h:get_all("GET_ALL"))
      assert.same({}, h:get_all("c"))
      assert.is_function(h.each)
      local lines = { "A:1", "B:2", "a:3", "Each:e", "Get_All:g", "Empty:", "Content-Length:0" }
      local got, again = {}, {}
      for name, value in h:each() do got[#got + 1] = name .. ":" .. value end
      for name, value in pairs(h) do again[#again + 1] = name .. ":" .. value end
      assert.same(lines, got)
      assert.same(lines, again)
      assert_usage("bad_argument", "the name of a header is a string, not nil", h.get_all, h)
    end)

    it("has trailers", function()
      local p = peer.start { { { "request" }, { "send", "HTTP/1.1 200 OK\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nAfter: all\r\n\r\n" }, { "hang" } } }
      finally(function() p:stop() end)
      local res = run { url = p:url() }
      assert.equal("x", res.body)
      assert.equal("all", res.trailers.after)
      assert.is_nil(res.headers.after)
    end)

    it("without a body has an empty one", function()
      assert.equal("", run({ url = server:url("/empty") }).body)
      assert.equal("", run({ url = server:url("/small"), method = "HEAD" }).body)
    end)

    it("sends a body", function()
      local res = run { url = server:url("/sink"), body = "hello\0world" }
      assert.equal("read 11 bytes\n", res.body)
    end)

    it("says why it failed", function()
      local url = ("http://127.0.0.1:%d/"):format(port.free())
      local res, err, easy = run { url = url }
      assert.is_nil(res)
      assert.equal("connect", err.category)
      assert.equal("connection_refused", err.code)
      assert.equal("connect", err.phase)
      assert.equal(url, err.url)
      assert.equal(111, err.errno)
      assert.is_true(err.retryable)
      assert.is_number(err.attempts)
      assert.is_nil(err.cause)
      matches("127%.0%.0%.1", err.message)
      matches("^connection_refused: ", tostring(err))
      assert.equal(0, easy:response().status)
    end)

    it("with a wrong URL fails", function()
      for url, code in pairs { [""] = "bad_url", ["x y"] = "bad_url",
        ["gopher://h/"] = "unsupported_scheme" } do
        local _, err = run { url = url }
        assert.equal(code, err.code)
        assert.equal("queue", err.phase)
        assert.is_false(err.retryable)
      end
      assert.equal("bad_url", select(2, run {}).code)
    end)

    it("ends after its time", function()
      local p = peer.start { { { "request" }, { "hang" } } }
      finally(function() p:stop() end)
      local _, err = run { url = p:url(), timeout = 20 }
      assert.equal("timed_out", err.code)
      assert.equal("timeout", err.category)
    end)

    it("ends at its size limit", function()
      local _, err = run { url = server:url("/bytes/1000"), max_body = 999 }
      assert.equal("body_too_large", err.code)
    end)

    it("reuses a connection", function()
      run { url = server:url("/small") }
      assert.is_true(run({ url = server:url("/small") }).reused)
      assert.is_false(run({ url = server:url("/small"), fresh_connection = true }).reused)
    end)
  end)

  describe("an easy handle", function()
    it("is used again", function()
      local easy = core.easy { url = server:url("/bytes/1") }
      for _, size in ipairs { 1, 10000, 0, 100 } do
        easy:setopt { url = server:url("/bytes/" .. size) }
        d.multi:add_handle(easy)
        d:run()
        assert.equal(easy, (d.multi:info_read()))
        assert.equal(size, #easy:response().body)
        d.multi:remove_handle(easy)
      end
    end)

    it("takes options and URL at once", function()
      local easy = core.easy()
      assert_usage("bad_argument", "url must be a string, not number", easy.begin, easy, 1,
        core.options {})
      assert_usage("bad_argument", "argument #3 must be an option set, not table", easy.begin, easy,
        "http://h/", {})
      easy:begin(server:url("/inspect"), core.options { method = "PUT" })
      d.multi:add_handle(easy)
      local err = raised(easy.begin, easy, "http://h/", core.options {})
      assert.equal("already_added", err.code)
      d:run()
      d.multi:remove_handle(easy)
      matches("method: PUT", easy:take().body)
    end)

    it("makes its response once", function()
      local _, _, easy = run { url = server:url("/small") }
      local res = easy:response()
      assert.equal(res, easy:response())
      assert.equal(res, easy:take())
      assert.not_equal(res, easy:take()) -- taken: the next is another one
      assert.equal("hello, world\n", easy:take().body)
      assert.equal("hello, world\n", res.body)
      assert.is_nil(core.easy():response())
      assert.is_nil(core.easy():take())
    end)

    it("keeps a response apart from the next run", function()
      local first, _, easy = run { url = server:url("/bytes/100") }
      easy:setopt { url = server:url("/small") }
      d.multi:add_handle(easy)
      assert.is_nil(easy:response())
      assert.is_nil(easy:take())
      d:run()
      assert.equal(100, #first.body)
      assert.equal("hello, world\n", easy:response().body)
      d.multi:remove_handle(easy)
    end)

    it("tells what is known", function()
      local _, _, easy = run { url = server:url("/small") }
      assert.equal(200, easy:getinfo("status"))
      assert.equal(server:url("/small"), easy:getinfo("url"))
      assert.equal("hello, world\n", easy:getinfo("body"))
      assert.equal(easy:response().timings.total, easy:getinfo("total"))
      assert.equal(easy:response().headers, easy:getinfo("headers"))
      assert.is_nil(core.easy():getinfo("status"))
      assert_usage("bad_argument", 'there is no information called "colour"', easy.getinfo, easy,
        "colour")
      assert_usage("bad_argument", "argument #2 must be a string, not nil", easy.getinfo, easy)
    end)

    it("tells what is known while it runs", function()
      local seen
      local easy = core.easy { url = server:url("/small") }
      easy:setopt { on_headers = function()
        seen = { easy:getinfo("status"), easy:getinfo("url"), easy:getinfo("headers").connection,
          easy:getinfo("timings").connect > 0, easy:getinfo("body") }
      end }
      d.multi:add_handle(easy)
      d:run()
      d.multi:remove_handle(easy)
      assert.same({ 200, server:url("/small"), "keep-alive", true }, seen)
    end)

    it("is blank after a reset", function()
      local easy = core.easy { url = server:url("/small"), on_data = error }
      easy:oneshot(true)
      d.multi:add_handle(easy)
      easy:reset()
      assert.equal(0, d.multi:running())
      assert.same({}, d.multi:handles())
      assert.is_nil(easy:response())
      d.multi:add_handle(easy)
      d:run()
      assert.equal("bad_url", select(3, d.multi:info_read()).code)
      d.multi:remove_handle(easy)
    end)

    it("changes nothing when one of its options is wrong", function()
      local easy = core.easy { url = server:url("/small") }
      raised(easy.setopt, easy, { url = "http://nowhere.invalid/", timeout = "x" })
      raised(easy.setopt, easy, { url = 5 })
      raised(easy.setopt, easy, { on_data = print, method = 5 })
      d.multi:add_handle(easy)
      d:run()
      d.multi:remove_handle(easy)
      assert.equal("hello, world\n", easy:response().body)
    end)

    it("leaves when it is one-shot", function()
      local told
      d.multi:setopt { donefunction = function(easy, ok) told = { easy, ok } end }
      local easy = core.easy { url = server:url("/small") }
      easy:oneshot(true)
      d.multi:add_handle(easy)
      d:run()
      assert.same({ easy, true }, told)
      assert.is_nil(d.multi:info_read())
      assert.same({}, d.multi:handles())
      assert.equal("hello, world\n", easy:take().body)
      assert_usage("bad_argument", "argument #2 must be a boolean, not nil", easy.oneshot, easy)
    end)

    it("is safe when closed", function()
      local easy = core.easy { url = server:url("/small") }
      d.multi:add_handle(easy)
      easy:close()
      easy:close()
      assert.equal(0, d.multi:running())
      assert.is_nil(easy:response())
      assert.is_nil(easy:take())
      assert.is_nil(easy:getinfo("status"))
      easy:pause(core.PAUSE_ALL)
      assert.is_true(d.multi:remove_handle(easy))
      for _, name in ipairs { "setopt", "reset", "oneshot" } do
        assert_usage("closed", "the easy handle is closed", easy[name], easy, {})
      end
      assert_usage("closed", "the easy handle is closed", d.multi.add_handle, d.multi, easy)
      assert_usage("closed", "the easy handle is closed", easy.begin, easy, "x", core.options {})
    end)

    it("is closed by its scope", function()
      do
        local easy <close> = core.easy { url = server:url("/small") }
        d.multi:add_handle(easy)
      end
      assert.equal(0, d.multi:running())
    end)
  end)

  describe("callbacks of an easy", function()
    it("get the head and the body", function()
      local head, chunks = nil, {}
      local res = run { url = server:url("/bytes/1000000"),
        on_headers = function(...)
          assert.equal(1, select("#", ...))
          head = ...
        end,
        on_data = function(chunk) chunks[#chunks + 1] = chunk end }
      assert.equal(200, head.status)
      assert.equal("OK", head.reason)
      assert.equal("1.1", head.version)
      assert.is_false(head.informational)
      assert.equal("1000000", head.headers["content-length"])
      assert.is_true(#chunks > 1)
      assert.equal(nginx.big_body():sub(1, 1000000), table.concat(chunks))
      assert.is_nil(res.body)
    end)

    it("hear of every head", function()
      local p = peer.start { { { "request" }, { "send",
        "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
        .. "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }, { "hang" } } }
      finally(function() p:stop() end)
      local heads = {}
      run { url = p:url(), on_headers = function(head) heads[#heads + 1] = head end }
      assert.equal(2, #heads)
      assert.same({ 103, true, "a" }, { heads[1].status, heads[1].informational,
        heads[1].headers.link })
      assert.same({ 200, false, nil }, { heads[2].status, heads[2].informational,
        heads[2].headers.link })
    end)

    it("that raise end their transfer only, with the original value", function()
      for _, name in ipairs { "on_headers", "on_data" } do
        local value = setmetatable({}, { __tostring = function() error("never called") end })
        local other = core.easy { url = server:url("/slow"), timeout = 60000 }
        d.multi:add_handle(other)
        local easy = core.easy { url = server:url("/small"), [name] = function() error(value) end }
        d.multi:add_handle(easy)
        d:run(function() return d.multi:running() == 1 end)
        local done, ok, err, left = d.multi:info_read()
        assert.same({ easy, false, 0 }, { done, ok, left })
        assert.equal("callback_error", err.code)
        assert.equal("callback", err.category)
        assert.is_true(rawequal(value, err.cause))
        matches("core_spec.lua", err.traceback)
        d.multi:remove_handle(other)
        d.multi:remove_handle(easy)
      end
    end)

    it("cannot yield", function()
      local _, err = coroutine.wrap(function()
        return run { url = server:url("/small"), on_data = coroutine.yield }
      end)()
      assert.equal("callback_error", err.code)
      matches("attempt to yield", err.cause)
    end)

    it("are those the run began with", function()
      local got = {}
      local easy = core.easy { url = server:url("/bytes/100000"), on_data = function(chunk)
        got[#got + 1] = chunk
      end }
      d.multi:add_handle(easy)
      easy:setopt { on_data = error, timeout = 50000 }
      d:run()
      assert.is_true((select(2, d.multi:info_read())))
      assert.equal(100000, #table.concat(got))
      d.multi:remove_handle(easy)
      easy:setopt { on_data = false }
      d.multi:add_handle(easy)
      d:run()
      assert.equal(100000, #easy:response().body)
      d.multi:remove_handle(easy)
    end)

    it("come with options too, and go with them", function()
      local got
      local with = core.options({}, core.options { on_data = function(chunk) got = chunk end })
      local easy = core.easy()
      for _, case in ipairs { { with, "hello, world\n" }, { core.options {}, nil },
        { core.options({ on_data = false }, with), nil } } do
        got = nil
        easy:begin(server:url("/small"), case[1])
        d.multi:add_handle(easy)
        d:run()
        d.multi:remove_handle(easy)
        assert.equal(case[2], got)
        assert.equal(case[2] == nil, easy:take().body ~= nil)
      end
    end)

    it("may remove, close and add", function()
      local acts = {
        function(easy) d.multi:remove_handle(easy) end,
        function(easy) easy:close() end,
        function(easy) easy:reset() end,
        function(easy)
          d.multi:remove_handle(easy)
          assert.is_truthy(easy:take())
          collectgarbage()
        end,
        function(easy)
          d.multi:remove_handle(easy)
          easy:setopt { url = server:url("/small"), on_data = false, on_headers = false }
          d.multi:add_handle(easy)
        end,
      }
      for _, name in ipairs { "on_headers", "on_data" } do
        for i, act in ipairs(acts) do
          local calls = 0
          local easy = core.easy { url = server:url("/bytes/1000000") }
          easy:setopt { [name] = function()
            calls = calls + 1
            act(easy)
            collectgarbage()
          end }
          d.multi:add_handle(easy)
          d:run()
          assert.equal(1, calls, name .. i)
          assert.equal(i == #acts and easy or nil, (d.multi:info_read()))
          d.multi:remove_handle(easy)
        end
      end
    end)

    it("that raise after removing their easy are reported", function()
      local quiet, errors = with_errors()
      finally(function() quiet:close() end)
      local easy = core.easy { url = server:url("/small") }
      easy:setopt { on_data = function()
        quiet.multi:remove_handle(easy)
        error("too late", 0)
      end }
      quiet.multi:add_handle(easy)
      quiet:run()
      assert.equal("too late", errors[1].err)
      assert.is_nil(quiet.multi:info_read())
    end)
  end)

  describe("pausing", function()
    it("holds the body back and goes on", function()
      local size, easy = 0, core.easy { url = server:url("/bytes/1000000") }
      easy:setopt { on_data = function(chunk)
        size = size + #chunk
        easy:pause(core.PAUSE_RECV)
      end }
      d.multi:add_handle(easy)
      local pauses = 0
      while d.multi:running() > 0 do
        local before = size
        d:run(function() return size > before or d.multi:running() == 0 end)
        for _ = 1, 3 do d.multi:socket_action(core.SOCKET_TIMEOUT, 0) end
        easy:pause(core.PAUSE_CONT)
        pauses = pauses + 1
      end
      assert.equal(1000000, size)
      assert.is_true(pauses > 3)
      d.multi:remove_handle(easy)
    end)

    it("takes a mask", function()
      local easy = core.easy()
      assert_usage("bad_argument", "argument #2 must be a number, not nil", easy.pause, easy)
      assert_usage("bad_argument", "argument #2 must be a whole number from 0 to 5, not 8",
        easy.pause, easy, 8)
      assert_usage("bad_argument", "a pause mask is made of PAUSE_RECV and PAUSE_SEND", easy.pause,
        easy, 2)
    end)
  end)
end)
