"""Draws the best, the worst and the most disputed clips of a test on contact sheets.

MAPS is what `tools/test.py CONFIG CHECKPOINT --dump-maps MAPS` wrote: a folder of
ID.npy for each model. Writes best.png, worst.png, disagreeing.png (least soft IoU of
the localizers' maps) and clips.csv with the CIoU of every clip.
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from mmxpl.datasets.dataset_wrappers import PARTS, annotations_only, dataset_config
from mmxpl.utils import DataError
from mmxpl.utils.cli import (
    add_config_options,
    load_config,
    make_folder,
    number_in,
    one_clear_error,
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    from mmxpl.evaluation.functional import RULES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file that was tested')
    parser.add_argument('maps', type=Path, metavar='MAPS', help='folder of maps')
    parser.add_argument('show_dir', type=Path, help='folder to write to')
    parser.add_argument(
        '--part', choices=PARTS, default='test', help='part of the data (default: test)'
    )
    parser.add_argument(
        '--topk',
        type=number_in(1),
        default=8,
        help='number of clips on a sheet (default: 8)',
    )
    parser.add_argument(
        '--model', default='ens', help='model whose CIoU ranks the clips (default: ens)'
    )
    parser.add_argument(
        '--rule',
        choices=list(RULES),
        default='adaptive',
        help='threshold rule (default: adaptive)',
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def open_models(folder: Path, ranking: str) -> dict[str, Any]:
    """Opens the maps of every model in a folder, each in a folder of its own.

    Raises a DataError if there are none of the model that ranks the clips.
    """
    from mmxpl.evaluation.maps import open_maps

    names = sorted(p.name for p in folder.glob('*') if next(p.rglob('*.npy'), None))
    if ranking not in names:
        raise DataError(
            f"{folder}: has no folder '{ranking}' of maps (it has: "
            f'{", ".join(names) or "none"}). Write it with tools/test.py --dump-maps, '
            'or choose another --model.'
        )
    return {name: open_maps(str(folder / name)) for name in names}


def measure(
    sample: Mapping, models: Mapping[str, Any], rule: str
) -> tuple[dict[str, float], dict]:
    """Scores one clip, with ``sample_id`` and ``gt_map``, under a threshold rule.

    Returns CIoU by model and, if there are several localizers, ``agreement``; and the
    maps (1, h, w) by model.
    """
    import torch

    from mmxpl.evaluation.functional import GroundTruth, score_maps
    from mmxpl.pseudo_labels.reliability import agreement

    maps = {name: m.read(sample['sample_id'])[None] for name, m in models.items()}
    truth = GroundTruth(sample['gt_map'][None])
    row = {n: float(score_maps(one, truth, [rule])) for n, one in maps.items()}
    localizers = [one for name, one in maps.items() if name != 'ens']
    if len(localizers) > 1:
        row['agreement'] = float(agreement(torch.stack(localizers, dim=1)))
    return row, maps


def draw(sample: Mapping, maps: Mapping, row: Mapping, rule: str) -> Any:
    """Draws a clip with all its maps, RGB uint8."""
    import torch
    from mmengine.structures import InstanceData, PixelData

    from mmxpl.structures import AVDataSample
    from mmxpl.visualization import AVLocVisualizer, read_picture

    about = sample.get('category') or ''
    if 'agreement' in row:
        about = f'agreement {row["agreement"]:.2f} {about}'
    data_sample = AVDataSample(
        metainfo=dict(sample_id=sample['sample_id'], category=about),
        gt_map=sample['gt_map'],
        pred_map=PixelData(**maps),
    )
    if sample.get('bboxes'):
        data_sample.gt_instances = InstanceData(bboxes=torch.tensor(sample['bboxes']))
    frame = read_picture(sample['img_path'])
    return AVLocVisualizer(f'rows_{rule}', rule=rule).draw(frame, data_sample)


def main(argv: Sequence[str] | None = None) -> None:
    """Scores all clips and draws some."""
    args = parse_args(argv)
    with one_clear_error():
        cfg = load_config(args.config, args.cfg_options)
        chosen = dataset_config(cfg, args.part)
        models = open_models(args.maps, args.model)

        # imported late, so that a wrong argument is reported at once
        from mmxpl.visualization import contact_sheet, write_picture

        dataset = annotations_only(chosen)
        places = {sample_id: n for n, sample_id in enumerate(dataset.sample_ids)}
        have = frozenset.intersection(*(files.ids for files in models.values()))
        ids = sorted(have & set(places))
        if not ids:
            raise DataError(
                f'{args.maps}: none of its {len(have)} maps is of a clip in --part '
                f'{args.part} of the config. Name the part that was tested.'
            )
        make_folder(args.show_dir, 'show_dir')
        rows, silent = {}, 0
        for sample_id in track(ids, description='score'):
            sample = dataset[places[sample_id]]
            if sample['gt_map'].any():
                rows[sample_id] = measure(sample, models, args.rule)[0]
            else:
                silent += 1
        if not rows:
            raise DataError(f'--part {args.part}: no clip has any ground truth.')
        best = sorted(rows, key=lambda i: -rows[i][args.model])
        sheets = {'best': best, 'worst': best[::-1]}
        if 'agreement' in rows[best[0]]:
            sheets['disagreeing'] = sorted(rows, key=lambda i: rows[i]['agreement'])
        for name, ranking in sheets.items():
            panels = []
            for sample_id in ranking[: args.topk]:
                sample = dataset[places[sample_id]]
                row, maps = measure(sample, models, args.rule)
                panels.append(draw(sample, maps, row, args.rule))
            sheet = contact_sheet(panels, padding=4)
            write_picture(sheet, args.show_dir / f'{name}.png')
        with open(args.show_dir / 'clips.csv', 'w', newline='') as file:
            table = csv.DictWriter(file, ['sample_id', *rows[best[0]]])
            table.writeheader()
            for sample_id in best:
                table.writerow({'sample_id': sample_id, **rows[sample_id]})
        hits = sum(row[args.model] >= 0.5 for row in rows.values())
        print(
            f'{args.show_dir}: {", ".join(sheets)} and clips.csv of {len(rows)} clips, '
            f'{args.model} CIoU@0.5_{args.rule} {100 * hits / len(rows):.2f}; left '
            f'out: {len(places) - len(ids)} of the {len(places)} clips of --part '
            f'{args.part} have no map, {len(have) - len(ids)} maps are of other clips, '
            f'{silent} clips have an empty ground truth'
        )


if __name__ == '__main__':
    main()
