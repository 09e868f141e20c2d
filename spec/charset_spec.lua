-- SPDX-License-Identifier: MIT
--
-- Charsets: by label, by byte order mark, and what means nothing in them.
-- iconv's own tables are not tested here, only that the right one is asked.
local async = require "spec.support.async"
local charset = require "multisocket.charset"
local ms = require "multisocket"
local peer = require "spec.support.peer"

local function text_of(content_type, body)
  local head = "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"
  local line = content_type and ("Content-Type: %s\r\n"):format(content_type) or ""
  local p <close> = peer.start { { { "request" }, { "send", head:format(line, #body, body) } } }
  return assert(ms.fetch(p:url())):text()
end

describe("res:text()", function()
  it("goes by what the server says", async(function()
    for _, row in ipairs {
      { nil, "\xC3\xA9", "é" },
      { "text/plain", "\xC3\xA9", "é" },
      { "text/plain; charset=utf-8", "\xC3\xA9", "é" },
      { "text/plain;charset=ISO-8859-1", "\xE9 \x80", "é €" }, -- as browsers have it
      { 'text/plain; Charset="windows-1252"', "\x93\x81", "“\u{81}" },
      { "text/html; x=1; charset=windows-1251", "\xCF\xF0\xE8", "При" },
      { "text/html; charset=shift_jis", "\x93\xFA\x96\x7B", "日本" },
      { "text/plain; charset=utf-16le", "a\0\xAC\x20", "a€" },
      { "text/plain; charset=utf-16be", "\0a\x20\xAC", "a€" },
      { "text/plain; charset=us-ascii", "\xE9", "é" },
      { "charset=latin1", "\xC3\xA9", "é" }, -- a type, not a parameter
      { 'text/html; x=";charset=latin1"; charset=utf-8', "\xC3\xA9", "é" },
      { 'text/html; x="\\";charset=latin1"; charset=utf-8', "\xC3\xA9", "é" },
      { "text/html; charset=utf-8; charset=latin1", "\xC3\xA9", "é" },
      { 'text/html; charset=; charset=""; charset=latin1', "\xE9", "é" },
      { 'text/html; charset="lat\\in1', "\xE9", "é" },
      { "text/html;charset", "\xC3\xA9", "é" },
      { "text/html;; charset = latin1 ;", "\xE9", "é" },
      { "text/html; acharset=x", "é", "é" },
      { "text/html; charset=latin1 x=y", "\xC3\xA9", nil },
      { ";=;charset=latin1", "\xE9", "é" },
      { "text/html; charset=x-mac-cyrillic", "\xC0", "ј" },
      { "a/b; charset=iso88597", "\xE1", "α" },
    } do
      assert.equal(row[3], text_of(row[1], row[2]), row[1])
    end
  end))

  it("believes a byte order mark more", async(function()
    assert.equal("é", text_of("text/plain; charset=latin1", "\xEF\xBB\xBF\xC3\xA9"))
    assert.equal("a", text_of(nil, "\xFF\xFEa\0"))
    assert.equal("a", text_of("text/plain; charset=nothing", "\xFE\xFF\0a"))
  end))

  it("does not guess at what it does not know", async(function()
    local text, err = text_of("text/plain; charset=klingon", "x")
    assert.is_nil(text)
    assert.equal("decode_failed", err.code)
    assert.matches('the charset "klingon", which is not known', err.message, 1, true)
    for _, name in ipairs { "UTF-7", "../x", "utf-8//translit", "ISO-2022-CN-EXT", "" } do
      assert.is_nil(charset.decode("x", name))
    end
  end))
end)

describe("a response's head", function()
  it("tells what the body is, and when it was made", async(function()
    for _, row in ipairs {
      { "Content-Type: Text/HTML; Charset=UTF-8\r\n", "text/html", "utf-8" },
      { 'Content-Type:application/json ;a=b;charset="Koi8-r"\r\n', "application/json", "koi8-r" },
      { "Content-Type: text/plain\r\n", "text/plain" }, { "Content-Type:\r\n" }, { "" },
      { "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", date = 784111777 },
      { "Date: yesterday\r\n" },
    } do
      local p <close> = peer.start { { { "request" },
        { "send", "HTTP/1.1 204 No Content\r\n" .. row[1] .. "\r\n" } } }
      local res = assert(ms.fetch(p:url()))
      local kind, name = res:content_type()
      assert.equal(row[2], kind)
      assert.equal(row[3], name)
      assert.equal(row.date, res:date())
    end
  end))
end)

describe("what means nothing", function()
  -- Unicode 15, chapter 3.9, table 3-8 to 3-11, and what is too short.
  local ROWS = {
    ["\xC0\xAF\xE0\x80\xBF\xF0\x81\x82A"] = "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"
      .. "\u{FFFD}\u{FFFD}A",
    ["\xED\xA0\x80\xED\xBF\xBFA"] = "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}A",
    ["\xF4\x91\x92\x93\xFFA\x80B"] = "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}A\u{FFFD}B",
    ["\xE1\x80\xE2\xF0\x91\x92\xF1\xBFA"] = "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}A",
    ["a\xC3"] = "a\u{FFFD}", ["\xF0\x9F\x98"] = "\u{FFFD}", ["\xE2\x82"] = "\u{FFFD}",
    ["\0\x7F"] = "\0\x7F", [""] = "", ["\u{10FFFF}\u{D7FF}\u{E000}"] = "\u{10FFFF}\u{D7FF}\u{E000}",
  }

  it("in UTF-8 becomes U+FFFD, as far as it could have been a character", function()
    for bytes, want in pairs(ROWS) do
      assert.equal(want, charset.clean(bytes))
      assert.equal("x" .. want .. "y", charset.clean("x" .. bytes .. "y"))
    end
  end)

  it("elsewhere becomes U+FFFD, too", function()
    assert.equal("a\u{FFFD}b", charset.decode("a\0\x00\xD8b\0", "utf-16le"))
    assert.equal("a\u{FFFD}", charset.decode("a\0b", "utf-16le"))
    assert.equal("\u{FFFD}", charset.decode("\x81", "gbk"))
    local long = charset.decode(("\xC6\xFC\xFF"):rep(2000), "euc-jp")
    assert.equal("日\u{FFFD}", long:sub(1, 6))
    assert.equal(2000 * 6, #long)
  end)
end)
