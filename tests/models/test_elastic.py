import torch
import torch.nn.functional as F

from linrec_bench import attention
from linrec_bench.models.elastic import ElasticBlock, ElasticSettings

SIZES = ElasticSettings(n_items=20, seq_len=16, hidden_size=8, heads=2, inner_size=12, layers=1, dropout=0.0)


def test_a_block_follows_its_equations():
    """Written out from the paper, with masks of numbers that are no 0 and no 1."""
    torch.manual_seed(0)
    block = ElasticBlock(SIZES).double().eval()
    x, first = torch.randn(2, 3, 5, 8, dtype=torch.float64)
    wide, inner = torch.rand(8, dtype=torch.float64), torch.rand(12, dtype=torch.float64)
    heads = [(part * wide).view(3, 5, 2, 4).transpose(1, 2) for part in block.qkv(x).split(8, dim=-1)]
    mixed = attention.registry()["linrec"].reference(*heads).transpose(1, 2).flatten(2)
    h = F.layer_norm(x + block.out(mixed) * wide, (8,), eps=1e-12)

    def gate(made):
        return 2 / (1 + torch.exp(-made.out(made.hidden(first).clamp(min=0))))

    f = F.gelu(block.enter(h) * inner * (gate(block.enter_gate) * inner))
    f = block.leave(f) * wide * (gate(block.leave_gate) * wide)
    torch.testing.assert_close(block(x, first, None, wide, inner), F.layer_norm(h + f, (8,), eps=1e-12))
