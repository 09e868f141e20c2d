-- SPDX-License-Identifier: MIT
--
-- What query, form and json become.
local body = require "multisocket.body"

local usage = require "spec.support.usage"
describe("form", function()
  it("encodes a map in the order of its names", function()
    assert.equal("a=1&b=x+y&c=%26%3D", body.form({ c = "&=", a = 1, b = "x y" }))
  end)

  it("encodes a list in its own order, names twice included", function()
    assert.equal("b=1&a=2&b=3", body.form({ { "b", 1 }, { "a", 2 }, { "b", 3 } }))
  end)

  it("repeats a name whose value is a list", function()
    assert.equal("a=1&a=2&b=", body.form({ a = { 1, "2" }, b = "" }))
  end)

  it("escapes bytes, not characters", function()
    assert.equal("%C3%A4=%00%FF", body.form({ ["\u{e4}"] = "\0\xff" }))
    assert.equal("a=-._*%7E", body.form({ a = "-._*~" }))
  end)

  it("writes numbers as people do", function()
    assert.equal("a=3&b=2.5&c=-1", body.form({ a = 3.0, b = 2.5, c = -1 }))
    assert.equal("a=9007199254740992&b=0.1&c=0.12345678901234568",
      body.form({ a = 2.0 ^ 53, b = 0.1, c = 0.12345678901234568 }))
  end)

  it("refuses other values and names", function()
    usage(body.form, { a = true })
    usage(body.form, { a = { {} } })
    usage(body.form, { [{}] = "x" })
    usage(body.form, { { 1, 2 } })
    usage(body.form, "a=b")
  end)
end)

describe("query", function()
  it("has %20 for a space", function() assert.equal("a=x%20y~", body.query({ a = "x y~" })) end)

  it("goes behind the URL's own query and before its fragment", function()
    local add = body.add_query
    assert.equal("http://h/p?a=1", add("http://h/p", "a=1"))
    assert.equal("http://h/p?x&a=1", add("http://h/p?x", "a=1"))
    assert.equal("http://h/p?a=1", add("http://h/p?", "a=1"))
    assert.equal("http://h/p?x&a=1", add("http://h/p?x&", "a=1"))
    assert.equal("http://h/p?a=1#f?g", add("http://h/p#f?g", "a=1"))
    assert.equal("http://h/p#f", add("http://h/p#f", ""))
  end)
end)

describe("json", function()
  it("is encoded", function()
    assert.equal("[1,2]", body.json({ 1, 2 }))
    assert.equal('"x"', body.json("x"))
  end)

  it("refuses what has no JSON", function()
    usage(body.json, print)
    usage(body.json, { [{}] = 1 })
  end)
end)
