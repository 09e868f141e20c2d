rockspec_format = "3.0"
package = "multisocket"
version = "scm-1"

source = {
  -- A placeholder: `luarocks make` in a checkout does not look at it.
  url = "git+https://example.org/multisocket.git",
}

description = {
  summary = "Many HTTP transfers at once on your own event loop",
  detailed = [[
    An HTTP client for Lua 5.4: a multi_socket transfer engine in C, driven by
    the application's event loop (luv), with fetch() for coroutines on top.
  ]],
  license = "MIT",
  labels = { "http", "network", "async", "luv" },
}

supported_platforms = { "linux" }

dependencies = {
  "lua >= 5.4, < 5.5",
  "luv >= 1.44",
}

external_dependencies = {
  CARES = { header = "ares.h", library = "cares" },
  NGHTTP2 = { header = "nghttp2/nghttp2.h", library = "nghttp2" },
  OPENSSL = { header = "openssl/ssl.h", library = "ssl" },
  ZLIB = { header = "zlib.h", library = "z" },
}

test_dependencies = {
  "busted >= 2.0",
}

build = {
  type = "make",
  build_target = "rock",
  install_target = "install-lua",
  build_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CARES_INCDIR = "$(CARES_INCDIR)",
    CARES_LIBDIR = "$(CARES_LIBDIR)",
    NGHTTP2_INCDIR = "$(NGHTTP2_INCDIR)",
    NGHTTP2_LIBDIR = "$(NGHTTP2_LIBDIR)",
    OPENSSL_INCDIR = "$(OPENSSL_INCDIR)",
    OPENSSL_LIBDIR = "$(OPENSSL_LIBDIR)",
    ZLIB_INCDIR = "$(ZLIB_INCDIR)",
    ZLIB_LIBDIR = "$(ZLIB_LIBDIR)",
  },
  install_variables = {
    CORE = "build/rock/multisocket/core.so",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
  },
  copy_directories = {},
}

test = {
  type = "command",
  command = "make test",
}
