"""The controls in the library's HTML: buttons that say what they do by two attributes, which one script reads."""

from ui.markup import escape

# A click, or another choice in a list, becomes an event of the component; nothing else of the page is sent.
PASS_ON = """
const tell = (control) => trigger('select', { do: control.dataset.do, value: control.value || '' });
element.addEventListener('click', (event) => {
  const control = event.target.closest('button[data-do]');
  if (control && !control.disabled) tell(control);
});
element.addEventListener('change', (event) => {
  if (event.target.matches('select[data-do]')) tell(event.target);
});
"""


def button(text: str, deed: str, value: str = "", *, style: str = "quiet", extra: str = "", label: str = "") -> str:
    """A button.

    Args:
        text: on it.
        deed: what it does.
        value: what with.
        style: ``"quiet"``, ``"strong"``, ``"danger"`` or ``"chip"``.
        extra: further attributes, ours.
        label: what is read aloud, where the text alone says too little.
    """
    spoken = f' aria-label="{escape(label, 300)}"' if label else ""
    return (
        f'<button type="button" class="lib-button {style}" data-do="{escape(deed)}" value="{escape(value, 5000)}"'
        f"{spoken}{extra}>{escape(text, 200)}</button>"
    )


def question(title: str, text: str, body: str, answers: str) -> str:
    """Asks before something is forgotten; gets the focus when it appears."""
    return (
        f'<section class="lib-ask" role="alertdialog" aria-label="{escape(title)}" tabindex="-1" data-focus>'
        f"<h3>{escape(title)}</h3><p>{escape(text)}</p>{body}"
        f'<div class="lib-actions">{answers}</div></section>'
    )
