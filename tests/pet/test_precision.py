"""Matrix products with fewer digits: only where asked for, and only for that long."""

import pytest
import torch

from electrain.pet.precision import check_matmul_precision, has_bfloat16_products, use_matmul_precision


def settings() -> tuple[str, bool, bool]:
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cuda.flash_sdp_enabled(),
        torch.backends.cuda.math_sdp_enabled(),
    )


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_the_former_setting_comes_back(precision):
    before = settings()
    with use_matmul_precision(precision):
        assert torch.get_float32_matmul_precision() == precision
        assert torch.backends.cuda.math_sdp_enabled()
    assert settings() == before


@pytest.mark.parametrize("bfloat16", [True, False])
def test_fused_attention_is_left_out_where_it_would_be_slow(bfloat16, monkeypatch):
    monkeypatch.setattr("electrain.pet.precision.has_bfloat16_products", lambda: bfloat16)
    for precision in ("highest", "high"):
        with use_matmul_precision(precision):
            assert torch.backends.cuda.flash_sdp_enabled()
    with use_matmul_precision("medium"):
        assert torch.backends.cuda.flash_sdp_enabled() == (not bfloat16)


def test_without_instructions_for_it_nothing_changes():
    left, right = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    with use_matmul_precision("medium"):
        inside = left @ right
    assert torch.equal(inside, left @ right) == (not has_bfloat16_products())


def test_also_after_an_error_and_when_nested():
    before = settings()
    with pytest.raises(RuntimeError, match="inside"), use_matmul_precision("medium"):
        raise RuntimeError("inside")
    assert settings() == before
    with use_matmul_precision("medium"):
        with use_matmul_precision("highest"):
            assert settings() == before
        assert torch.get_float32_matmul_precision() == "medium"
    assert settings() == before


def test_double_precision_keeps_all_digits():
    left, right = torch.randn(2, 64, 64, dtype=torch.float64)
    with use_matmul_precision("medium"):
        inside = left @ right
    torch.testing.assert_close(inside, left @ right, rtol=1e-14, atol=1e-13)


def test_single_precision_is_close():
    """Whether anything changes at all depends on the processor."""
    left, right = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    with use_matmul_precision("medium"):
        inside = left @ right
    torch.testing.assert_close(inside, left @ right, rtol=0.0, atol=0.05 * 256**0.5)


def test_unknown_names():
    message = "matmul_precision must be one of highest, high, medium, got 'low'"
    with pytest.raises(ValueError, match=message):
        check_matmul_precision("low")
    with pytest.raises(ValueError, match=message), use_matmul_precision("low"):
        pass
