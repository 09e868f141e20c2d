-- SPDX-License-Identifier: MIT
--
-- Does a request cost more when thousands of transfers wait in the same client? CPU time per
-- keep-alive request, first with nothing else, then with N transfers held open to the same host.
-- The ratio is the figure; it should be near 1.
--
--   flat.lua --url URL --held N --held-url URL [--requests R] [--concurrency C]

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local compare = require "compare"

compare.alone_and_among({ requests = 50000, concurrency = 100, held = 10000 })
