-- SPDX-License-Identifier: MIT
--
-- The table in docs/multi-socket.md and the items in this folder are the same.
local FILES = { "a_adding", "b_socket", "b_callback", "c_timer", "d_action", "e_reading",
  "f_reentrancy", "g_driving", "h_pool", "i_errors", "k_data" }
local ITEMS = 145

-- The items of a file, without running any: number -> row of the table.
local function read_items(name, rows)
  local fake = { begin = function()
    return function(n, statement, fn)
      assert(not rows[n], "item " .. n .. " is there twice")
      local where = type(fn) == "string" and "pending: " .. fn or "`" .. name .. "`"
      rows[n] = ("| %d | %s | %s |"):format(n, statement, where)
    end
  end }
  local env = setmetatable({
    describe = function(_, fn) fn() end,
    require = function(module)
      return module == "spec.support.contract" and fake or require(module)
    end,
  }, { __index = _G })
  assert(loadfile("spec/contract/" .. name .. "_spec.lua", "t", env))()
end

-- libcurl's multi interface from 7.88 to 8.x: curl/multi.h.
local CALLS = [[init cleanup add_handle remove_handle fdset wait poll wakeup perform info_read
  strerror socket socket_action socket_all timeout setopt assign waitfds get_handles get_offt
  notify_enable notify_disable]]
local OPTIONS = [[SOCKETFUNCTION SOCKETDATA PIPELINING TIMERFUNCTION TIMERDATA MAXCONNECTS
  MAX_HOST_CONNECTIONS MAX_PIPELINE_LENGTH CONTENT_LENGTH_PENALTY_SIZE CHUNK_LENGTH_PENALTY_SIZE
  PIPELINING_SITE_BL PIPELINING_SERVER_BL MAX_TOTAL_CONNECTIONS PUSHFUNCTION PUSHDATA
  MAX_CONCURRENT_STREAMS NETWORK_CHANGED NOTIFYFUNCTION NOTIFYDATA RESOLVE_THREADS_MAX QUICK_EXIT]]
local CODES = [[OK CALL_MULTI_PERFORM BAD_HANDLE BAD_EASY_HANDLE OUT_OF_MEMORY INTERNAL_ERROR
  BAD_SOCKET UNKNOWN_OPTION ADDED_ALREADY RECURSIVE_API_CALL WAKEUP_FAILURE BAD_FUNCTION_ARGUMENT
  ABORTED_BY_CALLBACK UNRECOVERABLE_POLL]]

it("the guide names every call, option and code of libcurl's multi interface", function()
  local f <close> = assert(io.open("docs/multi-socket.md"))
  local text = f:read("a")
  for name in CALLS:gmatch("%S+") do
    assert.truthy(text:find("`curl_multi_" .. name .. "`", 1, true), name)
  end
  for name in OPTIONS:gmatch("%S+") do
    assert.truthy(text:find("`" .. name .. "`", 1, true)
      or text:find("`CURLMOPT_" .. name .. "`", 1, true), name)
  end
  for name in CODES:gmatch("%S+") do
    assert.truthy(text:find("`" .. name .. "`", 1, true)
      or text:find("`CURLM_" .. name .. "`", 1, true), name)
  end
end)

-- Of what the guide says in backquotes, the names in C are in the header.
it("the guide names nothing that the header does not have", function()
  local f <close> = assert(io.popen("cat src/multisocket*.h"))
  local header = f:read("a")
  for line in io.lines("docs/multi-socket.md") do
    for name in line:gmatch("`([mM][sS]_[%w_]+%*?)") do
      local code = name:match("^MS_(E%u+)$")
      assert.truthy(header:find((name:gsub("%*$", "")), 1, true)
        or code and header:find("X(" .. code .. ",", 1, true), name)
    end
  end
end)

it("the contract's table in the guide is true", function()
  local rows, listed = {}, {}
  for _, name in ipairs(FILES) do read_items(name, rows) end
  for line in io.lines("docs/multi-socket.md") do
    local n = tonumber(line:match("^| (%d+) | "))
    if n then listed[n] = line end
  end
  for n = 1, ITEMS do assert.equal(rows[n], listed[n]) end
  assert.equal(ITEMS, #rows)
  assert.equal(ITEMS, #listed)
end)
