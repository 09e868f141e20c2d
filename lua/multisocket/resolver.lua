-- SPDX-License-Identifier: MIT
--
-- `resolver = "system"`: names as the rest of the machine knows them (nsswitch,
-- mDNS, ...), by getaddrinfo() in luv's thread pool.
local loop = require "multisocket.loop"

local FAMILIES = { [4] = "inet", [6] = "inet6" }

-- Certain answers; anything else is trouble that may pass.
local NO_SUCH = { EAI_NONAME = true, EAI_NODATA = true, EAI_ADDRFAMILY = true }

local function system(host, family, done)
  local hints = { family = FAMILIES[family], socktype = "stream" }
  local request, why = loop.uv.getaddrinfo(host, nil, hints, function(err, found)
    if err then return done(NO_SUCH[err] and {} or nil) end
    local list = {}
    for i, entry in ipairs(found) do list[i] = entry.addr end
    done(list)
  end)
  if not request then error(why) end
end

-- Where the engine's binding looks for it; the same function every time, so
-- that connections are shared.
debug.getregistry()["multisocket.system_resolver"] = system

return system
