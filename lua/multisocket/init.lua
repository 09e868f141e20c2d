-- SPDX-License-Identifier: MIT
--
-- multisocket: many HTTP transfers at once on the application's own luv loop.
--
--   local ms = require "multisocket"
--   local res, err = ms.fetch("http://localhost:8080/")
--
-- fetch suspends the coroutine it is called in; on the main thread it runs the
-- loop until the response is there. docs/ has the rest; types are in meta.lua.
local core = require "multisocket.core"
local client = require "multisocket.client"
local each = require "multisocket.each"
local errors = require "multisocket.errors"
local gather = require "multisocket.gather"
local loop = require "multisocket.loop"
local race = require "multisocket.race"
local request = require "multisocket.request"
local semaphore = require "multisocket.semaphore"
local task = require "multisocket.task"
local wrap = require "multisocket.wrap"
require "multisocket.response"

local ms = {}

ms.version = core.version
ms.on_error = task.print_error
task.hooks = ms

-- ---- the default client ----------------------------------------------------

local default ---@type multisocket.Client?

local function default_client()
  if not default then default = client.new() end
  return default
end

function ms.fetch(url, opts) return default_client():fetch(url, opts) end

function ms.request(url, opts, callback) return default_client():request(url, opts, callback) end

for _, name in ipairs(request.methods()) do
  ms[name] = function(url, opts)
    local c = default_client()
    return c[name](c, url, opts)
  end
end

function ms.each(requests, opts) return each.each(default_client(), requests, opts) end

ms.client = client.new
client.Client.each = each.each

-- ---- tasks -----------------------------------------------------------------

ms.run = task.run
ms.spawn = task.spawn
ms.sleep = task.sleep
ms.gather = gather.gather
ms.map = gather.map
ms.race = race.race
ms.any = race.any
ms.with_timeout = race.with_timeout
ms.semaphore = semaphore.new
ms.wrap = wrap.wrap

-- ---- URLs ------------------------------------------------------------------

ms.url = core.url
ms.http_date = core.http_date

-- ---- cookies ---------------------------------------------------------------

ms.jar = core.jar
ms.registrable_domain = core.registrable_domain

-- ---- settings --------------------------------------------------------------

local USE = { uv = true, wait = true, mode = true }

local function is_callable_module(uv)
  return type(uv) == "table" and type(uv.run) == "function" and type(uv.new_poll) == "function"
end

local function check_use(opts)
  errors.check_type(opts, "table", "the argument of use")
  errors.check_options(opts, USE)
  if opts.uv ~= nil and not is_callable_module(opts.uv) then
    errors.usage("bad_option", "uv must be the luv module")
  end
  if opts.wait then errors.check_type(opts.wait, "function", "wait") end
  if opts.mode ~= nil and opts.mode ~= "poll" and opts.mode ~= "epoll" then
    errors.usage("bad_option", 'mode must be "poll" or "epoll"')
  end
  if default and client.busy(default) then
    errors.usage("wrong_context", "call ms.use before the first transfer, not while some run")
  end
end

---Which luv, and which pump, is used from now on; clients that exist keep what
---they have.
---@param opts { uv: table?, wait: fun(done: fun(): boolean)|false|nil, mode: string? }
function ms.use(opts)
  check_use(opts)
  if default then default:close() end
  default = nil
  loop.uv = opts.uv or loop.uv
  if opts.wait ~= nil then loop.wait = opts.wait or nil end
  client.mode = opts.mode or client.mode
end

---What this build can do.
---@return table<string, boolean|string>
function ms.features()
  local features = {}
  for name, value in pairs(core.features()) do features[name] = value end
  local uv = loop.uv
  features.libuv = uv and uv.version_string() or false
  return features
end

return ms
