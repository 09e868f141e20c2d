-- SPDX-License-Identifier: MIT
--
-- Networks that are broken, in a network namespace: addresses that swallow
-- everything, that refuse, that nothing leads to. The connection is up by one
-- that works, after what RFC 8305 allows for the others, and every socket that
-- was announced is withdrawn.
local namespace = require "spec.support.namespace"

-- Where the server is; there and not there is refused.
local GOOD4, GOOD6 = "192.0.2.1", "2001:db8:2::1"
local REFUSED4, REFUSED6 = "192.0.2.66", "2001:db8:2::66"
-- Neighbours that are known and do not exist: a black hole.
local HOLE4, HOLE6 = "198.51.100.2", "2001:db8:1::2"
-- No route.
local NOWHERE4, NOWHERE6 = "203.0.113.1", "2001:db8:9::1"

local HOSTS = {
  hole6 = { HOLE6, GOOD4 }, hole4 = { HOLE4, GOOD6 }, holes = { HOLE6, HOLE4, GOOD4, GOOD6 },
  refused6 = { REFUSED6, GOOD4 }, refused4 = { REFUSED4, GOOD4 },
  nowhere6 = { NOWHERE6, GOOD4 }, nowhere4 = { NOWHERE4, GOOD4 },
  dead = { HOLE6, HOLE4 }, gone = { NOWHERE6, REFUSED4, NOWHERE4 },
}

local SETUP = ([[
local function sh(command) assert(os.execute(command), command) end
sh "ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up"
sh "ip addr add 198.51.100.1/24 dev v0 && ip -6 addr add 2001:db8:1::1/64 dev v0 nodad"
for _, hole in ipairs { "%s", "%s" } do
  sh("ip neigh add " .. hole .. " lladdr 02:00:00:00:00:99 dev v0 nud permanent")
end
for _, own in ipairs { "%s/32", "%s/32", "%s/128", "%s/128" } do
  sh("ip addr add " .. own .. " dev lo")
end
local uv, ms = require "luv", require "multisocket"
for _, host in ipairs { "%s", "%s" } do
  local server = uv.new_tcp()
  assert(server:bind(host, 8080))
  server:listen(16, function()
    local peer = uv.new_tcp()
    server:accept(peer)
    peer:read_start(function(_, data)
      if not data then return peer:close() end
      if data:find("\r\n\r\n", 1, true) then peer:write("HTTP/1.1 204 No Content\r\n\r\n") end
    end)
  end)
  server:unref()
end
local client = ms.client()
-- One connection to a host, and what became of it.
local function try(host, opts)
  opts = opts or {}
  opts.fresh_connection = true
  io.stderr:write("BEGIN ", host, "\n")
  local res, err = client:fetch("http://" .. host .. ":8080/", opts)
  io.stdout:write(host, " ", res and res.remote_address or err.code, " ",
    res and "" or err.message, "\n")
end
]]):format(HOLE4, HOLE6, GOOD4, REFUSED4, GOOD6, REFUSED6, GOOD4, GOOD6)

local function hosts_file()
  local lines = {}
  for name, list in pairs(HOSTS) do
    for _, address in ipairs(list) do lines[#lines + 1] = address .. " " .. name .. "\n" end
  end
  return table.concat(lines)
end

local function reason()
  if not namespace.possible() then return "this system lets no user make namespaces" end
  local probe = namespace.run([[os.exit(os.execute("ip link add v0 type veth peer name v1"))]])
  if probe.code ~= 0 then return "no pairs of virtual devices here: " .. probe.stderr end
end

-- What the program's `try` calls came to, and their trace; nil where there are no namespaces.
local function run(text, trace)
  local why = reason()
  if why then
    pending(why)
    return nil
  end
  return namespace.run(SETUP .. text .. " client:close() uv.run()", { hosts = hosts_file(),
    timeout = 60000, env = trace and { MULTISOCKET_TRACE = "dial,ev:debug" } })
end

-- "trying" and how each host's attempts ended, without times.
local function attempts(stderr)
  local list, host = {}, nil
  for line in stderr:gmatch("[^\n]+") do
    host = line:match("^BEGIN (%S+)") or host
    local what = line:match(" dial (.*)$")
    if what then
      list[host] = (list[host] and list[host] .. ", " or "") .. what:gsub(":8080", "")
    end
  end
  return list
end

-- Sockets that were announced and not withdrawn.
local function left_watched(stderr)
  local watched, changes = {}, 0
  for fd, what in stderr:gmatch(" ev fd (%d+) (%a+)") do
    watched[fd] = what ~= "forget" or nil
    changes = changes + 1
  end
  return next(watched), changes
end

local function trying(...)
  local list = {}
  for i, address in ipairs({ ... }) do
    list[i] = "trying " .. (address:find(":", 1, true) and "[" .. address .. "]" or address)
  end
  return table.concat(list, ", ")
end

local function connected(address)
  return ", connected " .. (address:find(":", 1, true) and "[" .. address .. "]" or address)
end

describe("a broken network", function()
  it("G7: delays no connection for longer than RFC 8305 allows", function()
    local r = run([[
      for _, host in ipairs { "hole6", "hole4", "holes", "refused6", "refused4", "nowhere6",
        "nowhere4" } do try(host) end]], true)
    if not r then return end
    assert.equal(0, r.code, r.stderr)
    local tried = attempts(r.stderr)
    -- Company after the delay, the other family first.
    assert.equal(trying(HOLE6, GOOD4) .. connected(GOOD4), tried.hole6)
    assert.equal(trying(HOLE6, HOLE4, GOOD6) .. connected(GOOD6), tried.holes)
    -- The better family is not kept waiting by what is wrong with the other.
    assert.equal(trying(GOOD6) .. connected(GOOD6), tried.hole4)
    -- At once when one fails.
    assert.equal(("%s, connection_refused [%s], %s"):format(trying(REFUSED6), REFUSED6,
      trying(GOOD4)) .. connected(GOOD4), tried.refused6)
    assert.equal(("%s, connection_refused %s, %s"):format(trying(REFUSED4), REFUSED4,
      trying(GOOD4)) .. connected(GOOD4), tried.refused4)
    -- RFC 6724, rule 1: what nothing leads to is not even tried.
    assert.equal(trying(GOOD4) .. connected(GOOD4), tried.nowhere6)
    assert.equal(trying(GOOD4) .. connected(GOOD4), tried.nowhere4)
    local fd, changes = left_watched(r.stderr)
    assert.is_nil(fd)
    assert.is_true(changes >= 2 * 12)
  end)

  it("G7: has an error that lists what was tried, and nothing is printed", function()
    local r = run([[
      try("dead", { timeout = { connect = 2000 } })
      try("gone")
      try("hole6", { happy_eyeballs_delay = 20 })]])
    if not r then return end
    assert.equal("", r.stderr:gsub("BEGIN %S+\n", ""))
    local dead, gone, up = r.stdout:match("^(.-)\n(.-)\n(.-)\n$")
    assert.equal(("dead timed_out dead:8080: timed out "
      .. "(tried [%s]:8080 (no answer), %s:8080 (no answer))"):format(HOLE6, HOLE4), dead)
    assert.matches("^gone connection_refused gone:8080: connection refused", gone)
    for _, address in ipairs({ NOWHERE6, REFUSED4, NOWHERE4 }) do
      assert.truthy(gone:find(address, 1, true), gone)
    end
    assert.equal("hole6 " .. GOOD4 .. ":8080 ", up)
  end)

  it("G7: is remembered: what worked begins the next time", function()
    local r = run([[try("hole6") try("hole6") try("holes") try("holes")]], true)
    if not r then return end
    local tried = attempts(r.stderr)
    assert.equal(trying(HOLE6, GOOD4) .. connected(GOOD4) .. ", " .. trying(GOOD4)
      .. connected(GOOD4), tried.hole6)
    assert.equal(trying(HOLE6, HOLE4, GOOD6) .. connected(GOOD6) .. ", " .. trying(GOOD6)
      .. connected(GOOD6), tried.holes)
    assert.is_nil((left_watched(r.stderr)))
  end)

  it("G7: without any IPv6 is as good as one that never had it", function()
    local r = run([[
      sh "sysctl -q -w net.ipv6.conf.all.disable_ipv6=1"
      for _, host in ipairs { "hole6", "refused6", "nowhere6" } do try(host) end]], true)
    if not r then return end
    for _, host in ipairs({ "hole6", "refused6", "nowhere6" }) do
      assert.equal(trying(GOOD4) .. connected(GOOD4), attempts(r.stderr)[host])
    end
    assert.is_nil((left_watched(r.stderr)))
  end)

  -- spec/ssrf_spec.lua has those that are this machine anyway.
  it("holds addresses that only the guard keeps strangers from", function()
    local r = run([[
      local hosts = {}
      for host, address in pairs({ ["169.254.169.254"] = "169.254.169.254/32",
        ["2852039166"] = "", ["0xa9.0xfe.0xa9fe"] = "", ["0251.0376.0124776"] = "",
        ["169.254.43518"] = "", ["169.254.169.254."] = "", ["10.0.0.1"] = "10.0.0.1/32",
        ["167772161"] = "", ["172.16.0.1"] = "172.16.0.1/32", ["192.168.1.1"] = "192.168.1.1/32",
        ["100.64.0.1"] = "100.64.0.1/32", ["[::ffff:10.0.0.1]"] = "",
        ["[64:ff9b::7f00:1]"] = "64:ff9b::7f00:1/128", ["[64:ff9b::127.0.0.1]"] = "",
        ["[2002:7f00:1::]"] = "2002:7f00:1::/128",
        ["[2002:a9fe:a9fe::1]"] = "2002:a9fe:a9fe::1/128",
        ["[::127.0.0.1]"] = "::127.0.0.1/128",
        ["[fd00::1]"] = "fd00::1/128", ["[fec0::1]"] = "fec0::1/128",
        ["[2001:0:7f00:1::]"] = "2001:0:7f00:1::/128", ["[2001:db8::1]"] = "2001:db8::1/128",
        ["[64:ff9b:1::7f00:1]"] = "64:ff9b:1::7f00:1/128" }) do
        hosts[#hosts + 1] = host
        if address ~= "" then sh("ip addr add " .. address .. " dev lo") end
      end
      local server = uv.new_tcp()
      assert(server:bind("::", 8081))
      server:listen(64, function()
        local conn = uv.new_tcp()
        server:accept(conn)
        conn:read_start(function(_, data)
          if data then conn:write("HTTP/1.1 204 No Content\r\n\r\n") else conn:close() end
        end)
      end)
      server:unref()
      for _, host in ipairs(hosts) do
        local url = "http://" .. host .. ":8081/"
        local res, err = client:fetch(url)
        if not res then print("off", host, err) end
        res, err = client:fetch(url, { allow_address = "public" })
        if res or err.code ~= "address_refused" then print("on", host, err) end
      end
      print(#hosts)]])
    if not r then return end
    assert.equal("22\n", r.stdout, r.stderr)
  end)

  it("G11: the time to connect covers addresses that do not answer, and cancelling", function()
    local r = run([[
      local _, err = client:fetch("http://dead:8080/", { timeout = { connect = 50 } })
      io.stdout:write(err.code, " ", err.phase, "\n")
      local ended
      local handle = client:request("http://dead:8080/", {}, function(e) ended = e end)
      while client:stats().connecting == 0 do ms.sleep(1) end
      handle:cancel()
      while not ended do ms.sleep(1) end
      io.stdout:write(ended.code, " ", client:stats().running, "\n")]], true)
    if not r then return end
    assert.equal("timed_out connect\ncancelled 0\n", r.stdout, r.stderr)
    assert.is_nil((left_watched(r.stderr)))
  end)

  it("G12: no free port is an error that says so", function()
    local r = run([[
      sh "sysctl -q -w net.ipv4.ip_local_port_range='50000 50001'"
      for _ = 1, 3 do try("192.0.2.1") end]])
    if not r then return end
    local up, failed = "192.0.2.1 192.0.2.1:8080 \n",
      "192.0.2.1 connect_failed 192.0.2.1:8080: could not connect "
        .. "(tried 192.0.2.1:8080 (Cannot assign requested address))\n"
    assert.equal(up .. up .. failed, r.stdout)
  end)
end)
