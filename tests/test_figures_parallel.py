"""Pictures of training on several devices: what they say is what was put in."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from posekit.figures import parallel


def texts(figure: Figure) -> list[str]:
    """All that is written in the figure; it is drawn first, so that drawing it is tested too."""
    figure.savefig(io.BytesIO(), format="png")
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.mark.parametrize("ranks", [2, 3])
def test_an_update_shows_each_rank_and_the_mean(ranks: int) -> None:
    batches = [np.full((4, 8, 8, 3), 60 * rank, np.uint8) for rank in range(ranks)]
    figure = parallel.data_parallel(batches)
    written = texts(figure)
    total = " + ".join(f"g{rank}" for rank in range(ranks))
    assert f"AllReduce: every worker gets ({total}) / {ranks}" in written and f"adds up {total}" in written
    assert written.count("network, weights w") == ranks + 1
    left, right = ([image.get_array() for image in axes.images] for axes in figure.axes)
    assert len(left) == 4 * ranks and [image[0, 0, 0] for image in left[::4]] == [60 * rank for rank in range(ranks)]
    assert {image[0, 0, 0] for image in right} <= {60 * rank for rank in range(ranks)} and len(right) == 4


def test_a_rank_table_shows_every_device() -> None:
    devices = [
        [{"device_id": str(i), "device_ip": f"1.0.{h}.{i}", "rank_id": str(2 * h + i)} for i in (0, 1)] for h in (0, 1)
    ]
    servers = [{"server_id": f"10.0.0.{h}", "device": device} for h, device in enumerate(devices)]
    written = texts(parallel.rank_table({"server_count": "2", "server_list": servers, "status": "completed"}))
    for rank, (host, i) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        assert f"rank_id {rank}" in written and f"device_id {i}\ndevice_ip\n1.0.{host}.{i}" in written
    assert "server_count 2, 4 ranks, status completed" in written and "server_id\n10.0.0.1" in written
