-- SPDX-License-Identifier: MIT
--
-- Loaded by busted before any spec, on the main thread. busted forgets the
-- modules a spec file loaded when the file ends; luv must not be among them:
-- the loop would be collected while its handles live.
require "luv"
