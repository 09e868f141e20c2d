-- SPDX-License-Identifier: MIT
--
-- Content codings over HTTP/1.1 and HTTP/2, beside curl --compressed: of a real
-- server, and such as no server should send. docs/differences.md has the
-- reasons where the two differ.
local async = require "spec.support.async"
local codings = require "spec.support.codings"
local ms = require "multisocket"
local wire = require "spec.support.wire"

local TEXT = ("a line of text that is said again and again\n"):rep(50)
local FINE = { "gzip", "x-gzip", "deflate", "bare-deflate", "br", "zstd", "gzip+deflate+gzip",
  "gzip+br", "gzip+identity" }
local WRITE_ERROR, BAD_CODING = 23, 61 -- curl's

local function is_linked(coding)
  local features = ms.features()
  return (features.brotli or not coding:find("br$")) and (features.zstd or coding ~= "zstd")
end

-- { what, Content-Encoding, the body, ours, curl's exit code, curl's body }
local rows

setup(function()
  local gzip, deflate = codings.encode("gzip", TEXT), codings.encode("deflate", TEXT)
  local damaged = gzip:sub(1, -2) .. string.char(gzip:byte(-1) ~ 1)
  rows = {
    { "whole", "gzip", gzip, TEXT, 0, TEXT },
    { "none", "identity", TEXT, TEXT, 0, TEXT },
    { "without its trailer", "gzip", gzip:sub(1, -9), "decode_failed", 0, TEXT },
    { "half", "gzip", gzip:sub(1, #gzip // 2), "decode_failed", 0, false },
    { "without its checksum", "deflate", deflate:sub(1, -4), "decode_failed", 0, TEXT },
    { "damaged at its end", "gzip", damaged, "decode_failed", BAD_CODING, TEXT },
    { "damaged at its beginning", "gzip", "x" .. gzip:sub(2), "decode_failed", BAD_CODING, "" },
    { "with more behind it", "gzip", gzip .. "\0\0\0", TEXT, WRITE_ERROR, TEXT },
    { "in two members", "gzip", gzip .. gzip, TEXT .. TEXT, WRITE_ERROR, TEXT },
    { "in an unknown coding", "compress", "as it is", "as it is", BAD_CODING, "" },
    { "in an unknown coding, too", "gzip, compress", gzip, gzip, BAD_CODING, "" },
    { "in six codings", "gzip, gzip, gzip, gzip, gzip, gzip", gzip, "decode_failed", BAD_CODING,
      "" },
  }
  if ms.features().brotli then
    local br = codings.encode("br", TEXT)
    rows[#rows + 1] = { "half", "br", br:sub(1, -2), "decode_failed", 0, false }
  end
  if ms.features().zstd then
    local zstd = codings.encode("zstd", TEXT)
    rows[#rows + 1] = { "without its end", "zstd", zstd:sub(1, -3), "decode_failed", 0, TEXT }
  end
end)

for _, v in ipairs(wire.VERSIONS) do

describe("a coded body, ours and curl's " .. v.over, function()
  local node

  setup(function() node = codings.start() end)
  teardown(function() node:stop() end)

  it("is the same from a real server", async(function()
    for _, coding in ipairs(FINE) do
      if is_linked(coding) then
        local url = node:url(v.version, "/" .. coding)
        assert.equal(codings.TEXT, assert(v:fetch(url)).body)
        assert.equal(codings.TEXT, v:curl("--compressed", url).stdout, coding)
        assert.equal(v:curl(url).stdout, assert(v:fetch(url, { decompress = false })).body, coding)
      end
    end
  end))

  it("is the same, or less is taken for whole", async(function()
    for _, row in ipairs(rows) do
      local what, coding, body, expected, code, curls = table.unpack(row)
      local script = { { { "request" }, { "send", ("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n"
        .. "Content-Length: %d\r\n\r\n%s"):format(coding, #body, body) }, { "hang" } } }
      local p <close> = v:peer(script)
      local q <close> = v:peer(script)
      local res, err = v:fetch(p:url())
      assert.equal(expected, res and res.body or err.code, what)
      local r = v:curl("--compressed", q:url())
      assert.equal(code, r.code, what)
      if curls then assert.equal(curls, r.stdout, what) else assert.is_true(#r.stdout < #TEXT) end
    end
  end))
end)

describe("a bomb " .. v.over, function()
  local node

  setup(function() node = codings.start() end)
  teardown(function() node:stop() end)

  it("is refused, unless one asks for it", async(function()
    local url = node:url(v.version, "/bomb/20")
    local res, err = v:fetch(url)
    assert.is_nil(res)
    assert.equal("body_too_large", err.code)
    local n = 0
    assert(v:fetch(url, { max_body = false, on_data = function(chunk) n = n + #chunk end }))
    assert.equal(20 << 20, n)
  end))
end)

end
