-- SPDX-License-Identifier: MIT
--
-- URLs taken apart. What the parser makes of every kind of URL is in
-- spec/unit/test_url.c; here it is what scripts see of it.
local ms = require "multisocket"

local function parts(input, base)
  return assert(ms.url(input, base))
end

describe("ms.url", function()
  it("has the parts of the URL standard", function()
    assert.same({
      href = "https://us%20er:p%40ss@example.org:8443/a/c?q=1#top",
      protocol = "https:", username = "us%20er", password = "p%40ss",
      host = "example.org:8443", hostname = "example.org", port = "8443",
      pathname = "/a/c", search = "?q=1", hash = "#top", origin = "https://example.org:8443",
    }, parts("HTTPS://us er:p%40ss@EXAMPLE.org:8443/a/b/../c?q=1#top"))
  end)

  it("leaves out what is not there", function()
    assert.same({
      href = "http://h/?#", protocol = "http:", username = "", password = "", host = "h",
      hostname = "h", port = "", pathname = "/", search = "", hash = "", origin = "http://h",
    }, parts("http://h:80?#"))
  end)

  it("makes international names ASCII where libidn2 is there", function()
    local u, err = ms.url("http://M\u{FC}NCHEN.de/\u{FC}")
    if ms.features().idn then
      assert.equal("http://xn--mnchen-3ya.de/%C3%BC", u.href)
      assert.equal("xn--mnchen-3ya.de", u.hostname)
      u, err = ms.url("http://xn--a.de/")
    end
    assert.is_nil(u)
    assert.equal("bad_url", err.code)
  end)

  it("normalises as browsers do", function()
    for input, href in pairs({
      ["http://0x7f.1"] = "http://127.0.0.1/",
      ["http://2130706433/"] = "http://127.0.0.1/",
      ["http://0177.0.0.01"] = "http://127.0.0.1/",
      ["http://[::FFFF:1.2.3.4]"] = "http://[::ffff:102:304]/",
      ["http:\\\\h\\a\\..\\b"] = "http://h/b",
      ["  http://h/a b\t\n"] = "http://h/a%20b",
      ["http://h/%2e%2E/x"] = "http://h/x",
      ["http://h/\xC3\xA9?\xC3\xA9'\"#\xC3\xA9`"] = "http://h/%C3%A9?%C3%A9%27%22#%C3%A9%60",
      ["https://h:443/"] = "https://h/",
      ["https://h:80/"] = "https://h:80/",
    }) do assert.equal(href, parts(input).href) end
  end)

  it("resolves against a base", function()
    local base = "http://h:8080/a/b?q#f"
    for input, href in pairs({
      [""] = "http://h:8080/a/b?q", ["c"] = "http://h:8080/a/c", ["/c"] = "http://h:8080/c",
      ["?x"] = "http://h:8080/a/b?x", ["#y"] = "http://h:8080/a/b?q#y", ["//i/c"] = "http://i/c",
      ["../../../c"] = "http://h:8080/c", ["https://i"] = "https://i/",
      ["http:c"] = "http://h:8080/a/c",
    }) do assert.equal(href, parts(input, base).href) end
  end)

  it("gives its own href again", function()
    for _, input in ipairs({ "http://a:b@h:1/c/../d?e#f", "https://[::1]", "http://h?" }) do
      local url = parts(input)
      assert.same(url, parts(url.href))
    end
  end)

  it("refuses what is none, naming it", function()
    for input, code in pairs({
      [""] = "bad_url", ["h"] = "bad_url", ["/a"] = "bad_url", ["http://"] = "bad_url",
      ["http://h:99999/"] = "bad_url", ["http://h:x/"] = "bad_url", ["http://[::1"] = "bad_url",
      ["http://1.2.3.256/"] = "bad_url", ["http://a b/"] = "bad_url", ["http://h%00/"] = "bad_url",
      ["http://" .. ("x"):rep(70000)] = "bad_url",
      ["ftp://h/"] = "unsupported_scheme", ["file:///etc/passwd"] = "unsupported_scheme",
      ["javascript:alert(1)"] = "unsupported_scheme",
    }) do
      local url, err = ms.url(input)
      assert.is_nil(url)
      assert.equal(code, err.code, input)
      assert.equal(input, err.url)
      assert.is_truthy(err.message:find(input:sub(1, 100), 1, true))
    end
    local url, err = ms.url("a", "b")
    assert.is_nil(url)
    assert.equal("bad_url", err.code)
  end)

  it("takes strings only", function()
    for _, bad in ipairs({ {}, 1, true, print }) do
      local ok, err = pcall(ms.url, bad)
      assert.is_false(ok)
      assert.equal("bad_argument", err.code)
      ok, err = pcall(ms.url, "http://h", bad)
      assert.is_false(ok)
      assert.equal("bad_argument", err.code)
    end
    assert.is_false((pcall(ms.url)))
  end)
end)
