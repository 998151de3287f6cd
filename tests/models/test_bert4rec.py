import torch
import torch.nn.functional as F


def test_the_mask_token_follows_the_history(recommender):
    model = recommender("bert4rec")
    assert model.mask_token == 21
    items = torch.tensor([[4, 9, 2], [7, 5, 0]])
    fed, mask, position = model.query(items, items > 0)
    assert fed.tolist() == [[4, 9, 2, 21], [7, 5, 21, 0]]
    assert mask.tolist() == [[True] * 4, [True, True, True, False]]
    assert position.tolist() == [3, 2]
    assert model.query(items[:1])[0].tolist() == [[4, 9, 2, 21]]


def test_a_full_row_leaves_room_for_the_mask_token(recommender, rows):
    assert recommender("bert4rec").scores(rows(length=16)).shape == (3, 21)


def test_hidden_items_are_told_by_what_is_left_and_right_of_them(recommender, rows):
    model = recommender("bert4rec")
    items = rows()
    items[:, 5] = model.mask_token
    before = model(items)[:, 5]
    for other in (4, 6):
        changed = items.clone()
        changed[:, other] = items[:, other] % 20 + 1
        assert (model(changed)[:, 5] - before).abs().max() > 1e-6


def test_scores_are_the_published_head(recommender, rows):
    model = recommender("bert4rec")
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.3)
    table, bias = model.items.weight[:21, :16], model.items.weight[:21, 16]
    inner = model.stack(model.items.weight[rows(), :16])
    linear, _, norm = model.head
    head = F.gelu(inner @ linear.weight.T + linear.bias)
    head = F.layer_norm(head, (16,), norm.weight, norm.bias, eps=1e-12)
    torch.testing.assert_close(model(rows()) @ model.item_embeddings().T, head @ table.T + bias)


def test_biases_start_at_zero_and_are_learnt(recommender, rows):
    model = recommender("bert4rec").train()
    assert not model.item_embeddings()[:, -1].any()
    (model(rows()) @ model.item_embeddings().T).logsumexp(dim=-1).mean().backward()
    assert (model.items.weight.grad[1:21, -1] > 0).all()
    # The mask token is read, and is no candidate.
    assert not model.items.weight.grad[21].any()


def test_the_structure_is_the_published_one(recommender):
    model = recommender("bert4rec")
    block = 4 * (16 * 16 + 16) + 2 * 16 * 64 + 64 + 16 + 2 * 2 * 16
    head = 16 * 16 + 16 + 2 * 16
    # Items, padding and mask token with a bias each; a position more than items; the norm of the embeddings.
    tables = 22 * 17 + 17 * 16 + 2 * 16
    assert sum(weight.numel() for weight in model.parameters()) == tables + 2 * block + head
    assert not model.causal
