-- SPDX-License-Identifier: MIT
--
-- What servers may and may not say in HTTP/2 (RFC 9113), as data: the frames a
-- peer sends in answer to a request on stream 1, and what has to become of it.
-- spec/h2_rows_spec.lua plays every row whole, byte by byte, cut in two at
-- every place, and beside another stream.
--
-- A row: { statement, what it is, frames, expected }
--   expected   { status, body } or the code of the err
--   method     of the request, default GET; options: more of them
--   message    what the err's message says: which of several guards spoke
--   all        the connection ends, and so do the other streams on it
--   trailers   what the response's trailers hold
--   long       too long to be cut everywhere: in some places only
--   bare       the peer does not say hello before
-- luacheck: no max line length
local h2 = require "spec.support.h2_peer"

local list = require("spec.support.rows").new()
local rows = list.rows

local BAD, RESET, EOF, LARGE = "bad_response", "stream_reset", "unexpected_eof", "headers_too_large"

local add, each, map = list.add, list.each, list.map

-- A head on stream 1: :status and the fields given.
local function head(fields, flags, status)
  return h2.headers(1, { { ":status", status or "200" }, table.unpack(fields or {}) }, flags)
end

local function data(text, flags) return h2.data(1, text, flags) end
local function block(bytes, flags) return h2.frame(h2.HEADERS, flags or 5, 1, bytes) end

local OK, END, BOTH = h2.ok(1), h2.END_STREAM, 5
local PADDED, PRIORITY = 8, 0x20

-- ---- whole responses -----------------------------------------------------

add { "B1", "a body of its length", head { { "content-length", "5" } } .. data("hel") .. data("lo", END),
  { 200, "hello" } }
add { "B1", "a length said twice", head { { "content-length", "2" }, { "content-length", "2" } } .. data("ok", END),
  { 200, "ok" } }
add { "B1", "padding is no body", head { { "content-length", "2" } } .. data("\4ok\0\0\0\0", PADDED + END),
  { 200, "ok" } }
add { "B1", "HEAD has a length and no body", head({ { "content-length", "5" } }, BOTH), { 200, "" }, method = "HEAD" }
add { "B1", "304 has a length and no body", head({ { "content-length", "5" } }, BOTH, "304"), { 304, "" } }
add { "B4", "RST NO_ERROR after the whole response", OK .. data("all", END) .. h2.rst(1, 0), { 200, "all" } }
add { "B6", "1xx before the response", head({ { "link", "x" } }, 4, "103") .. head({}, 4, "199") .. OK .. data("x", END),
  { 200, "x" } }
add { "B7", "trailers", OK .. data("x") .. h2.headers(1, { { "x-sum", "1" } }, BOTH), { 200, "x" },
  trailers = { ["x-sum"] = "1" } }
add { "B8", "a head with padding and a priority",
  h2.frame(h2.HEADERS, BOTH + PADDED + PRIORITY, 1, "\2\0\0\0\0\16\x88\0\0"), { 200, "" } }
add { "B8", "a head in many frames", h2.frame(h2.HEADERS, END, 1, "") .. h2.frame(h2.CONTINUATION, 0, 1, "")
  .. h2.frame(h2.CONTINUATION, 0, 1, "\x88\0\1") .. h2.frame(h2.CONTINUATION, 4, 1, "a\1b"), { 200, "" } }
add { "B8", "frames and settings nobody knows", h2.frame(250, 255, 1, "x") .. h2.frame(11, 0, 0, "")
  .. h2.settings { [0x4242] = 7 } .. OK .. data("x", END), { 200, "x" } }
add { "B8", "flags nobody knows", h2.frame(h2.HEADERS, 0xd0 + BOTH, 1, "\x88"), { 200, "" } }
add { "B12", "a smaller HPACK table", block("\x20\x88"), { 200, "" } }
add { "B12", "Huffman coding", block("\x88\x00\x81\x1f\x81\x8f"), { 200, "" } }

-- ---- a stream fails alone ------------------------------------------------

add { "B1", "a body shorter than its length", head { { "content-length", "5" } } .. data("1234", END), BAD,
  message = "shorter" }
add { "B1", "a body shorter than its length, with trailers", head { { "content-length", "5" } } .. data("1234")
  .. h2.headers(1, { { "a", "b" } }, BOTH), BAD, message = "shorter" }
add { "B1", "no body, but a length", head({ { "content-length", "5" } }, BOTH), BAD, message = "shorter" }
add { "B1", "a body longer than its length", head { { "content-length", "5" } } .. data("123456", END), BAD,
  message = "longer" }
add { "B1", "a body longer than its length, in two", head { { "content-length", "5" } } .. data("12345") .. data("6"),
  BAD, message = "longer" }
add { "B1", "a body for HEAD", OK .. data("x", END), BAD, method = "HEAD", message = "has none" }
each("B1", "a body where there is none", BAD, map({ "204", "304" }, function(status)
  return head({}, 4, status) .. data("x", END)
end), { message = "has none" })
each("B1", "a length that is no number", BAD, map({ "+5", "-5", "5a", "0x5", "5, 5", "", "5.0",
  "9223372036854775808", "18446744073709551621" }, function(value)
  return head { { "content-length", value } } .. data("hello", END)
end), { message = "not a number" })
add { "B1", "two lengths that differ", head { { "content-length", "5" }, { "content-length", "6" } }, BAD,
  message = "two different" }

local ERRORS = { "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
  "FRAME_SIZE_ERROR", nil, "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED", [0] = "NO_ERROR",
  [14] = "an error code HTTP/2 does not have", [0xffffffff] = "an error code HTTP/2 does not have" }
for code, name in pairs(ERRORS) do
  local statement = code == 0 and "B4" or "B3"
  add { statement, "RST at once: " .. name, h2.rst(1, code), RESET, message = name }
  add { statement, "RST in a body: " .. name, OK .. data("x") .. h2.rst(1, code), RESET, message = name }
end
add { "B4", "RST NO_ERROR in a body that has a length", head { { "content-length", "2" } } .. data("x")
  .. h2.rst(1, 0), RESET, message = "NO_ERROR" }
add { "B3", "REFUSED_STREAM after a part of the response", OK .. data("x") .. h2.rst(1, 7), RESET,
  message = "REFUSED_STREAM" }

add { "B6", "no status", h2.headers(1, { { "a", "b" } }), BAD, message = ":status" }
add { "B6", "an empty head", h2.headers(1, {}), BAD, message = ":status" }
add { "B6", "two statuses", head { { ":status", "200" } }, BAD, message = "two :status" }
add { "B6", "a status after fields", h2.headers(1, { { "a", "b" }, { ":status", "200" } }), BAD,
  message = ":status" }
each("B6", "a status that is no three digits", BAD, map({ "", "2", "20", "2000", "+20", "2x0", " 200", "200 ",
  "200 OK", "000", "099", "600", "999" }, function(status) return head({}, 4, status) end),
  { message = "100 to 599" })
add { "B6", "101", head({}, 4, "101"), BAD, message = "101" }
add { "B6", "1xx at the end", head({}, BOTH, "103"), BAD, message = "informational" }
add { "B6", "more 1xx than anybody needs", head({}, 4, "103"):rep(33), BAD, message = "too many informational" }
add { "B6", "a body before the final head", head({}, 4, "103") .. data("x", END), BAD, message = "before" }
each("B6", "a request's pseudo field", BAD, map({ ":path", ":method", ":scheme", ":authority", ":protocol", ":x", ":" },
  function(name) return head { { name, "/" } } end), { message = "pseudo" })

each("B7", "upper case", BAD, map({ "A", "Content-length", "x-Y" }, function(name)
  return head { { name, "b" } }
end), { message = "upper case" })
each("B7", "a name that is no token", BAD, map({ "", "a b", "a:b", "a\r", "a\nb", "a\0b", "\x7f", "a\xe4", "(a)" },
  function(name) return head { { name, "b" } } end), { message = "name" })
each("B7", "control characters in a value", BAD, map({ "b\r\nc: d", "b\nc", "b\rc", "b\0c", "\0", "b\1", "b\x7f" },
  function(value) return head { { "a", value } } end), { message = "control character" })
each("B7", "space around a value", BAD, map({ " b", "b ", "\tb", "b\t", " " }, function(value)
  return head { { "a", value } }
end), { message = "space around" })
each("B7", "fields of HTTP/1 connections", BAD, map({ "connection", "keep-alive", "proxy-connection", "upgrade",
  "transfer-encoding" }, function(name) return head { { name, "x" } } end), { message = "HTTP/1" })
each("B7", "trailers that are none", BAD, map({ ":status", ":path", "A", "connection", "a b" }, function(name)
  return OK .. data("x") .. h2.headers(1, { { name, "200" } }, BOTH)
end))
add { "B7", "trailers before the end", OK .. data("x") .. h2.headers(1, { { "a", "b" } }), BAD, message = "trailers" }

add { "B8", "a stream's window beyond all", OK .. h2.window(1, 0x7fffffff), "http2_error",
  message = "FLOW_CONTROL_ERROR" }
add { "B11", "an HPACK bomb", h2.frame(h2.HEADERS, 4, 1, "\x88\x40\1a\x7f\xa1\x1e" .. ("x"):rep(4000)
  .. ("\xbe"):rep(12000)), LARGE, long = true }
add { "B11", "a head beyond its limit", head { { "a", ("b"):rep(100) } }, LARGE, options = { max_header_size = 100 } }
add { "B11", "more fields than anybody needs", h2.frame(h2.HEADERS, 4, 1, "\x88" .. ("\x90"):rep(6000)), LARGE,
  message = "too many", long = true, options = { max_header_size = 1 << 20 } }
add { "B11", "trailers beyond their limit", OK .. h2.headers(1, { { "a", ("b"):rep(16000) } }, 1)
  .. h2.frame(h2.CONTINUATION, 4, 1, h2.block { { "c", ("d"):rep(1000) } }), LARGE, message = "trailers", long = true }

-- ---- the connection ends -------------------------------------------------

-- What breaks the rules of the connection, each with the error's name.
local function breaks(statement, name, answers)
  for _, answer in ipairs(answers) do
    add { statement, answer[1], answer[2], "http2_error", message = name, all = true,
      long = #answer[2] > 200 or nil }
  end
end

breaks("B7", "PROTOCOL_ERROR", { { "a body before any head", data("x") } })
breaks("B8", "PROTOCOL_ERROR", {
  { "DATA of the connection", h2.data(0, "x") },
  { "HEADERS of the connection", h2.headers(0, { { ":status", "200" } }) },
  { "PRIORITY of the connection", h2.frame(h2.PRIORITY, 0, 0, "\0\0\0\0\1") },
  { "RST of the connection", h2.rst(0, 0) },
  { "SETTINGS of a stream", h2.frame(h2.SETTINGS, 0, 1, "") },
  { "PING of a stream", h2.frame(h2.PING, 0, 1, "12345678") },
  { "GOAWAY of a stream", h2.frame(h2.GOAWAY, 0, 1, "\0\0\0\0\0\0\0\0") },
  { "CONTINUATION of the connection", h2.frame(h2.CONTINUATION, 4, 0, "\x88") },
  { "CONTINUATION of nothing", h2.frame(h2.CONTINUATION, 4, 1, "\x88") },
  { "CONTINUATION after the head's end", OK .. h2.frame(h2.CONTINUATION, 4, 1, "\x88") },
  { "CONTINUATION of another stream", head({}, 0) .. h2.frame(h2.CONTINUATION, 4, 3, "\x88") },
  { "a frame inside a head", head({}, 0) .. h2.ping },
  { "DATA inside a head", head({}, 0) .. data("x") },
  { "an unknown frame inside a head", head({}, 0) .. h2.frame(250, 0, 0, "") },
  { "more padding than DATA", data("\5abc", PADDED) },
  { "more padding than HEADERS", block("\5\x88", BOTH + PADDED) },
  { "HEADERS of an idle stream", h2.headers(9, { { ":status", "200" } }) },
  { "DATA of an idle stream", h2.data(9, "x") },
  { "RST of an idle stream", h2.rst(9, 0) },
  { "a window of an idle stream", h2.window(9, 1) },
  { "HEADERS of a stream of the server's", h2.headers(2, { { ":status", "200" } }) },
  { "DATA of a stream of the server's", h2.data(2, "x") },
  { "a window that grows by nothing", h2.window(0, 0) },
  { "a stream's window that grows by nothing", OK .. h2.window(1, 0) },
  { "a frame size below all", h2.settings { [5] = 16383 } },
  { "a frame size beyond all", h2.settings { [5] = 16777216 } },
  { "push switched on by a server", h2.settings { [2] = 1 } },
  { "a switch that is neither on nor off", h2.settings { [2] = 2 } },
})
breaks("B8", "FRAME_SIZE_ERROR", {
  { "DATA larger than we take", data(("x"):rep(16385)) },
  { "HEADERS larger than we take", block(("\x88"):rep(16385)) },
  { "an unknown frame larger than we take", h2.frame(250, 0, 0, ("x"):rep(16385)) },
  { "SETTINGS of odd size", h2.frame(h2.SETTINGS, 0, 0, "abc") },
  { "an acknowledgement with SETTINGS", h2.frame(h2.SETTINGS, 1, 0, "abcdef") },
  { "a short PING", h2.frame(h2.PING, 0, 0, "1234567") },
  { "a long PING", h2.frame(h2.PING, 0, 0, "123456789") },
  { "a short RST", h2.frame(h2.RST_STREAM, 0, 1, "abc") },
  { "a short WINDOW_UPDATE", h2.frame(h2.WINDOW_UPDATE, 0, 0, "abc") },
  { "a short GOAWAY", h2.frame(h2.GOAWAY, 0, 0, "1234567") },
})
breaks("B8", "FLOW_CONTROL_ERROR", {
  { "the connection's window beyond all", h2.window(0, 0x7fffffff) },
  { "windows beyond all by SETTINGS", h2.settings { [4] = 0x80000000 } },
})
breaks("B9", "PROTOCOL_ERROR", {
  { "a push", h2.frame(h2.PUSH_PROMISE, 4, 1, "\0\0\0\2" .. h2.block { { ":path", "/" } }) },
  { "a push inside a response", OK .. h2.frame(h2.PUSH_PROMISE, 4, 1, "\0\0\0\2\x82") },
})
breaks("B12", "COMPRESSION_ERROR", {
  { "an HPACK index of nothing", block "\x80" },
  { "an HPACK index that is not there", block "\xff\xff\x7f" },
  { "an HPACK index beyond all", block "\x88\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f" },
  { "a name that is not there", block "\x88\x7f\x20\1a" },
  { "a cut HPACK string", block "\x88\0\5ab" },
  { "a cut HPACK number", block "\x88\0\x7f" },
  { "an HPACK table larger than we take", block "\x3f\xe2\xff\3\x88" },
  { "another HPACK table after a field", block "\x88\x20" },
  { "Huffman padding of zeros", block "\x88\0\1a\x81\x18" },
  { "Huffman padding of a byte", block "\x88\0\1a\x82\x1f\xff" },
  { "Huffman's end of string inside", block "\x88\0\1a\x84\xff\xff\xff\xff" },
  { "an error in the trailers", OK .. h2.frame(h2.HEADERS, BOTH, 1, "\x80") },
})
for _, greeting in ipairs { "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "220 mail.test ESMTP\r\n",
  "\x15\3\1\0\2\2\x46\0\0\0", h2.ping, OK } do
  add { "B17", "what does not begin with SETTINGS", greeting, "http2_error", message = "does not speak HTTP/2",
    all = true, bare = true }
end

each("B4", "an end of the connection before the response's", EOF, { "", h2.ping, OK, OK .. data("x"), OK:sub(1, -2),
  head { { "content-length", "2" } } .. data("x"), OK .. "\0\0\5\0\1\0\0\0\1abc" })
add { "B5", "GOAWAY that lets the stream end", h2.goaway(1, 0) .. OK .. data("x", END), { 200, "x" } }
add { "B5", "GOAWAY in two steps", h2.goaway(0x7fffffff, 0) .. OK .. h2.goaway(1, 0) .. data("x", END), { 200, "x" } }
add { "B5", "GOAWAY with an error, but a whole response", h2.goaway(1, 2) .. OK .. data("x", END), { 200, "x" } }
add { "B5", "GOAWAY with an error, and the end", h2.goaway(1, 11) .. OK .. data("x"), "http2_error",
  message = "ENHANCE_YOUR_CALM" }
add { "B5", "GOAWAY that leaves out an answered stream", OK .. data("x") .. h2.goaway(0, 0), RESET }
breaks("B5", "PROTOCOL_ERROR", { { "GOAWAY that takes back what it said", h2.goaway(1, 0) .. h2.goaway(3, 0) } })

return rows
