"""The files that tell what an ablation has found: results.csv, results.md and quality.svg."""

from gaussians.session.ablation_chart import quality_chart
from gaussians.session.ablation_directory import AblationDirectory, AblationPlan
from gaussians.session.ablation_rows import Row, csv_text, rows
from gaussians.session.ablation_table import markdown
from gaussians.storage import write_bytes


def write_results(directory: AblationDirectory, plan: AblationPlan) -> list[Row]:
    """Write all three anew, each atomically, from what is finished.

    Returns:
        One row a model.

    Raises:
        RunError: a run's file can't be read.
        StorageError: one can't be written.
    """
    table = rows(directory, plan)
    write_bytes(directory.csv, csv_text(table).encode())
    write_bytes(directory.markdown, markdown(table, plan).encode())
    write_bytes(directory.chart, quality_chart(table).encode())
    return table
