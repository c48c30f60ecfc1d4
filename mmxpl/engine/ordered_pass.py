"""A pass over a whole data set, shared by the processes of a run."""

from collections.abc import Iterator

from mmengine.dist import get_dist_info
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from .resume.preemption_hook import shield_like


def ordered_pass(
    like: DataLoader, dataset: Dataset, seed: int
) -> Iterator[tuple[dict, int]]:
    """Iterates over a data set once, in order, with every clip on one rank.

    All ranks get the same number of batches, so that they can communicate. For that the
    first clips are repeated at the end of the pass.

    Args:
        like (DataLoader): loader whose batch size, number of workers, collation and
            shield against signals are used.
        dataset (Dataset): the data set.
        seed (int): seed of the data workers.

    Yields:
        tuple[dict, int]: a batch, and how many of its first clips are no repetitions.
    """
    loader = Runner.build_dataloader(
        dict(
            dataset=dataset,
            batch_size=like.batch_size,
            num_workers=like.num_workers,
            collate_fn=like.collate_fn,
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        seed=seed,
    )
    shield_like(loader, like)
    rank, world_size = get_dist_info()
    # DefaultSampler deals the ranks in turn
    left = len(range(rank, len(dataset), world_size))
    for batch in loader:
        count = min(left, len(batch['data_samples']))
        left -= count
        yield batch, count
