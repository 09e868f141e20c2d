-- SPDX-License-Identifier: MIT
--
-- As flat.lua, with one request at a time: the price of a program that does one thing after
-- another while thousands of its transfers wait. Here every request is a wake-up of its own, so
-- anything done per turn for the waiting ones would show most.
--
--   sequential.lua --url URL --held N --held-url URL [--requests R]

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local compare = require "compare"

compare.alone_and_among({ requests = 20000, concurrency = 1, held = 10000 })
