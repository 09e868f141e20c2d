-- SPDX-License-Identifier: MIT
--
-- What a server may send, statement by statement, and what has to come of it.
-- spec/h1_spec.lua plays every row to the engine over a socket: whole, byte by
-- byte and at every two-way split; spec/unit/h1_rows.h, which
-- spec/support/h1_header.lua makes of them, does the same to the parser alone.
--
-- A row:
--   statement   "A1" and so on
--   name        what it is about
--   wire        the bytes the server sends
--   method      default "GET"
--   close       "fin" or "reset": the server ends the connection behind them;
--               otherwise it stays open, so that a verdict may not wait for it
--   status      of the final response, and
--   body        what arrived of it: as a rule all, with `code` the part before
--   code        the err's code where the transfer fails, and
--   message     words of its message
--   trailers    how many there are
--   headers     map of name to the list of its values
--   kept        whether the connection is there for another request
--   coarse      long: split at some places only when it goes over a socket
--
-- The guards, and a row that turns red without each of them, by name:
--   (see the table at the end)
local rows = {}

local OK = "HTTP/1.1 200 OK\r\n"
local CHUNKED = OK .. "Transfer-Encoding: chunked\r\n\r\n"
local END = "\r\n\r\n"

local function row(statement, name, wire, expected)
  local r = { statement = statement, name = name, wire = wire }
  for k, v in pairs(expected) do r[k] = v end
  rows[#rows + 1] = r
end

-- A response that is taken, and after which the connection is kept.
local function good(statement, name, wire, body, more)
  local r = { status = 200, body = body, kept = true }
  for k, v in pairs(more or {}) do r[k] = v end
  row(statement, name, wire, r)
end

-- One whose head already is refused.
local function bad(statement, name, wire, message, more)
  local r = { code = "bad_response", message = message, body = "", kept = false }
  for k, v in pairs(more or {}) do r[k] = v end
  row(statement, name, wire, r)
end

-- One whose head is taken and whose body is refused.
local function bad_body(statement, name, wire, message, body, more)
  local r = { status = 200, body = body or "" }
  for k, v in pairs(more or {}) do r[k] = v end
  bad(statement, name, wire, message, r)
end

local function length(value, body) return OK .. "Content-Length: " .. value .. END .. (body or "") end

-- ---- A1 to A6: where a message ends ----------------------------------------

bad("A1", "two lengths that differ", OK .. "Content-Length: 5\r\nContent-Length: 6" .. END ..
  "hello!", "two different Content-Length values")
bad("A1", "three lengths, the last differs",
  OK .. "Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 0" .. END .. "hello",
  "two different Content-Length values")
-- The policy: the same length said again, on a line of its own, is taken; a
-- list on one line is not.
good("A2", "the same length twice",
  OK .. "Content-Length: 5\r\ncontent-length: 5" .. END .. "hello", "hello")
good("A2", "the same length spelled in two ways",
  OK .. "Content-Length: 5\r\nContent-Length: 05" .. END .. "hello", "hello")
bad("A2", "a list of equal lengths", length("5, 5", "hello"), "Content-Length is not a number")

for _, value in ipairs { "+5", "-5", "0x5", "5a", "a", "", "5 5", "5,", ",5", "5.0", "5;", "1e1",
  "9223372036854775808", "18446744073709551615", "18446744073709551616", "18446744073709551621",
  "36893488147419103237", ("9"):rep(60) } do
  bad("A3", "the length " .. value, length(value, "hello"), "Content-Length is not a number")
end
bad("A3", "a length behind a vertical tab", length("\v5", "hello"),
  "a control character in a header")
bad("A3", "a length before a form feed", length("5\f", "hello"), "a control character in a header")
good("A3", "a length among blanks", length(" \t 5\t ", "hello"), "hello")
good("A3", "no byte", length("0"), "")
row("A3", "the largest length", length("9223372036854775807", "hello"),
  { close = "fin", code = "unexpected_eof", status = 200, body = "hello", kept = false })

for _, lines in ipairs { "Content-Length: 5\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nContent-Length: 5",
  "Transfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 5" } do
  bad("A4", "length and chunks", OK .. lines .. END .. "0\r\n\r\n",
    "both Content-Length and Transfer-Encoding")
end

for _, value in ipairs { "gzip, chunked", "chunked, gzip", "chunked, chunked", "gzip", "identity",
  "xchunked", "chunkedx", "chunked;q=1", "\"chunked\"", ", chunked", "chunked,", "", "chunk ed" } do
  bad("A5", "the coding " .. value, OK .. "Transfer-Encoding: " .. value .. END .. "0\r\n\r\n",
    "Transfer-Encoding is not just chunked")
end
bad("A5", "chunked twice", OK .. "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" ..
  END .. "0\r\n\r\n", "Transfer-Encoding is not just chunked")
bad("A5", "chunked on the second line", OK .. "Transfer-Encoding: gzip\r\nTransfer-Encoding: " ..
  "chunked" .. END .. "0\r\n\r\n", "Transfer-Encoding is not just chunked")
bad("A5", "a vertical tab before chunked", OK .. "Transfer-Encoding: \vchunked" .. END ..
  "0\r\n\r\n", "a control character in a header")
good("A5", "in capitals", OK .. "TRANSFER-ENCODING: CHUNKED" .. END .. "2\r\nok\r\n0\r\n\r\n", "ok")
good("A5", "among blanks", OK .. "Transfer-Encoding: \t chunked \t" .. END ..
  "2\r\nok\r\n0\r\n\r\n", "ok")

bad("A6", "chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" ..
  "Connection: keep-alive" .. END .. "2\r\nok\r\n0\r\n\r\n",
  "Transfer-Encoding in an HTTP/1.0 response")

-- Where nothing says it, the connection's end does.
row("A6", "HTTP/1.0 up to the end", "HTTP/1.0 200 OK\r\n\r\nhello",
  { status = 200, body = "hello", close = "fin", kept = false })
good("A6", "HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 5" .. END .. "hello",
  "hello", { kept = false })
good("A6", "HTTP/1.0 that is kept", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" ..
  "Content-Length: 5" .. END .. "hello", "hello")

-- ---- A7 to A11: chunks -----------------------------------------------------

local LAST = "0\r\n\r\n"

good("A7", "sizes in both cases", CHUNKED .. "a\r\n0123456789\r\nA\r\nabcdefghij\r\n" .. LAST,
  "0123456789abcdefghij")
good("A7", "leading zeros", CHUNKED .. "0005\r\nhello\r\n" .. "00000000000000000001\r\n!\r\n" ..
  "000\r\n\r\n", "hello!")
good("A7", "no chunk but the last", CHUNKED .. LAST, "")
for _, size in ipairs { "+5", "-5", "0x5", "5_0", " 5", "\t5", "x", "", "5x", ";", ";a=b", "5,",
  "\"5\"", "\v5", "５" } do
  bad_body("A7", "the size " .. size, CHUNKED .. size .. "\r\nhello\r\n" .. LAST, "a chunk")
end
for _, size in ipairs { "8000000000000000", "ffffffffffffffff", "10000000000000000",
  "10000000000000005", "fffffffffffffffff5", ("f"):rep(64) } do
  bad_body("A7", "the size " .. size, CHUNKED .. size .. "\r\nhello\r\n" .. LAST,
    "a chunk is too large")
end
row("A7", "the largest size", CHUNKED .. "7fffffffffffffff\r\nhello",
  { close = "fin", code = "unexpected_eof", status = 200, body = "hello", kept = false })

for _, after in ipairs { "\n", "X\r\n", "\r\r\n", "\rX", "\n\r\n", "0\r\n", " \r\n", "\0\r\n" } do
  bad_body("A8", ("%q behind the data"):format(after), CHUNKED .. "5\r\nhello" .. after .. LAST,
    "chunk data runs over its size", "hello")
end
bad_body("A8", "data longer than its size", CHUNKED .. "4\r\nhello\r\n" .. LAST,
  "chunk data runs over its size", "hell")
bad_body("A8", "data shorter than its size", CHUNKED .. "6\r\nhello\r\n" .. LAST,
  "chunk data runs over its size", "hello\r")

good("A9", "extensions", CHUNKED .. "5;a\r\nhello\r\n1;a=b;c=\"d;e\"\r\n \r\n2 ; a = b\r\nok\r\n" ..
  "0;last\r\n\r\n", "hello ok")
bad_body("A9", "a CR in an extension", CHUNKED .. "5;a\rb\r\nhello\r\n" .. LAST,
  "a malformed chunk extension")
bad_body("A9", "an LF in an extension", CHUNKED .. "5;a\nb\r\nhello\r\n" .. LAST,
  "a chunk line ends in a bare LF")
bad_body("A9", "a NUL in an extension", CHUNKED .. "5;a\0b\r\nhello\r\n" .. LAST,
  "a malformed chunk extension")
bad_body("A9", "blanks that lead to no extension", CHUNKED .. "5 \r\nhello\r\n" .. LAST,
  "a malformed chunk extension")
bad_body("A9", "words without a semicolon", CHUNKED .. "5 a=b\r\nhello\r\n" .. LAST,
  "a malformed chunk size")
bad_body("A9", "a line that is too long", CHUNKED .. "5;" .. ("x"):rep(4096), "a chunk line is too long",
  "", { coarse = true })
bad_body("A9", "too many extensions", CHUNKED .. ("1;" .. ("x"):rep(2000) .. "\r\n.\r\n"):rep(33),
  "too many chunk extensions", ("."):rep(32), { coarse = true })

good("A10", "trailers", CHUNKED .. "5\r\nhello\r\n0\r\nA: b\r\nC:d\r\n\r\n", "hello",
  { trailers = 2 })
good("A10", "a length as a trailer", CHUNKED .. "5\r\nhello\r\n0\r\nContent-Length: 9\r\n" ..
  "Transfer-Encoding: gzip\r\nConnection: close\r\n\r\n", "hello",
  { trailers = 3, headers = { ["content-length"] = {}, ["transfer-encoding"] = { "chunked" } } })
for line, message in pairs { ["A : b"] = "a malformed header name", [" A: b"] = "a folded header line",
  [": b"] = "a malformed header name", ["A"] = "a header line without a colon",
  ["A: \0"] = "a control character in a header", ["A: b\rc"] = "a control character in a header" } do
  bad_body("A10", ("the trailer %q"):format(line), CHUNKED .. "0\r\n" .. line .. "\r\n\r\n", message)
end
bad_body("A10", "a trailer that ends in LF", CHUNKED .. "0\r\nA: b\n\r\n",
  "a trailer ends in a bare LF")
bad_body("A10", "a blank line that is an LF", CHUNKED .. "0\r\n\n", "a trailer ends in a bare LF")
bad_body("A10", "trailers without end", CHUNKED .. "0\r\n" .. ("A: b\r\n"):rep(2731),
  "the trailers are too large", "", { code = "headers_too_large", coarse = true })
bad_body("A10", "a trailer without end", CHUNKED .. "0\r\nA: " .. ("b"):rep(16382),
  "the trailers are too large", "", { code = "headers_too_large", coarse = true })

local function cut(statement, name, wire, body, more)
  local r = { close = "fin", code = "unexpected_eof", body = body, kept = false,
    message = "the response body is cut short", status = 200 }
  for k, v in pairs(more or {}) do r[k] = v end
  row(statement, name, wire, r)
end

cut("A11", "no chunk", CHUNKED, "")
cut("A11", "in a size", CHUNKED .. "5", "")
cut("A11", "behind a size", CHUNKED .. "5\r", "")
cut("A11", "in an extension", CHUNKED .. "5;a", "")
cut("A11", "before the data", CHUNKED .. "5\r\n", "")
cut("A11", "in the data", CHUNKED .. "5\r\nhel", "hel")
cut("A11", "behind the data", CHUNKED .. "5\r\nhello", "hello")
cut("A11", "behind the data and CR", CHUNKED .. "5\r\nhello\r", "hello")
cut("A11", "before the last chunk", CHUNKED .. "5\r\nhello\r\n", "hello")
cut("A11", "in the last chunk's size", CHUNKED .. "5\r\nhello\r\n0", "hello")
cut("A11", "before the blank line", CHUNKED .. "5\r\nhello\r\n0\r\n", "hello")
cut("A11", "in the blank line", CHUNKED .. "5\r\nhello\r\n0\r\n\r", "hello")
cut("A11", "in the trailers", CHUNKED .. "5\r\nhello\r\n0\r\nA: b", "hello")
cut("A11", "behind the trailers", CHUNKED .. "5\r\nhello\r\n0\r\nA: b\r\n", "hello")

-- ---- A12 to A14: cut short -------------------------------------------------

cut("A12", "one byte is missing", length("6", "hello"), "hello")
cut("A12", "every byte is missing", length("5"), "")
cut("A12", "a length and close", OK .. "Connection: close\r\nContent-Length: 6" .. END .. "hello",
  "hello")
cut("A12", "HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 6" .. END .. "hello", "hello")

local NO_HEAD = { message = "the response head is cut short", status = false }
for _, head in ipairs { "H", "HTTP/1.1", "HTTP/1.1 200", "HTTP/1.1 200 OK\r", "HTTP/1.1 200 OK\r\n",
  OK .. "Content-Le", OK .. "Content-Length: 0", OK .. "Content-Length: 0\r",
  OK .. "Content-Length: 0\r\n", OK .. "Content-Length: 0\r\n\r",
  "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b" } do
  cut("A13", ("the end behind %q"):format(head:sub(-20)), head, "", NO_HEAD)
  row("A13", ("a reset behind %q"):format(head:sub(-20)), head, { close = "reset",
    code = "connection_reset", body = "", status = false, kept = false })
end
cut("A13", "nothing at all", "", "", { message = "not one byte of a response came", status = false })

local function reset(statement, name, wire, body)
  row(statement, name, wire,
    { close = "reset", code = "connection_reset", status = 200, body = body, kept = false })
end
reset("A14", "a body up to the end", OK .. "\r\nhello", "hello")
reset("A14", "HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello", "hello")
reset("A14", "a body up to the end, empty so far", OK .. "\r\n", "")
reset("A14", "a counted body", length("6", "hello"), "hello")
reset("A14", "a chunked body", CHUNKED .. "5\r\nhello\r\n", "hello")
row("A14", "an orderly end", OK .. "\r\nhello",
  { close = "fin", status = 200, body = "hello", kept = false })

-- ---- A15 to A17: the status ------------------------------------------------

local CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"
good("A15", "informational responses", CONTINUE .. "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" ..
  "HTTP/1.1 199 X\r\n\r\n" .. length("5", "hello"), "hello", { headers = { link = {} } })
good("A15", "one that says it had a body", "HTTP/1.1 103 X\r\nContent-Length: 3\r\n\r\n" ..
  length("5", "hello"), "hello", { headers = { ["content-length"] = { "5" } } })
good("A15", "one that closes, it seems", "HTTP/1.1 103 X\r\nConnection: close\r\n\r\n" ..
  length("5", "hello"), "hello")
good("A15", "as many as may be", CONTINUE:rep(32) .. length("5", "hello"), "hello",
  { coarse = true })
bad("A15", "one too many", CONTINUE:rep(33), "too many informational responses", { coarse = true })
bad("A15", "101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n" ..
  "Connection: upgrade\r\n\r\n", "101 was not asked for")

local function empty(name, wire, status, method)
  row("A16", name, wire, { status = status, body = "", kept = true, method = method })
end
for _, framing in ipairs { "", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n" } do
  local label = framing:match("^[^:]*")
  empty("204 " .. label, "HTTP/1.1 204 X\r\n" .. framing .. "\r\n", 204)
  empty("304 " .. label, "HTTP/1.1 304 X\r\n" .. framing .. "\r\n", 304)
  empty("HEAD " .. label, OK .. framing .. "\r\n", 200, "HEAD")
  empty("HEAD 404 " .. label, "HTTP/1.1 404 X\r\n" .. framing .. "\r\n", 404, "HEAD")
end
good("A16", "205 has one", "HTTP/1.1 205 X\r\nContent-Length: 5" .. END .. "hello", "hello",
  { status = 205 })

for _, line in ipairs { "HTTP/0.9 200 OK", "HTTP/1.2 200 OK", "HTTP/2.0 200 OK", "HTTP/2 200",
  "HTTP/3 200", "HTTP/1 200 OK", "HTTP/1.10 200 OK", "HTTP/11 200 OK", "HTTP/01.1 200 OK",
  "http/1.1 200 OK", "ICY 200 OK", "HTTPS/1.1 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK",
  " HTTP/1.1 200 OK", "HTTP/1.1200 OK", "HTTP /1.1 200 OK", "HTTP/1,1 200 OK", "200 OK",
  "<html>hello</html>", "SSH-2.0-OpenSSH_9.2", "", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20" } do
  bad("A17", ("the line %q"):format(line), line .. "\r\nContent-Length: 0" .. END,
    "not an HTTP/1 status line")
end
for _, status in ipairs { "2x0", "+20", "-20", "0x2", "20 ", "2 0", "x00", "\0\0\0" } do
  bad("A17", ("the status %q"):format(status), "HTTP/1.1 " .. status .. " OK\r\n\r\n",
    "the status is not a number")
end
for _, status in ipairs { "000", "099", "600", "999" } do
  bad("A17", "the status " .. status, "HTTP/1.1 " .. status .. " X\r\n\r\n",
    "the status is out of range")
end
for _, rest in ipairs { "0 OK", "OK", "\tOK", "-OK", ":" } do
  bad("A17", ("the status 200%s"):format(rest), "HTTP/1.1 200" .. rest .. END,
    "the status is not three digits")
end
for _, reason in ipairs { "", " ", " a b\tc", " \xe4\xf6", " :", "  OK" } do
  good("A17", ("the reason %q"):format(reason),
    "HTTP/1.1 200" .. reason .. "\r\nContent-Length: 0" .. END, "")
end
good("A17", "599", "HTTP/1.1 599 X\r\nContent-Length: 0" .. END, "", { status = 599 })

-- ---- A18 to A22: lines -----------------------------------------------------

local function line(statement, name, text, message)
  bad(statement, name, OK .. text .. "\r\nContent-Length: 0" .. END, message)
end

line("A18", "a folded line", "A: b\r\n c", "a folded header line")
line("A18", "folded by a tab", "A: b\r\n\tc", "a folded header line")
line("A18", "folded to a length", "A: b\r\n Content-Length: 5", "a folded header line")
line("A18", "the first line is folded", " A: b", "a folded header line")
line("A18", "folded by blanks alone", "A: b\r\n ", "a folded header line")
bad("A18", "a folded length", OK .. "Content-Length:\r\n 5" .. END .. "hello", "a folded header line")
bad("A18", "a folded coding", OK .. "Transfer-Encoding:\r\n chunked" .. END .. LAST,
  "a folded header line")

for _, name in ipairs { "A ", "A\t", "", "A B", "A(b)", "A/b", "[A]", "A\"", "\xc4", "A,", "A;b",
  "A\\", "{A}", "A=", "A@b", "\v", "A\0", "Content-Length " } do
  line("A19", ("the name %q"):format(name), name .. ": 5", "a malformed header name")
end
line("A19", "no colon", "Content-Length", "a header line without a colon")
line("A19", "only a colon", ":", "a malformed header name")
good("A19", "every kind of letter a name may have", OK .. "a1!#$%&'*+-.^_`|~Z:b\r\n" ..
  "Content-Length: 0" .. END, "", { headers = { ["a1!#$%&'*+-.^_`|~Z"] = { "b" } } })
good("A19", "an empty value", OK .. "A:\r\nB: \t\r\nContent-Length:0" .. END, "",
  { headers = { a = { "" }, b = { "" } } })

for name, text in pairs { ["in a value"] = "A: b\0c", ["before a length"] = "A: \0\nContent-Length: 5",
  ["behind a value"] = "A: b\0", ["alone"] = "A:\0" } do
  line("A20", "a NUL " .. name, text, "")
end
bad("A20", "a NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n", "a control character in the reason")
bad("A20", "a NUL in the version", "HTTP/1.\0 200 OK\r\n\r\n", "not an HTTP/1 status line")
for _, c in ipairs { 1, 7, 8, 11, 12, 27, 31, 127 } do
  line("A20", ("the control character %d"):format(c), "A: b" .. string.char(c) .. "c",
    "a control character in a header")
end

line("A21", "a CR in a value", "A: b\rc", "a control character in a header")
line("A21", "a CR that would start a line", "A: b\rContent-Length: 5",
  "a control character in a header")
line("A21", "two CRs", "A: b\r", "a control character in a header")
line("A21", "a CR in a name", "A\rB: c", "a malformed header name")
line("A21", "a CR before a line", "\rA: b", "a malformed header name")
bad("A21", "a CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", "a control character in the reason")
bad("A21", "CRs for the blank line", OK .. "Content-Length: 0\r\n\r\r\n", "a header line without")

-- The policy: a bare LF ends no line, anywhere.
bad("A22", "LF behind the status line", "HTTP/1.1 200 OK\nContent-Length: 0" .. END,
  "a line ends in a bare LF")
bad("A22", "LF behind a header", OK .. "Content-Length: 0\n\r\n", "a line ends in a bare LF")
bad("A22", "LF for the blank line", OK .. "Content-Length: 0\r\n\n", "a line ends in a bare LF")
bad("A22", "LF everywhere", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
  "a line ends in a bare LF")
bad("A22", "LF before everything", "\nHTTP/1.1 200 OK\r\n\r\n", "a line ends in a bare LF")
bad_body("A22", "LF behind a chunk's size", CHUNKED .. "5\nhello\r\n" .. LAST,
  "a chunk line ends in a bare LF")
bad_body("A22", "LF behind the last chunk's size", CHUNKED .. "0\n\r\n",
  "a chunk line ends in a bare LF")
bad("A22", "an empty line before everything", "\r\n" .. length("0"), "not an HTTP/1 status line")
