-- SPDX-License-Identifier: MIT
--
-- busted's plain output, closed by the line .ci/tally.lua adds up. Errors
-- outside of tests (a file that does not load) count as failed.
local plain_terminal = require("busted.outputHandlers.plainTerminal")

return function(options)
  local busted = require("busted")
  local handler = plain_terminal(options)
  busted.subscribe({ "suite", "end" }, function()
    io.write(("\n%d passed, %d failed\n"):format(handler.successesCount,
      handler.failuresCount + handler.errorsCount))
    io.flush()
    return nil, true
  end)
  return handler
end
