"""A fuzz target, and the replay of its corpus as an ordinary test."""

load("//:build_defs.bzl", "COPTS")

def fuzz_test(name, deps, src = None, corpus = None):
    """NAME_replay: a test that feeds the corpus. NAME: the libFuzzer program (--config=fuzz).

    Args:
      name: the target; "config_fuzz".
      deps: what the source uses.
      src: the source with LLVMFuzzerTestOneInput; NAME.c unless given.
      corpus: the folder of inputs; "corpus/config" for "config_fuzz" unless given.
    """
    src = src or name + ".c"
    folder = corpus or "corpus/" + name.replace("_fuzz", "")
    native.cc_test(
        name = name + "_replay",
        size = "small",
        srcs = [src],
        args = [native.package_name() + "/" + folder],
        copts = COPTS,
        data = native.glob([folder + "/**"]),
        deps = deps + ["//tests/fuzz:fuzz_target", "//tests/fuzz:replay_main"],
    )
    native.cc_binary(
        name = name,
        testonly = True,
        srcs = [src],
        copts = COPTS,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = deps + ["//tests/fuzz:fuzz_target"],
    )
