-- SPDX-License-Identifier: MIT
--
-- A client's base_url: what relative URLs are seen from, and who a client's
-- credentials are for. An absolute URL may lead anywhere, and what comes from
-- outside the program often does; so a client that has a base_url says who it
-- is to that origin only, as after a redirect to another one.
local core = require "multisocket.core"
local errors = require "multisocket.errors"

local base_url = {}

-- Headers that are for the server they were given for, as in a redirect
-- (engine/agent), and options of tls likewise.
local HEADERS = { authorization = true, ["proxy-authorization"] = true, cookie = true,
  cookie2 = true, ["www-authenticate"] = true, host = true }
local TLS = { "cert", "key", "key_password", "server_name" }

---Raises for what is no absolute URL.
---@param base any the option
---@return string?
function base_url.check(base)
  if not base then return nil end
  errors.check_option(base, "string", "base_url", "a string or false")
  if not base:find("^%a[%w+.-]*://[^/?#]") then
    errors.usage("bad_option", 'base_url must be an absolute URL, not "%s"',
      core.shown_url(base))
  end
  return base
end

---RFC 3986, 5.2.2, but for the dot segments, which the engine removes.
---@param base string
---@param url string
---@return string url
---@return boolean absolute it need not be of the base's origin
function base_url.join(base, url)
  if url:find("^%a[%w+.-]*:") then return url, true end
  local scheme, authority, path, query = base:match("^(%a[%w+.-]*:)(//[^/?#]*)([^?#]*)(%??[^#]*)")
  if url:find("^//") then return scheme .. url, true end
  local at = scheme .. authority
  if url:find("^[/\\]") then return at .. url, false end
  if url == "" or url:find("^#") then return at .. path .. query .. url, false end
  if url:find("^%?") then return at .. path .. url, false end
  return at .. (path:match("^.*/") or "/") .. url, false
end

---@param url string
---@return string? origin nil: it is no URL
function base_url.origin(url)
  local parts = core.url(url)
  return parts and parts.origin
end

-- `headers`, a map or a list of pairs, without those. Taking one back is no
-- secret.
local function other_headers(headers)
  local rest, fewer = {}, false
  local function is_other(name, value)
    local other = value == false or type(name) ~= "string" or not HEADERS[name:lower()]
    fewer = fewer or not other
    return other
  end
  if type(headers[1]) == "table" then
    for _, pair in ipairs(headers) do
      if is_other(pair[1], pair[2]) then rest[#rest + 1] = pair end
    end
  else
    for name, value in pairs(headers) do
      if is_other(name, value) then rest[name] = value end
    end
  end
  return rest, fewer
end

local function other_tls(tls)
  local rest, fewer = {}, false
  for name, value in pairs(tls) do rest[name] = value end
  for _, name in ipairs(TLS) do
    fewer = fewer or rest[name] ~= nil
    rest[name] = nil
  end
  return rest, fewer
end

---What of a client's options is for other origins than that of its base_url.
---@param options table checked, the engine's
---@return table? nil: all of it
function base_url.elsewhere(options)
  local rest, fewer = {}, options.auth or options.bearer
  for name, value in pairs(options) do rest[name] = value end
  rest.auth = options.auth and options.auth.digest and { digest = true } or nil -- no login is in it
  rest.bearer = nil
  local less
  if options.headers then
    rest.headers, less = other_headers(options.headers)
    fewer = fewer or less
  end
  if options.tls then
    rest.tls, less = other_tls(options.tls)
    fewer = fewer or less
  end
  return fewer and rest or nil
end

return base_url
