"""One pass over a data set beside the training, shared by the processes of a run."""

from collections.abc import Iterator

from mmengine.dist import get_dist_info
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from .resume.preemption_hook import shield_like


def ordered_pass(
    like: DataLoader, dataset: Dataset, seed: int
) -> Iterator[tuple[dict, int]]:
    """Goes through a data set once, in its order, every clip on one rank.

    Every rank gets as many batches, so that they can exchange what they make of
    them. For that the first clips are repeated at the end of the pass; how many of
    a batch are no repetition is told with it.

    Args:
        like (DataLoader): Whose batch size, workers, collation and, if its workers
            leave signals to the run, whose shield is taken.
        dataset (Dataset): The data set.
        seed (int): Of the data workers.

    Yields:
        tuple[dict, int]: A batch, and the number of its first clips that count, in
        [0, B]; the others are repetitions.
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
