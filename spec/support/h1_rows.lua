-- SPDX-License-Identifier: MIT
--
-- What servers may and may not say in HTTP/1 (RFC 9112), as data: what a peer
-- sends in answer to one request, and what has to become of it. spec/h1_spec.lua
-- plays every row whole, byte by byte and cut in two at every place: the pieces
-- are what the client reads (spec/support/lockstep.lua).
--
-- A row: { statement, what it is, response, expected }
--   expected   { status, body } or the code of the err
--   method     of the request, default GET
--   reset      the peer ends with a reset, not in order
--   reused     true or false: whether the connection is kept afterwards
--   trailers   what the response's trailers hold
--   headers    what its headers hold; false for what they must not
--   options    of the request
--   message    what the err's message says: which of several guards spoke
--   long       too long to be cut everywhere: in some places only
-- luacheck: no max line length
local list = require("spec.support.rows").new()
local rows = list.rows

local OK = "HTTP/1.1 200 OK\r\n"
local CHUNKED = OK .. "Transfer-Encoding: chunked\r\n\r\n"
local BAD, EOF, LARGE = "bad_response", "unexpected_eof", "headers_too_large"

local add, each, map = list.add, list.each, list.map

add { "A1", "two lengths that differ", OK .. "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
  BAD }
add { "A2", "one length said twice is one", OK .. "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
  { 200, "hello" }, reused = true }
each("A3", "a length that is no number", BAD, map({ "+5", "-5", "5a", "0x5", "5 5", "5, 5", "5,", "",
  "\v5", "5.0", "five", "9223372036854775808", "18446744073709551621",
  "99999999999999999999999999999" }, function(value)
  return OK .. "Content-Length: " .. value .. "\r\n\r\nhello"
end))
each("A4", "length and transfer coding at once", BAD, {
  OK .. "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  OK .. "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
})
each("A5", "a transfer coding that is not just chunked", BAD, map({ "gzip", "chunked, gzip",
  "gzip, chunked", "chunked, chunked", "xchunked", "chunked;q=1", "identity", "\"chunked\"", "",
  "chunked\r\nTransfer-Encoding: chunked" }, function(value)
  return OK .. "Transfer-Encoding: " .. value .. "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
end))
add { "A5", "chunked in other letters", OK .. "transfer-encoding: \tCHUNKED \r\n\r\n1\r\nx\r\n0\r\n\r\n",
  { 200, "x" }, reused = true }
add { "A6", "a transfer coding in HTTP/1.0",
  "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", BAD }

each("A7", "a chunk size that is no hexadecimal number", BAD, map({ "", "g", "0x5", "+5", "-5", " 5",
  "5 ", "5_0", "5,", "\t5", "10000000000000000", "fffffffffffffffff" }, function(size)
  return CHUNKED .. size .. "\r\nhello\r\n0\r\n\r\n"
end))
-- What follows could be the end of a body, or trailers.
each("A7", "a chunk without a size is not the last one", BAD, map({ "\r\n", ";a=b\r\n", ";\r\nA: b\r\n" },
  function(lines) return CHUNKED .. lines .. "\r\n" end))
add { "A7", "chunk sizes in any letters, with zeros", CHUNKED .. "000A\r\n0123456789\r\na\r\nabcdefghij\r\n"
  .. "00\r\n\r\n", { 200, "0123456789abcdefghij" }, reused = true }
each("A8", "chunk data that is not followed by CRLF", BAD, {
  CHUNKED .. "5\r\nhelloX\r\n0\r\n\r\n", CHUNKED .. "5\r\nhello\n0\r\n\r\n",
  CHUNKED .. "5\r\nhello\rX0\r\n\r\n", CHUNKED .. "5\r\nhello0\r\n\r\n",
})
each("A9", "chunk extensions are passed over", { 200, "hello" }, {
  CHUNKED .. "5;a=b;c=\"d;e\"\r\nhello\r\n0;last\r\n\r\n", CHUNKED .. "5;\r\nhello\r\n0\r\n\r\n",
}, { reused = true })
each("A9", "a line end inside a chunk extension", BAD, {
  CHUNKED .. "5;a\nb\r\nhello\r\n0\r\n\r\n", CHUNKED .. "5;a\rb\r\nhello\r\n0\r\n\r\n",
  CHUNKED .. "5\nhello\r\n0\r\n\r\n",
})
each("A9", "a control character in a chunk extension", BAD, {
  CHUNKED .. "5;a=\0\r\nhello\r\n0\r\n\r\n", CHUNKED .. "5;\x7f\r\nhello\r\n0\r\n\r\n",
}, { message = "malformed chunk extension" })
add { "A9", "a chunk line as long as it may be", CHUNKED .. "1;" .. ("e"):rep(4093) .. "\r\nx\r\n0\r\n\r\n",
  { 200, "x" }, long = true }
add { "A9", "an endless chunk line", CHUNKED .. "1;" .. ("e"):rep(4095), BAD,
  message = "a chunk line is too long", long = true }
add { "A9", "as many chunk extensions as may be", CHUNKED .. ("1;" .. ("e"):rep(1023) .. "\r\nx\r\n"):rep(64)
  .. "0\r\n\r\n", { 200, ("x"):rep(64) }, long = true }
add { "A9", "endless chunk extensions", CHUNKED .. ("1;" .. ("e"):rep(1023) .. "\r\nx\r\n"):rep(64)
  .. "1;\r\nx\r\n0\r\n\r\n", BAD, message = "too many chunk extensions", long = true }
add { "A10", "trailers are no headers", CHUNKED .. "1\r\nx\r\n0\r\nX-Sum: 7\r\nContent-Length: 99\r\n\r\n",
  { 200, "x" }, trailers = { ["x-sum"] = "7", ["content-length"] = "99" },
  headers = { ["x-sum"] = false, ["content-length"] = false }, reused = true }
each("A10", "a malformed trailer", BAD, map({ "X", ": x", "X : y", " X: y", "X: \0" }, function(line)
  return CHUNKED .. "1\r\nx\r\n0\r\n" .. line .. "\r\n\r\n"
end))
add { "A10", "as many trailers as may be", CHUNKED .. "0\r\n" .. ("X: " .. ("y"):rep(1019) .. "\r\n"):rep(15)
  .. "Y: " .. ("y"):rep(1017) .. "\r\n\r\n", { 200, "" }, trailers = { y = ("y"):rep(1017) }, long = true }
each("A10", "endless trailers", LARGE, {
  CHUNKED .. "0\r\n" .. ("X: " .. ("y"):rep(1019) .. "\r\n"):rep(15) .. "Y: " .. ("y"):rep(1018) .. "\r\n\r\n",
  CHUNKED .. "0\r\nX: " .. ("y"):rep(16382),
}, { message = "the trailers are too large", long = true })
each("A10", "a trailer that ends in a bare LF", BAD, {
  CHUNKED .. "0\r\n\n", CHUNKED .. "0\r\nX: y\n\r\n", CHUNKED .. "0\n\n",
}, { message = "bare LF" })
each("A11", "the end of the connection before that of the chunks", EOF, {
  CHUNKED, CHUNKED .. "5", CHUNKED .. "5\r\n", CHUNKED .. "5\r\nhel", CHUNKED .. "5\r\nhello\r\n",
  CHUNKED .. "5\r\nhello\r\n0\r\n", CHUNKED .. "5\r\nhello\r\n0\r\nX: y\r\n",
})
each("A11", "a reset before the end of the chunks", "connection_reset", {
  CHUNKED .. "5\r\nhel", CHUNKED .. "5\r\nhello\r\n", CHUNKED .. "5\r\nhello\r\n0\r\n",
}, { reset = true })
add { "A12", "a reset before the end of the length", OK .. "Content-Length: 5\r\n\r\nhell",
  "connection_reset", reset = true }
each("A12", "the end of the connection before that of the length", EOF, {
  OK .. "Content-Length: 5\r\n\r\n", OK .. "Content-Length: 5\r\n\r\nhell",
})
each("A13", "the end of the connection inside the head", EOF, {
  "H", OK, OK .. "Content-Length: 5", OK .. "Content-Length: 5\r\n",
})
each("A13", "a reset inside the head", "connection_reset", { "H", OK .. "Content-Length: 5\r\n" },
  { reset = true })
each("A14", "a body until the end of the connection", { 200, "hello" }, {
  OK .. "\r\nhello", "HTTP/1.0 200 OK\r\n\r\nhello", OK .. "Connection: keep-alive\r\n\r\nhello",
})
add { "A14", "a reset is no end of a body", OK .. "\r\nhello", "connection_reset", reset = true }
add { "A15", "responses before the response", "HTTP/1.1 100 Continue\r\n\r\n"
  .. "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" .. OK .. "Content-Length: 1\r\n\r\nx",
  { 200, "x" }, reused = true, headers = { link = false } }
add { "A15", "an end without the response", "HTTP/1.1 100 Continue\r\n\r\n", EOF }
add { "A15", "a protocol that nobody asked for",
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", BAD }
add { "A15", "another protocol, although asked for",
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", BAD, message = "101",
  options = { headers = { Connection = "upgrade", Upgrade = "x" } } }
add { "A15", "as many of them as may be", ("HTTP/1.1 102 Wait\r\n\r\n"):rep(32) .. OK
  .. "Content-Length: 1\r\n\r\nx", { 200, "x" }, reused = true, long = true }
add { "A15", "more of them than anybody needs", ("HTTP/1.1 102 Wait\r\n\r\n"):rep(33) .. OK .. "\r\n",
  BAD, message = "too many informational responses", long = true }
for _, status in ipairs({ 204, 304 }) do
  for _, field in ipairs({ "Content-Length: 5", "Transfer-Encoding: chunked" }) do
    add { "A16", "no body whatever the headers say", ("HTTP/1.1 %d X\r\n%s\r\n\r\n"):format(status, field),
      { status, "" }, reused = true }
  end
end
each("A16", "no body where there is none, and no next response either", { 204, "" }, {
  "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello",
}, { reused = false })
add { "A16", "a body behind the answer to HEAD", OK .. "Content-Length: 5\r\n\r\nhello", { 200, "" },
  method = "HEAD", reused = false }
add { "A16", "no body in answer to HEAD", OK .. "Content-Length: 5\r\n\r\n", { 200, "" },
  method = "HEAD", reused = true }
each("A17", "what is no status line", BAD, map({ "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK",
  "HTTP/1.1 099 OK", "HTTP/1.1 600 OK", "HTTP/1.1 2x0 OK", "HTTP/1.1 2:0 OK", "HTTP/1.1 2/0 OK", "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK",
  "HTTP/1.1200 OK", "HTTP/1.1 200OK", "HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "HTTP/1.2 200 OK",
  "HTTP/01.1 200 OK", "HTTP/11 200 OK", "http/1.1 200 OK", "ICY 200 OK", " HTTP/1.1 200 OK", "",
  "<html>hello</html>", "HTTP/1.1 -10 OK", "HTTP/1.1 200 \0", "HTTP/1.1 200 a\rb" }, function(line)
  return line .. "\r\nContent-Length: 1\r\n\r\nx"
end))
each("A17", "a status line without a reason", { 200, "x" }, {
  "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
}, { reused = true })
each("A17", "what HTTP/1.0 keeps and HTTP/1.1 closes", { 200, "x" }, {
  "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", OK .. "Connection: close\r\nContent-Length: 1\r\n\r\nx",
  OK .. "Connection: x, CLOSE ,y\r\nContent-Length: 1\r\n\r\nx",
  OK .. "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
  OK .. "Connection: close\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
}, { reused = false })
each("A17", "what HTTP/1.0 is asked to keep", { 200, "x" }, {
  "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
  "HTTP/1.0 200 OK\r\nConnection: x,keep-alive\r\nContent-Length: 1\r\n\r\nx",
}, { reused = true })
add { "A17", "what HTTP/1.0 is asked both", "HTTP/1.0 200 OK\r\nConnection: close\r\n"
  .. "Connection: keep-alive\r\nContent-Length: 1\r\n\r\nx", { 200, "x" }, reused = false }
each("A18", "a folded header line", BAD, {
  OK .. "A: b\r\n c\r\nContent-Length: 1\r\n\r\nx", OK .. "A: b\r\n\tc\r\nContent-Length: 1\r\n\r\nx",
  OK .. " Content-Length: 1\r\n\r\nx",
})
each("A19", "a malformed header name", BAD, map({ "A : b", ": b", "A b", "A(b): c", "A\tb: c",
  "\"A\": b", "A", "Content-Length : 1", "\x80: b" }, function(line)
  return OK .. line .. "\r\nContent-Length: 1\r\n\r\nx"
end))
each("A20", "a NUL in the head", BAD, map({ "A\0: b", "A: b\0", "A: \0b", "\0A: b" }, function(line)
  return OK .. line .. "\r\nContent-Length: 1\r\n\r\nx"
end))
each("A21", "a bare CR", BAD, {
  OK .. "A: b\rContent-Length: 1\r\n\r\nx", OK .. "A: b\r\r\nContent-Length: 1\r\n\r\nx",
  OK .. "Content-Length: 1\r\n\r\r\nx", CHUNKED .. "1\r\r\nx\r\n0\r\n\r\n",
  CHUNKED .. "1\r\nx\r\n0\r\nX: y\rz\r\n\r\n",
})
each("A22", "a bare LF", BAD, {
  "HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\nx", OK .. "Content-Length: 1\n\r\nx",
  OK .. "Content-Length: 1\r\n\nx",
})
-- Each limit of src/proto/h1.h from both sides; its CR counts, its LF does not.
each("A23", "a status line as long as it may be", { 200, "x" }, {
  "HTTP/1.1 200 " .. ("x"):rep(8178) .. "\r\nContent-Length: 1\r\n\r\nx",
}, { reused = true, long = true })
each("A23", "an endless status line", LARGE, {
  "HTTP/1.1 200 " .. ("x"):rep(8180), "HTTP/1.1 200 " .. ("x"):rep(8179) .. "\r\n\r\n",
  ("x"):rep(8193),
}, { message = "the status line is too long", long = true })
add { "A23", "a header line as long as it may be", OK .. "X: " .. ("x"):rep(65532)
  .. "\r\nContent-Length: 1\r\n\r\nx", { 200, "x" }, reused = true, long = true }
each("A23", "an endless header line", LARGE, {
  OK .. "X: " .. ("x"):rep(65534), OK .. "X: " .. ("x"):rep(65533) .. "\r\n\r\n", OK .. ("x"):rep(65537),
}, { message = "a header line is too long", long = true })
add { "A23", "as many header fields as may be", OK .. ("X:\r\n"):rep(4999) .. "Content-Length: 1\r\n\r\nx",
  { 200, "x" }, reused = true, long = true }
add { "A23", "too many header fields", OK .. ("X:\r\n"):rep(5001), LARGE,
  message = "too many header fields", long = true }
add { "A23", "header lines without end", OK .. ("X: " .. ("y"):rep(1000) .. "\r\n"):rep(300), LARGE,
  message = "the response head is too large", long = true }
add { "A23", "a head of max_header_size", OK .. "Content-Length: 1\r\nX: " .. ("y"):rep(57)
  .. "\r\n\r\nx", { 200, "x" }, options = { max_header_size = 100 }, reused = true }
each("A23", "a head beyond max_header_size", LARGE, {
  OK .. "Content-Length: 1\r\nX: " .. ("y"):rep(58) .. "\r\n\r\nx", ("x"):rep(101),
  OK .. "X: " .. ("y"):rep(100),
}, { message = "the response head is too large", options = { max_header_size = 100 } })
add { "A25", "bytes behind the response", OK .. "Content-Length: 1\r\n\r\nx" .. OK, { 200, "x" },
  reused = false }
add { "A25", "bytes behind the last chunk", CHUNKED .. "1\r\nx\r\n0\r\n\r\n!", { 200, "x" },
  reused = false }
add { "A31", "cookies are never joined",
  OK .. "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 1\r\n\r\nx", { 200, "x" },
  headers = { ["set-cookie"] = { "a=1", "b=2" } }, reused = true }

return rows
