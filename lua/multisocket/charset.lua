-- SPDX-License-Identifier: MIT
--
-- Text in the charsets of the web into UTF-8, by the rules of the Encoding
-- Standard (encoding.spec.whatwg.org): its labels, byte order marks before
-- labels, U+FFFD for what means nothing. UTF-8 and windows-1252 are done here,
-- the others by the system's iconv. A charset that the standard does not have
-- is not known, whatever iconv could do: what servers name is not to choose
-- among its converters.
local core = require "multisocket.core"

local charset = {}

local REPLACEMENT = "\u{FFFD}"

-- 0x80 to 0x9F of windows-1252; 0 stands for the same number.
local C1 = { 0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
  0x2039, 0x0152, 0, 0x017D, 0, 0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
  0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178 }

local FROM_1252 = {}
for byte = 0x80, 0xFF do
  local code = C1[byte - 0x7F]
  FROM_1252[string.char(byte)] = utf8.char(code and code ~= 0 and code or byte)
end

-- What iconv calls an encoding, and the labels of the standard for it.
local LABELS = {
  ["UTF-8"] = "utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8",
  ["CP1252"] = "windows-1252 cp1252 x-cp1252 ascii us-ascii ansi_x3.4-1968 iso-8859-1 iso8859-1 "
    .. "iso88591 iso_8859-1 iso_8859-1:1987 iso-ir-100 csisolatin1 latin1 l1 cp819 ibm819",
  ["UTF-16LE"] = "utf-16 utf-16le csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff",
  ["UTF-16BE"] = "utf-16be unicodefffe",
  ["ISO-8859-2"] = "iso-8859-2 iso8859-2 iso_8859-2 latin2 l2 csisolatin2 iso-ir-101 iso88592 "
    .. "iso_8859-2:1987",
  ["ISO-8859-3"] = "iso-8859-3 iso8859-3 iso_8859-3 latin3 l3 csisolatin3 iso-ir-109 iso88593 "
    .. "iso_8859-3:1988",
  ["ISO-8859-4"] = "iso-8859-4 iso8859-4 iso_8859-4 latin4 l4 csisolatin4 iso-ir-110 iso88594 "
    .. "iso_8859-4:1988",
  ["ISO-8859-5"] = "iso-8859-5 iso8859-5 iso_8859-5 cyrillic csisolatincyrillic iso-ir-144 "
    .. "iso88595 iso_8859-5:1988",
  ["ISO-8859-6"] = "iso-8859-6 iso8859-6 iso_8859-6 arabic ecma-114 asmo-708 csiso88596e "
    .. "csiso88596i csisolatinarabic iso-8859-6-e iso-8859-6-i iso-ir-127 iso88596 "
    .. "iso_8859-6:1987",
  ["ISO-8859-7"] = "iso-8859-7 iso8859-7 iso_8859-7 greek greek8 ecma-118 elot_928 "
    .. "csisolatingreek iso-ir-126 iso88597 iso_8859-7:1987 sun_eu_greek",
  ["ISO-8859-8"] = "iso-8859-8 iso8859-8 iso_8859-8 hebrew visual iso-8859-8-i logical "
    .. "csiso88598e csiso88598i csisolatinhebrew iso-8859-8-e iso-ir-138 iso88598 iso_8859-8:1988",
  ["ISO-8859-10"] = "iso-8859-10 iso8859-10 latin6 l6 csisolatin6 iso-ir-157 iso885910",
  ["ISO-8859-13"] = "iso-8859-13 iso8859-13 iso885913",
  ["ISO-8859-14"] = "iso-8859-14 iso8859-14 iso885914",
  ["ISO-8859-15"] = "iso-8859-15 iso8859-15 iso_8859-15 latin9 l9 csisolatin9 iso885915",
  ["ISO-8859-16"] = "iso-8859-16",
  ["CP866"] = "ibm866 cp866 866 csibm866",
  ["KOI8-R"] = "koi8-r koi koi8 koi8_r cskoi8r",
  ["KOI8-U"] = "koi8-u koi8-ru",
  ["MACINTOSH"] = "macintosh mac x-mac-roman csmacintosh",
  ["MAC-UK"] = "x-mac-cyrillic x-mac-ukrainian",
  ["CP874"] = "windows-874 dos-874 tis-620 iso-8859-11 iso8859-11 iso885911",
  ["CP1250"] = "windows-1250 cp1250 x-cp1250",
  ["CP1251"] = "windows-1251 cp1251 x-cp1251",
  ["CP1253"] = "windows-1253 cp1253 x-cp1253",
  ["CP1254"] = "windows-1254 cp1254 x-cp1254 iso-8859-9 iso8859-9 iso_8859-9 latin5 l5 "
    .. "iso-ir-148 iso88599 iso_8859-9:1989",
  ["CP1255"] = "windows-1255 cp1255 x-cp1255",
  ["CP1256"] = "windows-1256 cp1256 x-cp1256",
  ["CP1257"] = "windows-1257 cp1257 x-cp1257",
  ["CP1258"] = "windows-1258 cp1258 x-cp1258",
  ["GB18030"] = "gb18030 gbk gb2312 gb_2312-80 x-gbk chinese csgb2312 iso-ir-58 csiso58gb231280 "
    .. "gb_2312",
  ["BIG5-HKSCS"] = "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
  ["EUC-JP"] = "euc-jp x-euc-jp cseucpkdfmtjapanese",
  ["ISO-2022-JP"] = "iso-2022-jp csiso2022jp",
  ["CP932"] = "shift_jis shift-jis sjis x-sjis ms_kanji ms932 windows-31j csshiftjis",
  ["CP949"] = "euc-kr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean windows-949 cseuckr "
    .. "csksc56011987 iso-ir-149",
}

local ENCODINGS = {}
for encoding, labels in pairs(LABELS) do
  for label in labels:gmatch("%S+") do ENCODINGS[label] = encoding end
end

-- The ranges a second byte may be in, where they are not 80 to BF.
local SECOND = { [0xE0] = { 0xA0, 0xBF }, [0xED] = { 0x80, 0x9F }, [0xF0] = { 0x90, 0xBF },
  [0xF4] = { 0x80, 0x8F } }
local CONTINUED = { 0x80, 0xBF }

-- How many bytes at `at`, where no character is, stand for one U+FFFD: as far as
-- they could have become one.
local function broken(text, at)
  local lead, second, third = text:byte(at, at + 2)
  if lead < 0xE0 or lead > 0xF4 then return 1 end
  local range = SECOND[lead] or CONTINUED
  if not second or second < range[1] or second > range[2] then return 1 end
  if lead < 0xF0 or not third or third < 0x80 or third > 0xBF then return 2 end
  return 3
end

---@param text string
---@return string text what is not UTF-8 in it is U+FFFD
function charset.clean(text)
  if utf8.len(text) then return text end
  local pieces, at = {}, 1
  while at <= #text do
    local n, wrong = utf8.len(text, at)
    pieces[#pieces + 1] = text:sub(at, n and -1 or wrong - 1)
    if n then break end
    pieces[#pieces + 1] = REPLACEMENT
    at = wrong + broken(text, wrong)
  end
  return table.concat(pieces)
end

-- The encoding that a byte order mark tells, and the text behind it.
local function marked(text)
  if text:find("^\xEF\xBB\xBF") then return "UTF-8", text:sub(4) end
  if text:find("^\xFE\xFF") then return "UTF-16BE", text:sub(3) end
  if text:find("^\xFF\xFE") then return "UTF-16LE", text:sub(3) end
end

---@param text string
---@param label string? as a server names it; nil: UTF-8
---@return string? text in UTF-8, without a byte order mark; nil: that charset is not known
function charset.decode(text, label)
  local encoding = label and ENCODINGS[label:lower():match("^%s*(.-)%s*$")] or not label and "UTF-8"
  local told, rest = marked(text)
  if told then encoding, text = told, rest end
  if not encoding then return nil end
  if encoding == "UTF-8" then return charset.clean(text) end
  if encoding == "CP1252" then return (text:gsub("[\x80-\xFF]", FROM_1252)) end
  return core.iconv(text, encoding)
end

return charset
