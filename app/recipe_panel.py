"""The recipe's form: preset and budget first, every other option in folds, all from the dataclasses."""

from typing import Any

import dearpygui.dearpygui as dpg

from app import text
from app.containers import inside
from app.form import CUSTOM, Field, Group, names_option, recipe_form
from app.studio import Studio
from app.theme import Look
from gaussians.distill.presets import recipe_names

BUDGET = "student.budget"
COLUMNS = (1.0, 1.3)  # widths of names and fields
HELP_WIDTH = 320  # px of an option's explanation
LINE_ROOM = 60  # px at scale 1 below the options: three lines on what is wrong
NEXT = "A run is under way: changes are for the next one."


class RecipePanel:
    """Widgets for each option of the recipe."""

    def __init__(self, studio: Studio, look: Look) -> None:
        self._studio, self._look = studio, look
        self._form = recipe_form()
        self._shown: tuple | None = None

    def build(self, parent: int | str) -> None:
        """Make the widgets."""
        dpg.add_child_window(parent=parent, tag="recipe panel", border=False)
        dpg.add_text("", parent=parent, tag="recipe line", wrap=0)
        with inside("recipe panel"):
            budget = next(field for field in self._form.all_fields() if field.path == BUDGET)
            with inside(dpg.add_table(header_row=False, policy=dpg.mvTable_SizingStretchProp)):
                for weight in COLUMNS:
                    dpg.add_table_column(init_width_or_weight=weight)
                with inside(dpg.add_table_row()):
                    dpg.add_text("Preset")
                    dpg.add_combo(
                        recipe_names(), tag="preset", width=-1, callback=lambda _, name: self._choose(name)
                    )
                with inside(dpg.add_table_row()):
                    dpg.add_text("Budget")
                    dpg.add_input_text(
                        tag=BUDGET, width=-1, callback=lambda _, value: self._edit(BUDGET, value)
                    )
            with inside(dpg.add_tooltip("preset", delay=0.4)):
                dpg.add_text("preview: about a minute on the demo\nfast: a quarter of an hour\npaper: hours")
            with inside(dpg.add_tooltip(BUDGET, delay=0.4)):
                dpg.add_text(budget.help)
            dpg.add_spacer(height=2)
            dpg.bind_item_theme(
                dpg.add_text("All options. Hover one for what it means.", wrap=0), self._look.note
            )
            self._build_group(self._form, open_=True)

    def refresh(self) -> None:
        """Follow the form: values, what is wrong with them, and whether they may be changed now."""
        form = self._studio.form
        values = {field.path: form.value(field.path) for field in self._form.all_fields()}
        scale, busy = dpg.get_global_font_scale(), self._studio.state.busy
        key = (form.name, form.error, tuple(map(str, values.values())), busy, scale)
        if key == self._shown:
            return
        self._shown = key
        dpg.set_value("preset", form.name if form.name != CUSTOM else "custom (edited)")
        # Its room is there before it is: nothing moves below the hand of who types.
        dpg.configure_item("recipe panel", height=-round(LINE_ROOM * scale))
        dpg.set_value("recipe line", form.error or (NEXT if busy else ""))
        dpg.bind_item_theme("recipe line", self._look.bad if form.error else self._look.note)
        for field in self._form.all_fields():
            if not dpg.is_item_active(field.path):
                self._show(field, values[field.path])
            dpg.bind_item_theme(field.path, self._look.wrong if names_option(form.error, field.path) else 0)

    @property
    def typing(self) -> bool:
        """Whether one of the fields takes the keys."""
        return any(
            dpg.is_item_active(field.path)
            for field in self._form.all_fields()
            if field.kind not in ("set", "bool")
        )

    def _choose(self, name: str) -> None:
        budget = self._studio.form.value(BUDGET)
        self._studio.form.choose(name)
        self._studio.form.edit(BUDGET, budget)

    def _edit(self, path: str, value: Any) -> None:
        self._studio.form.edit(path, value)

    def _build_group(self, group: Group, *, open_: bool = False) -> None:
        fields = [field for field in group.fields if field.path != BUDGET]
        if group.path:
            with inside(dpg.add_tree_node(label=group.label, default_open=open_)):
                self._build_fields(fields)
                for inner in group.groups:
                    self._build_group(inner)
        else:
            self._build_fields(fields)
            for inner in group.groups:
                self._build_group(inner)

    def _build_fields(self, fields: list[Field]) -> None:
        if not fields:
            return
        with inside(dpg.add_table(header_row=False, policy=dpg.mvTable_SizingStretchProp)):
            for weight in COLUMNS:
                dpg.add_table_column(init_width_or_weight=weight)
            for field in fields:
                with inside(dpg.add_table_row()):
                    name = dpg.add_text(field.label)
                    self._build_field(field)
                for item in (name, field.path):
                    with inside(dpg.add_tooltip(item, delay=0.4)):
                        dpg.add_text(field.help, wrap=HELP_WIDTH)
                        if field.bounds:
                            dpg.bind_item_theme(dpg.add_text(field.bounds), self._look.faint)

    def _build_field(self, field: Field) -> None:
        def changed(_: Any, value: Any) -> None:
            self._edit(field.path, value)

        if field.kind == "set":
            with inside(dpg.add_group(tag=field.path)):
                for choice in field.choices:
                    dpg.add_checkbox(
                        label=text.model(choice),
                        tag=f"{field.path} {choice}",
                        callback=lambda: self._edit_set(field),
                    )
        elif field.kind == "bool":
            dpg.add_checkbox(tag=field.path, callback=changed)
        elif field.kind == "choice":
            dpg.add_combo(field.choices, tag=field.path, width=-1, callback=changed)
        elif field.kind == "int":
            dpg.add_input_int(tag=field.path, width=-1, step=0, callback=changed)
        elif field.kind == "float":
            dpg.add_input_double(tag=field.path, width=-1, step=0, format="%.6g", callback=changed)
        else:
            dpg.add_input_text(tag=field.path, width=-1, callback=changed)

    def _edit_set(self, field: Field) -> None:
        self._edit(field.path, [name for name in field.choices if dpg.get_value(f"{field.path} {name}")])

    def _show(self, field: Field, value: Any) -> None:
        if field.kind == "set":
            for choice in field.choices:
                dpg.set_value(f"{field.path} {choice}", choice in value)
        else:
            dpg.set_value(field.path, value)
