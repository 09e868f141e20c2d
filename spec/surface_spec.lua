-- SPDX-License-Identifier: MIT
--
-- Everything public of the Lua modules has a row: one good use of it, and what
-- it says to bad ones. A new name without a row fails. (The C module's are in
-- core_surface_spec.lua.)
local core = require "multisocket.core"
local driver = require "multisocket.luv"
local ms = require "multisocket"
local uv = require "luv"
local async = require "spec.support.async"
local peer = require "spec.support.peer"
local server = require "spec.support.server"
local surface = require "spec.support.surface"

local until_true = surface.until_true

local METHODS = { "get", "head", "post", "put", "patch", "delete", "options" }
local STUCK = { { { "request" }, { "send", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345" },
  { "hang" } } }

local function nothing() end

-- Bad uses with trailing nils.
local function bad(...) return table.pack(...) end

local nginx

local function small() return nginx:url("/small") end

setup(function() nginx = server.start() end)
teardown(function() nginx:stop() end)

-- What every function that takes a URL and options refuses.
local function bad_calls(fn, ...)
  local first = table.pack(...)
  local function case(code, words, ...)
    local more, list = table.pack(...), { code, words, fn }
    for i = 1, first.n do list[#list + 1] = first[i] end
    local n = #list
    for i = 1, more.n do list[n + i] = more[i] end
    list.n = n + more.n
    return list
  end
  return {
    case("bad_argument", "the URL must be a string, not nil"),
    case("bad_argument", "the URL must be a string, not a number", 7),
    case("bad_argument", "the URL must be a string, not a boolean", { url = true }),
    case("bad_argument", "options must be a table, not a string", small(), "x"),
    case("bad_option", "the URL is given twice", small(), { url = small() }),
    case("bad_option", 'unknown option "timout" (did you mean "timeout"?)', small(),
      { timout = 1 }),
  }
end

local function add(list, more)
  for _, item in ipairs(more) do list[#list + 1] = item end
  return list
end

-- The functions named after methods, of `object` (ms or a client).
local function method_rows(rows, call, bad_of)
  for _, name in ipairs(METHODS) do
    rows[name] = {
      good = function()
        local res = assert(call(name, nginx:url("/inspect")))
        assert.equal(name:upper(), res.request.method)
        assert.equal(name == "head" and "" or "method: " .. name:upper(),
          res.body:match("^[^\n]*"))
      end,
      bad = bad_of(name),
    }
  end
  return rows
end

local function twice(name, fn, ...)
  local args = table.pack(...)
  local list = { "bad_option", ("the method is %s already"):format(name:upper()), fn }
  for i = 1, args.n do list[#list + 1] = args[i] end
  list[#list + 1] = small()
  list[#list + 1] = { method = "GET" }
  return list
end

describe("surface: multisocket", function()
  local rows

  local function ms_rows()
    return method_rows({}, function(name, url) return ms[name](url) end, function(name)
      return add(bad_calls(ms[name]), { twice(name, ms[name]) })
    end)
  end

  local function transfers()
    rows.fetch = {
      good = function() assert.equal("hello, world\n", assert(ms.fetch(small())).body) end,
      bad = bad_calls(ms.fetch),
    }
    rows.request = {
      good = function()
        local got
        ms.request(small(), function(err, res) got = { err, res.status } end)
        assert.is_nil(got)
        until_true(function() return got end)
        assert.same({ nil, 200 }, got)
      end,
      bad = add(bad_calls(function(...) return ms.request((...), (select(2, ...)), nothing) end), {
        bad("bad_argument", "the callback must be a function, not nil", ms.request, small()),
        bad("bad_argument", "the callback must be a function, not a number", ms.request, small(),
          {}, 1),
      }),
    }
    rows.client = {
      good = function()
        local c <close> = ms.client({ base_url = nginx:url("/") })
        assert.equal(200, assert(c:fetch("small")).status)
      end,
      bad = { bad("bad_argument", "the client's options must be a table, not a string", ms.client,
        "x"), bad("bad_option", 'unknown option "pool"', ms.client, { pool = 1 }) },
    }
    rows.each = {
      good = function()
        local sum = 0
        for i, res in ms.each({ small(), small() }) do sum = sum + i * res.status end
        assert.equal(600, sum)
      end,
      bad = { bad("bad_argument", "the requests must be a table, not nil", ms.each),
        bad("bad_argument", "the requests must be a table, not a number", ms.each, 1),
        bad("bad_option", 'unknown option "concurency" (did you mean "concurrency"?)', ms.each, {},
          { concurency = 1 }),
        bad("bad_option", "concurrency must be a whole number of at least 1, not 0", ms.each, {},
          { concurrency = 0 }),
        bad("bad_argument", "the URL must be a string, not a boolean", function()
          for _ in ms.each({ { url = true } }) do error("there is none") end
        end) },
    }
  end

  local function tasks()
    rows.run = {
      good = function() assert.equal(3, ms.run(function(a, b) return a + b end, 1, 2)) end,
      bad = { bad("bad_argument", "what to run must be a function, not nil", ms.run) },
    }
    rows.spawn = {
      good = function() assert.same({ true, 1 }, { ms.spawn(function() return 1 end):wait() }) end,
      bad = { bad("bad_argument", "what to spawn must be a function, not nil", ms.spawn) },
    }
    rows.sleep = {
      good = function()
        local other = 0
        ms.spawn(function() other = 1 end)
        ms.sleep(0.5)
        assert.equal(1, other)
      end,
      bad = { bad("bad_argument", "the time to sleep must be a number, not nil", ms.sleep),
        bad("bad_argument", "the time to sleep must be a number, not a string", ms.sleep, "1"),
        bad("bad_argument", "the time to sleep must be a time in ms, not -1", ms.sleep, -1),
        bad("bad_argument", "the time to sleep must be a time in ms, not inf", ms.sleep,
          math.huge) },
    }
    rows.semaphore = {
      good = function() assert.equal(2, ms.semaphore(2):run(function() return 2 end)) end,
      bad = { bad("bad_argument", "a semaphore has a whole number of at least 1 permits, not nil",
        ms.semaphore), bad("bad_argument", "a semaphore has", ms.semaphore, 0),
        bad("bad_argument", "a semaphore has", ms.semaphore, 1.5),
        bad("bad_argument", "a semaphore has", ms.semaphore, "1") },
    }
    rows.wrap = {
      good = function()
        local sum = 0
        for n in ms.wrap(function()
          for i = 1, 2 do coroutine.yield(i * ms.fetch(small()).status) end
        end) do sum = sum + n end
        assert.equal(600, sum)
      end,
      bad = { bad("bad_argument", "what to wrap must be a function, not nil", ms.wrap),
        bad("closed", "the generator has ended", function()
          local generator = ms.wrap(nothing)
          generator()
          generator()
        end),
        bad("wrong_context", "the generator is at work", function()
          local generator
          generator = ms.wrap(function() generator() end)
          generator()
        end) },
    }
  end

  local function many()
    local function two() return 2 end
    local concurrency = "concurrency must be a whole number of at least 1, not 0.5"
    rows.gather = {
      good = function() assert.equal(2, ms.gather({ two })[1].value) end,
      bad = { bad("bad_argument", "what to gather must be a table, not nil", ms.gather),
        bad("bad_argument", "entry 2 to gather must be a function, not a number", ms.gather,
          { two, 2 }),
        bad("bad_option", concurrency, ms.gather, { two }, { concurrency = 0.5 }),
        bad("bad_option", 'option "stop_on_error" must be a boolean, not number', ms.gather,
          { two }, { stop_on_error = 1 }),
        bad("bad_argument", "options must be a table, not a number", ms.gather, { two }, 1) },
    }
    rows.map = {
      good = function()
        assert.equal(10, ms.map({ 4, 5 }, function(a, i) return a * i end)[2].value)
      end,
      bad = { bad("bad_argument", "the list to map must be a table, not nil", ms.map),
        bad("bad_argument", "what to map it with must be a function, not nil", ms.map, {}),
        bad("bad_option", concurrency, ms.map, {}, two, { concurrency = 0.5 }),
        bad("bad_option", 'unknown option "limit"', ms.map, {}, two, { limit = 1 }) },
    }
    for name, first in pairs({ race = { two, ms.sleep }, any = { error, two } }) do
      rows[name] = {
        good = function() assert.equal(2, ms[name](first)) end,
        bad = { bad("bad_argument", ("what to %s must be a table, not nil"):format(name), ms[name]),
          bad("bad_argument", "there is nothing to " .. name, ms[name], {}),
          bad("bad_argument", ("entry 1 to %s must be a function"):format(name), ms[name],
            { 1 }) },
      }
    end
    rows.with_timeout = {
      good = function()
        assert.equal(2, ms.with_timeout(10000, two))
        assert.equal("timed_out", select(2, ms.with_timeout(1, ms.sleep, 10000)).code)
      end,
      bad = { bad("bad_argument", "the timeout must be a number, not nil", ms.with_timeout),
        bad("bad_argument", "the timeout must be a time in ms, not -1", ms.with_timeout, -1, two),
        bad("bad_argument", "what to run with a timeout must be a function, not nil",
          ms.with_timeout, 1) },
    }
  end

  local function others()
    rows.url = {
      good = function()
        assert.equal("http://h/a/c?d", ms.url("c?d", "http://h/a/b").href)
        assert.equal("bad_url", select(2, ms.url("http://h h/")).code)
      end,
      bad = { bad("bad_argument", "the URL must be a string, not nil", ms.url),
        bad("bad_argument", "the URL must be a string, not number", ms.url, 1),
        bad("bad_argument", "the base must be a string, not table", ms.url, "/", {}) },
    }
    rows.jar = { good = function() assert.same({}, ms.jar():get("http://h/")) end,
      why = "takes nothing; its methods are in cookie_spec" }
    rows.registrable_domain = {
      good = function() assert.is_nil(ms.registrable_domain("127.0.0.1")) end,
      bad = { bad("bad_argument", "the host must be a string, not nil", ms.registrable_domain) },
    }
    rows.http_date = {
      good = function()
        assert.equal(784111777, ms.http_date("Sunday, 06-Nov-94 08:49:37 GMT"))
        assert.is_nil(ms.http_date("yesterday"))
      end,
      bad = { bad("bad_argument", "a date must be a string, not number", ms.http_date, 1) },
    }
    rows.on_error = {
      good = function()
        local reports = async.reports(function()
          ms.spawn(error, "planted")
          ms.spawn(nothing):wait()
        end)
        assert.equal("planted", reports[1].err)
      end,
      why = "a field of the application's; script_spec has one that raises",
    }
    rows.use = {
      good = function()
        ms.use({ uv = uv, mode = "poll" })
        assert.equal(200, assert(ms.fetch(small())).status)
        ms.use({ mode = "epoll", wait = false })
      end,
      bad = { bad("bad_argument", "the argument of use must be a table, not nil", ms.use),
        bad("bad_option", "uv must be the luv module", ms.use, { uv = {} }),
        bad("bad_argument", "wait must be a function, not a number", ms.use, { wait = 1 }),
        bad("bad_option", 'mode must be "poll" or "epoll"', ms.use, { mode = 1 }),
        bad("bad_option", 'unknown option "modes" (did you mean "mode"?)', ms.use, { modes = 1 }),
        bad("wrong_context", "call ms.use before the first transfer", function()
          local handle <close> = ms.request(small(), nothing)
          ms.use({ mode = "poll" })
          return handle
        end) },
    }
    rows.version = {
      good = function() assert.matches("^%d+%.%d+%.%d+", ms.version) end, why = "a string",
    }
    rows.features = {
      good = function()
        local features = ms.features()
        assert.is_boolean(features.tls)
        features.tls = "changed"
        assert.is_boolean(ms.features().tls)
      end,
      why = "takes nothing",
    }
  end

  it("has a good and a bad use of every name", async(function()
    rows = ms_rows()
    transfers()
    tasks()
    many()
    others()
    surface.check({ names = surface.names_of(ms), rows = rows })
    ms.use({ mode = "epoll" })
  end))
end)

-- What a method of a Lua class says when it is called on something else.
local function wrong_selves(fn, wanted, ...)
  local words = ("argument #1 must be %s, not "):format(wanted)
  return {
    bad("bad_argument", words .. "nil", fn), bad("bad_argument", words .. "table", fn, {}, ...),
    bad("bad_argument", words .. "string", fn, "x", ...),
    bad("bad_argument", words .. "number", fn, 1, ...),
    bad("bad_argument", words .. "userdata", fn, io.stdout, ...),
  }
end

describe("surface: a client", function()
  it("has a good and a bad use of every name", async(function()
    local client <close> = ms.client()
    local closed = ms.client()
    closed:close()
    local rows = method_rows({}, function(name, url) return client[name](client, url) end,
      function(name)
        return add(add(bad_calls(client[name], client), wrong_selves(client[name], "a client")),
          { twice(name, client[name], client),
            bad("closed", "fetch: the handle is closed", client[name], closed, small()) })
      end)
    rows.fetch = {
      good = function() assert.equal(200, assert(client:fetch(small())).status) end,
      bad = add(add(bad_calls(client.fetch, client), wrong_selves(client.fetch, "a client")), {
        bad("bad_argument", "argument #1 must be a client, not string", client.fetch, small()),
        bad("bad_argument", "argument #1 must be a client, not nil", client.fetch, nil, small()),
        bad("closed", "fetch: the handle is closed", closed.fetch, closed, small()),
        bad("closed", "add_handle: the handle is closed", closed.fetch, closed, small(),
          { stream = true }),
      }),
    }
    rows.request = {
      good = function()
        local status
        client:request(small(), function(_, res) status = res.status end)
        until_true(function() return status end)
      end,
      bad = add(wrong_selves(client.request, "a client"), {
        bad("bad_argument", "the callback must be a function, not nil", client.request, client,
          small()),
        bad("closed", "add_handle: the handle is closed", closed.request, closed, small(),
          nothing) }),
    }
    rows.each = {
      good = function()
        for _, res in client:each({ small() }) do assert.equal(200, res.status) end
      end,
      bad = add(wrong_selves(client.each, "a client"), {
        bad("bad_argument", "the requests must be a table, not nil", client.each, client),
        bad("closed", "add_handle: the handle is closed", function()
          for _ in closed:each({ small() }) do error("there is none") end
        end) }),
    }
    rows.stats = {
      good = function()
        assert.equal(0, client:stats().running)
        assert.equal(0, closed:stats().running)
      end,
      bad = wrong_selves(client.stats, "a client"),
    }
    rows.network_changed = {
      good = function()
        client:network_changed()
        closed:network_changed()
      end,
      bad = wrong_selves(client.network_changed, "a client"),
    }
    rows.close = {
      good = function()
        local c = ms.client()
        local t = ms.spawn(c.fetch, c, small())
        ms.spawn(nothing):wait()
        c:close()
        c:close()
        local _, err = t:wait()
        assert.equal("cancelled", err.code)
      end,
      bad = wrong_selves(client.close, "a client"),
    }
    surface.check({ names = surface.names_of(getmetatable(client)), rows = rows })
  end))
end)

describe("surface: what calls return:", function()
  local p

  before_each(function() p = peer.start(STUCK) end)
  after_each(function() p:stop() end)

  local function class_of(object) return surface.names_of(getmetatable(object)) end

  it("a handle", async(function()
    local client <close> = ms.client()
    local errs = {}
    local function stuck()
      return client:request(p:url(), function(err) errs[#errs + 1] = err end)
    end
    local over = stuck()
    over:cancel()
    local handle = stuck()
    surface.check({ names = class_of(over), rows = {
      cancel = {
        good = function()
          local n, one = #errs, stuck()
          assert.is_true(one:cancel("enough"))
          assert.is_false(one:cancel())
          until_true(function() return #errs > n end)
          assert.equal("enough", errs[#errs].cause)
          assert.is_false(over:cancel())
        end,
        bad = wrong_selves(over.cancel, "a handle"),
      },
      close = {
        good = function()
          local closed, one = 0, stuck()
          one:close(function() closed = closed + 1 end)
          one:close()
          until_true(function() return closed == 1 end)
        end,
        bad = add(wrong_selves(over.close, "a handle"), {
          bad("bad_argument", "the callback must be a function, not a number", handle.close,
            handle, 1) }),
      },
      is_closing = {
        good = function()
          assert.is_true(over:is_closing())
          assert.is_false(handle:is_closing())
        end,
        bad = wrong_selves(over.is_closing, "a handle"),
      },
    } })
    assert.equal(1, client:stats().running) -- the one that could not be closed
    assert.is_true(handle:cancel())
  end))

  it("a task", async(function()
    local done = ms.spawn(function() return 1 end)
    done:wait()
    local function sleeper() return ms.spawn(ms.sleep, 100000) end
    local failed = ms.spawn(function() return nil, "why" end)
    surface.check({ names = class_of(done), rows = {
      wait = {
        good = function()
          assert.same({ true, 1 }, { done:wait() })
          assert.same({ false, "why" }, { failed:wait() })
          local t <close> = sleeper()
          assert.equal("timed_out", select(2, t:wait(1)).code)
        end,
        bad = add(wrong_selves(done.wait, "a task"), {
          bad("bad_argument", "the timeout must be a number, not a string", done.wait, done, "1"),
          bad("bad_argument", "the timeout must be a time in ms, not -1", done.wait, done, -1),
          bad("wrong_context", "a task cannot wait for itself", function()
            local t
            t = ms.spawn(function() t:wait() end)
            error(select(2, t:wait()), 0)
          end) }),
      },
      cancel = {
        good = function()
          local t = sleeper()
          assert.is_true(t:cancel("enough"))
          assert.equal("cancelled", t.status)
          assert.is_false(t:cancel())
          assert.is_false(done:cancel())
        end,
        bad = wrong_selves(done.cancel, "a task"),
      },
    } })
    assert.equal("done", done.status)
  end))

  it("a semaphore and a permit", async(function()
    local semaphore = ms.semaphore(2)
    local permit = semaphore:acquire()
    surface.check({ names = class_of(semaphore), rows = {
      acquire = {
        good = function() semaphore:acquire():release() end,
        bad = wrong_selves(semaphore.acquire, "a semaphore"),
      },
      release = {
        good = function()
          semaphore:acquire()
          semaphore:release()
        end,
        bad = add(wrong_selves(semaphore.release, "a semaphore"), {
          bad("not_acquired", "released more often than acquired: all 1 permits are free",
            function() ms.semaphore(1):release() end) }),
      },
      run = {
        good = function()
          assert.same({ 1, 2 }, { semaphore:run(function(...) return ... end, 1, 2) })
        end,
        bad = add(wrong_selves(semaphore.run, "a semaphore", nothing), {
          bad("bad_argument", "what to run must be a function, not nil", semaphore.run,
            semaphore) }),
      },
    } })
    surface.check({ names = class_of(permit), rows = {
      release = {
        good = function()
          permit:release()
          permit:release()
          assert.equal("multisocket.Semaphore (2 of 2 free)", tostring(semaphore))
        end,
        bad = wrong_selves(permit.release, "a permit"),
      },
    } })
  end))

  it("a driver, and its module", async(function()
    local multi = core.multi({})
    local one = driver.attach(multi, uv)
    surface.check({ names = class_of(one), rows = {
      refresh = {
        good = function() one:refresh() end, bad = wrong_selves(one.refresh, "a driver"),
      },
      close = {
        good = function()
          local other_multi = core.multi({})
          local other = driver.attach(other_multi, uv)
          other_multi:add_handle(core.easy({ url = p:url() }))
          until_true(function() return other_multi:stats().connections == 1 end)
          other:close()
          other:close()
          other:refresh()
          assert.equal(1, other_multi:running())
          other_multi:close()
        end,
        bad = wrong_selves(one.close, "a driver"),
      },
    } })
    surface.check({ names = surface.names_of(driver), rows = {
      attach = {
        good = function()
          local other = core.multi({})
          driver.attach(other, uv, { mode = "epoll" }):close()
          other:close()
        end,
        bad = { bad("bad_argument", "argument #1 must be a multi handle, not nil", driver.attach),
          bad("bad_argument", "argument #1 must be a multi handle, not table", driver.attach, {},
            uv),
          bad("bad_argument", "the luv module must be a table, not nil", driver.attach, multi),
          bad("bad_argument", "options must be a table, not a string", driver.attach, multi, uv,
            "x"),
          bad("bad_option", 'mode must be "poll" or "epoll", not fast', driver.attach, multi, uv,
            { mode = "fast" }),
          bad("bad_option", 'option "on_raise" must be a function, not number', driver.attach,
            multi, uv, { on_raise = 1 }),
          bad("bad_option", 'unknown option "modus" (did you mean "mode"?)', driver.attach, multi,
            uv, { modus = 1 }) },
      },
      inside = { good = function() assert.is_false(driver.inside()) end, why = "takes nothing" },
    } })
    one:close()
    multi:close()
  end))
end)

describe("surface: a response:", function()
  local p

  setup(function() p = peer.start({ { { "request" },
    { "send", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n"
      .. "[1,2]" }, { "repeat" } } }) end)
  teardown(function() p:stop() end)

  local function wrong(fn, ...)
    local words = "argument #1 must be a response, not "
    return { bad("bad_argument", words .. "nil", fn), bad("bad_argument", words .. "table", fn, {},
      ...), bad("bad_argument", words .. "string", fn, "x", ...),
      bad("bad_argument", words .. "multisocket.easy", fn, core.easy(), ...) }
  end

  -- The same for a whole body and for one that comes as a stream.
  for what, opts in pairs({ whole = {}, streamed = { stream = true } }) do
    it("its methods, " .. what, async(function()
      local function get() return assert(ms.fetch(p:url(), opts)) end
      local res = get()
      local function reader(name, good, more)
        return { good = good, bad = add(wrong(res[name]), more or {}) }
      end
      local rows = {
        read = reader("read", function()
          local one = get()
          assert.equal("[1", one:read(2))
          assert.equal(",2]", one:read("a"))
          assert.is_nil(one:read())
        end, { bad("bad_argument", 'read takes a number of bytes or "a", not 0', res.read, res, 0),
          bad("bad_argument", "read takes", res.read, res, 1.5),
          bad("bad_argument", "read takes", res.read, res, "*a"),
          bad("bad_argument", "read takes", res.read, res, {}) }),
        chunks = reader("chunks", function()
          for chunk in get():chunks() do assert.equal("[1,2]", chunk) end
        end),
        lines = reader("lines", function()
          for line in get():lines() do assert.equal("[1,2]", line) end
          for line in get():lines(5) do assert.equal("[1,2]", line) end
        end, { bad("bad_argument", "lines takes a number of bytes, not 0", res.lines, res, 0),
          bad("bad_argument", "lines takes", res.lines, res, 1.5),
          bad("bad_argument", "lines takes", res.lines, res, "10") }),
        content_type = reader("content_type", function()
          assert.equal("application/json", (get():content_type()))
        end),
        date = reader("date", function() assert.is_nil(get():date()) end),
        events = reader("events", function()
          for _ in get():events() do error("there is none in it") end
        end),
        save = reader("save", function()
          local path = os.tmpname()
          assert.is_true(get():save(path))
          local f <close> = assert(io.open(path))
          assert.equal("[1,2]", f:read("a"))
          os.remove(path)
          local ok, err = get():save("/nowhere/at/all")
          assert.is_nil(ok)
          assert.equal("save_failed", err.code)
        end, { bad("bad_argument", "the path must be a string, not nil", res.save, res),
          bad("bad_argument", "the path must be a string, not a table", res.save, res, {}) }),
        discard = reader("discard", function() assert.is_true(get():discard()) end),
        cancel = reader("cancel", function()
          local one = get()
          one:cancel("enough")
          one:cancel()
        end),
        raise_for_status = reader("raise_for_status", function()
          assert.equal(res, res:raise_for_status())
        end),
        text = reader("text", function()
          local text, err = get():text()
          assert.equal(what == "whole" and "[1,2]" or nil, text)
          if err then assert.equal("decode_failed", err.code) end
        end),
        json = reader("json", function()
          local value, err = get():json()
          if what == "whole" then assert.same({ 1, 2 }, value) end
          if err then assert.equal("decode_failed", err.code) end
        end, { bad("bad_argument", "the decoder must be a function, not a string", res.json, res,
          "x") }),
      }
      surface.check({ names = surface.names_of(core.response_methods), rows = rows })
      assert.equal("[1,2]", res:read("a")) -- no bad use took anything of it
    end))
  end
end)
