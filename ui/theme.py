"""Colours and type of Gradio's own components; the page's pieces take the same colours from ``page.css``."""

import gradio as gr
from gradio.themes.utils.fonts import Font

_PINE = gr.themes.Color(
    name="pine",
    c50="#eef7f4",
    c100="#dcefe9",
    c200="#b9dfd4",
    c300="#8ccaba",
    c400="#5fc9b2",
    c500="#2b9380",
    c600="#0f6b5c",
    c700="#0c594d",
    c800="#0b473e",
    c900="#0a3a33",
    c950="#062722",
)
# Fonts that are on the machine: the page fetches none.
_TEXT = tuple(Font(name) for name in ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"))
_CODE = tuple(Font(name) for name in ("ui-monospace", "SFMono-Regular", "Consolas", "monospace"))


def page_theme() -> gr.themes.Base:
    """The page's theme."""
    return gr.themes.Base(
        primary_hue=_PINE,
        secondary_hue=_PINE,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        font=_TEXT,
        font_mono=_CODE,
    ).set(
        body_background_fill="#f7f6f3",
        body_background_fill_dark="#151513",
        body_text_color="#1c1b19",
        body_text_color_dark="#f1efe9",
        body_text_color_subdued="#6b675f",
        body_text_color_subdued_dark="#a8a398",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1e1d1b",
        background_fill_secondary="#f7f6f3",
        background_fill_secondary_dark="#262522",
        border_color_primary="#e3e0d8",
        border_color_primary_dark="#373530",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1e1d1b",
        block_border_color="#e3e0d8",
        block_border_color_dark="#373530",
        block_shadow="none",
        block_label_text_color="#4d4a44",
        block_label_text_color_dark="#c9c4b8",
        block_title_text_color="#4d4a44",
        block_title_text_color_dark="#c9c4b8",
        block_title_text_weight="550",
        block_title_text_size="*text_sm",
        input_border_width="1px",
        input_background_fill="#ffffff",
        input_background_fill_dark="#262522",
        input_border_color="#d8d4ca",
        input_border_color_dark="#45423c",
        input_border_color_focus="#0f6b5c",
        input_border_color_focus_dark="#5fc9b2",
        input_placeholder_color="#77736a",
        input_placeholder_color_dark="#98938a",
        button_primary_background_fill="#0f6b5c",
        button_primary_background_fill_hover="#0c594d",
        button_primary_background_fill_dark="#5fc9b2",
        button_primary_background_fill_hover_dark="#7dd6c2",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#06231d",
        button_large_text_weight="600",
        slider_color="#0f6b5c",
        slider_color_dark="#5fc9b2",
        color_accent_soft="#e6f3ef",
        color_accent_soft_dark="#17332d",
    )
