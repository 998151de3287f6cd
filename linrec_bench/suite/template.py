"""The suite that `linrec-bench init` writes: small, with comments."""

TEMPLATE = """\
# A suite defines what to measure. To see the plan:  linrec-bench run {name} --dry-run
# To run it:                                         linrec-bench run {name}
# Names to use here:  linrec-bench list attention | models | data | measures
title: My first suite

# core: the mechanism alone; layer: with its projections; train_step: one optimiser step of a whole
# model; decode: one more event; recommend: train a model and rank the catalogue.
task: layer

# Names, or mappings of name and parameters, such as {{name: linrec, padding: ignore}}.
attention: [softmax, sdpa, linrec]

# Every combination of the axes is a case: one value, a list, or a geometric range.
grid:
  seq_len: {{from: 256, to: 2048, factor: 2}}
  causal: [false, true]
fixed: {{batch_size: 1, hidden_size: 64, heads: 4}}

# Number of fresh processes per case; intervals come from the differences between them.
rounds: 5
# Limits of a trial. Cases that are predicted not to fit are skipped; the results give the reason.
limits: {{case_seconds: 20, memory: 50%}}
# Each trial samples for `seconds`, between `min` and `max` calls.
sampling: {{seconds: 0.1, min: 3, max: 50}}

# Longer sequences on a GPU.
per_device:
  cuda:
    grid: {{seq_len: {{to: 16384}}}}

# Bounds that this command tests:  linrec-bench check {name}
expect:
  - {{attention: linrec, measure: peak_memory, exponent: "<= 1.05"}}
  - {{attention: linrec, measure: flops, ratio: "<= 0.5", to: softmax, where: "seq_len=2048"}}
"""
"""`{name}`: path of the file."""


def modeline(schema: str) -> str:
    """The comment by which editors find the schema of a YAML file: a path from that file, or an address."""
    return f"# yaml-language-server: $schema={schema}\n"
