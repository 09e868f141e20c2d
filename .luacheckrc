std = "lua54"
max_line_length = 100
codes = true
unused_args = true

files["spec/*_spec.lua"].std = "+busted"
files["spec/**/*_spec.lua"].std = "+busted"
files[".luacheckrc"].std = "+luacheckrc"
files["*.rockspec"].std = "+rockspec"
