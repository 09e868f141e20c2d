-- SPDX-License-Identifier: MIT
--
-- One large download and one large upload over TLS, against nginx: how fast, at what CPU, and is
-- memory flat meanwhile? Exit code 1 when a byte is missing or memory is not.
--
--   bulk.lua --url URL [--requests MIB of the download]

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local common = require "common"
local ms = require "multisocket"
local uv = require "luv"

local MIB = 1 << 20
local MOST_KIB = 32 * 1024 -- of all the memory, Lua's included

local options = common.options({ requests = 1024 })
local down = options.requests * MIB
local up = down // 4

local LINE = "%-8s MiB=%d MiB/s=%.0f cpu_ms_per_MiB=%.3f peak_kib=%d"

-- getrusage() counts what the parent had before this program was in the process.
local function peak_kib()
  local file <close> = assert(io.open("/proc/self/status"))
  return math.tointeger(tonumber(file:read("a"):match("VmHWM:%s*(%d+)")))
end

local function measure(name, bytes, fn)
  local from, began = common.usage(), uv.hrtime()
  fn()
  local wall = (uv.hrtime() - began) / 1e9
  local peak = peak_kib()
  print(LINE:format(name, bytes // MIB, bytes / MIB / wall,
    common.cpu_us(from, common.usage(), bytes / MIB) / 1000, peak))
  return peak <= MOST_KIB
end

local function download(client)
  local got = 0
  local res = assert(client:fetch(options.url .. "download", { max_body = false,
    headers = { Range = ("bytes=0-%d"):format(down - 1) },
    on_data = function(chunk) got = got + #chunk end }))
  assert(res.status == 206 and got == down, "not all of it came")
end

local function pieces()
  local piece, left = ("x"):rep(64 * 1024), up
  return function()
    left = left - #piece
    return left >= 0 and piece or nil
  end
end

local function upload(client)
  local res = assert(client:put(options.url .. "upload", { body = pieces() }))
  assert(res.ok, "refused")
  local arrived = assert(client:head(options.url .. "upload")).headers["content-length"]
  assert(tonumber(arrived) == up, "not all of it arrived: " .. arrived)
end

local function run()
  local client = ms.client({ version = "1.1", tls = { verify = false } })
  local flat = measure("download", down, function() download(client) end)
  flat = measure("upload", up, function() upload(client) end) and flat
  client:close()
  if not flat then io.stderr:write(("more than %d KiB\n"):format(MOST_KIB)) end
  return flat
end

os.exit(ms.run(run))
