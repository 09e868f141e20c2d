-- SPDX-License-Identifier: MIT
--
-- What the hellos of a TLS handshake say (RFC 8446, 4.1.2 and 4.1.3).
local tls_hello = {}

local SERVER_NAME, ALPN, SESSION_TICKET, PRE_SHARED_KEY, VERSIONS = 0, 16, 35, 41, 43
local TLS13 = 0x0304

-- Calls fn(number, content) for each extension in a block.
local function each_extension(block, fn)
  local at = 1
  while at <= #block do
    local number, content
    number, content, at = (">I2s2"):unpack(block, at)
    fn(number, content)
  end
end

local readers = {}

-- A list of names; a name of type 0 is a host.
readers[SERVER_NAME] = function(hello, content)
  local list = (">s2"):unpack(content)
  local kind, name = (">I1s2"):unpack(list)
  if kind == 0 then hello.sni = name end
end

readers[ALPN] = function(hello, content)
  local list, at = (">s2"):unpack(content), 1
  while at <= #list do
    hello.alpn[#hello.alpn + 1], at = (">s1"):unpack(list, at)
  end
end

readers[VERSIONS] = function(hello, content)
  local list = (">s1"):unpack(content)
  for at = 1, #list, 2 do hello.versions[#hello.versions + 1] = (">I2"):unpack(list, at) end
end

readers[SESSION_TICKET] = function(hello, content) hello.ticket = hello.ticket or #content > 0 end
readers[PRE_SHARED_KEY] = function(hello) hello.ticket = true end

local function parse(body)
  local hello = { alpn = {}, versions = {}, extensions = {}, ticket = false }
  local version, _, session, _, _, at = (">I2c32s1s2s1"):unpack(body)
  local block = at <= #body and (">s2"):unpack(body, at) or ""
  each_extension(block, function(number, content)
    hello.extensions[number] = true
    if readers[number] then readers[number](hello, content) end
  end)
  if #hello.versions == 0 then hello.versions[1] = version end
  -- TLS 1.3 sends one that means nothing, to look like 1.2
  local new = false
  for _, v in ipairs(hello.versions) do new = new or v == TLS13 end
  hello.ticket = hello.ticket or not new and #session > 0
  return hello
end

---@param body string of a ClientHello, without its head of 4 bytes
---@return spec.Hello? nil when it cannot be read
function tls_hello.parse(body)
  local ok, hello = pcall(parse, body)
  return ok and hello or nil
end

---@param body string of a ServerHello, without its head of 4 bytes
---@return boolean it chose TLS 1.3
function tls_hello.is_tls13(body)
  local found = false
  pcall(function()
    local _, _, _, _, _, block = (">I2c32s1I2I1s2"):unpack(body)
    each_extension(block, function(number, content)
      if number == VERSIONS then found = (">I2"):unpack(content) == TLS13 end
    end)
  end)
  return found
end

return tls_hello
