-- SPDX-License-Identifier: MIT
--
-- Libraries that may be absent: what was linked is what features() says and
-- what requests say they take; and without one everything else works.
-- `make configurations` builds without each of them, says so in WITHOUT, and
-- runs this and the specs that have to do with them.
local async = require "spec.support.async"
local ms = require "multisocket"
local peer = require "spec.support.peer"
local process = require "spec.support.process"

-- By the Makefile's switch: the feature, and the library.
local OPTIONAL = {
  BROTLI = { "brotli", "libbrotlidec" }, ZSTD = { "zstd", "libzstd" },
  IDN2 = { "idn", "libidn2" }, PSL = { "psl", "libpsl" },
}

local CODINGS = { { "brotli", ", br" }, { "zstd", ", zstd" } }

describe("a build", function()
  it("says what it is linked with", function()
    local path = assert(package.searchpath("multisocket.core", package.cpath))
    local said = process.run({ "readelf", "-d", path }, { env = { LD_PRELOAD = false } })
    assert.equal(0, said.code, said.stderr)
    local features = ms.features()
    for _, of in pairs(OPTIONAL) do
      local linked = said.stdout:find("[" .. of[2] .. ".so", 1, true) ~= nil
      assert.equal(linked, not not features[of[1]], of[2]) -- a version, or true
    end
  end)

  it("has none of what it was to do without", function()
    for name in (os.getenv("WITHOUT") or ""):gmatch("%S+") do
      local of = assert(OPTIONAL[name], name)
      assert.is_false(ms.features()[of[1]], of[2])
    end
  end)

  it("asks for the codings it knows", async(function()
    local p <close> = peer.start { { { "request" }, { "send", "HTTP/1.1 204 No\r\n\r\n" },
      { "hang" } } }
    assert(ms.fetch(p:url(), { timeout = 30000 }))
    local want = "gzip, deflate"
    for _, row in ipairs(CODINGS) do
      if ms.features()[row[1]] then want = want .. row[2] end
    end
    assert.matches("\r\nAccept-Encoding: " .. want .. "\r\n", p:requests()[1], 1, true)
  end))

  it("takes plain hosts, and says why it does not take others", function()
    assert.equal("example.org", ms.url("http://Example.org/").host)
    local url, err = ms.url("http://b\u{fc}cher.example/")
    if ms.features().idn then
      assert.equal("xn--bcher-kva.example", url.host)
    else
      assert.equal("bad_url", err.code)
      assert.matches("punycode", err.message, 1, true)
    end
  end)

  it("has a registrable domain where it has the list", function()
    assert.equal(ms.features().psl and "example.co.uk" or nil,
      ms.registrable_domain("a.b.example.co.uk"))
  end)
end)
