"""The suite that `linrec-bench init` writes: small enough to run at once, commented to be changed."""

TEMPLATE = """\
# A suite says what to run. Check what it would do:  linrec-bench run {name} --dry-run
# then run it:                                        linrec-bench run {name}
# What can be named here:  linrec-bench list attention | models | data | measures
title: My first suite

# core: the mechanism alone; layer: with its projections; train_step: one optimiser step of a whole
# model; recommend: train a model and rank the catalogue.
task: layer

# By name, or with parameters of its own, such as {{name: linrec, padding: ignore}}.
attention: [softmax, sdpa, linrec]

# Every combination of the axes is a case: one value, a list, or a geometric range.
grid:
  seq_len: {{from: 256, to: 2048, factor: 2}}
  causal: [false, true]
fixed: {{batch_size: 1, hidden_size: 64, heads: 4}}

# Fresh processes of each case; intervals come from their spread.
rounds: 3
# What a trial may use. What is predicted not to fit is skipped, with the reason in the results.
limits: {{case_seconds: 20, memory: 50%}}
# Each trial samples for so many seconds, within so few and so many calls.
sampling: {{seconds: 0.1, min: 3, max: 50}}

# On a GPU the same grid can go further.
per_device:
  cuda:
    grid: {{seq_len: {{to: 16384}}}}

# Bounds, judged by:  linrec-bench check {name}
expect:
  - {{attention: linrec, measure: peak_memory, exponent: "<= 1.05"}}
  - {{attention: linrec, measure: flops, ratio: "<= 0.5", to: softmax, where: "seq_len=2048"}}
"""
"""`{name}` is the file as the user would type it."""


def modeline(schema: str) -> str:
    """The comment by which editors find the schema of a YAML file: a path from that file, or an address."""
    return f"# yaml-language-server: $schema={schema}\n"
