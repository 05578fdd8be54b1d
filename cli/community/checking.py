"""`folkmoot policy check`: whether a policy is one, and whether what it says of its models is so."""

from __future__ import annotations

from pathlib import Path

import click
from folkmoot.cli.community.documents import read_file
from folkmoot.cli.community.evidence import evidence_in, evidence_options
from folkmoot.cli.community.layers import counts_of, told_counts
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.output import Output, json_option
from folkmoot.protocol.community.bounds import DOCUMENT_BYTES


@click.command(
    epilog=examples(
        "folkmoot policy check policy.toml",
        "folkmoot policy check policy.toml --json",
        "folkmoot policy check policy.toml --evidence-from labelled --models models",
        "folkmoot policy check policy.toml --evidence-from en=labelled --evidence-from pt=rotulados",
    )
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@evidence_options
@json_option
def check(
    file: Path,
    labelled: tuple[tuple[str, Path], ...],
    models: Path | None,
    jobs: int | None,
    skip_unknown: bool,
    output: Output,
) -> int:
    """Check FILE without activating it; no node is needed.

    Everything that is wrong with it, or with the layers that it names, is said, with file, line and column,
    and with the region where it is one region's. It is tried on texts made to be slow to judge.

    What it says of how right its models are is its author's word. With --evidence-from that is counted again
    from labelled sets, as `folkmoot moderate train` reads them: where the model learnt from them it is taught
    anew, with five others that each have not seen a fifth; where it did not, it is asked, and what it learnt
    from is left out. Something else than the policy says is an error, with its line; exit code 3 says that
    something could not be counted again, and why.
    """
    read, policy = read_file(file)
    size = len(read.data)
    if size > DOCUMENT_BYTES:
        raise OperatorError(
            f"{file} has {size:,} bytes: good for gate.policy, and too large to be activated for a cluster, "
            f"which takes {DOCUMENT_BYTES:,}",
        )
    evidence = evidence_in(read, policy, labelled, models, jobs, skip_unknown)
    regions = {region: counts_of(each) for region, each in policy.regions.items()}
    counts = counts_of(policy.everywhere)
    lines = [f"{file} is a policy: {told_counts(counts)}"]
    lines += [f"in region {region}: {told_counts(each)}" for region, each in regions.items()]
    lines += [f"hash {read.hash}", *(line for each in evidence for line in each.lines())]
    told = {"file": str(file), "hash": read.hash, "name": policy.everywhere.name, "bytes": size, **counts}
    output.result({**told, "regions": regions, "evidence": [each.told() for each in evidence]}, lines)
    return DEGRADED if labelled and any(not each.is_proven for each in evidence) else OK
