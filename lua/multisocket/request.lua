-- SPDX-License-Identifier: MIT
--
-- What a call asks for: checks a table of options, and turns what only Lua
-- knows (json, form, query, base_url, fail) into what the engine knows. Option
-- tables are read, never kept and never changed.
local core = require "multisocket.core"
local base_url = require "multisocket.base_url"
local body = require "multisocket.body"
local errors = require "multisocket.errors"
local multipart = require "multisocket.multipart"
local sink = require "multisocket.sink"
local upload = require "multisocket.upload"

local request = {}

-- Who understands an option: the engine, or we.
local CORE, OURS = "core", "ours"

local function names(list, more)
  local known = {}
  for _, name in ipairs(list) do known[name] = CORE end
  for _, name in ipairs(more) do known[name] = OURS end
  return known
end

local FETCH = names(core.option_names(), { "url", "query", "json", "form", "multipart", "fail",
  "stream", "sink" })
local CLIENT = names(core.option_names(), { "query", "json", "form", "fail", "base_url" })

-- A client's that are its multi's.
local POOL = { "max_connections", "max_connections_per_host", "max_concurrent_streams", "max_idle",
  "idle_timeout", "max_age", "per_host", "ping_interval" }
for _, name in ipairs(POOL) do CLIENT[name] = OURS end

FETCH.user_agent = nil -- a client's; one request has its headers

local METHODS = { "get", "head", "post", "put", "patch", "delete", "options" }

---@return { fetch: table<string, string>, client: table<string, string> } all option names, by
---what takes them; they are not to be changed
function request.option_names() return { fetch = FETCH, client = CLIENT } end

---@param opts table?
---@return table what of it is for the client's multi
function request.pool(opts)
  local t = {}
  for _, name in ipairs(opts and POOL or {}) do t[name] = opts[name] end
  return t
end

---@return string[] the functions named after methods
function request.methods() return METHODS end

-- ---- headers ---------------------------------------------------------------

-- A copy of `headers` as a list, with one more unless it has that one.
local function add_header(headers, name, value)
  local list, present = {}, false
  local function add(other, v)
    present = present or type(other) == "string" and other:lower() == name:lower()
    list[#list + 1] = { other, v }
  end
  if headers then
    errors.check_option(headers, "table", "headers")
    if type(headers[1]) == "table" then
      for _, pair in ipairs(headers) do add(pair[1], pair[2]) end
    else
      for other, v in pairs(headers) do add(other, v) end
    end
  end
  if not present then list[#list + 1] = { name, value } end
  return list
end

-- The length that a Content-Length by hand gives a body of unknown length, and
-- the headers without it. Nil where there is none, and where it is nonsense,
-- which the engine refuses.
local function take_length(headers)
  local length, rest = nil, {}
  for key, pair in pairs(headers) do
    local is_list = math.type(key) == "integer"
    local name, value = key, pair
    if is_list then
      if type(pair) ~= "table" then return nil end
      name, value = pair[1], pair[2]
    end
    if type(name) ~= "string" or name:lower() ~= "content-length" then
      rest[is_list and #rest + 1 or key] = pair
    else
      local digits = (math.type(value) == "integer" or type(value) == "string") and tostring(value)
      if length or not digits or not digits:find("^%d+$") then return nil end
      length = math.tointeger(tonumber(digits))
      if not length then return nil end
    end
  end
  return length, rest
end

-- A body that a function gives is sent in chunks, unless its length is said.
local function set_length(source, t)
  if source.length or type(t.headers) ~= "table" then return end
  local length, rest = take_length(t.headers)
  if length then source.length, t.headers = length, rest end
end

-- ---- options ---------------------------------------------------------------

-- The engine's half of `opts`; `json`, `form` and `multipart` become a body,
-- or the source of one.
local function translate(opts, known)
  local t, bodies, source = {}, 0, nil
  for name, value in pairs(opts) do
    if known[name] == CORE then t[name] = value end
  end
  if opts.json then
    t.body, bodies = body.json(opts.json), bodies + 1
    t.headers = add_header(t.headers, "Content-Type", "application/json")
  end
  if opts.form then
    t.body, bodies = body.form(opts.form), bodies + 1
    t.headers = add_header(t.headers, "Content-Type", "application/x-www-form-urlencoded")
  end
  if opts.multipart and known.multipart then
    local content_type
    t.body, source, content_type = multipart.body(opts.multipart)
    bodies = bodies + 1
    t.headers = add_header(t.headers, "Content-Type", content_type)
  end
  if opts.body then bodies = bodies + 1 end
  if bodies > 1 then
    errors.usage("bad_option", "only one of body, json, form and multipart can be given")
  end
  return t, source
end

-- Raises for unknown names; true when the engine understands all of them.
local function check_names(opts, known)
  local plain = true
  for name in next, opts do
    local who = known[name]
    if who ~= CORE then
      if not who then errors.unknown_option(name, known) end
      plain = false
    end
  end
  return plain
end

local function check_fail(fail)
  if fail ~= nil then errors.check_option(fail, "boolean", "fail") end
  return fail
end

-- ---- defaults and calls ----------------------------------------------------

---What every call through a client starts from.
---@class multisocket.Defaults
---@field options multisocket.Options compiled
---@field by_method table<string, multisocket.Options> the same with a method
---@field base_url string?
---@field origin string? that of base_url
---@field elsewhere multisocket.Defaults? for other origins, where they differ
---@field unrestricted boolean? they do not, whatever the options say
---@field query string? encoded
---@field fail boolean?
---@field method string?
---@field cookies multisocket.Jar?
---@field on_headers function?
---@field rewrites boolean URLs are not taken as they are

-- Those for a client's calls to other origins than that of its base_url.
local function add_elsewhere(defaults, options)
  local rest = defaults.base_url and base_url.elsewhere(options)
  if not rest then return defaults end
  defaults.origin = base_url.origin(defaults.base_url)
  defaults.unrestricted = options.unrestricted_auth
  local copy = {}
  for name, value in pairs(defaults) do copy[name] = value end
  copy.options, copy.by_method = core.options(rest), {}
  defaults.elsewhere = copy
  return defaults
end

---@param opts table? a client's options
---@return multisocket.Defaults
function request.defaults(opts)
  opts = opts or {}
  errors.check_type(opts, "table", "the client's options")
  check_names(opts, CLIENT)
  local base = base_url.check(opts.base_url)
  local query = opts.query and body.query(opts.query)
  local t = translate(opts, CLIENT)
  if t.cookies == true then t.cookies = core.jar() end
  if t.user_agent == false then
    t.user_agent = nil
    t.headers = add_header(t.headers, "User-Agent", false)
  end
  return add_elsewhere({ options = core.options(t), by_method = {}, base_url = base,
    query = query, fail = check_fail(opts.fail), cookies = t.cookies or nil,
    method = opts.method or nil, on_headers = opts.on_headers or nil,
    rewrites = (base or query) ~= nil }, t)
end

local function options_of_method(defaults, method)
  local options = defaults.by_method[method]
  if not options then
    options = core.options({ method = method }, defaults.options)
    defaults.by_method[method] = options
  end
  return options
end

-- Where a call goes, and the defaults that are for there.
local function locate(defaults, url, opts)
  local absolute
  url, absolute = base_url.join(defaults.base_url, url)
  if not absolute or not defaults.elsewhere then return url, defaults end
  local unrestricted = opts and opts.unrestricted_auth
  if unrestricted == nil then unrestricted = defaults.unrestricted end
  if unrestricted or base_url.origin(url) == defaults.origin then return url, defaults end
  return url, defaults.elsewhere
end

local function add_query(defaults, url, query)
  if query == nil then
    query = defaults.query
  elseif query then
    query = body.query(query)
  end
  return query and body.add_query(url, query) or url
end

-- For a call whose options are not all the engine's.
local function check_streaming(defaults, opts, source)
  if opts.stream ~= nil then errors.check_option(opts.stream, "boolean", "stream") end
  if not opts.stream and not opts.sink then return source and { source = source } end
  if opts.stream and opts.sink or opts.on_data then
    errors.usage("bad_option", "only one of stream, sink and on_data can be given")
  end
  local on_headers = opts.on_headers
  if on_headers == nil then on_headers = defaults.on_headers end
  local target = opts.sink and sink.check(opts.sink)
  if source and type(target) == "table" then
    errors.usage("bad_option", "a body for several fetches cannot come from a function or file")
  end
  return { stream = true, sink = target, on_headers = on_headers or nil, source = source }
end

-- The method of a call; nil: its client's, false: GET, or POST with a body.
local function method_of(defaults, t, method, source)
  if t.method or method then return t.method or method end
  local is_kept = t.method == nil and defaults.method
  return source and not is_kept and "POST" or t.method
end

local function prepare_ours(defaults, url, opts, method)
  if method and opts.method then
    errors.usage("bad_option", "the method is %s already", method)
  end
  local fail = check_fail(opts.fail)
  if fail == nil then fail = defaults.fail end
  local t, source = translate(opts, FETCH)
  source = source or upload.source(opts.body)
  t.method = method_of(defaults, t, method, source)
  if source then
    t.body = nil
    set_length(source, t)
  end
  local streaming = check_streaming(defaults, opts, source)
  local base = defaults.options
  if opts.headers == false and t.headers then base = core.options({ headers = false }, base) end
  return add_query(defaults, url, opts.query), core.options(t, base), fail, streaming
end

---The URL and options of one call, and whether a status of 400 or more is a
---failure.
---@param defaults multisocket.Defaults
---@param url any a string, or a table of options with the URL in it
---@param opts table?
---@param method string?
---@return string url
---@return multisocket.Options options
---@return boolean? fail
---@return table? special how bodies are sent or taken, if not whole: `stream`, `sink`,
---`on_headers`, `source`
function request.prepare(defaults, url, opts, method)
  if opts == nil and type(url) == "table" then
    url, opts = url.url, url
  elseif opts ~= nil then
    if type(opts) ~= "table" then errors.check_type(opts, "table", "options") end
    if opts.url ~= nil then errors.usage("bad_option", "the URL is given twice") end
  end
  if type(url) ~= "string" then
    if opts then check_names(opts, FETCH) end -- it may be there by another name
    errors.check_type(url, "string", "the URL")
  end
  if defaults.base_url then url, defaults = locate(defaults, url, opts) end
  local options = defaults.options
  if opts then
    if not check_names(opts, FETCH) or method or opts.body and type(opts.body) ~= "string" then
      return prepare_ours(defaults, url, opts, method)
    end
    options = core.options(opts, options)
  elseif method then
    options = options_of_method(defaults, method)
  end
  return defaults.query and add_query(defaults, url) or url, options, defaults.fail
end

return request
