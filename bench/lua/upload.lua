-- SPDX-License-Identifier: MIT
--
-- One PUT of a large body, which lies in a file, is a string, or comes from a function.
--
--   upload.lua --url URL --file FILE [--http2] [--ca FILE]
--   upload.lua --url URL --requests MIB [--string] [--http2] [--ca FILE]

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local common = require "common"
local ms = require "multisocket"

local MIB = 1 << 20
local PIECE = 64 * 1024

local options = common.options({})

local piece = ("x"):rep(PIECE)

local function pieces()
  local left = options.requests * MIB
  return function()
    left = left - #piece
    return left >= 0 and piece or nil
  end
end

local function body()
  if options.file then return { path = options.file } end
  return options.string and piece:rep(options.requests * (MIB // PIECE)) or pieces()
end

os.exit(ms.run(function()
  local client = ms.client({ version = options.http2 and "2" or "1.1",
    tls = { ca_file = options.ca } })
  local res = assert(client:put(options.url, { body = body() }))
  client:close()
  return res.ok
end))
