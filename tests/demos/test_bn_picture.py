"""The picture of the BN layer shows the textbook's numbers, and its gradients obey the published closed form."""

import xml.etree.ElementTree as ElementTree

import numpy as np

from demos import bn_picture
from tinygrad_bn import graph


def node(picture, name):
    [found] = [n for n in picture.graph.nodes if n.name == name]
    return found


def test_every_step_of_the_four_equations_is_there():
    picture = bn_picture.batch_norm_picture()
    values = {n.scope[-1]: n.value.elements for n in picture.graph.nodes if n.scope}  # the last one of each scope
    assert np.allclose(values["mean"], 2.5)
    assert np.allclose(values["variance"], 1.25)
    expected = np.array([-3.0, -1.0, 1.0, 3.0]) / 2 / np.sqrt(1.25 + 1e-5)
    assert np.allclose(values["normalize"], expected, rtol=1e-12)
    assert np.allclose(values["scale and shift"], expected, rtol=1e-12)


def test_gradients_are_the_closed_form():
    picture = bn_picture.batch_norm_picture()
    dy, root = np.array([1.0, 0.0, 0.0, 0.0]), np.sqrt(1.25 + 1e-5)
    x_hat = np.array([-1.5, -0.5, 0.5, 1.5]) / root
    dx = (4 * dy - dy.sum() - x_hat * (dy * x_hat).sum()) / (4 * root)
    assert np.allclose(node(picture, "x").grad.elements, dx, atol=1e-12)
    assert np.allclose(node(picture, "weight").grad.elements, x_hat[0], atol=1e-12)
    assert np.allclose(node(picture, "bias").grad.elements, 1.0)


def test_it_is_written_as_svg_with_the_numbers_in_it(tmp_path, capsys):
    assert bn_picture.main(["--out", str(tmp_path)]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["batch_norm.svg"]
    text = "".join(ElementTree.parse(tmp_path / "batch_norm.svg").getroot().itertext())
    for shown in ("1.118", "-1.3416", "-0.4472", "0.2683", "-0.3578", "BatchNorm1d"):
        assert shown in text
    assert str(tmp_path / "batch_norm.svg") in capsys.readouterr().out


def test_without_a_layout_program_the_text_is_written_and_the_reason_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(graph.layout, "programs", lambda _: [])
    assert bn_picture.main(["--out", str(tmp_path)]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["batch_norm.dot"]
    assert (tmp_path / "batch_norm.dot").read_text().startswith("digraph")
    assert "no layout program" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_ends_with_code_2(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert bn_picture.main(["--out", str(tmp_path / "file")]) == 2
    assert "cannot write to" in capsys.readouterr().err
