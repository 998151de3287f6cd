from linrec_bench.suite.overrides import merge, merged, override


def test_mappings_join_and_everything_else_is_replaced():
    base = {"grid": {"seq_len": {"from": 1, "to": 8}, "heads": [1]}, "rounds": 3}
    merge(base, {"grid": {"seq_len": {"to": 16}, "heads": [2]}, "rounds": 1})
    assert base == {"grid": {"seq_len": {"from": 1, "to": 16}, "heads": [2]}, "rounds": 1}


def test_a_sweep_does_not_change_the_defaults_that_others_share():
    defaults = {"fixed": {"seq_len": 8}}
    assert merged(defaults, {"fixed": {"heads": 1}}) == {"fixed": {"seq_len": 8, "heads": 1}}
    assert defaults == {"fixed": {"seq_len": 8}}


def test_a_flag_reaches_the_top_and_the_sweeps_that_have_the_key():
    raw = {"sweeps": [{"fixed": {"heads": 1}}, {"fixed": {"seq_len": 8}}]}
    override(raw, ("fixed", "heads"), 4)
    assert raw == {
        "fixed": {"heads": 4},
        "sweeps": [{"fixed": {"heads": 4}}, {"fixed": {"seq_len": 8}}],
    }
