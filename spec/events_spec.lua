-- SPDX-License-Identifier: MIT
--
-- Server-sent events: the parser by the HTML Standard's rules and examples, at
-- every split; and res:events() over connections of both protocols.
local async = require "spec.support.async"
local events = require "multisocket.events"
local ms = require "multisocket"
local wire = require "spec.support.wire"

local HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

-- All events of a text that comes in those pieces.
local function parse(pieces)
  local parser, list = events.parser(), {}
  for _, piece in ipairs(pieces) do
    assert.is_true(parser:feed(piece))
    for event in function() return parser:next() end do list[#list + 1] = event end
  end
  return list
end

local function event(data, fields)
  local e = { event = "message", data = data, id = "" }
  for name, value in pairs(fields or {}) do e[name] = value end
  return e
end

local ROWS = {
  -- From the standard.
  { "data: YHOO\ndata: +2\ndata: 10\n\n", event("YHOO\n+2\n10") },
  { ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
    event("first event", { id = "1" }), event("second event"), event(" third event") },
  { "data\n\ndata\ndata\n\ndata:", event(""), event("\n") },
  { "data:test\n\ndata: test\n\n", event("test"), event("test") },
  { "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
    event("73857293", { event = "add" }), event("2153", { event = "remove" }) },
  -- Line ends, alone and mixed.
  { "data: a\r\n\r\ndata: b\r\rdata: c\n\n", event("a"), event("b"), event("c") },
  { "data: a\r\ndata: b\rdata: c\n\r\n", event("a\nb\nc") },
  { "\n\r\n\rdata: a\n\n\n\n", event("a") },
  { "data: a\r\n\n", event("a") },
  -- The byte order mark: one, and only in front.
  { "\xEF\xBB\xBFdata: a\n\n", event("a") },
  { "\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n" },
  { "\xEF\xBBdata: a\n\n" },
  { "data: a\n\n\xEF\xBB\xBFdata: b\n\n", event("a") },
  -- Ids stay; one with NUL is none, an empty one takes it back.
  { "id: 7\n\ndata: a\n\nid: x\0y\ndata: b\n\nid:\ndata: c\n\n", event("a", { id = "7" }),
    event("b", { id = "7" }), event("c") },
  -- Times are digits.
  { "retry: 100\ndata: a\n\ndata: b\n\n", event("a", { retry = 100 }), event("b") },
  { "retry: 250\n\ndata: a\n\n", event("a", { retry = 250 }) },
  { "retry: 1s\nretry: -1\nretry: 1.5\nretry:\nretry:  5\ndata: a\n\n", event("a") },
  { "retry: 99999999999999999999\ndata: a\n\n", event("a") },
  -- Fields that are none; spaces and colons.
  { "Data: a\n data: b\ndata : c\nfoo: d\ndata: e:f\n\n", event("e:f") },
  { "event: a\nevent\ndata: b\n\n", event("b") },
  { "event: a\n\ndata: b\n\n", event("b") },
  { ":data: a\n:\ndata: b\n\n", event("b") },
  -- What is not UTF-8, and what is cut short.
  { "data: \xFFa\xE2\x82\n\n", event("\u{FFFD}a\u{FFFD}") },
  { "data: é€\u{1F600}\n\n", event("é€\u{1F600}") },
  { "data: a\n\ndata: never whole\n", event("a") },
  { "" },
}

describe("the event parser", function()
  it("reads what the standard says, whatever the split", function()
    for _, row in ipairs(ROWS) do
      local text, want = row[1], { table.unpack(row, 2) }
      assert.same(want, parse({ text }), text)
      local bytes = {}
      for at = 1, #text do
        bytes[at] = text:sub(at, at)
        assert.same(want, parse({ text:sub(1, at), text:sub(at + 1) }), text)
      end
      assert.same(want, parse(bytes), text)
    end
  end)

  it("keeps no more of an event than it may", function()
    local most = events.MOST
    for _, line in ipairs { "data: ", "other: ", ": ", "" } do
      assert.is_true(events.parser():feed(line .. ("x"):rep(most - #line)))
      assert.is_false(events.parser():feed(line .. ("x"):rep(most + 1)), line)
    end
    local parser, fits = events.parser(), 0
    while parser:feed("data: 1234567890\n") do fits = fits + 1 end
    assert.equal(most // 16, fits)
    parser = events.parser()
    local comments = (": still here\n"):rep(most // 12) -- none of it is kept
    assert.is_true(parser:feed(comments .. "data: a\n\n"))
    assert.equal("a", parser:next().data)
    for _ = 1, 3 do assert.is_true(parser:feed("data: " .. ("x"):rep(most // 2) .. "\n\n")) end
  end)
end)

for _, v in ipairs(wire.VERSIONS) do

describe("res:events() " .. v.over, function()
  it("gives events as they come", async(function()
    local p <close> = v:peer { { { "request" }, { "send", HEAD .. "data: one\n\nda" },
      { "request" } }, { { "request" }, { "send", HEAD } } }
    local res = assert(v:fetch(p:url(), { stream = true }))
    local seen = 0
    for ev in res:events() do
      assert.same(event("one"), ev)
      seen = seen + 1
      if seen == 1 then break end -- the next one never comes
    end
    assert.equal("cancelled", select(2, res:read()).code)
  end))

  it("ends with the body, and works on one that is there", async(function()
    local text = "data: 1\n\ndata: 2\r\n\r\nid: 9\ndata: 3\n\ndata: 4"
    local p <close> = v:peer { { { "request" }, { "split", HEAD .. text, 5 } } }
    for _, stream in ipairs { true, false } do
      local list = {}
      for ev in assert(v:fetch(p:url(), { stream = stream })):events() do list[#list + 1] = ev end
      assert.same({ event("1"), event("2"), event("3", { id = "9" }) }, list)
    end
  end))

  it("has what came before an event that is too large", async(function()
    local p <close> = v:peer { { { "request" }, { "send", HEAD .. "data: 1\n\n" },
      { "fill", events.MOST + 20000 }, { "hang" } } }
    local client <close> = v:client()
    local next_event = assert(client:fetch(p:url(), { stream = true })):events()
    assert.equal("1", next_event().data)
    for _ = 1, 2 do
      local ok, err = pcall(next_event)
      assert.is_false(ok)
      assert.equal("body_too_large", err.code)
    end
  end))

  it("raises when the body ends early or an event is too large", async(function()
    local short = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ndata: 1\n\n"
    local p <close> = v:peer { { { "request" }, { "send", short } },
      { { "request" }, { "send", HEAD }, { "fill", events.MOST + 20000 }, { "hang" } } }
    -- haproxy ends its stream as if all were well; what is missing is seen all the same.
    for _, code in ipairs { v.is_h2 and "bad_response" or "unexpected_eof", "body_too_large" } do
      local client <close> = v:client()
      local res = assert(client:fetch(p:url(), { stream = true }))
      local ok, err = pcall(function()
        for ev in res:events() do assert.equal("1", ev.data) end
      end)
      assert.is_false(ok)
      assert.equal(code, err.code)
    end
  end))
end)

describe("res:events() of a real server " .. v.over, function()
  local node

  setup(function() node = v:node() end)
  teardown(function() node:stop() end)

  local function tick(i) return event(i .. "\n\u{20ac}", { event = "tick", id = tostring(i) }) end

  it("has them all", async(function()
    local want = { event("none", { retry = 50 }) }
    for i = 1, 20 do want[i + 1] = tick(i) end
    for _, stream in ipairs { true, false } do
      local list = {}
      for ev in assert(v:fetch(node:url("/events/20"), { stream = stream })):events() do
        list[#list + 1] = ev
      end
      assert.same(want, list)
    end
  end))

  it("has each when it comes, and goes on elsewhere where the loop was left", async(function()
    local client <close> = v:client()
    local last = "none"
    for _ = 1, 3 do
      local res = assert(client:fetch(node:url("/events"), { stream = true,
        headers = { Accept = "text/event-stream", ["Last-Event-ID"] = last } }))
      local seen = 0
      for ev in res:events() do -- it has no end
        if seen == 0 then assert.equal(last, ev.data) else assert.same(tick(seen), ev) end
        last, seen = seen == 0 and last or ev.id, seen + 1
        if seen == 4 then break end
      end
      assert.equal(0, client:stats().running)
    end
    assert.equal(v.is_h2 and 1 or 3, client:stats().opened)
  end))

  it("has each when it comes in a coding, too", async(function()
    for _, coding in ipairs { "gzip", "deflate", ms.features().brotli and "br" or nil } do
      local res = assert(v:fetch(node:url("/coded-events/" .. coding), { stream = true }))
      assert.same({ coding }, res.decoded)
      local seen = 0
      for ev in res:events() do -- it has no end
        seen = seen + 1
        assert.same(event(tostring(seen)), ev)
        if seen == 10 then break end
      end
    end
  end))

  it("raises when it is cut", async(function()
    local res = assert(v:fetch(node:url("/cut"), { stream = true }))
    local list = {}
    local ok, err = pcall(function()
      for ev in res:events() do list[#list + 1] = ev.data end
    end)
    assert.is_false(ok)
    assert.equal(v.is_h2 and "stream_reset" or "unexpected_eof", err.code)
    assert.same({ "part" }, list)
  end))

  it("lets others go on beside it, and ends with its task", async(function()
    local client <close> = v:client()
    local ticks = 0
    local task = ms.spawn(function()
      local res = assert(client:fetch(node:url("/events"), { stream = true, timeout = false }))
      for _ in res:events() do ticks = ticks + 1 end
    end)
    while ticks < 5 do
      assert.equal(10, #assert(client:fetch(node:url("/bytes/10"))).body)
    end
    task:cancel()
    assert.equal(0, client:stats().running)
    assert.equal(v.is_h2 and 1 or 2, client:stats().opened)
  end))
end)

end
