-- SPDX-License-Identifier: MIT
--
-- Everything that the C module exports has a row: one good use of it, and what
-- it says to bad ones. A new name without a row fails.
local core = require "multisocket.core"
local ms = require "multisocket"
local async = require "spec.support.async"
local drive = require "spec.support.drive"
local peer = require "spec.support.peer"
local surface = require "spec.support.surface"

local SERVE = { { { "request" },
  { "send", "HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\nok" }, { "repeat" } } }

local function nothing() end

local function bad(...) return table.pack(...) end

local function add(list, more)
  for _, item in ipairs(more) do list[#list + 1] = item end
  return list
end

-- The methods of a type of the C module.
local function methods_of(name) return debug.getregistry()["multisocket." .. name].__index end

-- Argument #1 is something else.
local function wrong(fn, wanted, ...)
  local words = ("argument #1 must be %s, not "):format(wanted)
  return {
    bad("bad_argument", words .. "nil", fn), bad("bad_argument", words .. "table", fn, {}, ...),
    bad("bad_argument", words .. "string", fn, "x", ...),
    bad("bad_argument", words .. "FILE*", fn, io.stdout, ...),
    bad("bad_argument", words .. "multisocket.options", fn, core.options({}), ...),
  }
end

local p

setup(function() p = peer.start(SERVE) end)
teardown(function() p:stop() end)

-- An easy that ran to its end in a multi of its own.
local function finished(opts)
  local d <close> = drive.new()
  local easy = core.easy({ url = p:url() })
  easy:setopt(opts or {})
  d.multi:add_handle(easy)
  d:run()
  d.multi:remove_handle(easy)
  return easy
end

describe("surface: a multi handle", function()
  local M = methods_of("multi")

  local function checked(name, good, more)
    return { good = good, bad = add(wrong(M[name], "a multi handle"), more or {}) }
  end

  local d, m, easy, other, closed, elsewhere, gone

  local function transfers()
    local EASY = "argument #2 must be an easy handle, not "
    local FD = "argument #2 must be a number, not nil"
    return {
      add_handle = checked("add_handle", function()
        local one = core.easy({ url = p:url() })
        assert.is_true(m:add_handle(one))
        m:remove_handle(one)
      end, {
        bad("bad_argument", EASY .. "nil", M.add_handle, m),
        bad("bad_argument", EASY .. "multisocket.multi", M.add_handle, m, m),
        bad("already_added", "add_handle: ", M.add_handle, m, elsewhere),
        bad("closed", "add_handle: the handle is closed", M.add_handle, closed, core.easy()),
        bad("closed", "the easy handle is closed", M.add_handle, m, gone) }),
      remove_handle = checked("remove_handle", function()
        assert.is_true(m:remove_handle(easy))
        assert.is_true(m:remove_handle(easy))
        assert.is_true(m:remove_handle(gone))
        assert.is_true(closed:remove_handle(easy))
      end, { bad("bad_argument", EASY .. "string", M.remove_handle, m, "x"),
        bad("bad_argument", "the easy handle is in another multi handle", M.remove_handle, m,
          elsewhere) }),
      socket_action = checked("socket_action", function()
        assert.equal(m:running(), m:socket_action(core.SOCKET_TIMEOUT, 0))
        assert.equal(0, closed:socket_action(core.SOCKET_TIMEOUT, 0))
        assert.equal(m:running(), m:socket_action(1 << 20, core.CSELECT_IN)) -- nobody's
      end, { bad("bad_argument", FD, M.socket_action, m),
        bad("bad_argument", "argument #2 must be a whole number from ", M.socket_action, m,
          1 << 40),
        bad("bad_argument", "argument #3 must be a whole number from 0 to 7, not 8",
          M.socket_action, m, 1, 8),
        bad("bad_argument", "argument #3 must be a number, not string", M.socket_action, m, 1,
          "1") }),
      info_read = checked("info_read", function()
        assert.is_nil(closed:info_read())
        m:add_handle(easy)
        d:run()
        local done, ok, err, left = m:info_read()
        assert.same({ easy, true, nil, 0 }, { done, ok, err, left })
        m:remove_handle(easy)
      end),
      assign = checked("assign", function()
        local ok, err = m:assign(1 << 20, "value")
        assert.is_nil(ok)
        assert.equal("usage", err.category)
        assert.is_nil((closed:assign(1, 1)))
      end, { bad("bad_argument", FD, M.assign, m) }),
    }
  end

  local function state(rows)
    for name, row in pairs({
      setopt = checked("setopt", function()
        m:setopt({ max_idle = 5 })
        closed:setopt({ max_idle = 5 })
      end, { bad("bad_argument", "options must be a table, not nil", M.setopt, m),
        bad("bad_option", 'unknown option "x"', M.setopt, m, { x = 1 }),
        bad("bad_option", 'option "max_idle" must be', M.setopt, m, { max_idle = "1" }) }),
      timeout = checked("timeout", function() assert.is_nil(closed:timeout()) end),
      network_changed = checked("network_changed", function()
        assert.is_nil(m:network_changed())
        closed:network_changed()
      end),
      perform = checked("perform", function()
        assert.equal(m:running(), m:perform())
        assert.equal(0, closed:perform())
      end),
      poll = checked("poll", function()
        assert.equal(0, m:poll(0))
        assert.equal(0, m:poll(0, {}))
      end, { bad("bad_argument", "argument #2 must be a number, not nil", M.poll, m),
        bad("bad_argument", "extra_fds must be a table, not number", M.poll, m, 0, 1) }),
      waitfds = checked("waitfds", function() assert.same({}, closed:waitfds()) end),
      wakeup = checked("wakeup", function()
        m:wakeup()
        closed:wakeup()
      end),
      waker = checked("waker", function() assert.is_true(m:waker() > 0) end),
      dump = checked("dump", function()
        assert.matches("running", m:dump())
        assert.matches("^closed", closed:dump())
      end),
      answer = checked("answer", function()
        assert.is_false(m:answer(1, {}))
        assert.is_false(m:answer(1, nil))
        assert.is_false(closed:answer(1, { "::1" }))
      end, { bad("bad_argument", "argument #2 must be a number, not nil", M.answer, m),
        bad("bad_argument", "argument #2 must be a whole number from 0", M.answer, m, -1),
        bad("bad_argument", "a list of addresses or nil, not string", M.answer, m, 1, "::1"),
        bad("bad_argument", "addresses are strings, not number", M.answer, m, 1, { 1 }),
        bad("bad_argument", "not all of these are addresses", M.answer, m, 1, { "a" }) }),
      running = checked("running", function()
        assert.equal(0, m:running())
        assert.equal(1, other:running())
        assert.equal(0, closed:running())
      end),
      forked = checked("forked", function() assert.is_false(m:forked()) end),
      handles = checked("handles", function()
        assert.same({ elsewhere }, other:handles())
        assert.same({}, closed:handles())
      end),
      sockets = checked("sockets", function() assert.same({}, closed:sockets()) end),
      stats = checked("stats", function()
        assert.equal(1, other:stats().running)
        assert.equal(0, closed:stats().running)
      end),
      check = checked("check", function() m:check() end),
      close = checked("close", function()
        local one = core.multi({})
        one:close()
        one:close()
      end),
    }) do rows[name] = row end
    return rows
  end

  it("has a good and a bad use of every method", async(function()
    d = drive.new()
    m, easy = d.multi, core.easy({ url = p:url() })
    other, closed = core.multi({}), core.multi({})
    elsewhere, gone = core.easy({ url = p:url() }), core.easy()
    other:add_handle(elsewhere)
    closed:close()
    gone:close()
    surface.check({ names = surface.names_of(M), rows = state(transfers()) })
    assert.same({ elsewhere }, other:handles())
    other:close()
    d:close()
  end))
end)

describe("surface: an easy handle", function()
  local E = methods_of("easy")

  local function checked(name, good, more)
    return { good = good, bad = add(wrong(E[name], "an easy handle"), more or {}) }
  end

  it("has a good and a bad use of every method", async(function()
    local easy, gone, multi = core.easy({ url = p:url() }), core.easy(), core.multi({})
    local added = core.easy({ url = p:url() })
    multi:add_handle(added)
    gone:close()
    local CLOSED = "the easy handle is closed"
    local options = core.options({})
    local rows = {
      setopt = checked("setopt", function()
        easy:setopt({ method = "PUT" })
        added:setopt({ method = "PUT" }) -- of the next run
        easy:setopt({ method = "GET" })
      end, { bad("bad_argument", "options must be a table, not nil", E.setopt, easy),
        bad("closed", CLOSED, E.setopt, gone, {}),
        bad("bad_argument", "url must be a string, not number", E.setopt, easy, { url = 1 }),
        bad("bad_option", 'unknown option "ulr"', E.setopt, easy, { method = "PUT", ulr = 1 }) }),
      getinfo = checked("getinfo", function()
        assert.equal(200, finished():getinfo("status"))
        assert.is_nil(easy:getinfo("status"))
        assert.is_nil(gone:getinfo("total"))
      end, { bad("bad_argument", "argument #2 must be a string, not nil", E.getinfo, easy),
        bad("bad_argument", 'there is no information called "colour"', E.getinfo, easy,
          "colour") }),
      pause = checked("pause", function()
        added:pause(core.PAUSE_ALL)
        added:pause(core.PAUSE_CONT)
        easy:pause(core.PAUSE_RECV)
        gone:pause(core.PAUSE_RECV)
      end, { bad("bad_argument", "argument #2 must be a number, not nil", E.pause, easy),
        bad("bad_argument", "argument #2 must be a whole number from 0 to 5, not 6", E.pause,
          easy, 6),
        bad("bad_argument", "a pause mask is made of", E.pause, easy, 2) }),
      response = checked("response", function()
        assert.equal("ok", finished():response().body)
        assert.is_nil(added:response())
        assert.is_nil(gone:response())
      end),
      take = checked("take", function()
        assert.equal("ok", finished():take().body)
        assert.is_nil(gone:take())
      end),
      snapshot = checked("snapshot", function()
        assert.equal(0, added:snapshot().status)
        assert.is_nil(gone:snapshot())
      end),
      begin = checked("begin", function() easy:begin(p:url(), options) end, {
        bad("bad_argument", "url must be a string, not nil", E.begin, easy, nil, options),
        bad("bad_argument", "argument #3 must be an option set, not nil", E.begin, easy,
          "http://h"),
        bad("already_added", "begin: ", E.begin, added, "http://h", options),
        bad("closed", CLOSED, E.begin, gone, "http://h", options) }),
      oneshot = checked("oneshot", function() easy:oneshot(false) end, {
        bad("bad_argument", "argument #2 must be a boolean, not nil", E.oneshot, easy),
        bad("closed", CLOSED, E.oneshot, gone, true) }),
      reset = checked("reset", function()
        local one = finished()
        one:reset()
        assert.is_nil(one:response())
      end, { bad("closed", CLOSED, E.reset, gone) }),
      close = checked("close", function()
        local one = core.easy()
        one:close()
        one:close()
      end),
    }
    surface.check({ names = surface.names_of(E), rows = rows })
    assert.same({ added }, multi:handles())
    multi:close()
  end))
end)

describe("surface: headers", function()
  it("have a good and a bad use of every method", async(function()
    local headers = finished():response().headers
    local methods = debug.getregistry()["multisocket.header_methods"]
    local words = "argument #1 must be headers, not "
    surface.check({ names = surface.names_of(methods), rows = {
      get_all = {
        good = function()
          assert.same({ "1", "2" }, headers:get_all("X-A"))
          assert.same({}, headers:get_all(""))
          assert.equal("1", headers["X-A"])
          assert.is_nil(headers[1])
        end,
        bad = { bad("bad_argument", words .. "table", methods.get_all, {}, "x"),
          bad("bad_argument", words .. "nil", methods.get_all),
          bad("bad_argument", "the name of a header is a string, not nil", methods.get_all,
            headers),
          bad("bad_argument", "the name of a header is a string, not number", methods.get_all,
            headers, 1) },
      },
      each = {
        good = function()
          local names = {}
          for name in headers:each() do names[#names + 1] = name end
          assert.same({ "X-A", "x-a", "Content-Length" }, names)
        end,
        bad = { bad("bad_argument", words .. "table", methods.each, {}),
          bad("bad_argument", words .. "nil", methods.each) },
      },
    } })
    assert.is_false((pcall(function() headers.x = 1 end)))
  end))
end)

describe("surface: what drivers and uploads are made of:", function()
  it("an upload", async(function()
    local U = methods_of("upload")
    local upload, waiting = core.upload(4, nothing), core.upload(nil, nothing)
    surface.check({ names = surface.names_of(U), rows = {
      write = {
        good = function() upload:write("abcd") end,
        bad = add(wrong(U.write, "an upload", "x"), {
          bad("bad_argument", "a piece of a body is a string, not number", U.write, waiting, 1),
          bad("wrong_context", "the upload is not waiting for a piece", function()
            local one = core.upload(4, nothing)
            one:write("ab")
            one:write("cd")
          end) }),
      },
      write_file = {
        good = function()
          local file <close> = assert(io.open("/dev/null"))
          local one = core.upload(4, nothing)
          assert.is_true(one:write_file(file, 0, 4))
          one:drop()
        end,
        bad = add(wrong(U.write_file, "an upload", "x"), {
          bad("bad_argument", "argument #2 must be an open file, not string", U.write_file,
            core.upload(4, nothing), "x", 0, 4),
          bad("wrong_context", "the upload is not waiting for a piece", function()
            local file <close> = assert(io.open("/dev/null"))
            local one = core.upload(4, nothing)
            assert(one:write_file(file, 0, 4))
            one:write_file(file, 0, 4)
          end) }),
      },
      drop = {
        good = function() core.upload(4, nothing):drop() end,
        bad = wrong(U.drop, "an upload"),
      },
      finish = {
        good = function() core.upload(0, nothing):finish() end,
        bad = add(wrong(U.finish, "an upload"), {
          bad("wrong_context", "the upload is not waiting for a piece", function()
            local one = core.upload(0, nothing)
            one:finish()
            one:finish()
          end) }),
      },
    } })
  end))

  it("an epoll set", async(function()
    local S = methods_of("epoll")
    local set, closed, multi = core.epoll(), core.epoll(), core.multi({})
    local other = core.epoll()
    closed:close()
    local function checked(good, fn, more)
      return { good = good, bad = add(wrong(fn, "an epoll set"), more or {}) }
    end
    surface.check({ names = surface.names_of(S), rows = {
      fd = checked(function()
        assert.equal("integer", math.type(set:fd()))
        assert.is_nil(closed:fd())
      end, S.fd),
      watch = checked(function()
        set:watch(other:fd(), core.POLL_IN)
        set:watch(other:fd(), core.POLL_REMOVE)
        set:watch(other:fd(), core.POLL_REMOVE)
        closed:watch(other:fd(), core.POLL_IN)
      end, S.watch, { bad("bad_argument", "argument #2 must be a number, not nil", S.watch, set),
        bad("bad_argument", "argument #2 must be a whole number from 0 to", S.watch, set, -1, 1),
        bad("bad_argument", "argument #3 must be a whole number from 1 to 4, not 5", S.watch, set,
          0, 5) }),
      dispatch = checked(function()
        assert.equal(0, set:dispatch(multi))
        assert.equal(0, closed:dispatch(multi))
      end, S.dispatch, {
        bad("bad_argument", "argument #2 must be a multi handle, not nil", S.dispatch, set) }),
      hold = checked(function()
        set:hold(true)
        closed:hold(false)
      end, S.hold),
      note = checked(function()
        set:note()
        closed:note()
      end, S.note),
      close = checked(function()
        local one = core.epoll()
        one:close()
        one:close()
      end, S.close),
    } })
    for _, one in ipairs({ set, other, multi }) do one:close() end
  end))

  it("a pump", async(function()
    local P = methods_of("pump")
    local pump, set, closed, multi = core.pump(), core.epoll(), core.epoll(), core.multi({})
    closed:close()
    local function checked(good, fn, more)
      return { good = good, bad = add(wrong(fn, "a pump"), more or {}) }
    end
    local function soon() return 1 end
    local FUNCTION = "argument #%d must be a function, not "
    surface.check({ names = surface.names_of(P), rows = {
      ready = checked(function()
        local ready = pump:ready(set, multi, {}, nothing, "not here")
        assert.same({ false, "not here" }, { pcall(ready) }) -- this is a coroutine
      end, P.ready, {
        bad("bad_argument", "argument #2 must be an epoll set, not nil", P.ready, pump),
        bad("bad_argument", "argument #3 must be a multi handle, not nil", P.ready, pump, set),
        bad("bad_argument", FUNCTION:format(5), P.ready, pump, set, multi, {}),
        bad("bad_argument", "the epoll set is closed", P.ready, pump, closed, multi, {},
          nothing) }),
      forget = checked(function()
        pump:forget(set)
        pump:forget(set)
        pump:forget(closed)
      end, P.forget, {
        bad("bad_argument", "argument #2 must be an epoll set, not nil", P.forget, pump) }),
      turns = checked(function()
        local function run(mode) return mode end
        assert.equal("nowait", pump:turns(set:fd(), soon, nothing, run))
      end, P.turns, {
        bad("bad_argument", "argument #2 must be a number, not nil", P.turns, pump),
        bad("bad_argument", "argument #2 must be a whole number from 0", P.turns, pump, -1),
        bad("bad_argument", FUNCTION:format(3), P.turns, pump, 0),
        bad("bad_argument", FUNCTION:format(5), P.turns, pump, 0, nothing, nothing) }),
      stop = checked(function() pump:stop() end, P.stop),
      exit = checked(function() core.pump():exit() end, P.exit),
      inside = checked(function() assert.is_false(pump:inside()) end, P.inside),
    } })
    for _, one in ipairs({ set, multi }) do one:close() end
  end))

  it("a turn", async(function()
    local T = methods_of("turn")
    local turn = core.turn({}, nothing, nothing, nothing)
    local easy = core.easy()
    local function checked(good, fn, more)
      return { good = good, bad = add(wrong(fn, "a turn"), more or {}) }
    end
    surface.check({ names = surface.names_of(T), rows = {
      take = checked(function()
        assert.is_true(turn:take())
        assert.is_false(turn:take())
        turn:give()
      end, T.take),
      give = checked(function() turn:give() end, T.give),
      queue = checked(function() assert.is_false(turn:queue()) end, T.queue),
      watch = checked(function() turn:watch(true) end, T.watch),
      resume = checked(function() turn:resume(easy) end, T.resume, {
        bad("bad_argument", "argument #2 must be an easy handle, not nil", T.resume, turn) }),
      adopt = { why = "good uses are wrap's (wrap_spec)", good = nothing,
        bad = add(wrong(T.adopt, "a turn"), {
          bad("wrong_context", "nobody waits for this easy", T.adopt, turn, easy, {}) }) },
    } })
  end))
end)

describe("surface: the module multisocket.core", function()
  local FUNCTION = "argument #%d must be a function, not nil"
  local rows = {}

  local function values()
    for name, value in pairs({ POLL_IN = 1, POLL_OUT = 2, POLL_INOUT = 3, POLL_REMOVE = 4,
      CSELECT_IN = 1, CSELECT_OUT = 2, CSELECT_ERR = 4, SOCKET_TIMEOUT = -1, PAUSE_CONT = 0,
      PAUSE_RECV = 1, PAUSE_SEND = 4, PAUSE_ALL = 5, version = ms.version }) do
      rows[name] = { good = function() assert.equal(value, core[name]) end, why = "a constant" }
    end
    rows.response_methods = {
      good = function() assert.is_function(core.response_methods.read) end,
      why = "a table; what is in it has rows in surface_spec",
    }
    rows.features = {
      good = function() assert.is_boolean(core.features().tls) end, why = "takes nothing",
    }
    for _, name in ipairs({ "option_names", "multi_option_names" }) do
      rows[name] = { good = function() assert.is_string(core[name]()[1]) end,
        why = "takes nothing" }
    end
    rows.option_scopes = {
      good = function() assert.equal("same", core.option_scopes()["timeout.total"]) end,
      why = "takes nothing",
    }
  end

  local function texts()
    rows.url = {
      good = function() assert.equal("http://h/", core.url("http://h").href) end,
      bad = { bad("bad_argument", "the URL must be a string, not nil", core.url) },
    }
    rows.iconv = {
      good = function()
        assert.equal("é", core.iconv("\xE9", "CP1252"))
        assert.is_nil(core.iconv("x", "no such thing"))
      end,
      bad = { bad("bad_argument", "argument #1 must be a string, not nil", core.iconv),
        bad("bad_argument", "argument #2 must be a string, not table", core.iconv, "x", {}) },
    }
    rows.jar = { good = function() core.jar():clear() end, why = "takes nothing" }
    rows.registrable_domain = {
      good = function() assert.is_nil(core.registrable_domain("com")) end,
      bad = { bad("bad_argument", "the host must be a string, not number",
        core.registrable_domain, 1) },
    }
    rows.shown_url = {
      good = function()
        for text, shown in pairs({ ["http://u:p@h/a@b"] = "http://h/a@b", ["//u@h"] = "//h",
          ["HTTPS:\\\\u:p@q@h?a@b"] = "HTTPS:\\\\h?a@b", ["http:u:p@h#@"] = "http:h#@",
          ["http://h/"] = "http://h/", ["/a@b"] = "/a@b", [""] = "", ["u@h/"] = "u@h/",
          ["x:u@h"] = "x:h", [":@"] = ":", ["https://u:p/p@h/"] = "https://h/",
          ["http:\t/\n/u:p@h"] = "http:\t/\n/h", ["e.com/@u"] = "e.com/@u",
          ["/x://u:p@h"] = "h", ["ftp://u:p#@p@h/"] = "ftp://h/" }) do
          assert.equal(shown, core.shown_url(text))
        end
      end,
      bad = { bad("bad_argument", "the URL must be a string, not nil", core.shown_url) },
    }
    rows.http_date = {
      good = function()
        assert.equal(784111777, core.http_date("Sun, 06 Nov 1994 08:49:37 GMT"))
      end,
      bad = { bad("bad_argument", "a date must be a string, not nil", core.http_date) },
    }
  end

  local function handles()
    local TABLE = "options must be a table, not "
    rows.multi = {
      good = function() core.multi({ max_idle = 1 }):close() end,
      bad = { bad("bad_argument", TABLE .. "string", core.multi, "x"),
        bad("bad_option", "option names are strings, not number", core.multi, { 1 }) },
    }
    rows.easy = {
      good = function() core.easy({ url = "http://h" }):close() end,
      bad = { bad("bad_argument", TABLE .. "string", core.easy, "x"),
        bad("bad_argument", "url must be a string, not boolean", core.easy, { url = true }) },
    }
    rows.options = {
      good = function() core.options({ method = "PUT" }, core.options({})) end,
      bad = { bad("bad_argument", TABLE .. "nil", core.options),
        bad("bad_argument", "argument #2 must be an option set, not table", core.options, {}, {}),
        bad("bad_option", 'unknown option "url"', core.options, { url = "x" }) },
    }
    rows.error = {
      good = function()
        assert.equal("a: b", tostring(core.error({ code = "a", message = "b" })))
      end,
      bad = { bad("bad_argument", "an error must be a table, not nil", core.error) },
    }
    rows.is_error = {
      good = function()
        assert.is_true(core.is_error(core.error({})))
        for _, other in ipairs({ 1, "x", {}, core.easy() }) do
          assert.is_false(core.is_error(other))
        end
        assert.is_false(core.is_error())
      end,
      why = "takes anything",
    }
    local RESPONSE = "argument #1 must be a response, not "
    for name, fn in pairs({ attach = core.attach, attached = core.attached }) do
      rows[name] = {
        good = function()
          local res = finished():response()
          core.attach(res, name)
          assert.equal(name, core.attached(res))
        end,
        bad = { bad("bad_argument", RESPONSE .. "nil", fn),
          bad("bad_argument", RESPONSE .. "table", fn, {}) },
      }
    end
  end

  local function tools()
    rows.pump = { good = function() core.pump() end, why = "takes nothing" }
    rows.epoll = { good = function() core.epoll():close() end, why = "takes nothing" }
    rows.upload = {
      good = function() core.upload(3, nothing) end,
      bad = { bad("bad_argument", FUNCTION:format(2), core.upload, 1),
        bad("bad_argument", FUNCTION:format(2), core.upload),
        bad("bad_argument", "argument #1 must be a number, not string", core.upload, "1", nothing),
        bad("bad_argument", "argument #1 must be a whole number from 0 to", core.upload, -1,
          nothing) },
    }
    rows.bind = {
      good = function()
        local got
        core.bind(function(...) got = { ... } end, 1, 2)(3, 4)
        assert.same({ 1, 2, 3, 4 }, got)
      end,
      bad = { bad("bad_argument", FUNCTION:format(1), core.bind) },
    }
    rows.wait = {
      good = function()
        local set <close> = core.epoll()
        assert.is_false(core.wait(set:fd(), 0))
      end,
      bad = { bad("bad_argument", "argument #1 must be a number, not nil", core.wait),
        bad("bad_argument", "argument #1 must be a whole number from 0", core.wait, -1, 0),
        bad("bad_argument", "argument #2 must be a whole number from -1", core.wait, 0, -2) },
    }
    rows.resume = {
      good = function()
        local co = coroutine.create(coroutine.yield)
        assert.is_true(core.resume(co))
        assert.is_true(core.resume(co))
        assert.is_false((core.resume(co))) -- dead
      end,
      bad = { bad("bad_argument", "a coroutine is wanted", core.resume, print) },
    }
    rows.new_body = {
      good = function()
        local ended
        local t = setmetatable({}, { __close = nothing })
        local co = core.new_body(t, function(_, ok, a) ended = { ok, a } end, nothing,
          function(a) return a + 1 end, 1)
        assert.is_true(core.resume(co))
        assert.same({ true, 2 }, ended)
      end,
      bad = { bad("bad_argument", FUNCTION:format(4), core.new_body),
        bad("bad_argument", "argument #4 must be a function, not number", core.new_body, {},
          nothing, nothing, 1) },
    }
    rows.wake = { good = function() assert.is_false(core.wake(1)) end,
      bad = { bad("bad_argument", "argument #1 must be a number, not nil", core.wake) } }
    rows.turn = { good = function() core.turn({}, nothing, nothing, nothing) end,
      why = "for task.lua only" }
    rows.fetcher = {
      good = function()
        local multi = core.multi({})
        core.fetcher(multi, core.turn({}, nothing, nothing, nothing), nothing, core.options({}),
          nothing)
        multi:close()
      end,
      bad = { bad("bad_argument", "argument #1 must be a multi handle, not nil", core.fetcher),
        bad("bad_argument", "argument #2 must be a turn, not table", core.fetcher, core.multi({}),
          {}) },
    }
  end

  it("has a good and a bad use of every name", async(function()
    values()
    handles()
    texts()
    tools()
    surface.check({ names = surface.names_of(core), rows = rows })
  end))
end)
