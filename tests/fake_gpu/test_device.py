"""The pretended GPU behaves as CUDA does, and counts what CUDA would wait for."""

import copy
import inspect
import io
import pickle

import pytest
import torch
import torchvision
from helpers.device_counts import counting
from helpers.fake_gpu import DEVICE
from torch import Tensor, nn


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_views_share_memory_and_have_the_strides_of_the_cpu():
    whole = numbers(4, 6, 5)
    on_device = whole.to(DEVICE)
    views = [
        lambda x: x.transpose(0, 2),
        lambda x: x[1:3, ::2],
        lambda x: x[:, 2, None],
        lambda x: x.permute(2, 0, 1).flatten(1)[1:],
        lambda x: x.unfold(1, 3, 2),
        lambda x: x.diagonal(dim1=0, dim2=2),
        lambda x: x.view(2, 60).split(1)[1].view(-1).expand(3, 60),
        lambda x: x.movedim(0, 2).squeeze().unbind(1)[2],
        lambda x: x.view(torch.int32)[..., 0],
        lambda x: x.as_strided((2, 3), (7, 2), 5),
    ]
    for view in views:
        ours, theirs = view(on_device), view(whole)
        assert ours.stride() == theirs.stride()
        assert ours.storage_offset() == theirs.storage_offset()
        assert ours.is_contiguous() == theirs.is_contiguous()
        assert ours.untyped_storage().data_ptr() == on_device.untyped_storage().data_ptr()
        if ours.stride()[0]:
            ours.mul_(2), theirs.mul_(2)
        assert torch.equal(on_device.cpu().view(torch.int32), whole.view(torch.int32))


def test_results_have_the_layout_of_the_cpu():
    photo = numbers(2, 8, 6, 4).to(memory_format=torch.channels_last)
    weight = numbers(3, 8, 3, 3)
    for function in (
        lambda x, w: nn.functional.conv2d(x, w.to(memory_format=torch.channels_last)),
        lambda x, w: x + 1,
        lambda x, w: x.relu().clone(),
        lambda x, w: torch.empty_like(x).zero_(),
        lambda x, w: nn.functional.max_pool2d(x, 2),
        lambda x, w: x.to(torch.float64),
    ):
        ours, theirs = function(photo.to(DEVICE), weight.to(DEVICE)), function(photo, weight)
        assert ours.stride() == theirs.stride() and ours.dtype == theirs.dtype
        assert torch.equal(ours.cpu(), theirs)


def test_in_place_and_out_forms_write_where_they_should():
    x, y = numbers(3, 4), numbers(3, 4)
    a, b = x.to(DEVICE), y.to(DEVICE)
    out = torch.empty(0, device=DEVICE)
    assert torch.add(a, b, out=out) is out
    assert torch.equal(out.cpu(), x + y)
    values, indices = torch.empty(0, device=DEVICE), torch.empty(0, device=DEVICE).long()
    torch.topk(a, 2, out=(values, indices))
    assert torch.equal(values.cpu(), x.topk(2).values)
    assert torch.equal(indices.cpu(), x.topk(2).indices)
    a[:, 1].clamp_(max=0)
    a.t_()[0] = 7
    a.unsqueeze_(0).resize_(2, 3)
    x[:, 1].clamp_(max=0)
    x.t_()[0] = 7
    assert torch.equal(a.cpu(), x.unsqueeze_(0).resize_(2, 3))
    a.data = b
    assert a.data_ptr() == b.data_ptr()


def test_numbers_do_not_change_the_type():
    low = torch.ones((), dtype=torch.bfloat16, device=DEVICE)
    for each in (
        low * 2.5,
        2 - low,
        low % 2,
        low**2,
        low.clamp(max=3.5),
        torch.where(low > 0, low, 0.0),
    ):
        assert each.dtype == torch.bfloat16
    assert (torch.ones(2, dtype=torch.int32, device=DEVICE) // 2).dtype == torch.int32


@pytest.mark.parametrize(
    "operation",
    [
        lambda here, there: here + there,
        lambda here, there: there * here,
        lambda here, there: torch.cat([here, there]),
        lambda here, there: torch.stack([here[0, 0], torch.tensor(1.0)]),
        lambda here, there: here @ there,
        lambda here, there: there[here > 0],
        lambda here, there: torch.where(here > 0, here, there),
        lambda here, there: here.add_(there),
        lambda here, there: torch.ops.torchvision.nms(here, there[:, 0], 0.5),
        lambda here, there: here.index_put_((torch.tensor([0]),), there[0]),
        lambda here, there: torch.randperm(3, generator=torch.Generator(), device=DEVICE),
        lambda here, there: here.numpy(),
        lambda here, there: nn.Linear(4, 4).to(DEVICE)(there),
    ],
)
def test_devices_do_not_mix(operation):
    with pytest.raises((RuntimeError, TypeError), match="device"):
        operation(numbers(4, 4).to(DEVICE), numbers(4, 4))


def test_scalars_and_indices_of_the_cpu_are_taken():
    x = numbers(4, 4)
    here, rows = x.to(DEVICE), torch.tensor([2, 0])
    assert torch.equal((here + torch.tensor(2.0)).cpu(), x + 2)
    assert torch.equal(here[rows].cpu(), x[rows])
    assert torch.equal(here[x > 0].cpu(), x[x > 0])
    here[rows, 1] = torch.tensor(5.0)
    here.masked_fill_(here > 0, torch.tensor(1.0))
    x[rows, 1] = 5
    assert torch.equal(here.cpu(), x.masked_fill_(x > 0, 1))


def test_gradients_are_those_of_the_cpu():
    def gradients(device: str) -> list[Tensor]:
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.ReLU(inplace=True),
            nn.ConvTranspose2d(4, 2, 4, stride=2), nn.Flatten(), nn.Linear(200, 5), nn.LayerNorm(5),
        ).to(device)  # fmt: skip
        x = numbers(2, 3, 6, 6).to(device).requires_grad_()
        boxes = torch.tensor([[0, 0.5, 0.5, 3, 4]], device=device)
        loss = layers(x).softmax(1)[:, 1:].log().sum()
        loss = loss + torchvision.ops.roi_align(x * x, boxes, 2).sum()
        loss.backward()
        return [x.grad.cpu(), *(each.grad.cpu() for each in layers.parameters())]

    for ours, theirs in zip(gradients(DEVICE), gradients("cpu"), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_follows_cudas_lists(dtype):
    x = numbers(2, 4, 6, 6).to(DEVICE)
    conv, linear = nn.Conv2d(4, 4, 3).to(DEVICE), nn.Linear(6, 6).to(DEVICE)
    with torch.autocast(DEVICE, dtype):
        low = conv(x)
        for each in (low, linear(x), x @ x, torch.einsum("bchw,bchv->bcwv", x, x), low + low):
            assert each.dtype == dtype
        for each in (
            low.softmax(1), nn.functional.log_softmax(low, 1, dtype=None), low.exp(), low.log(),
            low.sum(), low.cumsum(0),
            nn.functional.smooth_l1_loss(low, low), low.norm(),
            nn.functional.binary_cross_entropy_with_logits(low, low),
            nn.functional.interpolate(low, scale_factor=2.0),
            nn.functional.layer_norm(low, (4,)), low.addcmul(low, x[..., :4, :4]),
        ):  # fmt: skip
            assert each.dtype == torch.float32
        boxes = torch.tensor([[0, 0.0, 0, 2, 2]], device=DEVICE)
        assert torchvision.ops.roi_align(low, boxes, 2).dtype == dtype
        assert torchvision.ops.nms(low.new_ones(2, 4), low.new_ones(2), 0.5).dtype == torch.int64
        with pytest.raises(RuntimeError, match="unsafe"):
            nn.functional.binary_cross_entropy(x.sigmoid(), x.sigmoid())
        assert (x.double() @ x.double()).dtype == torch.float64
    low.float().sum().backward()
    assert conv.weight.grad.dtype == torch.float32


def test_random_numbers_are_its_own():
    torch.manual_seed(3)
    first = torch.rand(4, device=DEVICE), torch.randperm(9, device=DEVICE)
    of_the_host = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(4), of_the_host)  # not moved on by the device's
    for ours, again in zip(
        first, (torch.rand(4, device=DEVICE), torch.randperm(9, device=DEVICE)), strict=True
    ):
        assert torch.equal(ours.cpu(), again.cpu())


def test_copies_keep_what_is_shared():
    whole = numbers(3, 4).to(DEVICE)
    pair = {"whole": whole, "row": whole[1], "weight": nn.Parameter(whole.clone())}
    stream = io.BytesIO()
    torch.save(pair, stream)
    stream.seek(0)
    for copied in (copy.deepcopy(pair), torch.load(stream)):
        assert copied["weight"].device.type == DEVICE and copied["weight"].requires_grad
        copied["row"].zero_()
        assert copied["whole"][1].abs().sum() == 0 != whole[1].abs().sum()
    assert torch.equal(pickle.loads(pickle.dumps(whole)).cpu(), whole.cpu())
    stream.seek(0)
    assert torch.load(stream, map_location="cpu")["row"].device.type == "cpu"
    moved = copy.deepcopy(nn.BatchNorm2d(2).to(DEVICE))
    assert {each.device.type for each in moved.state_dict().values()} == {DEVICE}


COUNTED = {
    "x.sum().item()": (1, 0, 1),
    "float(x[0, 0])": (1, 0, 0),
    "bool((x > 0).all())": (1, 0, 2),
    "x.tolist()": (1, 0, 0),
    "x.cpu()": (1, 0, 0),
    "x.to('cpu', non_blocking=True)": (0, 0, 0),
    "x.nonzero()": (1, 0, 1),
    "x[x > 0]": (1, 0, 3),
    "x.masked_select(x > 0)": (1, 0, 2),
    "x.index_put_((x > 0,), x[0, 0])": (0, 0, 2),
    "x.T[1:].flatten(0)[None]": (0, 0, 1),
    "x.view(-1).expand(2, -1)": (0, 0, 0),
    "torch.empty(3, device=x.device)": (0, 0, 0),
    "torch.zeros(3, device=x.device)": (0, 0, 1),
    "torch.arange(3, device=x.device)": (0, 0, 1),
    "torch.tensor([1, 2], device=x.device)": (0, 1, 0),
    "x[[1, 0]]": (0, 1, 1),
    "torch.ones(2).to(x.device, non_blocking=True)": (0, 1, 0),
    "torch.ones(2).pin_memory().to(x.device, non_blocking=True)": (0, 0, 0),
    "torch.ones(2).pin_memory().to(x.device)": (0, 1, 0),
    "x.clone()": (0, 0, 1),
    "torchvision.ops.nms(x, x[:, 0], 0.5)": (1, 0, 1),
    "torch.unique(x)": (1, 0, 1),
    "torch.cat([x, x]).sort(0)": (0, 0, 2),
}


@pytest.mark.parametrize("code", COUNTED)
def test_counts(code):
    x = numbers(4, 4).to(DEVICE)
    with counting() as counts:
        eval(code, {"x": x, "torch": torch, "torchvision": torchvision})
    assert tuple(counts.totals().values()) == COUNTED[code], counts.table()


def test_counts_name_the_line():
    x = numbers(4).to(DEVICE)
    with counting() as counts:
        nn.functional.normalize(x, dim=0)
        x.sum().item()
    here = inspect.getsourcelines(test_counts_name_the_line)[1]
    assert set(counts.syncs) == {f"tests/fake_gpu/test_device.py:{here + 4} item"}
    lines = {key.partition(" ")[0].rpartition(":")[2] for key in counts.kernels}
    assert lines == {str(here + 3), str(here + 4)}
    assert "1 syncs" in counts.table()


def test_unplugged_it_is_not_there(monkeypatch):
    assert torch.accelerator.is_available()
    monkeypatch.setattr("helpers.fake_gpu._available", False)
    assert torch.accelerator.is_available() == torch.cuda.is_available()
