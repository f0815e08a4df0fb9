"""The networks of ``demos.lab.measure.copies``, computed by PyTorch: what tests compare with."""

import torch


def gradients(values, batch_norm, x, y):
    """Loss and gradients of two hidden relu layers and a linear one, with the batch's statistics.

    ``values`` are the parameters of one copy in the order of the model: per layer the weight and the bias (1, units), or
    with Batch Normalization the weight, scale and shift.
    """
    values = [v.clone().requires_grad_() for v in values]
    rest, h = list(values), torch.tensor(x)
    for _ in range(2):
        h = h @ rest.pop(0)
        if batch_norm:
            gamma, beta = rest.pop(0)[0], rest.pop(0)[0]
            h = torch.nn.functional.batch_norm(h, None, None, gamma, beta, training=True, eps=1e-5)
        else:
            h = h + rest.pop(0)
        h = torch.relu(h)
    h = h @ rest.pop(0) + rest.pop(0)
    loss = torch.nn.functional.cross_entropy(h, torch.tensor(y))
    return loss.item(), [g.detach() for g in torch.autograd.grad(loss, values)]
