-- SPDX-License-Identifier: MIT
--
-- Retries and limits for each host with a real server, over HTTP/1.1 and HTTP/2;
-- retries beside those of curl.
local async = require "spec.support.async"
local json = require "cjson"
local ms = require "multisocket"
local uv = require "luv"
local wire = require "spec.support.wire"

local SOON = 1 -- ms
local RETRY = { max = 3, max_delay = 5000 }

local ids = 0

-- A path of the server that is busy `n` times.
local function busy(status, n, after)
  ids = ids + 1
  return ("/busy/%d/%d/%s/%d"):format(status, n, after or "0", ids)
end

local function http_date(seconds)
  return (os.date("!%a, %d %b %Y %H:%M:%S GMT", seconds):gsub("[ ,:]", {
    [" "] = "%20", [","] = "%2C", [":"] = "%3A" }))
end

for _, v in ipairs(wire.VERSIONS) do

describe("a retry " .. v.over, function()
  local node

  setup(function() node = v:node(true) end)
  teardown(function() node:stop() end)

  -- Returns what waits for curl, whose least delay is a second, and returns the
  -- last status that it got.
  local function curl(url, ...)
    local child = v:start_curl("--retry", "3", "-w", "\n%{http_code}", url, ...)
    return function() return tonumber(child:wait().stdout:match("\n(%d+)$")) end
  end

  it("is made for what may pass, as often as it may, on the same connection", async(function()
    local client <close> = v:client { retry = RETRY }
    for _, status in ipairs { 408, 429, 502, 503, 504 } do
      assert.equal("at last 3", assert(client:fetch(node:url(busy(status, 2)))).body)
      local res = assert(client:fetch(node:url(busy(status, 4))))
      assert.same({ status, "busy\n" }, { res.status, res.body })
    end
    for _, status in ipairs { 400, 403, 404, 500, 501 } do
      assert.equal(status, assert(client:fetch(node:url(busy(status, 1)))).status)
    end
    assert.equal(1, client:stats().opened)
  end))

  it("is made where curl makes one, which has 500 and POST besides", async(function()
    local STATUSES = { 408, 429, 502, 503, 504, 500, 404, 501 }
    local curls = {}
    for _, status in ipairs(STATUSES) do curls[status] = curl(node:url(busy(status, 1))) end
    local posted = curl(node:url(busy(503, 1)), "-d", "x")
    for _, status in ipairs(STATUSES) do
      local ours = assert(v:fetch(node:url(busy(status, 1)), { retry = RETRY })).status
      assert.equal(status == 500 and 200 or ours, curls[status](), status)
    end
    local POST = { body = "x", retry = RETRY }
    assert.equal(503, assert(v:fetch(node:url(busy(503, 1)), POST)).status)
    assert.equal(200, posted())
    POST.retry = { max = 3, methods = { "POST" } }
    assert.equal(200, assert(v:fetch(node:url(busy(503, 1)), POST)).status)
  end))

  it("comes when the server says, not before", async(function()
    for _, after in ipairs { "1", http_date(os.time() + 3) } do
      local begin = uv.hrtime()
      assert.equal("at last 2", assert(v:fetch(node:url(busy(503, 1, after)),
        { retry = RETRY })).body)
      assert.is_true((uv.hrtime() - begin) / 1e9 > 0.9)
    end
    local res = assert(v:fetch(node:url(busy(503, 1, "60")), { retry = RETRY }))
    assert.equal(503, res.status)
    assert.equal("60", res.headers["retry-after"])
    assert.equal(503, curl(node:url(busy(503, 1, "60")), "--retry-max-time", "5")())
  end))

  it("is made when a response is cut, unless somebody had the beginning of it", async(function()
    local opts = { retry = { max = 3, max_delay = SOON } }
    assert.equal("at last", assert(v:fetch(node:url("/cut/2/c"), opts)).body)
    local res, err = v:fetch(node:url("/cut"), opts)
    assert.is_nil(res)
    assert.same({ 4, true }, { err.attempts, err.retryable })
    for _, more in ipairs { { on_data = function() end }, { sink = function() end },
      { method = "POST", body = "x" } } do
      more.retry = opts.retry
      res, err = v:fetch(node:url("/cut"), more)
      assert.is_nil(res)
      assert.equal(1, err.attempts)
    end
  end))

  it("has the body again, from a path too, and tells of what it came to", async(function()
    local path = os.tmpname()
    local f <close> = assert(io.open(path, "wb"))
    f:write(("x"):rep(300000)):flush()
    for _, body in ipairs { ("x"):rep(300000), { path = path } } do
      local sent = {}
      local res = assert(v:fetch(node:url(busy(503, 2)), { method = "PUT", body = body,
        retry = RETRY, on_debug = function(kind) sent[kind] = (sent[kind] or 0) + 1 end }))
      assert.equal("at last 3", res.body)
      assert.same({ 3, 3 }, { sent.request, sent.response })
    end
    os.remove(path)
    local gone = v:node()
    gone:stop()
    local res, err = v:fetch(gone:url(), { retry = { max = 2, max_delay = SOON } })
    assert.is_nil(res)
    assert.same({ "connection_refused", 3 }, { err.code, err.attempts })
  end))
end)

describe("per_host " .. v.over, function()
  local node

  setup(function() node = v:node() end)
  teardown(function() node:stop() end)

  -- How many of the server's answers were due at a time, at most.
  local function most(client, count, id)
    local jobs = {}
    for i = 1, count do
      jobs[i] = function() return assert(client:fetch(node:url("/hold/10/" .. id))).body end
    end
    for _, entry in ipairs(ms.gather(jobs, { concurrency = count })) do
      assert.equal("held", entry.value, tostring(entry.error))
    end
    return tonumber(assert(v:fetch(node:url("/most/" .. id))).body)
  end

  it("is what the server sees", async(function()
    for _, limit in ipairs { 1, 3, 10 } do
      local client <close> = v:client { per_host = { concurrency = limit } }
      local seen = most(client, 40, "c" .. limit)
      assert.is_true(seen <= limit, seen .. " at a time")
    end
    local free <close> = v:client()
    assert.is_true(most(free, 40, "free") > 10)
  end))

  it("counts retries, and those that wait for one hold up nobody", async(function()
    local client <close> = v:client { per_host = { concurrency = 1 }, retry = RETRY }
    local waits = ms.spawn(function()
      return assert(client:fetch(node:url(busy(503, 1, "1")))).body
    end)
    local quick = assert(client:fetch(node:url("/inspect"))).body
    assert.equal("/inspect", json.decode(quick).url)
    assert.equal("running", waits.status)
    assert.equal("at last 2", select(2, waits:wait()))
  end))

  it("has a rate", async(function()
    local client <close> = v:client { per_host = { rate = 50 } }
    local begin = uv.hrtime()
    most(client, 25, "rate")
    assert.is_true((uv.hrtime() - begin) / 1e9 > 18 / 50 - 0.02)
  end))
end)

end
