-- SPDX-License-Identifier: MIT
--
-- A small HTTP/1.1 server on luv, for the examples and the demo to talk to.
--
--   lua5.4 examples/server.lua [--port N] [--host ADDRESS]... [--stdin]
--
-- Prints the port as its first line: 8080 unless --port says otherwise; 0 takes
-- a free one. --host may be given more than once (default 127.0.0.1), all get
-- the same port; --stdin ends the server when its standard input is closed.
--
--   /                    a line of text
--   /echo/TEXT           TEXT; with ?size=N TEXT over and over, N bytes of it.
--                        A request body, if there is one, comes back instead
--   /delay/MS/TEXT       the same after MS milliseconds
--   /bytes/N             N bytes of "0123456789", or a part of them (Range)
--   /chunked/N           the same in chunks
--   /status/N            that status
--   /login/NAME          303 to /me, with a cookie for that name
--   /me                  the name in the cookie; 401 without one
--   /busy/N/TEXT         503 the first N times it is asked for, then TEXT
--   /events/N            N server-sent events, 20 ms apart
--   /form                a line for each part of a form that is posted there
--   /connections         how many connections are open now
--   /held                how many delayed answers are due
--
-- Connections are kept alive; requests that come at once on one connection
-- (pipelining) are answered one by one in their order.
local uv = require "luv"

local PORT = 8080 -- the one the other examples use when they are given no URL
local BACKLOG = 4096 -- connections that may wait to be accepted, per address
local MAX_HEAD = 65536 -- bytes of a request head: more is no client of ours
local MAX_BODY = 64 * 1024 * 1024 -- bytes of a body in either direction
local MAX_DELAY = 600000 -- ms
local MAX_UNSENT = 1024 * 1024 -- bytes; a client that reads slower is not read
local CHUNK = 4096 -- bytes of one piece of a chunked answer
local EVENT_GAP = 20 -- ms between two events

local REASON = {
  [200] = "OK", [201] = "Created", [204] = "No Content", [206] = "Partial Content",
  [301] = "Moved Permanently", [302] = "Found", [303] = "See Other", [304] = "Not Modified",
  [307] = "Temporary Redirect", [308] = "Permanent Redirect", [400] = "Bad Request",
  [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed",
  [413] = "Content Too Large", [429] = "Too Many Requests", [431] = "Header Fields Too Large",
  [500] = "Internal Server Error", [502] = "Bad Gateway", [503] = "Service Unavailable",
}

-- ---- answers ---------------------------------------------------------------

local connections = 0 -- open now
local held = 0 -- delayed answers that are due

local function fill(text, size)
  if #text == 0 then text = "-" end
  return text:rep(size // #text + 1):sub(1, size)
end

local function echo(request, rest)
  if request.body ~= "" then return 200, request.body end
  local text, query = rest:match("^([^?]*)%??(.*)$")
  local size = tonumber(query:match("size=(%d+)"))
  if not size then return 200, text end
  if size > MAX_BODY then return 400, "too large\n" end
  return 200, fill(text, size)
end

local function bytes(n, range)
  n = tonumber(n)
  if n > MAX_BODY then return 400, "too large\n" end
  local body, extra = fill("0123456789", n), ('ETag: "%d"\r\nAccept-Ranges: bytes\r\n'):format(n)
  local from = tonumber(range and range:match("^bytes=(%d+)%-$"))
  if not from then return 200, body, nil, nil, extra end
  if from >= n then return 416, "", nil, nil, ("Content-Range: bytes */%d\r\n"):format(n) end
  return 206, body:sub(from + 1), nil, nil,
    extra .. ("Content-Range: bytes %d-%d/%d\r\n"):format(from, n - 1, n)
end

local function login(name)
  return 303, "", nil, nil, ("Location: /me\r\nSet-Cookie: name=%s; Path=/; HttpOnly\r\n")
    :format(name)
end

local function me(cookie)
  local name = cookie and cookie:match("name=(%w+)")
  if name then return 200, "hello, " .. name end
  return 401, "who are you?"
end

local asked = {} -- by target: how often

local function busy(target, n, text)
  asked[target] = (asked[target] or 0) + 1
  if asked[target] > tonumber(n) then return 200, text end
  return 503, "busy\n", nil, nil, "Retry-After: 0\r\n"
end

-- What a form's parts are called, and how long they are.
local function form(request)
  local boundary = request.head:match('boundary="?([^"\r]+)')
  if not boundary then return 400, "no form\n" end
  local lines, at = {}, 1
  while true do
    local _, from = request.body:find("--" .. boundary .. "\r\n", at, true)
    if not from then break end
    local _, head_end = request.body:find("\r\n\r\n", from, true)
    local stop = request.body:find("\r\n--" .. boundary, head_end, true)
    if not stop then return 400, "cut short\n" end
    local head = request.body:sub(from, head_end)
    lines[#lines + 1] = ("%s\t%s\t%d\n"):format(head:match(' name="(.-)"'),
      head:match(' filename="(.-)"') or "-", stop - head_end - 1)
    at = stop
  end
  return 200, table.concat(lines)
end

local function status(n)
  n = tonumber(n)
  if n < 200 then return 400, "200 to 999, please\n" end
  return n, ("status %d\n"):format(n)
end

-- The value of a field of a request.
local function field(request, name)
  for other, value in request.head:gmatch("\r\n([^:\r]+):%s*([^\r]*)") do
    if other:lower() == name then return value end
  end
end

-- Returns status, body, and optionally: delay in ms, true for "chunked", and
-- more header lines. A body that is a number is that of so many events.
local function answer(request)
  local target = request.target
  local rest = target:match("^/echo/(.*)$")
  if rest then return echo(request, rest) end

  local ms, after = target:match("^/delay/(%d+)/?(.*)$")
  if ms then
    local code, body = echo(request, after)
    return code, body, math.min(tonumber(ms), MAX_DELAY)
  end

  local kind, n = target:match("^/(%l+)/(%d+)$")
  if kind == "bytes" then return bytes(n, field(request, "range")) end
  if kind == "events" then return 200, tonumber(n) end
  if kind == "status" and #n == 3 then return status(n) end
  if kind == "chunked" then
    local code, body = bytes(n)
    return code, body, nil, true
  end
  local times, text = target:match("^/busy/(%d+)/(.*)$")
  if times then return busy(target, times, text) end
  local name = target:match("^/login/(%w+)$")
  if name then return login(name) end
  if target == "/me" then return me(field(request, "cookie")) end
  if target == "/form" then return form(request) end
  if target == "/connections" then return 200, connections .. "\n" end
  if target == "/held" then return 200, held .. "\n" end
  if target == "/" then return 200, "multisocket example server\n" end
  return 404, "no such page\n"
end

local function to_chunks(body)
  local out = {}
  for i = 1, #body, CHUNK do
    local piece = body:sub(i, i + CHUNK - 1)
    out[#out + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
  end
  return table.concat(out) .. "0\r\n\r\n"
end

local function render(request, code, body, chunked, extra)
  local head = ("HTTP/1.1 %d %s\r\nServer: examples/server.lua\r\n"):format(code,
    REASON[code] or "Status")
  if not request.keep then head = head .. "Connection: close\r\n" end
  if extra then head = head .. extra end
  if code == 204 or code == 304 then return head .. "\r\n" end

  head = head .. "Content-Type: text/plain\r\n"
  if chunked and request.minor >= 1 then
    head = head .. "Transfer-Encoding: chunked\r\n\r\n"
    body = to_chunks(body)
  else
    head = head .. "Content-Length: " .. #body .. "\r\n\r\n"
  end
  return request.method == "HEAD" and head or head .. body
end

-- ---- requests --------------------------------------------------------------

-- The decoded chunked body at `from` of `text` and the position behind it; nil
-- while it is incomplete; false when it is malformed.
local function read_chunks(text, from)
  local parts, total = {}, 0
  while true do
    local _, stop, hex = text:find("^(%x+)[^\r\n]*\r\n", from)
    if not stop then
      local line_is_whole = text:find("\r\n", from, true)
      if line_is_whole then return false end
      return nil
    end
    local size = #hex <= 8 and tonumber(hex, 16) or MAX_BODY + 1
    total = total + size
    if total > MAX_BODY then return false end
    if size == 0 then
      if text:find("^\r\n", stop + 1) then return table.concat(parts), stop + 3 end
      local _, trailers = text:find("\r\n\r\n", stop + 1, true)
      if not trailers then return nil end
      return table.concat(parts), trailers + 1
    end
    if #text < stop + size + 2 then return nil end
    parts[#parts + 1] = text:sub(stop + 1, stop + size)
    from = stop + size + 3
  end
end

local function parse_head(head)
  local method, target, minor = head:match("^(%u+) (%S+) HTTP/1%.(%d)\r\n")
  if not method then return nil end
  local request = { method = method, target = target, minor = tonumber(minor), body = "" }
  local lower = head:lower()
  local connection = lower:match("\r\nconnection:%s*([^\r]*)") or ""
  if request.minor == 0 then
    request.keep = connection:find("keep-alive", 1, true) ~= nil
  else
    request.keep = connection:find("close", 1, true) == nil
  end
  request.head = head
  request.length = tonumber(lower:match("\r\ncontent%-length:%s*(%d+)\r")) or 0
  request.chunked = lower:find("\r\ntransfer%-encoding:%s*chunked\r") ~= nil
  request.expects = lower:find("\r\nexpect:%s*100%-continue\r") ~= nil
  return request
end

-- One request from the front of `text`. Returns the request and the position
-- behind it; nil, status when it can't be served; nil when it is incomplete
-- (then nil, nil, request if at least its head is there).
local function parse(text, from)
  local _, stop = text:find("\r\n\r\n", from, true)
  if not stop then
    if #text - from >= MAX_HEAD then return nil, 431 end
    return nil
  end
  local request = parse_head(text:sub(from, stop))
  if not request then return nil, 400 end
  if request.length > MAX_BODY then return nil, 413 end
  if request.chunked then
    local body, after = read_chunks(text, stop + 1)
    if body == false or not body and #text - stop > 2 * MAX_BODY then return nil, 400 end
    if not body then return nil, nil, request end
    request.body = body
    return request, after
  end
  if #text - stop < request.length then return nil, nil, request end
  request.body = text:sub(stop + 1, stop + request.length)
  return request, stop + request.length + 1
end

-- ---- connections -----------------------------------------------------------

-- A connection is a table: socket; parts (input that is no whole request yet);
-- need (bytes that must be there before looking at it again makes sense);
-- out (answers to send in one write); waiting (a delayed answer is due first).

local function close(c)
  if c.closed then return end
  c.closed = true
  connections = connections - 1
  if c.waiting then held = held - 1 end
  if c.timer then c.timer:close() end
  c.socket:close()
end

local work -- forward: serves what is in the input

-- Reading stands still while a client does not take its answers.
local function hold(c)
  if c.held or c.socket:write_queue_size() <= MAX_UNSENT then return end
  c.held = true
  c.socket:read_stop()
end

local function on_written(c, err)
  if err or c.last or c.eof and not c.waiting then return close(c) end
  if c.held and not c.closed and c.socket:write_queue_size() <= MAX_UNSENT then
    c.held = false
    c.socket:read_start(c.on_read)
    work(c)
  end
end

local function flush(c)
  if #c.out == 0 or c.closed then return end
  local data = c.out
  c.out = {}
  c.socket:write(data, c.on_written)
  hold(c)
end

local function reply(c, request, code, body, chunked, extra)
  c.out[#c.out + 1] = render(request, code, body, chunked, extra)
  if not request.keep then c.last = true end
end

-- The answer comes later; what else the client sent waits behind it.
local function reply_later(c, request, code, body, ms)
  c.waiting = true
  held = held + 1
  c.timer = c.timer or uv.new_timer()
  uv.update_time()
  c.timer:start(ms, 0, function()
    c.waiting = false
    held = held - 1
    reply(c, request, code, body)
    work(c)
  end)
end

-- Chunk by chunk, each an event; what else the client sent waits behind the last.
local function send_events(c, request, n)
  local sent = 0
  c.waiting = true
  held = held + 1
  c.socket:write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    .. "Transfer-Encoding: chunked\r\n\r\n")
  c.timer = c.timer or uv.new_timer()
  c.timer:start(0, EVENT_GAP, function()
    sent = sent + 1
    local event = ("id: %d\ndata: event %d\n\n"):format(sent, sent)
    if sent <= n then return c.socket:write(("%x\r\n%s\r\n"):format(#event, event)) end
    c.timer:stop()
    c.waiting, held = false, held - 1
    c.out[#c.out + 1] = "0\r\n\r\n"
    if not request.keep then c.last = true end
    work(c)
  end)
end

local function serve(c, request)
  local code, body, ms, chunked, extra = answer(request)
  if type(body) == "number" then return send_events(c, request, body) end
  if ms then return reply_later(c, request, code, body, ms) end
  reply(c, request, code, body, chunked, extra)
end

-- What an incomplete request (nil when not even its head is there) waits for.
local function note_need(c, text, request)
  c.need = 0
  if not request then return end
  if request.expects and not c.continued then
    c.continued = true
    c.out[#c.out + 1] = "HTTP/1.1 100 Continue\r\n\r\n"
  end
  if request.chunked then return end
  local _, head = text:find("\r\n\r\n", 1, true)
  c.need = head + request.length
end

local function input_of(c)
  local text = #c.parts == 1 and c.parts[1] or table.concat(c.parts)
  c.parts = { text }
  return text
end

function work(c)
  if c.size >= c.need and c.size > 0 then
    local text, from = input_of(c), 1
    while not (c.waiting or c.last or c.held) and from <= #text do
      local request, after, partial = parse(text, from)
      if request then
        serve(c, request)
        from, c.continued = after, false
      elseif after then
        reply(c, { method = "GET", minor = 1, keep = false }, after, "bad request\n")
      else
        text, from = text:sub(from), 1
        note_need(c, text, partial)
        break
      end
      if #c.out >= 64 then flush(c) end
    end
    c.parts, c.size = { text:sub(from) }, #text - from + 1
  end
  flush(c)
end

local function on_read(c, err, data)
  if err then return close(c) end
  if not data then
    c.eof = true
    if not c.waiting then close(c) end
    return
  end
  c.parts[#c.parts + 1] = data
  c.size = c.size + #data
  if not c.waiting then return work(c) end
  if c.size > MAX_BODY then close(c) end
end

local function serve_connection(socket)
  local c = { socket = socket, parts = {}, size = 0, need = 0, out = {} }
  c.on_read = function(err, data) on_read(c, err, data) end
  c.on_written = function(err) on_written(c, err) end
  connections = connections + 1
  socket:nodelay(true)
  socket:read_start(c.on_read)
end

-- ---- the program -----------------------------------------------------------

local function listen(host, port)
  local listener = uv.new_tcp()
  assert(listener:bind(host, port))
  assert(listener:listen(BACKLOG, function(err)
    if err then return io.stderr:write("accept: ", err, "\n") end
    local socket = uv.new_tcp()
    if listener:accept(socket) then return serve_connection(socket) end
    socket:close()
  end))
  return listener:getsockname().port
end

local function usage()
  io.stderr:write("usage: server.lua [--port N] [--host ADDRESS]... [--stdin]\n")
  os.exit(2)
end

local function options()
  local o, i = { port = PORT, hosts = {} }, 1
  while arg[i] do
    local name, value = arg[i], arg[i + 1]
    if name == "--stdin" then
      o.stdin, i = true, i + 1
    elseif name == "--port" and math.tointeger(tonumber(value)) then
      o.port, i = math.tointeger(tonumber(value)), i + 2
    elseif name == "--host" and value then
      o.hosts[#o.hosts + 1], i = value, i + 2
    else
      usage()
    end
  end
  if #o.hosts == 0 then o.hosts[1] = "127.0.0.1" end
  return o
end

local function end_with_stdin()
  if uv.guess_handle(0) ~= "pipe" then os.exit(0) end -- nothing that could stay open
  local stdin = uv.new_pipe(false)
  assert(stdin:open(0))
  stdin:read_start(function(err, data)
    if err or not data then os.exit(0) end
  end)
end

local function main()
  local o = options()
  local port = o.port
  for _, host in ipairs(o.hosts) do port = listen(host, port) end
  -- A client that goes away in mid-write must not end the server.
  uv.new_signal():start("sigpipe")
  print(port)
  io.stdout:flush()
  if o.stdin then end_with_stdin() end
  uv.run()
end

main()
