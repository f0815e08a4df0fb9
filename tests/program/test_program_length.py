"""Long programs: no recursion, each step once."""

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import ops, program
from tinygrad_bn.program import Program

LENGTH = 250_000


def test_a_chain_of_scalars():
    def chain(x):
        for _ in range(LENGTH // 2):
            x = x * 1.0000001 + 0.5
        return x

    recorded = program.record(chain, 1.0)
    assert len(recorded) == LENGTH
    shorter = program.simplify(recorded)
    read = Program.from_json(shorter.to_json())
    assert read.run(2.0) == recorded.run(2.0) == chain(2.0)
    assert len(str(recorded).splitlines()) > LENGTH


def test_chains_of_tensors_of_every_kind_of_step():
    """What the laws take apart: sums of sums, products of products, signs, shapes."""
    rounds = {
        "sums": lambda x, y: x + y,
        "differences": lambda x, y: y - x,
        "products": lambda x, y: x * y,
        "quotients": lambda x, y: y / x,
        "signs": lambda x, y: -x,
        "squares": lambda x, y: ops.sqrt(ops.square(x)),
        "shapes": lambda x, y: ops.reshape(x, (3, 1) if x.ndim == 1 else (3,)),
        "sums of sums": lambda x, y: x - ops.mean(x),
        "transposes": lambda x, y: ops.transpose(ops.expand_dims(x, 0) if x.ndim == 1 else x),
    }
    x, y = np.array([1.0, -2.0, 1.5]), np.array([0.5, 1.0, -1.0])
    for one in rounds.values():

        def chain(a, b, one=one):
            for _ in range(2_000):
                a = one(a, b)
            return a

        recorded = program.record(chain, x, y, free=False)
        expected = recorded.run(x, y)
        np.testing.assert_array_equal(program.simplify(recorded, exact=True).run(x, y), expected)
        np.testing.assert_allclose(program.simplify(recorded).run(x, y), expected, rtol=1e-9, atol=1e-9)


def test_a_long_chain_with_its_backward_pass():
    def both(x):
        x = x.detach().requires_grad_()
        y = x
        for _ in range(5_000):
            y = ops.sin(y) + x
        return tg.grad(y.sum(), x)

    recorded = program.record(both, np.ones(2), free=False)
    assert len(recorded) > 20_000
    np.testing.assert_allclose(program.simplify(recorded).run(np.ones(2)), recorded.run(np.ones(2)), rtol=1e-9)
