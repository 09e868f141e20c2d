-- SPDX-License-Identifier: MIT
--
-- Loaded by busted before any spec, on the main thread. busted forgets the
-- modules a spec file loaded when the file ends. luv must not be among them:
-- the loop would be collected while its handles live. Nor the certificates:
-- each file would make its own.
require "luv"
require "spec.support.certs"
