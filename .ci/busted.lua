-- SPDX-License-Identifier: MIT
--
-- The busted command under whatever interpreter runs this file, wherever
-- busted is installed. Arguments are busted's.
table.insert(arg, 1, "--ignore-lua") -- .busted names one for `busted` itself
require("busted.runner")({ standalone = false })
