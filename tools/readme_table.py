"""The table of results in README.md, generated from the result files."""

from tools import notebooks
from utils import results
from utils.storage import ROOT, read_json, write_text

README = ROOT / "README.md"
BEGIN, END = "<!-- results: begin (make refresh writes this table) -->", "<!-- results: end -->"
METRIC = "test_accuracy"
METRICS = {  # where accuracy says little
    "04_cnn_with_time_series": "test_auc",
    "08_svhn_object_detection": "test_sequence_accuracy",
    "11_detection_and_segmentation": "test_average_precision",
    "10_price_charts": "test_auc_within",
}


def table() -> str:
    """The table in Markdown: notebook, model, book, recorded full-scale run, sample; empty where not measured."""
    sample = read_json(results.MEASURED_SAMPLE).get("notebooks", {})
    lines = [
        "| notebook | model | parameters | the book | recorded at full scale | bundled sample |",
        "|---|---|---:|---:|---:|---:|",
    ]
    notes = []
    for path in notebooks.find():
        recorded = results.recorded_result(path.stem)
        columns = {
            "book": results.book_result(path.stem),
            "recorded": recorded,
            "sample": sample.get(path.stem, {}),
        }
        link = f"[{path.stem[:2]}]({path.name})"
        for model, row in results.comparison_table(columns, {METRICS.get(path.stem, METRIC): ""}).iterrows():
            cells = [link, model.replace("|", r"\|"), *row]  # a bar in a name is no border
            lines.append(f"| {' | '.join(cells)} |")
        if recorded:
            environment = recorded["environment"]
            spread = ", mean ± standard deviation" if len(recorded["seeds"]) > 1 else ""
            notes.append(
                f"{link} {results.recorded_heading(recorded)}{spread}; {recorded['data']['n_train']:,} "
                f"examples trained on, {recorded['data']['n_test']:,} tested; Keras {environment['keras']} on "
                f"{environment['backend']}, {environment['device']}, {recorded['date']}."
            )
    return "\n".join([*lines, "", *notes])


def with_table(text: str) -> str:
    """README text with the table renewed. Raises ValueError where its markers are missing."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"README.md lacks the lines {BEGIN!r} and {END!r} that hold the table")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}"


def update() -> None:
    """Renew the table in README.md."""
    write_text(README, with_table(README.read_text(encoding="utf-8")))


if __name__ == "__main__":
    update()
