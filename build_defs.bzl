"""How this project's own C is compiled: one place for warnings and hardening."""

COPTS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wshadow",
    "-Wconversion",
    "-Wno-sign-conversion",
    "-Werror",
    "-fno-common",
    "-fstack-protector-strong",
    "-D_GNU_SOURCE",
    "-DOPENSSL_NO_DEPRECATED",
]

def c_module(name, deps = [], hdrs = None, srcs = None, textual_hdrs = [], copts = [], **kwargs):
    """A module: NAME.c behind NAME.h.

    Args:
      name: the module's name; NAME.c and NAME.h where srcs and hdrs are not given.
      deps: what its files include.
      hdrs: the public headers.
      srcs: the sources.
      textual_hdrs: .def tables.
      copts: further compiler options.
      **kwargs: passed to cc_library.
    """
    native.cc_library(
        name = name,
        srcs = srcs if srcs != None else [name + ".c"],
        hdrs = hdrs if hdrs != None else [name + ".h"],
        textual_hdrs = textual_hdrs,
        copts = COPTS + copts,
        deps = deps,
        **kwargs
    )

def unit_test(name, deps = [], srcs = None, copts = [], **kwargs):
    """A cmocka test program: NAME.c unless srcs are given."""
    native.cc_test(
        name = name,
        srcs = srcs if srcs != None else [name + ".c"],
        copts = COPTS + copts,
        deps = deps + ["//third_party:cmocka"],
        size = kwargs.pop("size", "small"),
        **kwargs
    )
