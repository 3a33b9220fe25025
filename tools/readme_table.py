"""The tables of results, generated from the result files: README's, a row a notebook, and results/README.md, a row a model."""

from tools import notebooks
from utils import results
from utils.storage import ROOT, read_json, write_text

README = ROOT / "README.md"
ALL = ROOT / "results" / "README.md"
BEGIN, END = "<!-- results: begin (make refresh writes this table) -->", "<!-- results: end -->"
METRIC = "test_accuracy"
METRICS = {  # where accuracy says little
    "04_cnn_with_time_series": "test_auc",
    "08_svhn_object_detection": "test_sequence_accuracy",
    "11_detection_and_segmentation": "test_average_precision",
    "10_price_charts": "test_auc_within",
}
# README's row of each notebook: the model that its text ends with; and the one whose figure the book prints, where that
# is another or has another training.
HEADLINES = {
    "02_mnist_with_ffnn_and_lenet5": ("LeNet5, our recipe", "LeNet5"),
    "03_cifar10_image_classification": ("CNN + augmentation, our recipe", "CNN + augmentation"),
    "04_cnn_with_time_series": ("Conv1D", "Conv1D"),
    "05_bottleneck_features": ("Logistic regression on Lite0, every label", ""),
    "06_transfer_learning": (
        "EfficientNet-Lite0 on objects, stages 4 to 7 trained",
        "VGG16, base frozen, augmented",
    ),
    "08_svhn_object_detection": ("Small six outputs, our recipe", ""),
    "09_after_alexnet": ("Residual network", ""),
    "10_price_charts": ("2-D CNN on charts", ""),
    "11_detection_and_segmentation": ("One stage", ""),
    "12_satellite_images": ("Fine-tuned", ""),
    "13_capsule_networks": ("Capsules", ""),
}
# What the models of a recorded run learned from and were tested on; of the record's data, by name.
EXAMPLES = "{n_train:,} examples trained on, {n_test:,} tested"
OTHER_EXAMPLES = {
    "04_cnn_with_time_series": "the AUC of January to October 2017, by models trained on the years 2010 to 2016",
    "05_bottleneck_features": (
        "rows named “every label” learned from {n_fit:,} images, those of photographs of one's own from others, the rest "
        "from 15,000; {n_test:,} tested. “Own photographs” is not to be compared with the rows above it"
    ),
    "06_transfer_learning": (
        "rows named “EfficientNet-Lite0” learned from {n_fit:,} images, the others from 1,000 labelled ones; {n_test:,} tested. "
        "Rows of digits are about {digits_name}"
    ),
    "10_price_charts": "{n_stocks} of these stocks, {n_train:,} charts trained on, {n_test:,} of 2014 to 2017 tested",
}
INTRODUCTION = """# All results

Written by `make refresh` and `make record` from the files beside it; *Results* in [README.md](../README.md) says what the columns are.
"""


def _escaped(name: str) -> str:
    return name.replace("|", r"\|")  # a bar in a name is no border


def _measured(notebook: str) -> dict[str, dict]:
    """The three results of a notebook: the book's, the recorded one, the sample's."""
    return {
        "the book": results.book_result(notebook),
        "recorded at full scale": results.recorded_result(notebook),
        "bundled sample": read_json(results.MEASURED_SAMPLE).get("notebooks", {}).get(notebook, {}),
    }


def _cell(result: dict, model: str, metric: str) -> str:
    return results.format_metric(metric, result.get("models", {}).get(model, {}).get(metric))


def recorded_note(notebook: str) -> str:
    """What produced a recorded run: data, seeds, machine, date, and the models with facts of their own; '' without one."""
    recorded = results.recorded_result(notebook)
    if not recorded:
        return ""
    spread = ", mean ± standard deviation" if len(recorded["seeds"]) > 1 else ""
    examples = OTHER_EXAMPLES.get(notebook, EXAMPLES).format_map(recorded["data"])
    made_by = f"{_made_by(recorded)}.{_exceptions(recorded)}"
    return f"{results.recorded_heading(recorded)}{spread}; {examples}. {made_by}"


def _made_by(facts: dict) -> str:
    environment = facts["environment"]
    return (
        f"Keras {environment['keras']} on {environment['backend']}, {environment['device']}, {facts['date']}"
    )


def _exceptions(recorded: dict) -> str:
    """The models of a record that were trained with other seeds or elsewhere, a sentence each kind."""
    metric = METRICS.get(recorded["notebook"], METRIC)
    models = {}
    for name, entry in recorded["models"].items():
        if "seeds" in entry and metric in entry:
            seeds = f"seed{'s' if len(entry['seeds']) > 1 else ''} {', '.join(map(str, entry['seeds']))}"
            models.setdefault((seeds, _made_by(recorded | entry)), []).append(_escaped(name))
    return "".join(
        f" Made apart, with {seeds}, {made_by}: {'; '.join(names)}."
        for (seeds, made_by), names in models.items()
    )


def headlines() -> str:
    """README's table in Markdown, a row a notebook; empty where not measured."""
    lines = [
        "| notebook | model | the book | recorded at full scale | bundled sample |",
        "|---|---|---:|---:|---:|",
    ]
    for path in notebooks.find():
        if path.stem not in HEADLINES:
            continue
        model, in_the_book = HEADLINES[path.stem]
        metric = METRICS.get(path.stem, METRIC)
        measured = _measured(path.stem)
        book = _cell(measured["the book"], in_the_book, metric)
        if book and in_the_book != model:
            book += f" ({_escaped(in_the_book)})"
        ours = [
            _cell(measured[column], model, metric) for column in ("recorded at full scale", "bundled sample")
        ]
        lines.append(f"| [{path.stem[:2]}]({path.name}) | {_escaped(model)} | {book} | {' | '.join(ours)} |")
    return "\n".join(lines)


def by_notebook() -> dict[str, str]:
    """The table of each notebook that measures something, by its file's name, with the note on its recorded run below."""
    tables = {}
    for path in notebooks.find():
        metric = METRICS.get(path.stem, METRIC)
        rows = results.comparison_table(_measured(path.stem), {metric: ""})
        if rows.empty:
            continue
        lines = [
            "| model | parameters | the book | recorded at full scale | bundled sample |",
            "|---|---:|---:|---:|---:|",
        ]
        lines += [f"| {' | '.join([_escaped(model), *row])} |" for model, row in rows.iterrows()]
        note = recorded_note(path.stem)
        tables[path.name] = "\n".join([*lines, *(["", note[0].upper() + note[1:]] if note else [])])
    return tables


def all_results(folder: str = "../") -> str:
    """results/README.md, or the site's page: a table a notebook. folder: where the notebooks are, seen from the page."""
    tables = by_notebook()
    titles = notebooks.titles()
    return "\n\n".join(f"## [{titles[name]}]({folder}{name})\n\n{table}" for name, table in tables.items())


def with_table(text: str) -> str:
    """README text with the table renewed. Raises ValueError where its markers are missing."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"README.md lacks the lines {BEGIN!r} and {END!r} that hold the table")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{headlines()}\n\n{END}{rest.split(END)[1]}"


def page() -> str:
    """The text of results/README.md."""
    return f"{INTRODUCTION}\n{all_results()}\n"


def update() -> None:
    """Renew the table in README.md, and results/README.md."""
    write_text(README, with_table(README.read_text(encoding="utf-8")))
    write_text(ALL, page())


if __name__ == "__main__":
    update()
