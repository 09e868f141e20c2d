-- SPDX-License-Identifier: MIT
--
-- RFC 6265bis once more, written down step by step from its text and as slowly
-- as it reads: what a jar is held to by cookie_model_spec.lua. It has no limits,
-- no clock that goes on and no suffix list but "one label is public"; dates are
-- those of one form. Where our jar decides more than the text, a comment says so.
local model = {}

local NOW = os.time()
local AGE_MAX = 400 * 24 * 3600
local MONTHS = { jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9,
  oct = 10, nov = 11, dec = 12 }

local function trim(s) return s:match("^[ \t]*(.-)[ \t]*$") end

-- ---- 5.1 -----------------------------------------------------------------------

-- 5.1.1, of dates that have their parts in this order.
local function date(text)
  local day, month, year, hour, min, sec = text:match(
    "^%a*,? ?(%d%d?)[ -](%a%a%a)[ -](%d%d%d%d) (%d%d?):(%d%d?):(%d%d?)")
  month = month and MONTHS[month:lower()]
  if not month or tonumber(hour) > 23 or tonumber(min) > 59 or tonumber(sec) > 59
    or tonumber(day) < 1 or tonumber(day) > 31 then return nil end
  return os.time({ year = year, month = month, day = day, hour = hour, min = min, sec = sec })
end

local function is_address(host) return host:find("^%[") or host:find("^[%d.]+$") end

-- 5.1.3
local function domain_match(host, domain)
  if host == domain then return true end
  return not is_address(host) and #host > #domain and host:sub(-#domain - 1) == "." .. domain
end

-- 5.1.4
local function default_path(path)
  if path:sub(1, 1) ~= "/" then return "/" end
  local up = path:match("^(.*)/[^/]*$")
  return up == "" and "/" or up
end

local function path_match(path, cookie)
  if path == cookie then return true end
  if path:sub(1, #cookie) ~= cookie then return false end
  return cookie:sub(-1) == "/" or path:sub(#cookie + 1, #cookie + 1) == "/"
end

-- ---- 5.6: the line ---------------------------------------------------------------

local attributes = {}

function attributes.expires(value)
  local at = date(value)
  return at and math.min(at, NOW + AGE_MAX)
end

attributes["max-age"] = function(value)
  if not value:find("^[%d-]") or value:sub(2):find("%D") then return nil end
  local seconds = math.min(math.tointeger(tonumber(value)) or 0, AGE_MAX)
  return seconds <= 0 and math.mininteger or NOW + seconds
end

function attributes.domain(value) return (value:gsub("^%.", ""):lower()) end
function attributes.path(value) return value:sub(1, 1) == "/" and value or "" end
function attributes.secure() return true end
function attributes.httponly() return true end

function attributes.samesite(value)
  value = value:lower()
  return (value == "none" or value == "strict" or value == "lax") and value or "default"
end

-- The last of each attribute that counts.
local function read_attributes(rest)
  local list = {}
  for text in rest:gmatch("[^;]+") do
    local name, value = text:match("^([^=]*)=(.*)$")
    name, value = trim(name or text):lower(), trim(value or "")
    if attributes[name] and #value <= 1024 then
      local read = attributes[name](value)
      if read ~= nil then list[name] = read end
    end
  end
  return list
end

local function read(line)
  if line:find("[\0-\8\10-\31\127]") then return nil end
  local pair, rest = line:match("^([^;]*)(.*)$")
  local name, value = pair:match("^([^=]*)=(.*)$")
  local cookie = { name = trim(name or ""), value = trim(value or pair) }
  local length = #cookie.name + #cookie.value
  if length == 0 or length > 4096 then return nil end
  return cookie, read_attributes(rest)
end

-- ---- 5.7: the store --------------------------------------------------------------

local Store = {}
Store.__index = Store

---@return table store
function model.new() return setmetatable({ created = 0 }, Store) end

-- Steps 7 to 10; false: not this one.
local function settle_domain(cookie, domain, host)
  if domain:find("[\128-\255]") then return false end
  if domain ~= "" and not domain:find(".", 1, true) then -- public
    if domain ~= host then return false end
    domain = ""
  end
  if domain ~= "" and not domain_match(host, domain) then return false end
  -- An address has nothing below it: ours is the host's own, said or not.
  cookie.host_only = domain == "" or is_address(host) ~= nil
  cookie.domain = domain == "" and host or domain
  cookie.said_domain = domain ~= ""
  return true
end

-- Steps 19 to 22.
local function keeps_promises(cookie, path_given)
  local function begins(text, prefix) return text:lower():sub(1, #prefix) == prefix end
  if cookie.same_site == "none" and not cookie.secure then return false end
  if begins(cookie.name, "__secure-") and not cookie.secure then return false end
  if begins(cookie.name, "__host-") and not (cookie.secure and not cookie.said_domain
    and path_given and cookie.path == "/") then return false end
  return cookie.name ~= "" or not (begins(cookie.value, "__secure-")
    or begins(cookie.value, "__host-"))
end

-- Step 16.
local function hides_secure(store, cookie)
  for _, old in ipairs(store) do
    if old.name == cookie.name and old.secure and path_match(cookie.path, old.path)
      and (domain_match(old.domain, cookie.domain) or domain_match(cookie.domain, old.domain)) then
      return true
    end
  end
  return false
end

-- Steps 23 and 24, and what is over.
local function insert(store, cookie)
  store.created = store.created + 1
  cookie.created = store.created
  for i, old in ipairs(store) do
    if old.name == cookie.name and old.domain == cookie.domain and old.path == cookie.path
      and old.host_only == cookie.host_only then
      cookie.created = old.created
      table.remove(store, i)
      break
    end
  end
  if cookie.expires > NOW then table.insert(store, cookie) end
end

---The Set-Cookie field `line` of a response of `url`: { scheme =, host =, path = }.
---@return boolean taken
function Store:set(url, line)
  local cookie, said = read(line)
  if not cookie then return false end
  cookie.expires = said["max-age"] or said.expires or math.maxinteger
  if not settle_domain(cookie, said.domain or "", url.host) then return false end
  cookie.path = (said.path or "") ~= "" and said.path or default_path(url.path)
  cookie.secure, cookie.http_only = said.secure or false, said.httponly or false
  cookie.same_site = said.samesite or "default"
  if url.scheme ~= "https" and (cookie.secure or hides_secure(self, cookie)) then return false end
  if not keeps_promises(cookie, said.path ~= nil) then return false end
  insert(self, cookie)
  return true
end

-- ---- 5.8.3 -----------------------------------------------------------------------

---What a request to `url` carries, in order.
---@return table[] cookies
function Store:get(url)
  local list = {}
  for _, c in ipairs(self) do
    local hosts = c.host_only and url.host == c.domain
      or not c.host_only and domain_match(url.host, c.domain)
    if hosts and path_match(url.path, c.path) and (url.scheme == "https" or not c.secure) then
      list[#list + 1] = c
    end
  end
  table.sort(list, function(a, b)
    if #a.path ~= #b.path then return #a.path > #b.path end
    return a.created < b.created
  end)
  return list
end

return model
